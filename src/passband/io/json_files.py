"""Writes JSON files, in which infinite numbers are texts because JSON has no infinity."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from passband.io.files import write_whole


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file.

    Args:
        path: path of the file; missing folders are made.
        content: content of the file. Numbers that are not finite become texts, which `float` reads back.

    Raises:
        WriteError: if the file cannot be written.
    """
    with write_whole(path) as temporary:
        temporary.write_text(json_text(content) + "\n", encoding="utf-8")


def json_text(content: Mapping[str, Any]) -> str:
    """Return the text of a JSON file.

    Args:
        content: content of the file, as in `write_json`.
    """
    return json.dumps(_finite(content), indent=2)


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite by texts; infinite ones come from identical images."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
