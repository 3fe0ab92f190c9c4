"""Imports the packages of engines, and says what is wrong with them."""

from importlib import import_module

from passband.export.network_writer import ExportError


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
            import_module(name)
        except ImportError as error:
            raise ExportError(
                f"the engine {engine} needs the package {name}, which cannot be imported here ({error}); "
                f"install it with: pip install 'passband[{extra}]'"
            ) from error


def reason_of(error: Exception) -> str:
    """Return the first informative line of the message of an engine.

    Args:
        error: error that the engine raised.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Exception from", "Check "))), type(error).__name__)
