"""Writes functions and methods of tensors, which modules of other packages call, as ONNX nodes."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from passband.export.network_writer import ExportError, array

if TYPE_CHECKING:
    from passband.export.onnx.module_writer import ModuleWriter

_MODES = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}
"""Modes of ONNX's node Resize by those of torch."""


@dataclass(frozen=True)
class Side:
    """A whole number that depends on the size of the input, such as the height of a map."""

    name: str
    """Name of the node that computes it, as a list of one number."""


@dataclass(frozen=True)
class Shape:
    """The shape of a map."""

    x: str
    """Name of the map."""


class Traced:
    """Writes the functions that one module calls.

    Args:
        writer: writer of the graph.
        name: name of the module, for errors.
    """

    def __init__(self, writer: "ModuleWriter", name: str):
        self.writer, self.name = writer, name

    def call(self, table: Mapping[Any, Callable[..., Any]], target: Any, args: Any, kwargs: Any) -> Any:
        """Write a function or a method.

        Args:
            table: functions that write functions or methods, `FUNCTIONS` or `METHODS`.
            target: function or name of the method.
            args: arguments: names of maps, numbers, `Side` and `Shape`.
            kwargs: keywords.

        Raises:
            ExportError: if there is no ONNX form of it here.
        """
        shown = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        if target not in table:
            raise ExportError(
                f"export has no ONNX form of {shown}, which {self.name} calls; use torch for this network"
            )
        try:
            return table[target](self, *args, **kwargs)
        except TypeError as error:
            raise ExportError(
                f"export has no ONNX form of {shown} with the arguments that {self.name} uses ({error}); use torch for "
                "this network"
            ) from error

    def constant(self, value: Any) -> Any:
        """Write a parameter or a buffer.

        Args:
            value: tensor; anything else is returned unchanged.

        Returns:
            The name of the parameter. Floating-point values get the type of the maps.
        """
        if not isinstance(value, Tensor):
            return value
        return self.writer.value(array(value)) if value.is_floating_point() else self.writer.constant(value.numpy())

    @staticmethod
    def both(sides: int | str | Sequence[int]) -> list[int]:
        """Return a number for each of two axes.

        Args:
            sides: a number for both axes, or a number for each.

        Raises:
            TypeError: if it is a text, such as "same".
        """
        if isinstance(sides, str):
            raise TypeError(f"padding={sides!r}")
        return [sides, sides] if isinstance(sides, int) else list(sides)

    def tensor(self, value: Any) -> str:
        """Return the name of a map, or write a number as one.

        Args:
            value: name of a map, or a number.
        """
        return value if isinstance(value, str) else self.writer.value(np.array(value))

    def sides(self, *sides: Any) -> str:
        """Write whole numbers, some of which depend on the size of the input, as one list.

        Args:
            sides: whole numbers, and `Side` for those that depend on the size of the input.

        Returns:
            The name of the list.
        """
        return self.writer.shape(*(side.name if isinstance(side, Side) else int(side) for side in sides))

    def side(self, x: str, axis: int) -> Side:
        """Write the length of an axis.

        Args:
            x: name of the map.
            axis: number of the axis; -1 for the last.
        """
        if axis == -1:  # without an end, a shape goes to its last axis
            return Side(self.writer.op("Shape", x, start=axis))
        return Side(self.writer.op("Shape", x, start=axis, end=axis + 1))


def _get_item(traced: Traced, value: Any, index: Any) -> Any:
    if not isinstance(value, Shape):
        if isinstance(value, str):
            raise TypeError("parts of maps")
        return value[index]
    if isinstance(index, int):
        return traced.side(value.x, index)
    # the maps of these networks have four axes
    return tuple(traced.side(value.x, axis) for axis in range(4)[index])


def _get_attribute(traced: Traced, value: Any, name: str) -> Any:
    if name == "ndim":
        return 4  # only checks ask for it, and they are about maps
    if name != "shape":
        raise TypeError(f"the attribute {name}")
    return Shape(value)


def _size(traced: Traced, x: str, dim: int | None = None) -> Any:
    return Shape(x) if dim is None else traced.side(x, dim)


