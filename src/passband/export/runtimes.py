"""Runs exported networks with OpenVINO and ONNX Runtime; ncnn has a module of its own."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.export.network_writer import FRONT, INPUT, ExportError
from passband.export.onnx.restoration_graph import restoration_graph
from passband.export.onnx.session import CPU_PROVIDER, shown_name, start_session
from passband.export.packages import reason_of, require
from passband.export.sizes import Sizes
from passband.io.onnx_metadata import read_onnx_metadata
from passband.models.network_task import NETWORKS, other_task_error
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.weights_finding import WEIGHTS_FILE, checked_name

Precision = Literal["float32", "bfloat16", "float16", "int8"]
SUFFIXES = {".xml": "openvino", ".onnx": "onnxruntime", ".param": "ncnn"}
"""Engines of exported files, by the suffix of the file."""


def runtime_of(weights: str | Path) -> str | None:
    """Return the name of the engine that an exported file is for, by its suffix; None for other weights.

    A folder is never an exported file, whatever its name.

    Args:
        weights: name or path of weights, or of a file of `passband export`, which need not exist.
    """
    path = Path(checked_name(weights))
    return None if path.is_dir() else SUFFIXES.get(path.suffix)


def refuse_coreml(weights: str | Path) -> None:
    """Refuse a Core ML package as weights.

    Args:
        weights: name or path that the user gave.

    Raises:
        ExportError: if the name ends in .mlpackage, and no folder of this name holds weights of passband.
    """
    if Path(weights).suffix == ".mlpackage" and not (Path(weights) / WEIGHTS_FILE).exists():
        raise ExportError(
            f"{weights} is for Core ML, which runs on Apple devices only; give the weights that it was exported from"
        )


@cache
def openvino_core() -> Any:
    """Return the core of OpenVINO. The process has a single core, which is never released.

    Each core sets a signal stack for the calling thread, and restores the previous stack when it is released. Cores
    that are not released in reverse order leave a stack that is already freed. The next signal that Python handles, for
    example from a worker of a data loader, then causes a segmentation fault.

    Raises:
        ExportError: if OpenVINO is not installed.
    """
    require("openvino", "openvino")
    import openvino as ov

    return ov.Core()


def openvino_model(network: nn.Module) -> Any:
    """Convert a network to an OpenVINO model in memory.

    Args:
        network: restoration network in evaluation mode.

    Returns:
        An `openvino.Model`, not compiled.

    Raises:
        ExportError: if OpenVINO is not installed, or the network cannot be exported.
    """
    model = openvino_core().read_model(restoration_graph(network).SerializeToString())
    assert isinstance(network, ThreeScaleNetwork)  # no other network has a graph
    set_sizes(model, Sizes.of(network))
    return model


def set_sizes(model: Any, sizes: Sizes) -> None:
    """Write the sizes that a network takes into an OpenVINO model, whose files keep them.

    Args:
        model: OpenVINO model.
        sizes: the sizes.
    """
    for name, value in sizes.entries.items():
        model.set_rt_info(value, ["passband", name])


def sizes_of(model: Any) -> Sizes:
    """Return the sizes of `set_sizes`.

    Args:
        model: OpenVINO model.
    """
    names = (field.name for field in fields(Sizes) if model.has_rt_info(["passband", field.name]))
    return Sizes.read({name: model.get_rt_info(["passband", name]).astype(str) for name in names})


def of_one_size(model: Any, height: int, width: int) -> Any:
    """Return a copy of an OpenVINO model that takes images of one size only and names this size.

    Args:
        model: OpenVINO model.
        height: height of the images in pixels, which the network takes.
        width: width of the images in pixels, which the network takes.
    """
    model = model.clone()
    model.reshape([1, model.input(0).partial_shape[1].get_length(), height, width])
    model.set_rt_info(f"{width}x{height}", ["passband", "size"])
    return model


def fixed_size(model: Any) -> tuple[int, int] | None:
    """Return the height and width in pixels of the only images that an OpenVINO model takes; None for any size.

    Args:
        model: OpenVINO model.
    """
    shape = model.input(0).partial_shape
    return None if shape.is_dynamic else (shape[2].get_length(), shape[3].get_length())


class OpenVINORuntime:
    """Runs a network with OpenVINO on the CPU.

    Args:
        source: .xml file with its .bin file beside it, .onnx file, or OpenVINO model in memory.
        precision: precision of the computation: `"float32"`, `"bfloat16"`, or `"int8"` for a quantized model. The
            layers of a quantized model that are not int8 use bfloat16 if the CPU supports it and the network pools
            globally. The first features always use float32 (see `export.network_writer.FRONT`).

    Raises:
        ExportError: if OpenVINO is not installed, the file is damaged, the precision is `"float16"`, or it is
            `"bfloat16"` and the network pools locally.
    """

    name = "openvino"

    def __init__(self, source: Any, precision: Precision = "float32"):
        require(self.name, "openvino")
        if precision == "float16":
            raise ExportError("openvino computes in float32, bfloat16 or int8 here, got float16; use auto")
        self.precision: Precision = precision
        core = openvino_core()
        if isinstance(source, str | Path):
            source = read_openvino(Path(source))
        self.in_channels = source.input(0).partial_shape[1].get_length()
        self.sizes, self.size = sizes_of(source), fixed_size(source)
        if precision == "bfloat16" and not sums_fit_bfloat16(source):
            raise ExportError(
                "openvino needs float32 for networks that pool locally, got bfloat16, whose sums keep three digits; "
                "use auto or float32"
            )
        # OpenVINO emulates bfloat16 on CPUs without it, at a tenth of the speed or less
        native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") and sums_fit_bfloat16(source)
        hint = "bf16" if precision == "bfloat16" or (precision == "int8" and native) else "f32"
        parts = [(source, "f32")] if hint == "f32" else list(zip(split_front(source), ("f32", hint), strict=True))
        # without these settings OpenVINO would choose bfloat16 itself, and use all cores instead of torch's number
        settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
        self._parts = [
            core.compile_model(part, "CPU", {**settings, "INFERENCE_PRECISION_HINT": part_hint})
            for part, part_hint in parts
        ]

    def __call__(self, padded: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        """Restore images of a size that the network takes. The result is not clamped."""
        return run_each_image(self._run, padded, self)

    def _run(self, image: np.ndarray) -> np.ndarray:
        # A compiled model that is called keeps one request, and threads that share it get the images of each other.
        # Making a request takes 0.1 ms.
        *first, last = (part.create_infer_request() for part in self._parts)
        features = first[0].infer({INPUT: image}) if first else {}
        inputs = {name: features[name] for name in FRONT} if first else {}
        return last.infer({INPUT: image, **inputs})[0]


class OnnxRuntime:
    """Runs a network with ONNX Runtime, in the precision of its file.

    Args:
        source: .onnx file, or `onnx.ModelProto` in memory.
        provider: name of the execution provider, see `onnx_providers`. Parts of the network that it cannot compute run
            on the CPU.

    Raises:
        ExportError: if ONNX Runtime is not installed, this build of it has no such provider, the provider does not
            start on this machine, or the file is damaged.
    """

    name = "onnxruntime"

    def __init__(self, source: Any, provider: str = CPU_PROVIDER):
        self._session = start_session(source, provider)
        self.provider = provider
        image = self._session.get_inputs()[0]
        metadata = self._session.get_modelmeta().custom_metadata_map
        if image.name != INPUT:
            raise _other_network_error(shown_name(source), {image.name}, metadata)
        self.in_channels = image.shape[1]
        self.sizes = Sizes.read(metadata)
        height, width = image.shape[2:]
        self.size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        self.precision: Precision = "float16" if metadata.get("precision") == "float16" else "float32"

    def __call__(self, padded: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        """Restore images of a size that the network takes. The result is not clamped."""
        return run_each_image(lambda image: self._session.run(None, {INPUT: image})[0], padded, self)


def sums_fit_bfloat16(model: Any) -> bool:
    """Tell whether an OpenVINO model computes no cumulative sums, as local pooling does.

    A cumulative sum over a map in bfloat16 leaves 27 dB of agreement with float32, and OpenVINO has no setting that
    keeps single nodes in float32.

    Args:
        model: OpenVINO model.
    """
    return all(node.get_type_name() != "CumSum" for node in model.get_ops())


def read_openvino(path: Path) -> Any:
    """Read an exported file as an OpenVINO model.

    Args:
        path: path of the `.xml` or `.onnx` file.

    Returns:
        An `openvino.Model`, not compiled.

    Raises:
        ExportError: if the file is missing or damaged, or was not written by `passband export`.
    """
    if path.suffix == ".xml" and path.exists() and not path.with_suffix(".bin").exists():
        raise ExportError(f"{path} needs its parameters beside it, in {path.with_suffix('.bin').name}")
    try:
        model = openvino_core().read_model(path)
        names = {name for port in model.inputs for name in port.get_names()}
    except RuntimeError as error:
        raise ExportError(f"{path} is missing, damaged or not a network: {reason_of(error)}") from error
    metadata: dict[str, str] = {}
    if path.suffix == ".onnx" and not model.has_rt_info(["passband", "multiple"]):
        require("onnx", "onnx")
        metadata = read_onnx_metadata(path)  # OpenVINO does not pass on the properties of an ONNX file
        set_sizes(model, Sizes.read(metadata))
    if INPUT not in names:
        raise _other_network_error(str(path), names, metadata)
    return model


def _other_network_error(source: str, inputs: Collection[str], metadata: Mapping[str, str]) -> ValueError:
    """Return the error for a file that holds no restoration network.

    Args:
        source: name of the file.
        inputs: names of the inputs of the network.
        metadata: entries of the file.
    """
    task = metadata.get("task")
    if task in NETWORKS and "network" in metadata:
        return other_task_error(source, metadata["network"], task, "restoration")
    return ExportError(
        f"{source} is not a restoration network that passband export wrote: its inputs are "
        f"{', '.join(sorted(inputs)) or 'unnamed'}"
    )


def split_front(model: Any) -> tuple[Any, Any]:
    """Split an OpenVINO model after the first features of the image.

    Args:
        model: model that `passband export` wrote. It is not changed.

    Returns:
        The front, which computes the first features of an image, and the trunk, which computes the restored image from
        the image and these features.
    """
    import openvino as ov
    from openvino import opset13 as ops

    make_model: Any = ov.Model  # its type stubs contradict themselves
    first, rest = model.clone(), model.clone()
    front = make_model([_port(first, name) for name in FRONT], first.get_parameters(), "front")
    features = []
    for name in FRONT:
        port = _port(rest, name)
        shape = port.get_partial_shape()
        if shape.is_dynamic:
            # sides are set to any length, because the lengths that OpenVINO derived conflict with those of the image
            shape = ov.PartialShape([1, shape[1].get_length(), -1, -1])
        feature = ops.parameter(shape, port.get_element_type(), name=name)
        for target in port.get_target_inputs():
            target.replace_source_output(feature.output(0))
        port.set_names(set())
        feature.output(0).set_names({name})
        features.append(feature)
    trunk = make_model(rest.get_results(), [*rest.get_parameters(), *features], "trunk")
    return front, trunk


def _port(model: Any, name: str) -> Any:
    """Return the output with a name, of any node of a model."""
    return next(port for node in model.get_ops() for port in node.outputs() if name in port.get_names())


def run_each_image(run: Any, padded: Tensor, engine: Any) -> Tensor:
    """Run a batch image by image, because the filters of an exported network depend on a single image.

    Args:
        run: function that restores an array 1 C H W.
        padded: images, whose sides are checked.
        engine: the engine, which says which images it takes.

    Returns:
        The restored images, on the device of `padded`.

    Raises:
        ValueError: if the number of channels or the size does not fit.
    """
    channels, height, width = padded.shape[1:]
    if channels != engine.in_channels:
        raise ValueError(f"these weights take {engine.in_channels} channels, got {channels}")
    multiple, minimum = engine.sizes.multiple, engine.sizes.minimum
    if height % multiple or width % multiple or min(height, width) < minimum:
        raise ValueError(
            f"{engine.name} needs H and W divisible by {multiple} and at least {minimum}, got {height}x{width}; use "
            f"ops.tiling.pad_to_multiple(image, {multiple}, {minimum})"
        )
    if engine.size is not None and (height, width) != engine.size:
        raise ValueError(
            f"this network takes images of {engine.size[1]}x{engine.size[0]} pixels only, got {width}x{height}; use "
            "inference.engines.tiled.restore_tiled, or export it without --size"
        )
    images = padded.detach().to("cpu", torch.float32).contiguous().numpy()
    restored = [torch.from_numpy(run(image[None])) for image in images]
    return torch.cat(restored).to(padded.device)
