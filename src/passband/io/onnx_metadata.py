"""Reads the entries that an ONNX file holds beside its network."""

from pathlib import Path


def read_onnx_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of an ONNX file.

    Args:
        path: path of the file.

    Returns:
        Values by name.

    Raises:
        ImportError: if the package onnx is not installed.
        OSError: if the file cannot be read.
        ValueError: if it is not an ONNX file.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise ValueError(f"{path} is damaged or not an ONNX file") from error
    return {entry.key: entry.value for entry in model.metadata_props}
