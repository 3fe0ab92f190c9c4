"""Writes SFNet, FSNet and ConvIR as ncnn networks, layer by layer.

An ncnn network is a text of layers (`.param`) and the parameters of these layers in the same order (`.bin`). ncnn runs
on phones, and on CPUs it computes 3x3 convolutions by Winograd's algorithm. As in `onnx.restoration_graph`, a dynamic
filter and its modulator are one depthwise convolution, whose kernels are computed from the average of the map. Window
modulation multiplies by a map and adds a map, both of which are enlarged from one value for each window.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from passband.export.network_writer import (
    INPUT,
    OUTPUT,
    ExportError,
    NetworkWriter,
    array,
    check_network,
    folded,
)
from passband.export.sizes import Sizes
from passband.layers import DynamicFilter, GlobalModulation, Modulator, WindowModulation
from passband.layers.shape_filter import ShapeFilter
from passband.models.restoration.convir import POOLS, MultiScaleFilter

MAGIC = 7767517
"""First line of each `.param` file."""
HALF_TAG = 0x01306B47
"""Mark of parameters that are stored in float16; parameters in float32 have the mark 0."""
SIZES_NAME = "passband"
"""Begin of the name of the input layer. It also holds `multiple`, `minimum`, the number of channels, and `tile` if the
network has one."""


@dataclass(frozen=True)
class NcnnGraph:
    """A network in the two parts of an ncnn file."""

    text: str
    """Content of the `.param` file."""
    parameters: bytes
    """Content of the `.bin` file."""


def ncnn_graph(model: nn.Module, half: bool = False) -> NcnnGraph:
    """Write a network as an ncnn network for one image, whose sides are those that the network takes.

    Args:
        model: SFNet, FSNet or ConvIR, with global pooling.
        half: whether the weights of convolutions are stored in float16.

    Returns:
        A network with the input `degraded`, C H W, and the output `restored`, 3 H W, both float32 in [0, 1]. The output
        is not clamped.

    Raises:
        ExportError: if the network is none of these, or pools locally.
    """
    network = check_network(model)
    if network.arguments.get("pool_window") is not None:
        raise ExportError(
            f"ncnn export needs global pooling, got pool_window={network.arguments['pool_window']}; use --engine "
            "openvino, onnxruntime or torch"
        )
    writer = _NcnnWriter(half)
    multiple, minimum, *tile = Sizes.of(network).entries.values()
    sizes = (multiple, minimum, str(network.in_channels), *tile)
    writer.layers.append(_Layer("Input", "_".join([SIZES_NAME, *sizes]), [], [INPUT]))
    restored = writer.trunk(network, INPUT, *writer.front(network, INPUT))
    writer.layers.append(_Layer("Noop", OUTPUT, [restored], [OUTPUT]))
    return NcnnGraph(_text(writer.layers), b"".join(writer.parameters))


@dataclass
class _Layer:
    """One line of a `.param` file."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    settings: dict[int, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Return the line."""
        settings = " ".join(_setting(key, value) for key, value in self.settings.items())
        head = f"{self.kind} {self.name} {len(self.inputs)} {len(self.outputs)}"
        return " ".join(part for part in (head, *self.inputs, *self.outputs, settings) if part)


def _setting(key: int, value: Any) -> str:
    """Return a setting of a layer as text. A list has the key -23300 - key, and begins with its length."""
    if isinstance(value, list):
        return f"{-23300 - key}={len(value)}," + ",".join(map(str, value))
    return f"{key}={value:e}" if isinstance(value, float) else f"{key}={value}"


def _text(layers: list[_Layer]) -> str:
    """Return the content of a `.param` file. An output with several consumers goes through a layer that copies it."""
    consumers = Counter(name for layer in layers for name in layer.inputs)
    copies = {name: [f"{name}.{number}" for number in range(count)] for name, count in consumers.items() if count > 1}
    lines, taken = [], Counter[str]()
    for layer in layers:
        inputs = []
        for name in layer.inputs:
            inputs.append(copies[name][taken[name]] if name in copies else name)
            taken[name] += 1
        lines.append(_Layer(layer.kind, layer.name, inputs, layer.outputs, layer.settings))
        lines += [_Layer("Split", f"copy.{name}", [name], copies[name]) for name in layer.outputs if name in copies]
    blobs = sum(len(layer.outputs) for layer in lines)
    return "\n".join([str(MAGIC), f"{len(lines)} {blobs}", *(layer.line() for layer in lines)]) + "\n"


