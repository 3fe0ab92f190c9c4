"""Writes the networks of three scales (SFNet, FSNet and ConvIR) as ONNX graphs, node by node.

The graph is written out instead of traced for three reasons: it takes milliseconds instead of minutes, its nodes are
named after the modules (so that quantization can exclude some of them), and it uses forms that engines run fast. With
global pooling, a dynamic filter and its modulator are linear in the map,

    low * a_low + (x - low) * a_high = x * ((a_low - a_high) kernel + a_high delta).

This is one depthwise convolution, whose kernels are computed from the average of the map. The filters of ConvIR are
depthwise convolutions in the same way. With local pooling, the weights a_low and a_high differ from position to
position, and the parts are weighted one by one. Local averages are differences of cumulative sums, whose windows are
computed from the size of the image.
"""

from typing import Any

import numpy as np
from torch import nn

from passband.export.network_writer import FILTER_SCOPE, INPUT, OUTPUT, array, check_network, check_size, folded
from passband.export.onnx.restoration_nodes import OnnxWriter, is_local
from passband.export.sizes import Sizes
from passband.layers import DynamicFilter, GlobalModulation, Modulator, WindowModulation
from passband.layers.shape_filter import ShapeFilter
from passband.models.restoration.convir import POOLS, MultiScaleFilter


def restoration_graph(model: nn.Module, half: bool = False, size: tuple[int, int] | None = None) -> Any:
    """Write a network as an ONNX model for one image, of any size that the network takes or of one size.

    Args:
        model: SFNet, FSNet or ConvIR.
        half: whether parameters and maps use float16. Averages, the input and the output always use float32.
        size: height and width in pixels of the only images that the model takes; None for images of any size.

    Returns:
        An `onnx.ModelProto` with the input `degraded`, 1 C H W, and the output `restored`, 1 3 H W, both float32 in
        [0, 1]. The output is not clamped. The properties of the model name its precision, `multiple`, `minimum` and
        `tile` (if it has one), and a model of one size also names its `size`, width x height.

    Raises:
        ExportError: if the network is none of these, if its pooling depends on earlier images, or if it does not take
            the size.
    """
    network = check_network(model)
    if size is not None:
        check_size(network, *size)
    writer = _GraphWriter(half)
    image = writer.narrow(INPUT)
    restored = writer.trunk(network, image, *writer.front(network, image))
    writer.op("Identity", writer.widen(restored), output=OUTPUT)
    properties = {"precision": "float16" if half else "float32", **Sizes.of(network).entries}
    if size is not None:
        properties["size"] = f"{size[1]}x{size[0]}"
    sides = size or ("height", "width")
    inputs, outputs = {INPUT: (1, network.in_channels, *sides)}, {OUTPUT: (1, 3, *sides)}
    return writer.model(network.model_name, inputs, outputs, properties)


