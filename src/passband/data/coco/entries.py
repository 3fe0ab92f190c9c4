"""The lists of a COCO file, checked as far as their entries stand alone."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TYPES = {"file_name": str, "name": str}
"""Keys whose values are text; those of `bbox` are checked with their picture, all others are whole numbers."""
LONGEST = 1_000_000
"""Longest side of a picture, in pixels; what is longer is damage."""


class CocoError(ValueError):
    """A file of annotations that is damaged or contradicts itself; the message names it."""


def read_json(path: Path) -> dict[str, Any]:
    """The content of a file of annotations.

    Args:
        path: the file.

    Raises:
        CocoError: where it is cut short, damaged, or no object.
        OSError: where it cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CocoError(f"{path} is cut short or no JSON: {error}") from error
    if not isinstance(content, dict):
        kind = "a list, as files of results have" if isinstance(content, list) else f"{str(content)[:40]!r}"
        raise CocoError(f"{path} needs an object with images, annotations and categories; got {kind}")
    return content


def checked_entries(
    content: Mapping[str, Any], name: str, keys: Sequence[str], path: Path
) -> Sequence[Mapping[str, Any]]:
    """One of the lists, whose entries have these keys.

    Args:
        content: of the file.
        name: of the list.
        keys: that every entry needs.
        path: of the file, for errors.

    Raises:
        CocoError: where the list, a key or a value of its kind is missing.
    """
    entries = content.get(name)
    if not isinstance(entries, list):
        raise CocoError(f"{path} needs a list {name!r}, as COCO's files of instances have; it has {_listed(content)}")
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or any(key not in entry for key in keys):
            raise CocoError(f"{path}: entry {place} of {name!r} needs {', '.join(keys)}; it has {_listed(entry)}")
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
    """Refuse entries with one number.

    Args:
        entries: of a list.
        name: of the list.
        path: of the file, for errors.

    Raises:
        CocoError: naming the number.
    """
    counts = Counter(entry["id"] for entry in entries)
    if len(counts) < len(entries):
        number, count = counts.most_common(1)[0]
        raise CocoError(f"{path} has {count} entries of {name!r} with the id {number}; each needs its own")


def _printable(key: Any) -> str:
    """A key as it is, or quoted where a terminal would take it for more than text; shortened."""
    text = str(key)[:40]
    return text if text.isprintable() else repr(text)


def _listed(value: Any) -> str:
    """The keys of an object, or what came in its place."""
    return (
        (", ".join(_printable(key) for key in value) or "nothing")
        if isinstance(value, Mapping)
        else f"{str(value)[:40]!r}"
    )
