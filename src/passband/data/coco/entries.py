"""Checks the lists of a COCO file as far as their entries can be checked alone."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TYPES = {"file_name": str, "name": str}
"""Keys whose values are text. Values of `bbox` are checked together with their image; all other values are integers."""
LONGEST = 1_000_000
"""Longest side of an image in pixels; a larger value means that the file is damaged."""


class CocoError(ValueError):
    """Raised if an annotation file is damaged or contradicts itself; the message names the file."""


def read_json(path: Path) -> dict[str, Any]:
    """Read an annotation file.

    Args:
        path: path of the file.

    Returns:
        The content of the file.

    Raises:
        CocoError: if the file is cut short, damaged, or not a JSON object.
        OSError: if the file cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CocoError(f"{path} is cut short or not JSON: {error}") from error
    if not isinstance(content, dict):
        kind = "a list, as files of results have" if isinstance(content, list) else f"{str(content)[:40]!r}"
        raise CocoError(f"{path} needs an object with images, annotations and categories; got {kind}")
    return content


def checked_entries(
    content: Mapping[str, Any], name: str, keys: Sequence[str], path: Path
) -> Sequence[Mapping[str, Any]]:
    """Return a list of the file after checking the keys of its entries.

    Args:
        content: content of the file.
        name: key of the list.
        keys: keys that every entry needs.
        path: path of the file, for error messages.

    Returns:
        The entries of the list.

    Raises:
        CocoError: if the list or a key is missing, or a value has the wrong type or range.
    """
    entries = content.get(name)
    if not isinstance(entries, list):
        raise CocoError(
            f"{path} needs a list {name!r}, as COCO's files of instances have; it has {_key_names(content)}"
        )
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or any(key not in entry for key in keys):
            raise CocoError(f"{path}: entry {place} of {name!r} needs {', '.join(keys)}; it has {_key_names(entry)}")
        for key in keys:
            kind, value = _TYPES.get(key, int), entry[key]
            if key != "bbox" and (not isinstance(value, kind) or isinstance(value, bool)):
                wanted = "text" if kind is str else "a whole number"
                raise CocoError(f"{path}: entry {place} of {name!r} needs {wanted} as {key}; got {value!r}")
            if key in ("height", "width") and int(value) < 1:
                raise CocoError(f"{path}: image {entry['id']} needs a {key} of at least 1 pixel; got {value}")
            if key in ("height", "width") and int(value) > LONGEST:
                raise CocoError(f"{path}: image {entry['id']} needs a {key} of at most {LONGEST} pixels")
    return entries


def unique(entries: Sequence[Mapping[str, Any]], name: str, path: Path) -> None:
    """Raise an error if two entries have the same id.

    Args:
        entries: entries of a list.
        name: key of the list.
        path: path of the file, for error messages.

    Raises:
        CocoError: if an id is used twice; the message names it.
    """
    counts = Counter(entry["id"] for entry in entries)
    if len(counts) < len(entries):
        number, count = counts.most_common(1)[0]
        raise CocoError(f"{path} has {count} entries of {name!r} with the id {number}; each needs its own")


def _printable(key: Any) -> str:
    """Shorten a key, and quote it if it contains control characters."""
    text = str(key)[:40]
    return text if text.isprintable() else repr(text)


def _key_names(value: Any) -> str:
    """List the keys of an object, or show another value."""
    return (
        (", ".join(_printable(key) for key in value) or "nothing")
        if isinstance(value, Mapping)
        else f"{str(value)[:40]!r}"
    )