class _GraphWriter(OnnxWriter):
    """Writes filters and modulation in the forms that engines run fast."""

    def filter(self, name: str, dynamic: DynamicFilter, x: str) -> str:
        """Write a dynamic filter and its modulator."""
        size, groups, modulator = dynamic.kernel_size, dynamic.groups, dynamic.modulator
        channels = dynamic.predict.in_channels
        shared = channels // groups
        pool = modulator.pool
        average = self.mean(x, f"{name}.average")
        weight, bias = folded(dynamic.predict, dynamic.norm)
        logits = self.op("Conv", average, self.value(weight), self.value(bias), name=f"{name}.predict")
        kernels = self.op("Softmax", self.reshape(logits, groups, 1, size**2), axis=2, name=f"{name}.kernels")
        edge = size // 2
        borders = self.integers(0, 0, edge, edge, 0, 0, edge, edge)
        padded = self.op("Pad", x, borders, mode="reflect", name=f"{name}.pad")

        def filtered(kernels: str) -> str:
            kernels = self.reshape(kernels, channels, 1, size, size)
            return self.op("Conv", padded, kernels, group=channels, kernel_shape=[size, size], name=f"{name}.filter")

        if is_local(pool):
            each = self.op("Expand", kernels, self.integers(groups, shared, size**2), name=f"{name}.each")
            high, low = self._attention(name, modulator, self.pooled(f"{name}.local", pool, x))
            weight = self.op("Sub", low, high, name=f"{name}.low")
            parts = [(x, high, f"{name}.weigh_map"), (filtered(each), weight, f"{name}.weigh_low")]
            weighted = (self.op("Mul", part, by, name=node) for part, by, node in parts)
            return self.conv(f"{name}.join", modulator.join, self.op("Add", *weighted, name=f"{name}.blend"))

        high, low = self._attention(name, modulator, average)
        high, low = self.reshape(high, groups, shared, 1), self.reshape(low, groups, shared, 1)
        delta = np.zeros(size**2)
        delta[size**2 // 2] = 1
        kernels = self.op("Mul", self.op("Sub", low, high, name=f"{name}.low"), kernels, name=f"{name}.weigh")
        through = self.op("Mul", high, self.value(delta), name=f"{name}.high")
        kernels = self.op("Add", kernels, through, name=f"{name}.fold")
        return self.conv(f"{name}.join", modulator.join, filtered(kernels))

    def _attention(self, name: str, modulator: Modulator, average: str) -> tuple[str, str]:
        """Write the weights of the high and the low part."""
        hidden = self.conv(f"{name}.squeeze", modulator.squeeze, average)
        parts = (modulator.excite_high, modulator.excite_low)
        weight = np.concatenate([array(part.weight) for part in parts])
        bias = np.concatenate([array(part.bias) for part in parts])
        logits = self.op("Conv", hidden, self.value(weight), self.value(bias), name=f"{name}.excite")
        attention = self.op("Softmax", logits, axis=1, name=f"{name}.attention")
        high, low = self.op("Split", attention, outputs=2, axis=1, name=f"{name}.parts")
        return high, low

    def modulate_global(self, name: str, modulation: GlobalModulation, x: str) -> str:
        """Write a global modulation."""
        high, low = array(modulation.high) + 1, array(modulation.low)
        shift = self.pooled(f"{name}.average", modulation.pool, x, low - high)
        return self.op("Add", self.op("Mul", x, self.per_channel(high), name=f"{name}.scale"), shift)

    def modulate_window(self, name: str, modulation: WindowModulation, x: str) -> str:
        """Write a window modulation."""
        side = modulation.windows
        high, low = (array(p).reshape(-1, side, side) for p in (modulation.high, modulation.low))
        if modulation.blended:
            return self._modulate_blended(name, high, low - high, x)
        if is_local(modulation.pool):
            return self._modulate_local(name, modulation, high, low - high, x)
        rows = []
        for i, row in enumerate(self.op("Split", x, outputs=side, axis=2) if side > 1 else [x]):
            windows = []
            for j, window in enumerate(self.op("Split", row, outputs=side, axis=3) if side > 1 else [row]):
                shift = self.pooled(f"{name}.average.{i}{j}", modulation.pool, window, (low - high)[:, i, j])
                windows.append(self.op("Add", self.op("Mul", window, self.per_channel(high[:, i, j])), shift))
            rows.append(self.op("Concat", *windows, axis=3))
        return self.op("Concat", *rows, axis=2)

    def _modulate_local(
        self, name: str, modulation: WindowModulation, high: np.ndarray, shift: np.ndarray, x: str
    ) -> str:
        """Write a window modulation with local averages, whose windows become channels of one map."""
        channels, side = high.shape[:2]
        height, width = self.window(modulation.pool).lengths
        # the axis of the batch is left out, because Core ML has maps of five axes at most
        size, order = self.op("Shape", x), [0, 1, 3, 2, 4]
        split = self.op("Reshape", x, self.shape(channels, side, height, side, width))
        windows = self.op("Transpose", split, perm=order)
        windows = self.op("Reshape", windows, self.shape(1, channels * side**2, height, width))
        moved = self.pooled(f"{name}.average", modulation.pool, windows, shift)
        windows = self.op("Add", self.op("Mul", windows, self.per_channel(high), name=f"{name}.scale"), moved)
        windows = self.op("Reshape", windows, self.shape(channels, side, side, height, width))
        return self.op("Reshape", self.op("Transpose", windows, perm=order), size)

    def _modulate_blended(self, name: str, high: np.ndarray, shift: np.ndarray, x: str) -> str:
        """Write a window modulation whose weights and averages are interpolated between the windows."""
        side = high.shape[-1]
        averages = []
        for i, row in enumerate(self.op("Split", x, outputs=side, axis=2)):
            parts = self.op("Split", row, outputs=side, axis=3)
            averages.append(
                self.op("Concat", *[self.mean(part, f"{name}.average.{i}{j}") for j, part in enumerate(parts)], axis=3)
            )
        moved = self.op("Mul", self.op("Concat", *averages, axis=2), self.value(shift[None]), name=f"{name}.move")
        high_map = self.enlarge(self.value(high[None]), x, f"{name}.high")
        shift_map = self.enlarge(moved, x, f"{name}.shift")
        return self.op("Add", self.op("Mul", x, high_map, name=f"{name}.scale"), shift_map)

    def scales(self, name: str, scales: MultiScaleFilter, x: str) -> str:
        """Write the multi-scale filter of ConvIR."""
        total, level = x, ""
        for number, pool in enumerate(POOLS):
            part = f"{name}.convs.{number}"
            sides = [pool, pool]
            reduced = self.op("AveragePool", x, kernel_shape=sides, strides=sides, name=f"{part}.pool")
            if level:
                larger = self.enlarge(level, reduced, f"{part}.enlarge", "align_corners")
                reduced = self.op("Add", reduced, larger)
            convolved = self.conv(part, scales.convs[number], reduced)
            level = self._multi_shape(f"{name}.{FILTER_SCOPE}.{number}", scales.filters[number], convolved)
            total = self.op("Add", total, self.enlarge(level, x, f"{name}.enlarge.{number}", "align_corners"))
        return self.conv(f"{name}.join", scales.join, self.gelu(total))

    def _multi_shape(self, name: str, layer: Any, x: str) -> str:
        strips = self._shape_filter(f"{name}.across", layer.across, x)
        strips = self._shape_filter(f"{name}.down", layer.down, strips, gain=array(layer.gain))
        square = self._shape_filter(f"{name}.square", layer.square, x, through=array(layer.through))
        return self.op("Add", square, strips, name=f"{name}.add")

    def _shape_filter(
        self, name: str, layer: ShapeFilter, x: str, gain: np.ndarray | float = 1.0, through: np.ndarray | float = 0.0
    ) -> str:
        (tall, wide), groups, channels = layer.size, layer.groups, layer.predict.in_channels
        average = self.mean(x, f"{name}.average")
        weight, bias = array(layer.predict.weight), np.zeros(layer.predict.out_channels)
        if layer.norm is not None:
            weight, bias = folded(layer.predict, layer.norm)
        prediction = self.op("Conv", average, self.value(weight), self.value(bias), name=f"{name}.predict")
        kernels = self.reshape(self.op("Tanh", prediction, name=f"{name}.kernels"), groups, 1, tall * wide)
        inside, low, high = array(layer.inside), array(layer.low)[:, None, None], array(layer.high)[:, None, None]
        center = np.zeros(tall * wide)
        center[tall * wide // 2] = 1
        shape = (groups, channels // groups, 1)
        for_low = self.value(((inside + 1) * low * gain).reshape(shape))
        for_center = self.value(((high + 1) * gain + through).reshape(shape) * center)
        kernels = self.op(
            "Add", self.op("Mul", kernels, for_low, name=f"{name}.weigh"), for_center, name=f"{name}.fold"
        )
        left, _, top, _ = layer.padding
        padded = self.op("Pad", x, self.integers(0, 0, top, left, 0, 0, top, left), mode="reflect", name=f"{name}.pad")
        filtered = self.op(
            "Conv", padded, self.reshape(kernels, channels, 1, tall, wide), group=channels, kernel_shape=[tall, wide],
            dilations=[layer.dilation, layer.dilation], name=f"{name}.filter",
        )  # fmt: skip
        mean = average
        if layer.mean is not None:
            mean = self.mean(x, f"{name}.mean", 3 if layer.mean.dim == -1 else 2)
        shift = self.op("Mul", mean, self.per_channel(-inside * low * gain), name=f"{name}.shift")
        return self.op("Add", filtered, shift, name=f"{name}.out")
