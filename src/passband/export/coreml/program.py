"""Translates the ONNX graph of a network into a Core ML program for images of one size.

Core ML runs on Apple devices only, but its converter (coremltools) also runs on Linux. All sides are fixed, because the
Neural Engine needs them, so that everything that depends on the size alone becomes a constant. Filters whose kernels
are predicted from the image become depthwise convolutions. Core ML has no such convolutions with dilation, so the
filters of ConvIR become sums of shifted maps.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from passband.export.network_writer import FRONT, INPUT, OUTPUT, check_size
from passband.export.onnx.restoration_graph import restoration_graph
from passband.export.packages import require
from passband.models.restoration.three_scales import ThreeScaleNetwork

FLOAT32_KINDS = ("reduce_mean", "cumsum", "instance_norm")
"""Operations that stay in float32 in a package of float16: their sums over a large map leave the range of float16."""
PASSES = ("const_elimination", "const_deduplication", "add_fp16_cast", "cast_optimization", "dead_code_elimination")
"""Passes of coremltools over the program. Its other passes look for patterns that graphs of passband do not have."""


def coremltools() -> Any:
    """Import the converter without its messages about the parts of it that exist on macOS only.

    Raises:
        ExportError: if coremltools is not installed.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        require("coreml", "coremltools", "onnx")
    finally:
        logging.disable(level)
    import coremltools as package

    return package


def write_coreml(network: nn.Module, path: Path, height: int, width: int, half: bool = False) -> None:
    """Write a network as a Core ML package for images of one size.

    Args:
        network: SFNet, FSNet or ConvIR.
        path: package to write, a folder that ends in .mlpackage.
        height: height of the images in pixels, which the network takes.
        width: width of the images in pixels, which the network takes.
        half: whether parameters and maps use float16, which the Neural Engine needs. The first features of the image,
            averages and sums always use float32.

    Raises:
        ExportError: if coremltools is not installed, or the network cannot be exported or does not take this size.
    """
    ct = coremltools()
    graph = restoration_graph(network).graph
    assert isinstance(network, ThreeScaleNetwork)  # no other network has a graph
    check_size(network, height, width)
    program, front = translate(graph, network.in_channels, height, width)
    precision: Any = ct.precision.FLOAT32
    if half:
        precision = ct.transform.FP16ComputePrecision(
            lambda operation: operation.op_type not in FLOAT32_KINDS and operation.name not in front
        )
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        # coremltools shows progress bars on the standard error, and leaves a temporary folder to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        model = ct.convert(
            program, source="milinternal", convert_to="mlprogram", compute_precision=precision,
            minimum_deployment_target=ct.target.iOS16, skip_model_load=True,
            pass_pipeline=ct.PassPipeline([f"common::{name}" for name in PASSES if half or name != "add_fp16_cast"]),
            package_dir=str(Path(folder) / "network.mlpackage"),
        )  # fmt: skip
        model.short_description = "Restores one image, RGB in [0, 1], 1 x C x H x W. The output is not clamped."
        model.user_defined_metadata["producer"] = "passband"
        model.save(str(path))


def translate(graph: Any, channels: int, height: int, width: int) -> tuple[Any, set[str]]:
    """Translate an ONNX graph of `restoration_graph` into a Core ML program.

    Args:
        graph: ONNX graph.
        channels: number of channels of the image.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Returns:
        The program, and the names of the operations that compute the first features of the image.

    Raises:
        ExportError: if coremltools is not installed.
    """
    coremltools()
    translator = _Translator(height, width)
    return translator.program(graph, channels), translator.front


