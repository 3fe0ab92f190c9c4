"""Writes the networks of three scales (SFNet, FSNet and ConvIR) as ONNX graphs, node by node.

The graph is written out instead of traced for three reasons: it takes milliseconds instead of minutes, its nodes are
named after the modules (so that quantization can exclude some of them), and it uses forms that engines run fast. With
global pooling, a dynamic filter and its modulator are linear in the map,

    low * a_low + (x - low) * a_high = x * ((a_low - a_high) kernel + a_high delta).

This is one depthwise convolution, whose kernels are computed from the average of the map. The filters of ConvIR are
depthwise convolutions in the same way.
"""

from typing import Any

import numpy as np
from torch import Tensor, nn

from passband.layers import DynamicFilter, GlobalModulation, WindowModulation
from passband.layers.shape_filter import ShapeFilter
from passband.models.convir import POOLS, ConvBlock, MultiScaleFilter
from passband.models.fsnet import UStage
from passband.models.three_scales import ThreeScaleNetwork

OPSET = 20
"""Version of the ONNX operators, the first one with GELU."""
FILTER_SCOPE = "filters"
"""Part of the names of all nodes of dynamic filters."""
INPUT, OUTPUT = "degraded", "restored"
FRONT = ("front.full", "front.half", "front.quarter")
"""Names of the first features of the image. They take 1 % of the computation and cause most of the error of bfloat16: a
hazy image varies little around a large mean, and bfloat16 keeps only three digits."""


class ExportError(ValueError):
    """Raised if a network, a file or a setting cannot be exported. The message gives the reason."""


def restoration_graph(model: nn.Module, half: bool = False) -> Any:
    """Write a network as an ONNX model for one image, whose sides are those that the network takes.

    Args:
        model: SFNet, FSNet or ConvIR with global pooling.
        half: whether parameters and maps use float16. Averages, the input and the output always use float32.

    Returns:
        An `onnx.ModelProto` with the input `degraded`, 1 C H W, and the output `restored`, 1 3 H W, both float32 in
        [0, 1]. The output is not clamped. The properties of the model name its precision, `multiple` and `minimum`.

    Raises:
        ExportError: if the network is none of these, or if it uses local pooling.
    """
    from onnx import TensorProto, checker, helper

    if not isinstance(model, ThreeScaleNetwork):
        raise ExportError(
            f"export needs an SFNet, FSNet or ConvIR, got {type(model).__name__}; run this network with --engine torch"
        )
    if model.arguments.get("pool_window") is not None:
        raise ExportError(
            "export needs global pooling, and these weights pool locally "
            f"(pool_window={model.arguments['pool_window']}); run them with --engine torch"
        )
    writer = _Writer(half)
    image = writer.cast(INPUT) if half else INPUT
    restored = writer.trunk(model, image, *writer.front(model, image))
    writer.op("Identity", writer.widen(restored), output=OUTPUT)

    def image_info(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "height", "width"])

    graph = helper.make_graph(
        writer.nodes,
        model.model_name,
        [image_info(INPUT, model.in_channels)],
        [image_info(OUTPUT, 3)],
        writer.parameters,
    )
    opset = [helper.make_opsetid("", OPSET)]
    # version 9 of the file format belongs to this opset; runtimes since 2024 can read it
    proto = helper.make_model(graph, opset_imports=opset, producer_name="passband", ir_version=9)
    sizes = {"multiple": str(model.multiple), "minimum": str(model.minimum)}
    helper.set_model_props(proto, {"precision": "float16" if half else "float32", **sizes})
    checker.check_model(proto)
    return proto


