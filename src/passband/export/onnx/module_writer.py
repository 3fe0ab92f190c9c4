"""Writes layers of torch as ONNX nodes, and modules of other packages by the layers and functions that they call."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import fx, nn
from torch.fx.node import map_arg

from passband.export.network_writer import ExportError, array
from passband.export.onnx.node_writer import NodeWriter
from passband.export.onnx.traced_functions import FUNCTIONS, METHODS, Traced

Write = Callable[["ModuleWriter", str, Any, Any], Any]
"""Function that writes a module: it takes the writer, the name of the module, the module and its input."""


class ModuleWriter(NodeWriter):
    """Writes modules of torch one by one, with batches and images of any size.

    Args:
        known: functions that write further modules, by the type of the module. Any other module is traced with
            `torch.fx`, and the layers and functions that it calls are written.
    """

    def __init__(self, known: dict[type[nn.Module], Write]):
        super().__init__()
        self.known = {**LAYERS, **known}
        self._names: set[str] = set()

    def module(self, name: str, module: nn.Module, *inputs: Any) -> Any:
        """Write a module.

        Args:
            name: name of the module in the network.
            module: module in evaluation mode.
            inputs: names of its inputs.

        Returns:
            The name of its output, or several names if it has several outputs.

        Raises:
            ExportError: if the module does something that export cannot write.
        """
        write = self.writer_of(module)
        return self._traced(name, module, *inputs) if write is None else write(self, name, module, *inputs)

    def writer_of(self, module: nn.Module) -> Write | None:
        """Return the function that writes a module, or None if the module must be traced.

        Args:
            module: module of the network.
        """
        for kind in type(module).__mro__:
            # a subclass that computes something else must not be written as its base
            if kind in self.known and kind.forward is type(module).forward:
                return self.known[kind]
        return None

    def op(self, kind: str, *inputs: str, outputs: int = 1, name: str = "", output: str = "", **attributes: Any) -> Any:
        """Add a node; a name that is taken, because a module is called several times, gets a number."""
        if name in self._names:
            name = f"{name}.{len(self.nodes)}"
        self._names.add(name)
        return super().op(kind, *inputs, outputs=outputs, name=name, output=output, **attributes)

    def linear(self, name: str, layer: nn.Linear, x: str) -> str:
        """Write a linear layer on the last axis.

        Args:
            name: name of the layer in the network.
            layer: layer, with a bias or without.
            x: name of the input.

        Returns:
            The name of the output.
        """
        product = self.op("MatMul", x, self.value(array(layer.weight).T), name=f"{name}.product")
        return product if layer.bias is None else self.op("Add", product, self.value(array(layer.bias)), name=name)

    def _traced(self, name: str, module: nn.Module, *inputs: Any) -> Any:
        """Write the layers and functions that a module calls, in their order."""
        tracer = _Tracer(lambda part: self.writer_of(part) is not None)
        try:
            graph = tracer.trace(module)
        except Exception as error:  # the code of other packages meets stand-ins of tensors, and may fail in any way
            raise ExportError(
                f"export cannot follow {name or 'this network'} ({type(module).__name__}), because its steps depend on "
                f"the input: {str(error).splitlines()[0]}; use torch for this network"
            ) from error
        traced = Traced(self, name or type(module).__name__)
        coming = iter(inputs)
        values: dict[fx.Node, Any] = {}
        for node in graph.nodes:
            if node.op == "placeholder":
                values[node] = next(coming, node.args[0] if node.args else None)
                continue
            args = map_arg(node.args, lambda part: values[part])
            kwargs = map_arg(node.kwargs, lambda part: values[part])
            target = str(node.target)
            if node.op == "output":
                return args[0]
            if node.op == "get_attr":
                values[node] = traced.constant(operator.attrgetter(target)(module))
            elif node.op == "call_module":
                values[node] = self.module(_joined(name, target), module.get_submodule(target), *args, **kwargs)
            else:
                table = METHODS if node.op == "call_method" else FUNCTIONS
                values[node] = traced.call(table, node.target, args, kwargs)
        raise AssertionError("a graph of torch.fx ends with an output")


class _Tracer(fx.Tracer):
    """Records the calls of a module down to the modules that are known.

    Args:
        is_known: function that tells whether a module is known.
    """

    def __init__(self, is_known: Callable[[nn.Module], bool]):
        super().__init__()
        self._is_known = is_known

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether a module is recorded as one call."""
        return self._is_known(m)


def write_sequence(writer: ModuleWriter, name: str, module: nn.Module, x: str) -> str:
    """Write the children of a module, one after the other.

    Args:
        writer: writer of the network.
        name: name of the module in the network.
        module: module whose children run in their order, such as `nn.Sequential`.
        x: name of the input.

    Returns:
        The name of the output.
    """
    for child, part in module.named_children():
        x = writer.module(_joined(name, child), part, x)
    return x


def _joined(name: str, child: str) -> str:
    return f"{name}.{child}" if name else child


def _conv(writer: ModuleWriter, name: str, layer: Any, x: str) -> str:
    """Write a convolution or a transposed convolution."""
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise ExportError(
            f"export needs convolutions that pad with a number of zeros; {name} has padding={layer.padding!r} and "
            f"padding_mode={layer.padding_mode!r}"
        )
    shape = {
        "group": layer.groups,
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.stride),
        "dilations": list(layer.dilation),
        "pads": list(layer.padding) * 2,
    }
    if isinstance(layer, nn.ConvTranspose2d):
        shape["output_padding"] = list(layer.output_padding)
    parameters = [writer.value(array(value)) for value in (layer.weight, layer.bias) if value is not None]
    return writer.op("ConvTranspose" if isinstance(layer, nn.ConvTranspose2d) else "Conv", x, *parameters, name=name,
                     **shape)  # fmt: skip