class _Translator:
    """Translates nodes of an ONNX graph into operations of Core ML.

    Args:
        height: height of the image in pixels.
        width: width of the image in pixels.

    Attributes:
        front: names of the operations that compute the first features of the image.
    """

    def __init__(self, height: int, width: int):
        from coremltools.converters.mil import Builder
        from onnx import helper, numpy_helper

        self.height, self.width = height, width
        build: Any = Builder  # its functions are added when coremltools is imported
        self.build, self.helper, self.to_array = build, helper, numpy_helper.to_array
        self.front: set[str] = set()
        self.kinds: dict[str, Callable[..., Any]] = {
            "Add": lambda x, y: build.add(x=x, y=y),
            "AveragePool": lambda x, kernel_shape, strides: build.avg_pool(
                x=x, kernel_sizes=kernel_shape, strides=strides, pad_type="valid"
            ),
            "Cast": lambda x, to: x,
            "Concat": lambda *maps, axis: build.concat(values=maps, axis=axis),
            "Conv": self.conv,
            "ConvTranspose": lambda x, weight, bias, kernel_shape, strides, pads, group: build.conv_transpose(
                x=x, weight=weight, bias=bias, strides=strides, pad_type="custom", pad=_pairs(pads), groups=group
            ),
            "CumSum": lambda x, axis: build.cumsum(x=x, axis=int(axis[0])),
            "Div": lambda x, y: build.real_div(x=x, y=y),
            "Expand": lambda x, shape: build.tile(x=x, reps=[n // m for n, m in zip(shape, x.shape, strict=True)]),
            "Gelu": lambda x: build.gelu(x=x, mode="EXACT"),
            "Identity": lambda x: x,
            "InstanceNormalization": lambda x, scale, bias, epsilon: build.instance_norm(
                x=x, gamma=scale, beta=bias, epsilon=np.float32(epsilon)
            ),
            "Mean": self.mean,
            "Mul": lambda x, y: build.mul(x=x, y=y),
            "Pad": self.pad,
            "ReduceMean": lambda x, axes, keepdims: build.reduce_mean(x=x, axes=axes, keep_dims=bool(keepdims)),
            "Reshape": lambda x, shape: build.reshape(x=x, shape=shape),
            "Resize": self.resize,
            "Shape": lambda x, start=0, end=None: np.array(x.shape[start:end], dtype=np.int64),
            "Slice": self.slice,
            "Softmax": lambda x, axis: build.softmax(x=x, axis=axis),
            "Split": lambda x, axis, num_outputs: build.split(x=x, num_splits=num_outputs, axis=axis),
            "Sub": lambda x, y: build.sub(x=x, y=y),
            "Tanh": lambda x: build.tanh(x=x),
            "Transpose": lambda x, perm: build.transpose(x=x, perm=perm),
        }

    def program(self, graph: Any, channels: int) -> Any:
        """Translate a graph into a program.

        Args:
            graph: ONNX graph of `restoration_graph`.
            channels: number of channels of the image.
        """
        from coremltools import target
        from coremltools.converters.mil.mil import Function, Program

        placeholder = self.build.TensorSpec(shape=(1, channels, self.height, self.width))
        program = Program()
        with Function({INPUT: placeholder}, target.iOS16) as function:
            values: dict[str, Any] = {INPUT: function.inputs[INPUT], "": None}
            values |= {parameter.name: self.to_array(parameter) for parameter in graph.initializer}
            for node in graph.node:
                results = self.node(node, [values[name] for name in node.input])
                values |= zip(node.output, results, strict=True)
                if not set(FRONT) <= set(values):
                    self.front |= {result.name for result in results if not isinstance(result, np.ndarray)}
            function.set_outputs([self.build.identity(x=values[OUTPUT], name=OUTPUT)])
        program.add_function("main", function)
        return program

    def node(self, node: Any, inputs: list[Any]) -> list[Any]:
        """Translate a node, or compute it if it depends on the size alone; it returns the outputs."""
        settings = {one.name: self.helper.get_attribute_value(one) for one in node.attribute}
        if all(isinstance(one, np.ndarray) for one in inputs) and node.op_type in _CONSTANT:
            return [_CONSTANT[node.op_type](*inputs, **settings)]
        result = self.kinds[node.op_type](*inputs, **settings)
        return list(result) if isinstance(result, list | tuple) else [result]

    def conv(
        self, x: Any, weight: Any, bias: Any = None, kernel_shape: Any = (1, 1), strides: Any = (1, 1),
        pads: Any = (0, 0, 0, 0), dilations: Any = (1, 1), group: int = 1,
    ) -> Any:  # fmt: skip
        """Translate a convolution."""
        if max(dilations) > 1:
            return self.shifted(x, weight, dilations[0])
        biases = {} if bias is None else {"bias": bias}
        return self.build.conv(
            x=x, weight=weight, **biases, strides=strides, pad_type="custom", pad=_pairs(pads), groups=group
        )

    def shifted(self, x: Any, weight: Any, dilation: int) -> Any:
        """Translate a depthwise convolution with dilation into a sum of shifted maps, each times its weight."""
        channels, _, tall, wide = weight.shape
        size = [1, channels, x.shape[2] - dilation * (tall - 1), x.shape[3] - dilation * (wide - 1)]
        total = None
        for row in range(tall):
            for column in range(wide):
                factor = self.build.slice_by_size(x=weight, begin=[0, 0, row, column], size=[channels, 1, 1, 1])
                factor = self.build.reshape(x=factor, shape=[1, channels, 1, 1])
                part = self.build.slice_by_size(x=x, begin=[0, 0, row * dilation, column * dilation], size=size)
                part = self.build.mul(x=part, y=factor)
                total = part if total is None else self.build.add(x=total, y=part)
        return total

    def mean(self, *maps: Any) -> Any:
        """Translate the mean of several maps."""
        total = maps[0]
        for part in maps[1:]:
            total = self.build.add(x=total, y=part)
        return self.build.mul(x=total, y=np.float32(1 / len(maps)))

    def pad(self, x: Any, pads: Any, mode: bytes = b"constant") -> Any:
        """Translate the padding of a map."""
        name = {b"edge": "replicate"}.get(mode, mode.decode())
        sides = _pairs([int(side) for side in pads])
        return self.build.pad(x=x, pad=sides if name == "constant" else sides[4:], mode=name)

    def resize(self, x: Any, _: Any, scales: Any, size: Any, mode: bytes, coordinate_transformation_mode: bytes) -> Any:
        """Translate a bilinear interpolation to a multiple of the size."""
        assert mode == b"linear"
        assert scales is None
        factors = [int(side) // small for side, small in zip(size[2:], x.shape[2:], strict=True)]
        return self.build.upsample_bilinear(
            x=x, scale_factor_height=factors[0], scale_factor_width=factors[1],
            align_corners=coordinate_transformation_mode == b"align_corners",
        )  # fmt: skip

    def slice(self, x: Any, start: Any, end: Any, axes: Any, step: Any = None) -> Any:
        """Translate a part of a map."""
        first, last, steps = [0] * x.rank, list(x.shape), [1] * x.rank
        for number, axis in enumerate(axes):
            first[axis], last[axis] = int(start[number]), min(int(end[number]), x.shape[axis])
            steps[axis] = 1 if step is None else int(step[number])
        return self.build.slice_by_index(x=x, begin=first, end=last, stride=steps)


def _pairs(pads: Any) -> list[int]:
    """Return paddings axis by axis, from a list of all begins and then all ends."""
    half = len(pads) // 2
    return [int(side) for pair in zip(pads[:half], pads[half:], strict=True) for side in pair]


def _divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x // y if x.dtype.kind == "i" else x / y


def _cast(x: np.ndarray, to: int) -> np.ndarray:
    from onnx import helper

    return x.astype(helper.tensor_dtype_to_np_dtype(to))


_CONSTANT: dict[str, Callable[..., np.ndarray]] = {
    "Add": np.add,
    "Cast": _cast,
    "Concat": lambda *parts, axis: np.concatenate(parts, axis),
    "Div": _divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Sub": np.subtract,
}
"""Operations on constants, which are computed while a graph is translated."""