class _Writer:
    """Collects nodes and parameters. Each method adds a part of the network, and returns the name of its output."""

    def __init__(self, half: bool):
        from onnx import TensorProto, helper, numpy_helper

        self.make_node, self.to_proto = helper.make_node, numpy_helper.from_array
        self.float32, self.float16 = TensorProto.FLOAT, TensorProto.FLOAT16
        self.half = half
        self.nodes: list[Any] = []
        self.parameters: list[Any] = []

    def front(self, model: ThreeScaleNetwork, image: str) -> list[str]:
        half = self.halve(image)
        return [
            self.gelu(self.conv("stem.0", model.stem[0], image), name=FRONT[0]),
            self.shallow("shallow.0", model.shallow[0], half, name=FRONT[1]),
            self.shallow("shallow.1", model.shallow[1], self.halve(half), name=FRONT[2]),
        ]

    def trunk(self, model: ThreeScaleNetwork, image: str, full: str, half: str, quarter: str) -> str:
        full = self.stage("encoder.0", model.encoder[0], full)
        x = self.op("Concat", self.gelu(self.conv("stem.1", model.stem[1], full)), half, axis=1)
        half = self.stage("encoder.1", model.encoder[1], self.conv("fuse.0", model.fuse[0], x))
        x = self.op("Concat", self.gelu(self.conv("stem.2", model.stem[2], half)), quarter, axis=1)
        x = self.stage("encoder.2", model.encoder[2], self.conv("fuse.1", model.fuse[1], x))

        x = self.stage("decoder.2", model.decoder[2], x)
        for scale, features in ((1, half), (0, full)):
            x = self.op("Concat", self.gelu(self.conv(f"grow.{scale}", model.grow[scale], x)), features, axis=1)
            x = self.gelu(self.conv(f"merge.{scale}", model.merge[scale], x))
            x = self.stage(f"decoder.{scale}", model.decoder[scale], x)
        if model.in_channels > 3:
            image = self.op("Mean", *self.op("Split", image, outputs=model.in_channels // 3, axis=1))
        return self.op("Add", self.conv("head.0", model.head[0], x), image)

    def stage(self, name: str, stage: nn.Module, x: str) -> str:
        if isinstance(stage, UStage):
            return self.u_stage(name, stage, x)
        for number, block in enumerate(stage.children()):
            x = self.block(f"{name}.{number}", block, x)
        return x

    def u_stage(self, name: str, stage: UStage, x: str) -> str:
        y = skip = x
        for number, block in enumerate(stage.blocks):
            if number == stage.halved.start:
                skip, y = y, self.conv(f"{name}.down", stage.down, y)
            if number == stage.halved.stop:
                y = self.enlarge(y, self.op("Shape", skip), f"{name}.enlarge")
                y = self.conv(f"{name}.join", stage.join, self.op("Concat", y, skip, axis=1))
            y = self.block(f"{name}.blocks.{number}", block, y)
        return self.op("Add", y, x)

    def block(self, name: str, block: Any, x: str) -> str:
        return (self.conv_block if isinstance(block, ConvBlock) else self.modulated_block)(name, block, x)

    def conv_block(self, name: str, block: Any, x: str) -> str:
        y = self.gelu(self.conv(f"{name}.conv_in", block.conv_in, x))
        if block.scales is not None:
            y = self.scales(f"{name}.scales", block.scales, y)
        return self.op("Add", self.conv(f"{name}.conv_out", block.conv_out, y), x)

    def scales(self, name: str, scales: MultiScaleFilter, x: str) -> str:
        size, total, level = self.op("Shape", x), x, ""
        for number, pool in enumerate(POOLS):
            part = f"{name}.convs.{number}"
            sides = [pool, pool]
            reduced = self.op("AveragePool", x, kernel_shape=sides, strides=sides, name=f"{part}.pool")
            if level:
                larger = self.enlarge(level, self.op("Shape", reduced), f"{part}.enlarge", "align_corners")
                reduced = self.op("Add", reduced, larger)
            convolved = self.conv(part, scales.convs[number], reduced)
            level = self.multi_shape(f"{name}.{FILTER_SCOPE}.{number}", scales.filters[number], convolved)
            total = self.op("Add", total, self.enlarge(level, size, f"{name}.enlarge.{number}", "align_corners"))
        return self.conv(f"{name}.join", scales.join, self.gelu(total))

    def multi_shape(self, name: str, layer: Any, x: str) -> str:
        strips = self.shape_filter(f"{name}.across", layer.across, x)
        strips = self.shape_filter(f"{name}.down", layer.down, strips, gain=_array(layer.gain))
        square = self.shape_filter(f"{name}.square", layer.square, x, through=_array(layer.through))
        return self.op("Add", square, strips, name=f"{name}.add")

    def shape_filter(
        self, name: str, layer: ShapeFilter, x: str, gain: np.ndarray | float = 1.0, through: np.ndarray | float = 0.0
    ) -> str:
        (tall, wide), groups, channels = layer.size, layer.groups, layer.predict.in_channels
        average = self.mean(x, f"{name}.average")
        weight, bias = _array(layer.predict.weight), np.zeros(layer.predict.out_channels)
        if layer.norm is not None:
            weight, bias = _folded(layer.predict, layer.norm)
        prediction = self.op("Conv", average, self.value(weight), self.value(bias), name=f"{name}.predict")
        kernels = self.reshape(self.op("Tanh", prediction, name=f"{name}.kernels"), groups, 1, tall * wide)
        inside, low, high = _array(layer.inside), _array(layer.low)[:, None, None], _array(layer.high)[:, None, None]
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

    def modulated_block(self, name: str, block: Any, x: str) -> str:
        first, second = self.op("Split", self.gelu(self.conv(f"{name}.conv_in", block.conv_in, x)), outputs=2, axis=1)
        if block.filters is not None:
            first = self.filter(f"{name}.{FILTER_SCOPE}.0", block.filters[0], first)
            second = self.filter(f"{name}.{FILTER_SCOPE}.1", block.filters[1], second)
        first = self.modulate_global(f"{name}.modulate_global", block.modulate_global, first)
        second = self.modulate_window(f"{name}.modulate_window", block.modulate_window, second)
        y = self.op("Concat", first, second, axis=1)
        return self.op("Add", self.conv(f"{name}.conv_out", block.conv_out, y), x)

    def filter(self, name: str, dynamic: DynamicFilter, x: str) -> str:
        size, groups, norm, modulator = dynamic.kernel_size, dynamic.groups, dynamic.norm, dynamic.modulator
        channels = dynamic.predict.in_channels
        shared = channels // groups
        average = self.mean(x, f"{name}.average")
        weight, bias = _folded(dynamic.predict, norm)
        logits = self.op("Conv", average, self.value(weight), self.value(bias), name=f"{name}.predict")
        kernels = self.op("Softmax", self.reshape(logits, groups, 1, size**2), axis=2, name=f"{name}.kernels")

        hidden = self.conv(f"{name}.squeeze", modulator.squeeze, average)
        parts = (modulator.excite_high, modulator.excite_low)
        weight = np.concatenate([_array(part.weight) for part in parts])
        bias = np.concatenate([_array(part.bias) for part in parts])
        logits = self.op("Conv", hidden, self.value(weight), self.value(bias), name=f"{name}.excite")
        attention = self.op("Softmax", logits, axis=1, name=f"{name}.attention")
        high, low = self.op("Split", attention, outputs=2, axis=1, name=f"{name}.parts")
        high, low = self.reshape(high, groups, shared, 1), self.reshape(low, groups, shared, 1)

        delta = np.zeros(size**2)
        delta[size**2 // 2] = 1
        kernels = self.op("Mul", self.op("Sub", low, high, name=f"{name}.low"), kernels, name=f"{name}.weigh")
        through = self.op("Mul", high, self.value(delta), name=f"{name}.high")
        kernels = self.reshape(self.op("Add", kernels, through, name=f"{name}.fold"), channels, 1, size, size)
        edge = size // 2
        borders = self.integers(0, 0, edge, edge, 0, 0, edge, edge)
        padded = self.op("Pad", x, borders, mode="reflect", name=f"{name}.pad")
        filtered = self.op("Conv", padded, kernels, group=channels, kernel_shape=[size, size], name=f"{name}.filter")
        return self.conv(f"{name}.join", modulator.join, filtered)

    def modulate_global(self, name: str, modulation: GlobalModulation, x: str) -> str:
        high, low = _array(modulation.high) + 1, _array(modulation.low)
        shift = self.op("Mul", self.mean(x, f"{name}.average"), self.per_channel(low - high), name=f"{name}.shift")
        return self.op("Add", self.op("Mul", x, self.per_channel(high), name=f"{name}.scale"), shift)

    def modulate_window(self, name: str, modulation: WindowModulation, x: str) -> str:
        side = modulation.windows
        high, low = (_array(p).reshape(-1, side, side) for p in (modulation.high, modulation.low))
        if modulation.blended:
            return self.modulate_blended(name, high, low - high, x)
        rows = []
        for i, row in enumerate(self.op("Split", x, outputs=side, axis=2)):
            windows = []
            for j, window in enumerate(self.op("Split", row, outputs=side, axis=3)):
                average = self.mean(window, f"{name}.average.{i}{j}")
                shift = self.op("Mul", average, self.per_channel((low - high)[:, i, j]))
                windows.append(self.op("Add", self.op("Mul", window, self.per_channel(high[:, i, j])), shift))
            rows.append(self.op("Concat", *windows, axis=3))
        return self.op("Concat", *rows, axis=2)

    def modulate_blended(self, name: str, high: np.ndarray, shift: np.ndarray, x: str) -> str:
        side = high.shape[-1]
        averages = []
        for i, row in enumerate(self.op("Split", x, outputs=side, axis=2)):
            parts = self.op("Split", row, outputs=side, axis=3)
            averages.append(
                self.op("Concat", *[self.mean(part, f"{name}.average.{i}{j}") for j, part in enumerate(parts)], axis=3)
            )
        moved = self.op("Mul", self.op("Concat", *averages, axis=2), self.value(shift[None]), name=f"{name}.move")
        size = self.op("Shape", x)
        high_map = self.enlarge(self.value(high[None]), size, f"{name}.high")
        shift_map = self.enlarge(moved, size, f"{name}.shift")
        return self.op("Add", self.op("Mul", x, high_map, name=f"{name}.scale"), shift_map)

    def enlarge(self, x: str, size: str, name: str, mode: str = "half_pixel") -> str:
        """Interpolate linearly, as `window_shares` does; with the mode `align_corners`, as `convir.enlarge` does."""
        return self.op("Resize", x, "", "", size, name=name, mode="linear", coordinate_transformation_mode=mode)

    def shallow(self, prefix: str, layers: Any, x: str, name: str) -> str:
        *convolutions, norm = (layer for layer in layers if not isinstance(layer, nn.GELU))
        for number, layer in enumerate(convolutions):
            x = self.conv(f"{prefix}.{2 * number}", layer, x)
            x = self.gelu(x) if number + 1 < len(convolutions) else x
        scale, bias = self.value(_array(norm.weight)), self.value(_array(norm.bias))
        return self.op("InstanceNormalization", x, scale, bias, epsilon=norm.eps, name=name)

    def conv(self, name: str, layer: Any, x: str) -> str:
        transposed = isinstance(layer, nn.ConvTranspose2d)
        parameters = [self.value(_array(value)) for value in (layer.weight, layer.bias) if value is not None]
        return self.op(
            "ConvTranspose" if transposed else "Conv", x, *parameters, name=name, group=layer.groups,
            kernel_shape=list(layer.kernel_size), strides=list(layer.stride), pads=list(layer.padding) * 2,
        )  # fmt: skip

    def mean(self, x: str, name: str, *axes: int) -> str:
        # the sum over a large map exceeds the range of float16
        x = self.op("ReduceMean", self.widen(x), self.integers(*(axes or (2, 3))), keepdims=1, name=name)
        return self.cast(x) if self.half else x

    def gelu(self, x: str, name: str = "") -> str:
        return self.op("Gelu", x, name=name)

    def halve(self, x: str) -> str:
        """Take every second row and column, as nearest-neighbor interpolation by one half does."""
        start, end, axes, step = (self.integers(n, m) for n, m in ((0, 0), (2**31, 2**31), (2, 3), (2, 2)))
        return self.op("Slice", x, start, end, axes, step)

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("Reshape", x, self.integers(*shape))

    def cast(self, x: str) -> str:
        return self.op("Cast", x, to=self.float16)

    def widen(self, x: str) -> str:
        return self.op("Cast", x, to=self.float32) if self.half else x

    def op(self, kind: str, *inputs: str, outputs: int = 1, name: str = "", output: str = "", **attributes: Any) -> Any:
        """Add a node, and return the name of its output, or a list of names if it has several outputs."""
        name = name or f"{kind}.{len(self.nodes)}"
        names = [output or name] if outputs == 1 else [f"{name}:{number}" for number in range(outputs)]
        if kind == "Split":
            attributes["num_outputs"] = outputs
        self.nodes.append(self.make_node(kind, list(inputs), names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def per_channel(self, values: np.ndarray) -> str:
        return self.value(values.reshape(1, -1, 1, 1))

    def value(self, array: np.ndarray) -> str:
        return self._constant(array.astype(np.float16 if self.half else np.float32))

    def integers(self, *numbers: int) -> str:
        return self._constant(np.array(numbers, dtype=np.int64))

    def _constant(self, array: np.ndarray) -> str:
        name = f"parameter.{len(self.parameters)}"
        self.parameters.append(self.to_proto(np.ascontiguousarray(array), name))
        return name


def _folded(predict: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and the bias of a 1x1 convolution and the BatchNorm after it.

    In evaluation, BatchNorm multiplies and adds constants, so that both are one convolution.
    """
    scale = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    weight = _array(predict.weight) * scale[:, None, None, None]
    return weight, _array(norm.bias) - _array(norm.running_mean) * scale


def _array(tensor: Tensor | nn.Parameter | None) -> np.ndarray:
    """Return a parameter in float64, so that folded parameters are rounded only once."""
    assert tensor is not None
    return tensor.detach().double().cpu().numpy()
