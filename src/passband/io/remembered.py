"""Remembers measurements of this machine in the user's cache folder."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from passband.io.json_files import write_json
from passband.io.paths import cache_folder

MOST_KEPT = 1000
"""Number of measurements that a file keeps."""


def remembered(name: str, key: str, is_result: Callable[[str], bool], measure: Callable[[], str]) -> str:
    """Return the result of an earlier measurement, or measure and keep the result.

    Args:
        name: name of a file in the user's cache folder.
        key: everything that decides the result.
        is_result: function that tells whether a stored text is a possible result; others are measured again.
        measure: function that measures.
    """
    path = cache_folder() / name
    known = _read(path)
    if key not in known or not isinstance(known[key], str) or not is_result(known[key]):
        known[key] = measure()
        latest = dict(list(known.items())[-MOST_KEPT:])
        with suppress(OSError):  # a folder that cannot be written costs a measurement per process
            write_json(path, latest)
    return known[key]


def _read(path: Path) -> dict[str, str]:
    """Return the results of earlier measurements; nothing if the file is missing or damaged."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