class _NcnnWriter(NetworkWriter):
    """Collects layers and parameters.

    Args:
        half: whether the weights of convolutions are stored in float16.
    """

    def __init__(self, half: bool):
        self.half = half
        self.layers: list[_Layer] = []
        self.parameters: list[bytes] = []

    def conv(self, name: str, layer: Any, x: str) -> str:
        """Write a convolution or a transposed convolution."""
        transposed = isinstance(layer, nn.ConvTranspose2d)
        weight, bias = array(layer.weight), None if layer.bias is None else array(layer.bias)
        (tall, wide), (step, _), (edge, _) = layer.kernel_size, layer.stride, layer.padding
        settings = {0: layer.out_channels, 1: wide, 11: tall, 3: step, 4: edge, 5: int(bias is not None)}
        settings |= {6: weight.size} | ({7: layer.groups} if layer.groups > 1 else {})
        kind = ("Deconvolution" if transposed else "Convolution") + ("DepthWise" if layer.groups > 1 else "")
        # the channels of the output come first
        self._weight(weight.swapaxes(0, 1) if transposed else weight, bias)
        return self.layer(kind, x, settings=settings, name=name)

    def gelu(self, x: str, name: str = "") -> str:
        """Write GELU in its exact form."""
        return self.layer("GELU", x, name=name)

    def add(self, x: str, y: str, name: str = "") -> str:
        """Write the sum of two maps of one shape."""
        return self.layer("BinaryOp", x, y, settings={0: 0}, name=name)

    def multiply(self, x: str, y: str) -> str:
        """Write the product of two maps, the second of which may have fewer positions."""
        return self.layer("BinaryOp", x, y, settings={0: 2})

    def join(self, *maps: str) -> str:
        """Write maps as the channels of one map."""
        return self.layer("Concat", *maps, settings={0: 0})

    def split(self, x: str, parts: int) -> list[str]:
        """Write the channels of a map as several maps with equally many channels; it returns their names."""
        name = f"Slice.{len(self.layers)}"
        outputs = [f"{name}.part{number}" for number in range(parts)]
        self.layers.append(_Layer("Slice", name, [x], outputs, {0: [-233] * parts, 1: 0}))
        return outputs

    def mean_view(self, image: str, views: int) -> str:
        """Write the mean of several views of 3 channels."""
        total, *others = self.split(image, views)
        for view in others:
            total = self.add(total, view)
        return self.layer("BinaryOp", total, settings={0: 2, 1: 1, 2: 1 / views})

    def halve(self, x: str) -> str:
        """Write every second row and column, as nearest-neighbor interpolation by one half takes them."""
        return self.layer("Interp", x, settings={0: 1, 1: 0.5, 2: 0.5})

    def enlarge(self, x: str, like: str, name: str, mode: str = "half_pixel") -> str:
        """Write a bilinear interpolation to the size of another map, or with the mode `nearest` one of the nearest."""
        kinds = {"half_pixel": {0: 2}, "align_corners": {0: 2, 6: 1}, "nearest": {0: 1}}
        return self.layer("Interp", x, like, settings={**kinds[mode], 5: 1}, name=name)

    def shallow(self, prefix: str, layers: Any, x: str, name: str) -> str:
        """Write the features of a smaller image, which end with an instance normalization."""
        *convolutions, norm = (layer for layer in layers if not isinstance(layer, nn.GELU))
        for number, layer in enumerate(convolutions):
            x = self.conv(f"{prefix}.{2 * number}", layer, x)
            x = self.gelu(x) if number + 1 < len(convolutions) else x
        self._plain(array(norm.weight), array(norm.bias))
        settings = {0: norm.num_features, 1: float(norm.eps), 2: 1}
        return self.layer("InstanceNorm", x, settings=settings, name=name)

    def filter(self, name: str, dynamic: DynamicFilter, x: str) -> str:
        """Write a dynamic filter and its modulator."""
        size, groups, channels = dynamic.kernel_size, dynamic.groups, dynamic.predict.in_channels
        shared, area, edge = channels // groups, size**2, size // 2
        average = self.mean(x)
        logits = self.linear(*folded(dynamic.predict, dynamic.norm), average)
        kernels = self.layer("Softmax", self.reshape(logits, area, groups), settings={0: 1, 1: 1})
        high, low = (self.reshape(part, 1, shared, groups) for part in self._attention(dynamic.modulator, average))
        weight = self.layer("BinaryOp", low, high, settings={0: 1})
        delta = np.zeros(area)
        delta[area // 2] = 1
        through = self.multiply(high, self.value(delta, (area, 1, 1)))
        kernels = self.add(self.multiply(self.reshape(kernels, area, 1, groups), weight), through)
        kernels = self.reshape(kernels, size, size, channels)
        padded = self.layer("Padding", x, settings={0: edge, 1: edge, 2: edge, 3: edge, 4: 2})
        settings = {0: channels, 1: size, 6: channels * area, 7: channels, 19: 1}
        filtered = self.layer("ConvolutionDepthWise", padded, kernels, settings=settings, name=f"{name}.filter")
        return self.conv(f"{name}.join", dynamic.modulator.join, filtered)

    def _attention(self, modulator: Modulator, average: str) -> list[str]:
        """Write the weights of the high and the low part."""
        hidden = self.linear(array(modulator.squeeze.weight), array(modulator.squeeze.bias), average)
        parts = (modulator.excite_high, modulator.excite_low)
        weight, bias = (np.concatenate([array(getattr(part, name)) for part in parts]) for name in ("weight", "bias"))
        return self.split(self.layer("Softmax", self.linear(weight, bias, hidden), settings={0: 0, 1: 1}), 2)

    def modulate_global(self, name: str, modulation: GlobalModulation, x: str) -> str:
        """Write a global modulation."""
        high, low = array(modulation.high) + 1, array(modulation.low)
        shift = self.scale(self.mean(x), low - high)
        return self.add(self.scale(x, high), shift, name=name)

    def modulate_window(self, name: str, modulation: WindowModulation, x: str) -> str:
        """Write a window modulation."""
        side = modulation.windows
        if side == 1:
            high, low = array(modulation.high), array(modulation.low)
            return self.add(self.scale(x, high), self.scale(self.mean(x), low - high), name=name)
        high, low = (array(p).reshape(-1, side, side) for p in (modulation.high, modulation.low))
        shape, mode = (side, side, len(high)), "half_pixel" if modulation.blended else "nearest"
        averages = self.layer("Pooling", x, settings={0: 1, 7: 1, 8: side, 18: side})
        moved = self.multiply(averages, self.value(low - high, shape))
        scaled = self.multiply(x, self.enlarge(self.value(high, shape), x, f"{name}.high", mode))
        return self.add(scaled, self.enlarge(moved, x, f"{name}.shift", mode), name=name)

    def scales(self, name: str, scales: MultiScaleFilter, x: str) -> str:
        """Write the multi-scale filter of ConvIR."""
        total, level = x, ""
        for number, pool in enumerate(POOLS):
            reduced = self.layer("Pooling", x, settings={0: 1, 1: pool, 2: pool, 5: 1})
            if level:
                reduced = self.add(reduced, self.enlarge(level, reduced, f"{name}.reduced.{number}", "align_corners"))
            convolved = self.conv(f"{name}.convs.{number}", scales.convs[number], reduced)
            layer: Any = scales.filters[number]
            strips = self._shape_filter(layer.across, convolved)
            strips = self._shape_filter(layer.down, strips, gain=array(layer.gain))
            level = self.add(self._shape_filter(layer.square, convolved, through=array(layer.through)), strips)
            total = self.add(total, self.enlarge(level, x, f"{name}.enlarge.{number}", "align_corners"))
        return self.conv(f"{name}.join", scales.join, self.gelu(total))

    def _shape_filter(
        self, layer: ShapeFilter, x: str, gain: np.ndarray | float = 1.0, through: np.ndarray | float = 0.0
    ) -> str:
        """Write a square or a strip filter of ConvIR, as one depthwise convolution."""
        (tall, wide), groups, channels = layer.size, layer.groups, layer.predict.in_channels
        area, shared = tall * wide, channels // groups
        average = self.mean(x)
        weight, bias = array(layer.predict.weight), np.zeros(layer.predict.out_channels)
        if layer.norm is not None:
            weight, bias = folded(layer.predict, layer.norm)
        kernels = self.reshape(self.layer("TanH", self.linear(weight, bias, average)), area, 1, groups)
        inside, low, high = array(layer.inside), array(layer.low)[:, None, None], array(layer.high)[:, None, None]
        center = np.zeros(area)
        center[area // 2] = 1
        for_low = self.value(((inside + 1) * low * gain).reshape(groups, shared, 1), (1, shared, groups))
        for_center = ((high + 1) * gain + through).reshape(groups, shared, 1) * center
        kernels = self.add(self.multiply(kernels, for_low), self.value(for_center, (area, shared, groups)))
        left, _, top, _ = layer.padding
        padded = self.layer("Padding", x, settings={0: top, 1: top, 2: left, 3: left, 4: 2})
        settings = {0: channels, 1: wide, 11: tall, 2: layer.dilation, 12: layer.dilation}
        settings |= {6: channels * area, 7: channels, 19: 1}
        kernels = self.reshape(kernels, wide, tall, channels)
        filtered = self.layer("ConvolutionDepthWise", padded, kernels, settings=settings)
        mean = average
        if layer.mean is not None:  # along the rows or the columns of a map C H W
            mean = self.layer("Reduction", x, settings={0: 3, 1: 0, 3: [2 if layer.mean.dim == -1 else 1], 4: 1, 5: 1})
        return self.add(filtered, self.scale(mean, (-inside * low * gain).ravel()))

    def mean(self, x: str) -> str:
        """Write the mean of a map over its rows and columns, as a vector."""
        return self.layer("Pooling", x, settings={0: 1, 4: 1})

    def linear(self, weight: np.ndarray, bias: np.ndarray, x: str) -> str:
        """Write a product with a matrix."""
        self._weight(weight, bias)
        return self.layer("InnerProduct", x, settings={0: len(bias), 1: 1, 2: weight.size})

    def scale(self, x: str, factor: np.ndarray) -> str:
        """Write the product of a map or a vector and one factor for each channel."""
        self._plain(factor)
        return self.layer("Scale", x, settings={0: factor.size})

    def reshape(self, x: str, *shape: int) -> str:
        """Write a map in another shape, the width first."""
        return self.layer("Reshape", x, settings=dict(enumerate(shape)))

    def value(self, values: np.ndarray, shape: tuple[int, int, int]) -> str:
        """Add constant values of a shape, the width first."""
        self._plain(values)
        return self.layer("MemoryData", settings=dict(enumerate(shape)))

    def layer(self, kind: str, *inputs: str, settings: dict[int, Any] | None = None, name: str = "") -> str:
        """Add a layer with one output, and return the name of this output."""
        name = name or f"{kind}.{len(self.layers)}"
        self.layers.append(_Layer(kind, name, list(inputs), [name], settings or {}))
        return name

    def _weight(self, weight: np.ndarray, bias: np.ndarray | None) -> None:
        """Add the parameters of a layer with weights, whose precision is marked, and a bias."""
        values = np.ascontiguousarray(weight, np.float16 if self.half else np.float32).tobytes()
        self.parameters.append(np.uint32(HALF_TAG if self.half else 0).tobytes() + values + bytes(-len(values) % 4))
        if bias is not None:
            self._plain(bias)

    def _plain(self, *values: np.ndarray) -> None:
        """Add parameters in float32."""
        self.parameters += [np.ascontiguousarray(value, np.float32).tobytes() for value in values]