def _arithmetic(kind: str, compute: Callable[[Any, Any], Any], traced: Traced, first: Any, second: Any) -> Any:
    """Write a sum, a product and so on of maps or of sides."""
    is_side = isinstance(first, Side) or isinstance(second, Side)
    if is_side:
        names = [one.name if isinstance(one, Side) else traced.writer.integers(one) for one in (first, second)]
        return Side(traced.writer.op(kind, *names))
    if isinstance(first, str) or isinstance(second, str):
        return traced.writer.op(kind, traced.tensor(first), traced.tensor(second))
    return compute(first, second)


def _add(traced: Traced, first: Any, second: Any) -> Any:
    if isinstance(first, tuple | list):  # lists of maps
        return [*first, *second]
    return _arithmetic("Add", operator.add, traced, first, second)


def _convolve(
    traced: Traced,
    x: str,
    weight: str,
    bias: str | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> str:
    strides, pads, dilations = (traced.both(sides) for sides in (stride, padding, dilation))
    parameters = [weight] if bias is None else [weight, bias]
    return traced.writer.op("Conv", x, *parameters, group=groups, strides=strides, pads=pads * 2, dilations=dilations)


def _concatenate(traced: Traced, maps: Sequence[str], dim: int = 0) -> str:
    return traced.writer.op("Concat", *maps, axis=dim)


def _stack(traced: Traced, maps: Sequence[str], dim: int = 0) -> str:
    axis = traced.writer.integers(dim)
    return traced.writer.op("Concat", *(traced.writer.op("Unsqueeze", x, axis) for x in maps), axis=dim)


def _interpolate(
    traced: Traced,
    x: str,
    size: Any = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> str:
    """Write an interpolation of a map, as `torch.nn.functional.interpolate` computes it."""
    if mode not in _MODES or recompute_scale_factor or antialias:
        raise TypeError(f"mode={mode!r}, recompute_scale_factor={recompute_scale_factor}, antialias={antialias}")
    attributes: dict[str, Any] = {"mode": _MODES[mode]}
    if mode == "nearest":
        attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        attributes["coordinate_transformation_mode"] = "align_corners" if align_corners else "half_pixel"
    if mode == "bicubic":
        attributes["cubic_coeff_a"] = -0.75
    if size is None:
        factors = scale_factor if isinstance(scale_factor, tuple | list) else [scale_factor] * 2
        scales = traced.writer.constant(np.array([1, 1, *factors], dtype=np.float32))
        return traced.writer.op("Resize", x, "", scales, **attributes)
    channels = traced.writer.op("Shape", x, start=0, end=2)
    height, width = size if isinstance(size, tuple | list) else (size, size)
    sizes = traced.writer.op("Concat", channels, traced.sides(height, width), axis=0)
    return traced.writer.op("Resize", x, "", "", sizes, **attributes)


def _adaptive_average(traced: Traced, x: str, output_size: Any) -> str:
    if output_size not in (1, (1, 1), [1, 1]):
        raise TypeError(f"output_size={output_size}")
    return traced.writer.op("GlobalAveragePool", x)


def _mean(traced: Traced, x: str, dim: Any, keepdim: bool = False) -> str:
    axes = dim if isinstance(dim, tuple | list) else (dim,)
    return traced.writer.op("ReduceMean", x, traced.writer.integers(*axes), keepdims=int(keepdim))


def _sum(traced: Traced, x: str, dim: Any, keepdim: bool = False) -> str:
    axes = dim if isinstance(dim, tuple | list) else (dim,)
    return traced.writer.op("ReduceSum", x, traced.writer.integers(*axes), keepdims=int(keepdim))


def _view(traced: Traced, x: str, *shape: Any) -> str:
    sides = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    return traced.writer.op("Reshape", x, traced.sides(*sides))


def _flatten(traced: Traced, x: str, start_dim: int = 0, end_dim: int = -1) -> str:
    if end_dim != -1:
        raise TypeError(f"end_dim={end_dim}")
    # 0 keeps the length of an axis
    return traced.writer.op("Reshape", x, traced.writer.integers(*[0] * start_dim, -1))


def _transpose(traced: Traced, x: str, first: int, second: int) -> str:
    if (first, second) not in ((1, 2), (2, 1)):
        raise TypeError(f"the axes {first} and {second}")
    return traced.writer.op("Transpose", x, perm=[0, 2, 1])  # maps with three axes: samples, tokens and numbers


def _permute(traced: Traced, x: str, *order: Any) -> str:
    axes = order[0] if len(order) == 1 and isinstance(order[0], tuple | list) else order
    return traced.writer.op("Transpose", x, perm=list(axes))


def _batch_norm(
    traced: Traced,
    x: str,
    running_mean: str,
    running_var: str,
    weight: str,
    bias: str,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> str:
    if training:
        raise TypeError("training=True")
    return traced.writer.op("BatchNormalization", x, weight, bias, running_mean, running_var, epsilon=eps)


def _layer_norm(
    traced: Traced, x: str, normalized_shape: Sequence[int], weight: str, bias: str = "", eps: float = 1e-5
) -> str:
    return traced.writer.op("LayerNormalization", x, weight, bias, axis=-len(normalized_shape), epsilon=eps)


def _pad(traced: Traced, x: str, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> str:
    if mode != "constant" or value or len(pad) != 4:
        raise TypeError(f"mode={mode!r}, value={value} and {len(pad)} numbers")
    left, right, top, bottom = pad
    return traced.writer.op("Pad", x, traced.sides(0, 0, top, left, 0, 0, bottom, right))


def _hard_sigmoid(traced: Traced, x: str, inplace: bool = False) -> str:
    return traced.writer.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def _node(kind: str) -> Callable[..., str]:
    """Return a function that writes one node of some maps."""

    def write(traced: Traced, *maps: str, inplace: bool = False) -> str:
        return traced.writer.op(kind, *maps)

    return write


def _unchanged(traced: Traced, x: str, *options: Any, **keywords: Any) -> str:
    return x


_ARITHMETIC: dict[Any, Callable[..., Any]] = {
    operator.mul: partial(_arithmetic, "Mul", operator.mul),
    operator.sub: partial(_arithmetic, "Sub", operator.sub),
    operator.truediv: partial(_arithmetic, "Div", operator.truediv),
    operator.floordiv: partial(_arithmetic, "Div", operator.floordiv),  # sides are positive
    operator.mod: partial(_arithmetic, "Mod", operator.mod),
    operator.eq: partial(_arithmetic, "Equal", operator.eq),
}
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **_ARITHMETIC,
    operator.add: _add,
    operator.iadd: _add,
    operator.imul: _ARITHMETIC[operator.mul],
    operator.getitem: _get_item,
    operator.matmul: _node("MatMul"),
    getattr: _get_attribute,
    torch.add: _add,
    torch.cat: _concatenate,
    torch.flatten: _flatten,
    torch.matmul: _node("MatMul"),
    torch.mul: _ARITHMETIC[operator.mul],
    torch.relu: _node("Relu"),
    torch.sigmoid: _node("Sigmoid"),
    torch.stack: _stack,
    torch._assert: _unchanged,
    F.adaptive_avg_pool2d: _adaptive_average,
    F.batch_norm: _batch_norm,
    F.conv2d: _convolve,
    F.gelu: _node("Gelu"),
    F.hardsigmoid: _hard_sigmoid,
    F.interpolate: _interpolate,
    F.layer_norm: _layer_norm,
    F.pad: _pad,
    F.relu: _node("Relu"),
}
"""Functions that write a function of torch, by that function."""
METHODS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "contiguous": _unchanged,
    "flatten": _flatten,
    "mean": _mean,
    "mul": _ARITHMETIC[operator.mul],
    "permute": _permute,
    "reshape": _view,
    "sigmoid": _node("Sigmoid"),
    "size": _size,
    "sum": _sum,
    "transpose": _transpose,
    "view": _view,
}
"""Functions that write a method of tensors, by the name of the method."""
