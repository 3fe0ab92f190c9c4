"""Imports the packages of engines, and says what is wrong with them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from passband.export.network_writer import ExportError

TELEMETRY = "openvino_telemetry"
"""Package by which OpenVINO and NNCF send to a server that they are used. They need not have it."""


def require(engine: str, *modules: str) -> None:
    """Import the modules that an engine needs.

    Args:
        engine: name of the engine.
        modules: names of the modules.

    Raises:
        ExportError: if a module cannot be imported. The message tells how to install it.
    """
    extra = engine if engine in ("coreml", "openvino", "ncnn") else "onnx"
    for name in modules:
        try:
            with without_telemetry():
                import_module(name)
        except ImportError as error:
            raise ExportError(
                f"the engine {engine} needs the package {name}, which cannot be imported here ({error}); "
                f"install it with: pip install 'passband[{extra}]'"
            ) from error


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Hide the telemetry of OpenVINO and NNCF from them while they are imported, because nobody has agreed to it.

    It would also start a thread, write into the user's home folder, and decide how `multiprocessing` starts processes.
    A program that has imported the package before keeps it.
    """
    if TELEMETRY in sys.modules:
        yield
        return
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # an import is then an ImportError
    try:
        yield
    finally:
        del sys.modules[TELEMETRY]


def reason_of(error: Exception) -> str:
    """Return the first informative line of the message of an engine.

    Args:
        error: error that the engine raised.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Exception from", "Check "))), type(error).__name__)
