"""Writes classifiers and segmentation networks as ONNX graphs, for batches and images of any size.

The networks of passband are written out here, layer by layer, as `restoration_graph` writes restoration networks. That
takes milliseconds, needs no exporter of torch, and leaves all sides open. Blocks of torchvision and networks of
segmentation-models-pytorch are traced with `torch.fx`, see `module_writer`.
"""

import copy
from typing import Any

import numpy as np
from torch import nn

from passband.export.network_writer import array
from passband.export.onnx.module_writer import ModuleWriter, Write, write_sequence
from passband.layers.gate import ChannelGate
from passband.models.base import ClassifierNetwork, SegmentationNetwork
from passband.models.classification.dct_efficientnet import FrequencyEfficientNet, Lite0Block, SameConv2d
from passband.models.classification.dct_mobilenet import FrequencyMobileNet
from passband.models.classification.dct_resnet import FrequencyResNet
from passband.models.classification.dct_vit import FrequencyViT, TransformerBlock, waves
from passband.models.classification.gated import GatedClassifier
from passband.models.segmentation.smp import SMPNetwork
from passband.models.segmentation.unet import UNet

LOGITS, OPEN = "logits", "open"
"""Names of the outputs. Only networks with a gate have the second one."""


def logits_graph(model: ClassifierNetwork | SegmentationNetwork, name: str, properties: dict[str, str]) -> Any:
    """Write a classifier or a segmentation network as an ONNX model.

    Args:
        model: network in evaluation mode.
        name: name of the input.
        properties: entries of the metadata.

    Returns:
        An `onnx.ModelProto` with one input, B C H W, and the output `logits`: B K for a classifier, B K H W for a
        segmentation network. A network with a gate also has the output `open`, B C: 1 for each channel that was let
        through, else 0. Everything is float32, and batch, height and width may be any that the network takes.

    Raises:
        ExportError: if the network has a layer that export cannot write.
    """
    writer = ModuleWriter(NETWORKS)
    outputs = writer.module("", model, name)
    names = (LOGITS, OPEN) if isinstance(outputs, tuple) else (LOGITS,)
    for output, written in zip(names, outputs if isinstance(outputs, tuple) else (outputs,), strict=True):
        writer.op("Identity", written, output=output)
    channels = model.channels if isinstance(model, ClassifierNetwork) else model.in_channels
    sides = () if isinstance(model, ClassifierNetwork) else ("height", "width")
    shapes = {LOGITS: ("batch", model.classes, *sides), OPEN: ("batch", channels)}
    return writer.model(
        model.name,
        {name: ("batch", channels, "height", "width")},
        {output: shapes[output] for output in names},
        properties,
    )


def _resnet(writer: ModuleWriter, name: str, model: FrequencyResNet, x: str) -> str:
    for step in model.steps:
        x = writer.module(f"{name}{step}", model.get_submodule(step), x)
    return writer.linear("fc", model.fc, writer.op("Flatten", x, axis=1))


def _mobilenet(writer: ModuleWriter, name: str, model: FrequencyMobileNet, x: str) -> str:
    x = writer.module("pool", model.pool, writer.module("features", model.features, x))
    return writer.module("classifier", model.classifier, writer.op("Flatten", x, axis=1))


def _same_conv(writer: ModuleWriter, name: str, layer: nn.Conv2d, x: str) -> str:
    """Write a convolution that pads as TensorFlow does."""
    parameters = [writer.value(array(value)) for value in (layer.weight, layer.bias) if value is not None]
    return writer.op(
        "Conv", x, *parameters, name=name, group=layer.groups, auto_pad="SAME_UPPER", dilations=list(layer.dilation),
        kernel_shape=list(layer.kernel_size), strides=list(layer.stride),
    )  # fmt: skip


def _lite0_block(writer: ModuleWriter, name: str, block: Lite0Block, x: str) -> str:
    y = write_sequence(writer, name, block, x)
    return writer.op("Add", x, y, name=f"{name}.add") if block.has_shortcut else y


def _vit(writer: ModuleWriter, name: str, model: FrequencyViT, x: str) -> str:
    if model.group > 1:  # sides that are no multiple of the group are padded with zeros
        missing = [
            writer.op("Mod", writer.op("Neg", writer.op("Shape", x, start=axis, end=axis + 1)), group)
            for axis in (2, 3)
            for group in [writer.integers(model.group)]
        ]
        x = writer.op("Pad", x, writer.shape(0, 0, 0, 0, 0, 0, *missing))
    x = writer.module("embed", model.embed, x)
    x = writer.op("Add", x, _positions(writer, model.embed.out_channels, x), name="positions")
    x = writer.op("Transpose", writer.reshape(x, 0, 0, -1), perm=[0, 2, 1])
    for number, block in enumerate(model.blocks):
        x = writer.module(f"blocks.{number}", block, x)
    x = writer.module("norm", model.norm, x)
    return writer.linear("head", model.head, writer.op("ReduceMean", x, writer.integers(1), keepdims=0))


