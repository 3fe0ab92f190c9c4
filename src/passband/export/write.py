"""Exports a network for another engine, and compares the output of the exported file with that of torch."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passband.export.coreml.check import CoreMLProgram
from passband.export.coreml.program import coremltools, write_coreml
from passband.export.ncnn.graph import ncnn_graph
from passband.export.ncnn.runtime import NcnnRuntime, write_ncnn
from passband.export.network_writer import ExportError, check_network, check_size
from passband.export.onnx.restoration_graph import restoration_graph
from passband.export.onnx.session import CPU_PROVIDER, check_provider
from passband.export.packages import require
from passband.export.quantize import calibration_images, quantize, restored_gain, save_openvino
from passband.export.runtimes import OnnxRuntime, OpenVINORuntime, of_one_size, openvino_model
from passband.export.write_logits import LogitsParity, check_logits_export, export_logits
from passband.io.arrays import from_array
from passband.io.failures import naming_file, telling_full_disk
from passband.io.files import results_folder, write_whole
from passband.metrics import psnr
from passband.models import load_with_config
from passband.ops.tiling import pad_to_multiple

FORMATS = {"onnx": ".onnx", "openvino": ".xml", "ncnn": ".ncnn.param", "coreml": ".mlpackage"}
"""Ends of the names of files. That of ncnn is long, so that its .bin file is not that of an .xml of the same name."""
PACKAGES = {
    "onnx": ("onnxruntime", "onnxruntime", "onnx"),
    "openvino": ("openvino", "openvino", "onnx"),
    "ncnn": ("ncnn", "ncnn"),
    "coreml": ("coreml", "onnx"),
}
"""Name of the engine of a format, and the packages that write and run it."""
PRECISIONS = ("float32", "float16", "int8")
LARGEST_DIFFERENCE = 1e-4
"""Largest accepted difference between a float32 export and torch, for values in [0, 1]."""
LEAST_AGREEMENT = {"float16": 60.0, "int8": 30.0}
"""Smallest accepted PSNR in dB between an export and torch. The loss of int8 is also measured on clean images."""
SIZES = ((64, 80), (120, 104))
"""Heights and widths in pixels of the images for the comparison of a file that takes images of any size."""
COREML_SIZE = (512, 512)
"""Height and width in pixels of the images of a Core ML package, unless another size is given."""


@dataclass(frozen=True)
class Parity:
    """Differences between an exported file and torch on one image."""

    height: int
    """Height of the image in pixels."""
    width: int
    """Width of the image in pixels."""
    psnr: float
    """PSNR in dB between both outputs, for values in [0, 1]. It is infinite if they are equal."""
    largest_difference: float
    """Largest absolute difference between both outputs, for values in [0, 1]."""

    @property
    def line(self) -> str:
        """The comparison in one line."""
        size, difference = f"{self.width}x{self.height}", f"largest difference {self.largest_difference:.1e}"
        return f"{size}: {self.psnr:.1f} dB against torch, {difference}"


@dataclass(frozen=True)
class Exported:
    """An exported file, and its comparison with torch."""

    path: Path
    """Path of the file."""
    precision: str
    """Precision of the file: float32, float16 or int8."""
    parities: Sequence[Parity | LogitsParity] = ()
    """Comparisons with torch: one for each of two sizes, or one for the only size that the file takes."""
    psnr_torch: float | None = None
    """Mean PSNR in dB of torch in float32 against a clean image, over several degradations; only for int8."""
    psnr_exported: float | None = None
    """Mean PSNR in dB of the exported file against the same clean image; only for int8."""


def export_model(
    weights: str | Path,
    output: Path,
    to: str | None = None,
    precision: str = "float32",
    calibration: Path | None = None,
    size: tuple[int, int] | None = None,
    provider: str | None = None,
    **overrides: Any,
) -> Exported:
    """Export weights for another engine, and compare the exported file with torch.

    The file of a restoration network takes one image, of any size or of one size. Classifiers and segmentation networks
    are written as ONNX files, take batches of any size, and give logits; see `onnx.logits_graph` and
    `onnx.logits_metadata`.

    Args:
        weights: weights to export, as in `models.load_model`.
        output: file to write: .onnx, .xml, .ncnn.param or .mlpackage, which is a folder. A .bin file with the
            parameters is written beside an .xml or .ncnn.param file.
        to: format, `"onnx"`, `"openvino"`, `"ncnn"` or `"coreml"`; None for the format of the suffix of
            `output`.
        precision: precision of the file: `"float32"`, `"float16"` or `"int8"`. In ONNX files float16 applies to
            parameters and maps. In OpenVINO files it applies to parameters, because OpenVINO chooses the precision of
            the computation, and in ncnn files to the weights of convolutions. In Core ML packages it applies to
            parameters and maps. int8 is available for OpenVINO only.
        calibration: folder of degraded images, on which the ranges of int8 are measured. None uses photos that come
            with scikit-image, degraded by `data.degradations.degrade`.
        size: height and width in pixels of the only images that the file of a restoration network takes. None writes a
            file for images of any size, and a Core ML package for 512 x 512. ncnn files take images of any size.
        provider: execution provider of ONNX Runtime that runs the file for the comparison, such as
            `"CUDAExecutionProvider"`; None for the CPU. It is for ONNX files only.
        overrides: keyword arguments of the constructor of the network.

    Returns:
        The path of the file, and its comparison with torch.

    Raises:
        CheckpointError: if the weights cannot be used.
        ExportError: if the network cannot be exported to this format or for this size, a package is missing, or the
            exported file differs too much from torch. Then no file is written.
        OSError: if the file cannot be written.
        ValueError: if the path of the output is empty.
    """
    to, output = to or _format_of(output), results_folder(output.parent) / output.name
    _check(output, to, precision, calibration, size, provider)
    require(*PACKAGES[to])
    if to == "coreml":
        coremltools()
    if provider is not None:
        check_provider(provider)
    model, config = load_with_config(weights, **overrides)
    if getattr(model, "task", "restoration") == "restoration":
        write, make = _formats(model, to, precision, calibration, size, provider)
        with _compared_file(output) as temporary:
            parameters = sum(value.nbytes for value in model.parameters())
            with telling_full_disk(temporary.parent, parameters):
                write(temporary)
            parities, costs = _compare_restoration(model, make(temporary), precision, str(weights))
        return Exported(output, precision, parities, *costs)
    network = check_logits_export(model, to, precision)
    if size is not None:
        raise ExportError(
            f"--size is for restoration networks; a file of {weights} takes images of any size, so leave it out"
        )
    with _compared_file(output) as temporary:
        parities = export_logits(network, config, str(weights), temporary, provider)
    return Exported(output, precision, parities)


@contextmanager
def _compared_file(output: Path) -> Iterator[Path]:
    """Yield a temporary path, and give the files there their final names unless the block raises an error.

    The block writes the file, reads it again and compares it with torch.
    """
    with naming_file(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=output.parent) as folder:
            temporary = Path(folder) / output.name
            yield temporary
            if output.is_dir():  # an earlier Core ML package, which no rename replaces
                shutil.rmtree(output)
            for part in (temporary.with_suffix(".bin"), temporary):
                if part.exists():
                    part.replace(output.with_suffix(part.suffix))


def _format_of(output: Path) -> str:
    """Return the format of the suffix of a file."""
    fitting = [name for name, suffix in FORMATS.items() if output.name.endswith(suffix)]
    if not fitting:
        raise ExportError(f"export needs an output that ends in {', '.join(FORMATS.values())}; got {output}")
    return fitting[0]


def _check(
    output: Path, to: str, precision: str, calibration: Path | None, size: tuple[int, int] | None, provider: str | None
) -> None:
    """Refuse arguments that do not fit together, before anything is loaded."""
    if to not in FORMATS:
        raise ExportError(f"export writes {', '.join(FORMATS)}; got --to {to}")
    if precision not in PRECISIONS:
        raise ExportError(
            f"export writes {', '.join(PRECISIONS)}; got --precision {precision} "
            "(for bfloat16, write float32 and choose bfloat16 when the file runs)"
        )
    if not output.name.endswith(FORMATS[to]):
        raise ExportError(f"--to {to} needs an output that ends in {FORMATS[to]}; got {output}")
    if precision == "int8" and to != "openvino":
        raise ExportError("int8 is for OpenVINO; use --to openvino")
    if calibration is not None and precision != "int8":
        raise ExportError(f"--calibration is for --precision int8; got {precision}")
    if size is not None and to == "ncnn":
        raise ExportError(
            "--size is for --to onnx, openvino and coreml; a file of ncnn takes images of any size, so leave it out"
        )
    if to == "coreml" and output.exists() and not (output / "Manifest.json").is_file():
        kind = "folder" if output.is_dir() else "file"
        raise ExportError(f"{output} is a {kind} that is no Core ML package; give another name with -o")
    if to != "coreml" and output.is_dir():
        raise ExportError(f"{output} is a folder, and a file is needed; give another name with -o")
    if provider is not None and to != "onnx":
        raise ExportError(f"--provider is for --to onnx; got {to}")


def _formats(
    model: nn.Module,
    to: str,
    precision: str,
    calibration: Path | None,
    size: tuple[int, int] | None,
    provider: str | None,
) -> tuple[Callable[[Path], None], Callable[[Path], Any]]:
    """Return a function that writes the file, and a function that loads it into its engine."""
    if to == "onnx":
        graph = restoration_graph(model, precision == "float16", size)
        runtime = partial(OnnxRuntime, provider=provider or CPU_PROVIDER)
        return lambda path: _write(path, graph.SerializeToString()), runtime
    if to == "ncnn":
        network = ncnn_graph(model, half=precision == "float16")
        return lambda path: write_ncnn(network, path), NcnnRuntime
    if to == "coreml":
        return lambda path: write_coreml(
            model, path, *(size or COREML_SIZE), half=precision == "float16"
        ), CoreMLProgram
    if size is not None:
        check_size(check_network(model), *size)
    runtime = OpenVINORuntime
    if precision == "int8":
        views = int(model.in_channels) // 3  # type: ignore[arg-type]
        converted = quantize(model, calibration_images(calibration, views))
        runtime = partial(OpenVINORuntime, precision="int8")
    else:
        converted = openvino_model(model)
    if size is not None:
        converted = of_one_size(converted, *size)
    return lambda path: save_openvino(converted, path, half=precision == "float16"), runtime


def _write(path: Path, content: bytes) -> None:
    with write_whole(path) as temporary:
        temporary.write_bytes(content)


def _compare_restoration(
    model: nn.Module, engine: Any, precision: str, weights: str
) -> tuple[list[Parity | LogitsParity], tuple[float | None, float | None]]:
    """Compare a restoration network with torch, and for int8 also both PSNR against a clean image."""
    sizes = SIZES if engine.size is None else (engine.size,)
    parities = [_parity(model, engine, height, width) for height, width in sizes]
    _check_parity(parities, precision, weights)
    if precision != "int8":
        return [*parities], (None, None)
    views = int(model.in_channels) // 3  # type: ignore[arg-type]
    needed = views, engine.sizes.multiple, engine.sizes.minimum, engine.size
    return [*parities], (restored_gain(_reference(model), *needed), restored_gain(engine, *needed))


def _reference(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a function that runs the network in torch, in float32, and returns its prediction at full size."""

    @torch.inference_mode()
    def run(image: Tensor) -> Tensor:
        return model(image)[-1]

    return run


