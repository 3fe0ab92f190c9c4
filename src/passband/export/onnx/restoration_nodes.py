"""Writes the operations that networks of three scales consist of as nodes of an ONNX graph."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from passband.export.network_writer import INPUT, NetworkWriter, array
from passband.export.onnx.node_writer import NodeWriter
from passband.layers import LocalAvgPool2d
from passband.layers.pooling import TRAINING_CROP

END = 2**31
"""End of a slice that goes to the end of its axis."""


@dataclass(frozen=True)
class LocalWindow:
    """Names of the nodes that compute the window of a local average from the size of the image."""

    lengths: list[str]
    """Height and width of the map."""
    sizes: list[str]
    """Height and width of the window."""
    places: list[str]
    """Numbers of positions of the window, down and across."""
    area: str
    """Number of positions in the window."""
    pads: str
    """Numbers of rows and columns by which the averages of the inner windows are repeated, for the node Pad."""


class OnnxWriter(NodeWriter, NetworkWriter):
    """Writes the operations of networks of three scales as nodes.

    Args:
        half: whether parameters and maps use float16. Averages always use float32.
    """

    def __init__(self, half: bool):
        super().__init__(half)
        self._windows: dict[int, LocalWindow] = {}

    def conv(self, name: str, layer: Any, x: str) -> str:
        """Write a convolution or a transposed convolution."""
        transposed = isinstance(layer, nn.ConvTranspose2d)
        parameters = [self.value(array(value)) for value in (layer.weight, layer.bias) if value is not None]
        return self.op(
            "ConvTranspose" if transposed else "Conv", x, *parameters, name=name, group=layer.groups,
            kernel_shape=list(layer.kernel_size), strides=list(layer.stride), pads=list(layer.padding) * 2,
        )  # fmt: skip

    def gelu(self, x: str, name: str = "") -> str:
        """Write GELU in its exact form."""
        return self.op("Gelu", x, name=name)

    def add(self, x: str, y: str, name: str = "") -> str:
        """Write the sum of two maps of one shape."""
        return self.op("Add", x, y, name=name)

    def join(self, *maps: str) -> str:
        """Write maps as the channels of one map."""
        return self.op("Concat", *maps, axis=1)

    def split(self, x: str, parts: int) -> list[str]:
        """Write the channels of a map as several maps with equally many channels; it returns their names."""
        return self.op("Split", x, outputs=parts, axis=1)

    def mean_view(self, image: str, views: int) -> str:
        """Write the mean of several views of 3 channels."""
        return self.op("Mean", *self.split(image, views))

    def halve(self, x: str) -> str:
        """Write every second row and column, as nearest-neighbor interpolation by one half takes them."""
        start, end, axes, step = (self.integers(n, m) for n, m in ((0, 0), (END, END), (2, 3), (2, 2)))
        return self.op("Slice", x, start, end, axes, step)

    def enlarge(self, x: str, like: str, name: str, mode: str = "half_pixel") -> str:
        """Write a bilinear interpolation to the size of another map."""
        size = self.op("Shape", like)
        return self.op("Resize", x, "", "", size, name=name, mode="linear", coordinate_transformation_mode=mode)

    def shallow(self, prefix: str, layers: Any, x: str, name: str) -> str:
        """Write the features of a smaller image, which end with an instance normalization."""
        *convolutions, norm = (layer for layer in layers if not isinstance(layer, nn.GELU))
        for number, layer in enumerate(convolutions):
            x = self.conv(f"{prefix}.{2 * number}", layer, x)
            x = self.gelu(x) if number + 1 < len(convolutions) else x
        scale, bias = self.value(array(norm.weight)), self.value(array(norm.bias))
        return self.op("InstanceNormalization", x, scale, bias, epsilon=norm.eps, name=name)

    def mean(self, x: str, name: str, *axes: int) -> str:
        """Write the mean of a map over axes, which keep the length 1.

        Args:
            x: name of the input.
            name: name of the node.
            axes: numbers of the axes; rows and columns without any.

        Returns:
            The name of the output, in the type of the maps.
        """
        # the sum over a large map exceeds the range of float16
        return self.narrow(
            self.op("ReduceMean", self.widen(x), self.integers(*(axes or (2, 3))), keepdims=1, name=name)
        )

    def pooled(self, name: str, pool: nn.Module, x: str, factor: np.ndarray | None = None) -> str:
        """Write the average of a map as `LocalAvgPool2d` computes it in evaluation.

        Args:
            name: name of the node of the average.
            pool: layer that pools the map.
            x: map.
            factor: factor of the average, one value for each channel, or None.
        """
        if not is_local(pool):
            average = self.mean(x, name)
            if factor is None:
                return average
            return self.op("Mul", average, self.per_channel(factor), name=f"{name}.weigh")
        return self._local_average(name, pool, x, np.ones(1) if factor is None else factor)

    def _local_average(self, name: str, pool: nn.Module, x: str, factor: np.ndarray) -> str:
        """Write the average over a window around each position.

        Sums run down the columns first and then along the rows, in float32, as in `layers.pooling.local_average`. The
        smaller map of the inner windows is weighted before its edges are repeated.
        """
        window = self.window(pool)
        x = self.widen(x)
        for axis, size, count in zip((2, 3), window.sizes, window.places, strict=True):
            edge = self.integers(*(int(position == axis) for position in range(8)))
            sums = self.op("CumSum", self.op("Pad", x, edge), self.integers(axis), name=f"{name}.sums.{axis}")
            above = self.op("Slice", sums, size, self.integers(END), self.integers(axis))
            below = self.op("Slice", sums, self.integers(0), count, self.integers(axis))
            x = self.op("Sub", above, below, name=f"{name}.window.{axis}")
        weight = self.op("Div", self.constant(factor.reshape(1, -1, 1, 1).astype(np.float32)), window.area)
        x = self.narrow(self.op("Mul", x, weight, name=f"{name}.weigh"))
        return self.op("Pad", x, window.pads, mode="edge", name=name)

    def window(self, pool: nn.Module) -> LocalWindow:
        """Write the window of a layer as `LocalAvgPool2d.window_for` computes it, once for all maps of one size.

        Args:
            pool: pooling layer for which `is_local` is true.

        Returns:
            The names of the sizes that the window depends on.
        """
        assert isinstance(pool, LocalAvgPool2d)
        assert pool.window is not None
        if pool.stride in self._windows:
            return self._windows[pool.stride]
        lengths, sizes, places = [], [], []
        for axis in (2, 3):
            side = self.op("Shape", INPUT, start=axis, end=axis + 1)
            length = self.op("Div", side, self.integers(pool.stride))
            if pool.mode == "tlc":
                size = self.op("Min", length, self.integers(max(1, pool.window // pool.stride)))
            else:
                share = self.op("Mul", length, self.integers(pool.window))
                size = self.op("Max", self.op("Div", share, self.integers(TRAINING_CROP)), self.integers(1))
            lengths.append(length)
            sizes.append(size)
            places.append(self.op("Add", self.op("Sub", length, size), self.integers(1)))
        # left and top get the smaller half of the missing columns and rows
        missing = [self.op("Sub", size, self.integers(1)) for size in sizes]
        before = [self.op("Div", number, self.integers(2)) for number in missing]
        after = [self.op("Sub", number, part) for number, part in zip(missing, before, strict=True)]
        pads = self.shape(0, 0, *before, 0, 0, *after)
        area = self.op("Cast", self.op("Mul", *sizes), to=self.float32)
        self._windows[pool.stride] = LocalWindow(lengths, sizes, places, area, pads)
        return self._windows[pool.stride]

    def narrow(self, x: str) -> str:
        """Write a map of float32 in the type of the maps.

        Args:
            x: name of a map in float32.

        Returns:
            The name of the output; `x` itself if maps are in float32.
        """
        return self.op("Cast", x, to=self.float16) if self.half else x

    def widen(self, x: str) -> str:
        """Write a map in float32.

        Args:
            x: name of a map in the type of the maps.

        Returns:
            The name of the output; `x` itself if maps are in float32.
        """
        return self.op("Cast", x, to=self.float32) if self.half else x


def is_local(pool: nn.Module) -> bool:
    """Tell whether a pooling layer averages over windows that may be smaller than a map, in evaluation.

    Args:
        pool: pooling layer; other layers than `LocalAvgPool2d` are global.
    """
    if not isinstance(pool, LocalAvgPool2d) or pool.window is None:
        return False
    return pool.mode == "tlc" or pool.window < TRAINING_CROP