def _batch_norm(writer: ModuleWriter, name: str, layer: nn.BatchNorm2d, x: str) -> str:
    if layer.running_mean is None or layer.running_var is None:
        raise ExportError(f"export needs running statistics of batch normalization; {name} has none")
    count = layer.num_features
    scale = np.ones(count) if layer.weight is None else array(layer.weight)
    bias = np.zeros(count) if layer.bias is None else array(layer.bias)
    parameters = [writer.value(values) for values in (scale, bias, array(layer.running_mean), array(layer.running_var))]
    return writer.op("BatchNormalization", x, *parameters, epsilon=layer.eps, name=name)


def _group_norm(writer: ModuleWriter, name: str, layer: nn.GroupNorm, x: str) -> str:
    """Write a group normalization, whose own node came after `OPSET`, as an instance normalization of the groups."""
    shape = writer.op("Shape", x)
    ones, zeros = writer.value(np.ones(layer.num_groups)), writer.value(np.zeros(layer.num_groups))
    groups = writer.reshape(x, 0, layer.num_groups, -1)
    x = writer.op("Reshape", writer.op("InstanceNormalization", groups, ones, zeros, epsilon=layer.eps), shape)
    if layer.weight is None or layer.bias is None:
        return x
    scaled = writer.op("Mul", x, writer.per_channel(array(layer.weight)), name=f"{name}.scale")
    return writer.op("Add", scaled, writer.per_channel(array(layer.bias)), name=name)


def _softmax(writer: ModuleWriter, name: str, layer: nn.Softmax, x: str) -> str:
    if layer.dim is None:
        raise ExportError(f"export needs a softmax over a given axis; {name} has dim=None")
    return writer.op("Softmax", x, axis=layer.dim, name=name)


def _layer_norm(writer: ModuleWriter, name: str, layer: nn.LayerNorm, x: str) -> str:
    parameters = [writer.value(array(value)) for value in (layer.weight, layer.bias) if value is not None]
    axis = -len(layer.normalized_shape)
    return writer.op("LayerNormalization", x, *parameters, axis=axis, epsilon=layer.eps, name=name)


def _windows(layer: nn.MaxPool2d | nn.AvgPool2d) -> dict[str, Any]:
    """Return the attributes of the windows of a pooling layer."""
    kernel = Traced.both(layer.kernel_size)
    pads = Traced.both(layer.padding) * 2
    return {"kernel_shape": kernel, "strides": Traced.both(layer.stride or kernel), "pads": pads}


def _max_pool(writer: ModuleWriter, name: str, layer: nn.MaxPool2d, x: str) -> str:
    dilations = Traced.both(layer.dilation)
    return writer.op("MaxPool", x, dilations=dilations, ceil_mode=int(layer.ceil_mode), name=name, **_windows(layer))


def _average_pool(writer: ModuleWriter, name: str, layer: nn.AvgPool2d, x: str) -> str:
    if layer.divisor_override is not None:
        raise ExportError(f"export needs averages over whole windows; {name} has divisor_override")
    options: dict[str, Any] = {"ceil_mode": int(layer.ceil_mode), "count_include_pad": int(layer.count_include_pad)}
    return writer.op("AveragePool", x, name=name, **options, **_windows(layer))


def _adaptive_pool(writer: ModuleWriter, name: str, layer: nn.AdaptiveAvgPool2d, x: str) -> str:
    return Traced(writer, name).call(FUNCTIONS, F.adaptive_avg_pool2d, (x, layer.output_size), {})


def _upsample(writer: ModuleWriter, name: str, layer: nn.Upsample, x: str) -> str:
    arguments = (x, layer.size, layer.scale_factor, layer.mode, layer.align_corners)
    return Traced(writer, name).call(FUNCTIONS, F.interpolate, arguments, {})


def _clipped(lowest: float, highest: float) -> Write:
    """Return a function that writes a layer that limits values."""
    return lambda writer, name, layer, x: writer.op(
        "Clip", x, writer.value(np.array(lowest)), writer.value(np.array(highest)), name=name
    )


def _node(kind: str, **attributes: Any) -> Write:
    """Return a function that writes a layer as one node."""
    return lambda writer, name, layer, x: writer.op(kind, x, name=name, **attributes)


def _unchanged(writer: ModuleWriter, name: str, layer: nn.Module, x: Any) -> Any:
    return x


def _swish(writer: ModuleWriter, name: str, layer: nn.Module, x: str) -> str:
    return writer.op("Mul", x, writer.op("Sigmoid", x, name=f"{name}.sigmoid"), name=name)


LAYERS: dict[type[nn.Module], Write] = {
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    nn.AvgPool2d: _average_pool,
    nn.BatchNorm2d: _batch_norm,
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _conv,
    nn.Dropout: _unchanged,
    nn.Dropout2d: _unchanged,
    nn.Flatten: _node("Flatten", axis=1),
    nn.GELU: _node("Gelu"),
    nn.GroupNorm: _group_norm,
    nn.Hardsigmoid: _node("HardSigmoid", alpha=1 / 6, beta=0.5),
    nn.Hardswish: _node("HardSwish"),
    nn.Identity: _unchanged,
    nn.LayerNorm: _layer_norm,
    nn.Linear: ModuleWriter.linear,
    nn.MaxPool2d: _max_pool,
    nn.ReLU: _node("Relu"),
    nn.ReLU6: _clipped(0, 6),
    nn.Sequential: write_sequence,
    nn.Sigmoid: _node("Sigmoid"),
    nn.SiLU: _swish,
    nn.Softmax: _softmax,
    nn.Upsample: _upsample,
    nn.UpsamplingBilinear2d: _upsample,
}
"""Functions that write the layers of torch, by the type of the layer."""