def _positions(writer: ModuleWriter, width: int, tokens: str) -> str:
    """Write the fixed positions of tokens, as `dct_vit.positions` computes them."""
    rows, columns = (writer.op("Shape", tokens, start=axis, end=axis + 1) for axis in (2, 3))
    quarter = writer.value(array(waves(width // 4))[:, None])
    shape = writer.shape(width // 4, rows, columns)
    first, step = writer.constant(np.array(0)), writer.constant(np.array(1))
    parts = []
    for count, axis in ((columns, 1), (rows, 2)):
        places = writer.op("Range", first, writer.op("Squeeze", count), step)
        angles = writer.op("Mul", quarter, writer.op("Cast", places, to=writer.float32))
        for kind in ("Sin", "Cos"):
            spread = writer.op("Unsqueeze", writer.op(kind, angles), writer.integers(axis))
            parts.append(writer.op("Expand", spread, shape))
    return writer.op("Concat", *parts, axis=0)


def _transformer_block(writer: ModuleWriter, name: str, block: TransformerBlock, x: str) -> str:
    x = writer.op("Add", x, _attention(writer, name, block, writer.module(f"{name}.norm1", block.norm1, x)))
    hidden = writer.linear(f"{name}.widen", block.widen, writer.module(f"{name}.norm2", block.norm2, x))
    return writer.op("Add", x, writer.linear(f"{name}.narrow", block.narrow, writer.op("Gelu", hidden)))


def _attention(writer: ModuleWriter, name: str, block: TransformerBlock, x: str) -> str:
    width = block.mix.in_features
    each = width // block.heads
    mixed = writer.reshape(writer.linear(f"{name}.mix", block.mix, x), 0, 0, 3, block.heads, each)
    # queries, keys and values come first, then samples, heads, tokens and numbers
    parts = writer.op("Split", writer.op("Transpose", mixed, perm=[2, 0, 3, 1, 4]), outputs=3, axis=0)
    query, key, value = (writer.op("Squeeze", part, writer.integers(0)) for part in parts)
    scores = writer.op("MatMul", query, writer.op("Transpose", key, perm=[0, 1, 3, 2]))
    weights = writer.op("Softmax", writer.op("Mul", scores, writer.value(np.array(each**-0.5))), axis=-1)
    joined = writer.op("Transpose", writer.op("MatMul", weights, value), perm=[0, 2, 1, 3])
    return writer.linear(f"{name}.join", block.join, writer.reshape(joined, 0, 0, width))


def _gated(writer: ModuleWriter, name: str, model: GatedClassifier, x: str) -> tuple[str, str]:
    decision = writer.module("gate", model.gate, x)
    gate = writer.op("Unsqueeze", decision, writer.integers(2, 3))
    return writer.module("network.", model.network, writer.op("Mul", x, gate)), decision


def _gate(writer: ModuleWriter, name: str, gate: ChannelGate, x: str) -> str:
    """Write the decisions of a gate: 1 for each open channel, else 0."""
    x = writer.op("Abs", x) if gate.pool == "magnitude" else x
    mixed = writer.module(f"{name}.squeeze", gate.squeeze, writer.op("GlobalAveragePool", x))
    mixed = writer.op("Relu", writer.module(f"{name}.norm", gate.norm, mixed))
    pairs = writer.reshape(writer.module(f"{name}.pair", gate.pair, mixed), 0, gate.channels, 2)
    closed, opened = writer.op("Split", pairs, outputs=2, axis=2)
    is_open = writer.op("Cast", writer.op("Greater", opened, closed), to=writer.float32)
    return writer.op("Squeeze", is_open, writer.integers(2))


def _unet(writer: ModuleWriter, name: str, model: UNet, x: str) -> str:
    maps = [writer.module("stem", model.stem, x)]
    for number, convolutions in enumerate(model.down):
        halved = writer.op("MaxPool", maps[-1], kernel_shape=[2, 2], strides=[2, 2])
        maps.append(writer.module(f"down.{number}", convolutions, halved))
    x = maps.pop()
    for number, (enlarge, convolutions) in enumerate(zip(model.up, model.merge, strict=True)):
        joined = writer.op("Concat", maps.pop(), writer.module(f"up.{number}", enlarge, x), axis=1)
        x = writer.module(f"merge.{number}", convolutions, joined)
    return writer.module("head", model.head, x)


def _smp(writer: ModuleWriter, name: str, model: SMPNetwork, x: str) -> str:
    mean, std = (writer.value(array(model.get_buffer(entry))) for entry in ("mean", "std"))
    from timm.layers.conv2d_same import Conv2dSame

    writer.known[Conv2dSame] = _same_conv  # the padding of this layer of timm branches on the size of the image
    network = copy.copy(model.network)
    # the package's own check branches on the size of the image
    network.requires_divisible_input_shape = False  # type: ignore[assignment]
    return writer.module("network", network, writer.op("Div", writer.op("Sub", x, mean), std))


NETWORKS: dict[type[nn.Module], Write] = {
    ChannelGate: _gate,
    FrequencyEfficientNet: write_sequence,
    FrequencyMobileNet: _mobilenet,
    FrequencyResNet: _resnet,
    FrequencyViT: _vit,
    GatedClassifier: _gated,
    Lite0Block: _lite0_block,
    SMPNetwork: _smp,
    SameConv2d: _same_conv,
    TransformerBlock: _transformer_block,
    UNet: _unet,
}
"""Functions that write the networks of passband and their blocks, by the type of the module."""
