"""Writing a network for another engine, and showing that it still is the same network."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from passband.data.degradations import degrade
from passband.export.graph import ExportError, sfnet_graph
from passband.export.quantize import calibration_pictures, quantize, restored_gain, save_openvino
from passband.export.runtimes import OnnxRuntime, OpenVINORuntime, openvino_model, require
from passband.io.arrays import from_array
from passband.io.files import write_whole
from passband.metrics import psnr
from passband.models import load_model

FORMATS = {"onnx": ".onnx", "openvino": ".xml"}
PRECISIONS = ("float32", "float16", "int8")
LARGEST_DIFFERENCE = 1e-4
"""Of a float32 export from torch, anywhere in the picture."""
LEAST_AGREEMENT = {"float16": 60.0, "int8": 30.0}
"""Least PSNR of an export against torch, in dB. What int8 costs is measured against clean pictures, beside it."""
SIZES = ((64, 80), (120, 104))


@dataclass(frozen=True)
class Parity:
    """How an exported file and torch differ on one picture."""

    height: int
    width: int
    psnr: float
    """dB, for a signal of range 1; infinite where they are equal."""
    largest_difference: float


@dataclass(frozen=True)
class Exported:
    """What was written, and how near it is."""

    path: Path
    precision: str
    parities: list[Parity] = field(default_factory=list)
    psnr_torch: float | None = None
    """Of int8 alone: mean PSNR in dB against the clean picture, over the ways of degrading it, in torch float32."""
    psnr_exported: float | None = None
    """The same of what was exported."""


def export_model(
    weights: str | Path,
    output: Path,
    to: str,
    precision: str = "float32",
    calibration: Path | None = None,
    **overrides: Any,
) -> Exported:
    """Write weights for another engine, and compare what was written to torch at two sizes.

    Args:
        weights: as `models.load_model` takes them.
        output: the file: .onnx, or .xml, which gets a .bin with the parameters beside it.
        to: `"onnx"` or `"openvino"`.
        precision: of the file: `"float32"`, `"float16"` (ONNX: parameters and maps; OpenVINO: parameters, since it
            chooses by itself what to compute in) or `"int8"` (OpenVINO alone).
        calibration: folder of degraded pictures to measure the ranges of int8 on; None for photographs that come with
            scikit-image, degraded by `data.degrade`.
        overrides: keywords of the network's constructor.

    Returns:
        The comparison.

    Raises:
        CheckpointError: for weights that cannot be used.
        ExportError: for a network without a form in that format, a missing package, or a file that is not the network
            any more (it is not written then).
        OSError: where the file cannot be written.
    """
    _check(output, to, precision, calibration)
    require("openvino" if to == "openvino" else "onnxruntime", "onnx")
    model = load_model(weights, **overrides)
    write, make = _formats(model, to, precision, calibration)
    output.parent.mkdir(parents=True, exist_ok=True)
    # what is compared is the file, read again; only then does it get its name
    with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=output.parent) as folder:
        temporary = Path(folder) / output.name
        write(temporary)
        engine = make(temporary)
        parities = [_parity(model, engine, height, width) for height, width in SIZES]
        _check_parity(parities, precision, str(weights))
        costs: tuple[float | None, float | None] = (None, None)
        if precision == "int8":
            views = int(model.in_channels) // 3  # type: ignore[arg-type]
            costs = restored_gain(_reference(model), views), restored_gain(engine, views)
        del engine  # Windows moves no file that is open
        for part in (temporary.with_suffix(".bin"), temporary):
            if part.exists():
                part.replace(output.with_suffix(part.suffix))
    return Exported(output, precision, parities, *costs)


def _check(output: Path, to: str, precision: str, calibration: Path | None) -> None:
    """Refuse what does not fit together, before anything is loaded."""
    if to not in FORMATS:
        raise ExportError(f"export writes {' or '.join(FORMATS)}; got --to {to}")
    if precision not in PRECISIONS:
        raise ExportError(
            f"export writes {', '.join(PRECISIONS)}; got --precision {precision} "
            "(bfloat16 is chosen when the file runs: write float32)"
        )
    if output.suffix != FORMATS[to]:
        raise ExportError(f"--to {to} needs an output that ends in {FORMATS[to]}; got {output}")
    if precision == "int8" and to != "openvino":
        raise ExportError("int8 is for OpenVINO; use --to openvino")
    if calibration is not None and precision != "int8":
        raise ExportError(f"--calibration is for --precision int8; got {precision}")


def _formats(
    model: nn.Module, to: str, precision: str, calibration: Path | None
) -> tuple[Callable[[Path], None], Callable[[Path], Any]]:
    """What writes the file, and what runs it."""
    if to == "onnx":
        graph = sfnet_graph(model, half=precision == "float16")
        return lambda path: _write(path, graph.SerializeToString()), OnnxRuntime
    if precision == "int8":
        views = int(model.in_channels) // 3  # type: ignore[arg-type]
        made = quantize(model, calibration_pictures(calibration, views))
        return lambda path: save_openvino(made, path), lambda path: OpenVINORuntime(path, "int8")
    made = openvino_model(model)
    return lambda path: save_openvino(made, path, half=precision == "float16"), OpenVINORuntime


def _write(path: Path, content: bytes) -> None:
    with write_whole(path) as temporary:
        temporary.write_bytes(content)


def _reference(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network in torch, float32, full size."""

    @torch.inference_mode()
    def run(image: Tensor) -> Tensor:
        return model(image)[-1]

    return run


def _parity(model: nn.Module, engine: Callable[[Tensor], Tensor], height: int, width: int) -> Parity:
    """Compare on a photograph, in haze, which shows differences most."""
    from skimage.data import chelsea

    clean = from_array(chelsea())[0][:, 60 : 60 + height, 140 : 140 + width]
    views = int(model.in_channels) // 3  # type: ignore[arg-type]
    image = degrade(clean, "haze", seed=1, index=0, version=1)[None].repeat(1, views, 1, 1)
    exported, reference = engine(image), _reference(model)(image)
    return Parity(height, width, psnr(exported, reference).item(), (exported - reference).abs().max().item())


def _check_parity(parities: list[Parity], precision: str, weights: str) -> None:
    """Raise where a file is not the network any more."""
    for parity in parities:
        # written so that NaN fails, too
        if precision == "float32" and not parity.largest_difference <= LARGEST_DIFFERENCE:
            found, needed = f"differs by {parity.largest_difference:.1e}", f"at most {LARGEST_DIFFERENCE:.0e}"
        elif precision != "float32" and not parity.psnr >= LEAST_AGREEMENT[precision]:
            found, needed = f"agrees to {parity.psnr:.1f} dB", f"{LEAST_AGREEMENT[precision]:.0f} dB"
        else:
            continue
        raise ExportError(
            f"{weights} in {precision} {found} from torch at {parity.width}x{parity.height}, where {needed} is needed; "
            "nothing was written: export in float32, or calibrate on pictures like those to restore"
        )
