"""Runs Core ML programs in torch, operation by operation, to compare them with the network that they came from.

Core ML itself exists on Apple devices only. This module computes what each operation is documented to compute, so that
a wrong graph, a wrong parameter or a loss by float16 shows everywhere. Errors of Core ML itself do not show.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.export.coreml.program import coremltools
from passband.export.network_writer import OUTPUT, ExportError


class CoreMLProgram:
    """Runs a Core ML program in torch. Operations in float16 compute in float32 and round their output.

    Args:
        source: package that `write_coreml` wrote, or a program in memory.

    Raises:
        ExportError: if coremltools is not installed.
    """

    name = "coreml"

    def __init__(self, source: Any):
        self._program = read_program(source) if isinstance(source, Path) else source
        (image,) = self._program.functions["main"].inputs.values()
        self._input = image.name
        _, self.in_channels, height, width = image.shape
        self.size = height, width

    @torch.inference_mode()
    def __call__(self, padded: Float[Tensor, "1 C H W"]) -> Float[Tensor, "1 3 H W"]:
        """Restore an image of the size of the program. The result is not clamped.

        Raises:
            ExportError: if the program has an operation that this class cannot compute.
        """
        values: dict[str, Tensor] = {self._input: padded.float()}
        for operation in self._program.functions["main"].operations:
            if operation.op_type == "const":
                continue
            if operation.op_type not in _KINDS:
                raise ExportError(f"the check of Core ML packages cannot compute the operation {operation.op_type}")
            inputs = {name: _value(part, values) for name, part in operation.inputs.items() if part is not None}
            result = _KINDS[operation.op_type](**inputs)
            for output, tensor in zip(
                operation.outputs, result if isinstance(result, tuple) else [result], strict=True
            ):
                is_half = "fp16" in str(output.dtype)
                values[output.name] = tensor.half().float() if is_half else tensor
        return values[OUTPUT]


def read_program(path: Path) -> Any:
    """Read the program of a Core ML package.

    Args:
        path: folder that ends in .mlpackage.

    Raises:
        ExportError: if coremltools is not installed.
    """
    ct = coremltools()
    from coremltools.converters.mil.frontend.milproto.load import load

    model = ct.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    return load(spec, spec.specificationVersion, model.weights_dir)


def _value(part: Any, values: dict[str, Tensor]) -> Any:
    """Return an input of an operation: a tensor, or a number, list or text for its settings."""
    if isinstance(part, list | tuple):
        return [_value(one, values) for one in part]
    if part.name in values:
        return values[part.name]
    if isinstance(part.val, np.ndarray) and part.val.dtype.kind == "f":
        return torch.from_numpy(part.val.astype(np.float32))
    if isinstance(part.val, np.ndarray):
        return part.val.tolist()
    return part.val.item() if isinstance(part.val, np.generic) else part.val


def _conv(
    x: Tensor, weight: Tensor, strides: Any, pad_type: str, pad: Any, dilations: Any, groups: int,
    bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    top, bottom, left, right = (0, 0, 0, 0) if pad_type == "valid" else pad
    padded = F.pad(x, (left, right, top, bottom))
    return F.conv2d(padded, weight, bias, stride=strides, dilation=dilations, groups=groups)


def _conv_transpose(
    x: Tensor, weight: Tensor, bias: Tensor, strides: Any, pad_type: str, pad: Any, groups: int, **_: Any
) -> Tensor:
    assert pad_type == "custom"
    return F.conv_transpose2d(x, weight, bias, stride=strides, padding=(pad[0], pad[2]), groups=groups)


def _pad(x: Tensor, pad: Any, mode: str, constant_val: float = 0.0) -> Tensor:
    sides = [side for axis in reversed(range(len(pad) // 2)) for side in pad[2 * axis : 2 * axis + 2]]
    return F.pad(x, sides, value=constant_val) if mode == "constant" else F.pad(x, sides, mode=mode)


def _slice_by_index(x: Tensor, begin: Any, end: Any, stride: Any, **masks: Any) -> Tensor:
    assert not any(any(mask) for mask in masks.values())
    return x[tuple(slice(*part) for part in zip(begin, end, stride, strict=True))]


def _slice_by_size(x: Tensor, begin: Any, size: Any) -> Tensor:
    return x[tuple(slice(start, start + count) for start, count in zip(begin, size, strict=True))]


def _split(x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Any = None) -> tuple[Tensor, ...]:
    return x.split(split_sizes, axis) if num_splits is None else x.chunk(num_splits, axis)


def _upsample_bilinear(
    x: Tensor, scale_factor_height: float, scale_factor_width: float, align_corners: bool, **_: Any
) -> Tensor:
    size = round(x.shape[2] * scale_factor_height), round(x.shape[3] * scale_factor_width)
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


_KINDS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "avg_pool": lambda x, kernel_sizes, strides, **_: F.avg_pool2d(x, kernel_sizes, strides),
    "cast": lambda x, dtype: x,
    "concat": lambda values, axis, interleave: torch.cat(values, axis),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "cumsum": lambda x, axis, exclusive, reverse: x.cumsum(axis),
    "gelu": lambda x, mode: F.gelu(x, approximate={"EXACT": "none"}[mode]),
    "identity": lambda x: x,
    "instance_norm": lambda x, gamma, beta, epsilon: F.instance_norm(x, weight=gamma, bias=beta, eps=epsilon),
    "mul": lambda x, y: x * y,
    "pad": _pad,
    "reduce_mean": lambda x, axes, keep_dims: x.mean(axes, keepdim=keep_dims),
    "reshape": lambda x, shape: x.reshape(shape),
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "softmax": lambda x, axis: x.softmax(axis),
    "split": _split,
    "sub": lambda x, y: x - y,
    "tanh": lambda x: x.tanh(),
    "tile": lambda x, reps: x.repeat(reps),
    "transpose": lambda x, perm: x.permute(perm),
    "upsample_bilinear": _upsample_bilinear,
}
"""Functions that compute the operations that `coreml.program` writes, by the name of the operation."""
