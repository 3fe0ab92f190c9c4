"""Exported networks, run by the engines that take them."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.export.graph import FRONT, INPUT, ExportError, sfnet_graph
from passband.models import SFNet

Precision = Literal["float32", "bfloat16", "float16", "int8"]
SUFFIXES = {".xml": "openvino", ".onnx": "onnxruntime"}
"""Of exported files, and the engine for each."""


def require(engine: str, *modules: str) -> None:
    """Import modules that an engine needs, or say in one sentence what to install.

    Raises:
        ExportError: where one is missing.
    """
    import importlib

    extra = "openvino" if engine == "openvino" else "onnx"
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ExportError(
                f"the engine {engine} needs the package {name}, which cannot be imported here ({error}); "
                f"install it with: pip install 'passband[{extra}]'"
            ) from error


@cache
def openvino_core() -> Any:
    """OpenVINO's core: one for the whole process, and never let go.

    Each core gives the calling thread a signal stack of its own and puts the earlier one back when it goes. Cores that
    go in another order than the reverse leave a stack that is freed, and the next signal that Python handles (of a
    data loader's worker, say) is a segmentation fault.

    Raises:
        ExportError: where OpenVINO is not installed.
    """
    require("openvino", "openvino")
    import openvino as ov

    return ov.Core()


def openvino_model(network: nn.Module) -> Any:
    """A network as an OpenVINO model in memory.

    Raises:
        ExportError: where OpenVINO is not installed, or the network has no form here.
    """
    return openvino_core().read_model(sfnet_graph(network).SerializeToString())


class OpenVINORuntime:
    """A network in OpenVINO, on the processor.

    Args:
        source: an .xml file with its .bin beside it, an .onnx file, or an OpenVINO model in memory.
        precision: what to compute in: `"float32"`, `"bfloat16"`, or `"int8"` for a quantized model, the rest of which
            is computed in bfloat16 where the processor has it. The first features are float32 always (see
            `export.graph.FRONT`).

    Raises:
        ExportError: where OpenVINO is not installed, the file is damaged, or the precision is none of these.
    """

    name = "openvino"
    multiple, minimum = SFNet.multiple, SFNet.minimum

    def __init__(self, source: Any, precision: Precision = "float32"):
        require(self.name, "openvino")
        if precision == "float16":
            raise ExportError("openvino computes in float32, bfloat16 or int8 here, got float16; use auto")
        self.precision: Precision = precision
        core = openvino_core()
        if isinstance(source, str | Path):
            source = read_openvino(Path(source))
        self.in_channels = source.input(0).partial_shape[1].get_length()
        # what the processor does not have is emulated, at a tenth of the speed and less
        native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        hint = "bf16" if precision == "bfloat16" or (precision == "int8" and native) else "f32"
        parts = [(source, "f32")] if hint == "f32" else list(zip(split_front(source), ("f32", hint), strict=True))
        # OpenVINO would choose bf16 by itself, and every core whatever torch was told
        settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
        self._parts = [
            core.compile_model(part, "CPU", {**settings, "INFERENCE_PRECISION_HINT": part_hint})
            for part, part_hint in parts
        ]

    def __call__(self, padded: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        """Restore pictures whose sides are multiples of `multiple` and at least `minimum`; not clamped."""
        return _picture_by_picture(self._run, padded, self)

    def _run(self, image: np.ndarray) -> np.ndarray:
        *first, last = self._parts
        features = first[0](image) if first else {}
        inputs = {name: features[name] for name in FRONT} if first else {}
        return last({INPUT: image, **inputs})[0]


class OnnxRuntime:
    """A network in ONNX Runtime, on the processor, at the precision of its file.

    Args:
        source: an .onnx file, or an `onnx.ModelProto` in memory.

    Raises:
        ExportError: where ONNX Runtime is not installed or the file is damaged.
    """

    name = "onnxruntime"
    multiple, minimum = SFNet.multiple, SFNet.minimum

    def __init__(self, source: Any):
        require(self.name, "onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        given = str(source) if isinstance(source, str | Path) else source.SerializeToString()
        try:
            self._session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises a dozen kinds, which share no base of their own
            raise ExportError(f"{_name(source)} is damaged or not an ONNX network: {_first_line(error)}") from error
        picture = self._session.get_inputs()[0]
        if picture.name != INPUT:
            raise ExportError(f"{_name(source)} is no file of passband export: its input is called {picture.name!r}")
        self.in_channels = picture.shape[1]
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.precision: Precision = "float16" if metadata.get("precision") == "float16" else "float32"

    def __call__(self, padded: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        """Restore pictures whose sides are multiples of `multiple` and at least `minimum`; not clamped."""
        return _picture_by_picture(lambda image: self._session.run(None, {INPUT: image})[0], padded, self)


def read_openvino(path: Path) -> Any:
    """Read an exported file as an OpenVINO model.

    Raises:
        ExportError: for a file that is missing, damaged, or not of `passband export`.
    """
    if path.suffix == ".xml" and path.exists() and not path.with_suffix(".bin").exists():
        raise ExportError(f"{path} needs its parameters beside it, in {path.with_suffix('.bin').name}")
    try:
        model = openvino_core().read_model(path)
        names = {name for port in model.inputs for name in port.get_names()}
    except RuntimeError as error:
        raise ExportError(f"{path} is missing, damaged or not a network: {_first_line(error)}") from error
    if INPUT not in names:
        raise ExportError(
            f"{path} is no file of passband export: its inputs are {', '.join(sorted(names)) or 'unnamed'}"
        )
    return model


def split_front(model: Any) -> tuple[Any, Any]:
    """Cut an OpenVINO model after the first features of the picture.

    Args:
        model: what `passband export` wrote; it is not changed.

    Returns:
        The front, from the picture to its first features, and the trunk, from the picture and those to the restored
        one.
    """
    import openvino as ov
    from openvino import opset13 as ops

    make_model: Any = ov.Model  # its type stubs contradict themselves
    first, rest = model.clone(), model.clone()
    front = make_model([_port(first, name) for name in FRONT], first.get_parameters(), "front")
    features = []
    for name in FRONT:
        port = _port(rest, name)
        # sides of any length: those that OpenVINO derived overflow where they meet those of the picture
        shape = ov.PartialShape([1, port.get_partial_shape()[1].get_length(), -1, -1])
        feature = ops.parameter(shape, port.get_element_type(), name=name)
        for target in port.get_target_inputs():
            target.replace_source_output(feature.output(0))
        port.set_names(set())
        feature.output(0).set_names({name})
        features.append(feature)
    trunk = make_model(rest.get_results(), [*rest.get_parameters(), *features], "trunk")
    return front, trunk


def _port(model: Any, name: str) -> Any:
    """The output of that name, wherever in the model it is."""
    return next(port for node in model.get_ops() for port in node.outputs() if name in port.get_names())


def _picture_by_picture(run: Any, padded: Tensor, engine: Any) -> Tensor:
    """Run a batch one picture at a time: each has filters of its own, which an exported network has for one."""
    channels, height, width = padded.shape[1:]
    if channels != engine.in_channels:
        raise ValueError(f"these weights take {engine.in_channels} channels, got {channels}")
    if height % engine.multiple or width % engine.multiple or min(height, width) < engine.minimum:
        raise ValueError(
            f"{engine.name} needs H and W divisible by {engine.multiple} and at least {engine.minimum}, got "
            f"{height}x{width}; use ops.tiling.pad_to_multiple(image, {engine.multiple}, {engine.minimum})"
        )
    pictures = padded.detach().to("cpu", torch.float32).contiguous().numpy()
    restored = [torch.from_numpy(run(picture[None])) for picture in pictures]
    return torch.cat(restored).to(padded.device)


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else "the exported network"


def _first_line(error: Exception) -> str:
    """The first line of an engine's message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Exception from", "Check "))), type(error).__name__)