def _parity(model: nn.Module, engine: Callable[[Tensor], Tensor], height: int, width: int) -> Parity:
    """Compare both outputs on a hazy photo, because haze shows differences most."""
    from skimage.data import chelsea

    from passband.data.degradations import degrade

    photo = from_array(chelsea())[0][:, 60:, 140:]
    if photo.shape[1] < height or photo.shape[2] < width:
        photo = F.interpolate(photo[None], (height, width), mode="bilinear")[0]
    clean = photo[:, :height, :width]
    views = int(model.in_channels) // 3  # type: ignore[arg-type]
    image = degrade(clean, "haze", seed=1, index=0, version=1)[None].repeat(1, views, 1, 1)
    padded, _ = pad_to_multiple(image, int(model.multiple), int(model.minimum))  # type: ignore[arg-type]
    exported, reference = (run(padded)[..., :height, :width] for run in (engine, _reference(model)))
    return Parity(height, width, psnr(exported, reference).item(), (exported - reference).abs().max().item())


def _check_parity(parities: list[Parity], precision: str, weights: str) -> None:
    """Raise an error if an exported file differs too much from torch."""
    for parity in parities:
        # the conditions are negated, so that NaN also fails
        if precision == "float32" and not parity.largest_difference <= LARGEST_DIFFERENCE:
            needed, measured = f"at most {LARGEST_DIFFERENCE:.0e}", f"a difference of {parity.largest_difference:.1e}"
        elif precision != "float32" and not parity.psnr >= LEAST_AGREEMENT[precision]:
            needed, measured = f"at least {LEAST_AGREEMENT[precision]:.0f} dB", f"a PSNR of {parity.psnr:.1f} dB"
        else:
            continue
        raise ExportError(
            f"{weights} in {precision} has {measured} against torch at {parity.width}x{parity.height}; {needed} is "
            "needed, so nothing was written. Export in float32, or calibrate on images like those to restore."
        )
