"""Names that people type: the entry of a name, or an error that names the nearest."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, whatever the case; None where none is known."""
    by_lower = {other.lower(): other for other in known}
    matches = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    return by_lower[matches[0]] if matches else None


def entry(name: str, known: Mapping[str, Entry], what: str) -> Entry:
    """The entry of a name.

    Args:
        name: as typed.
        known: what there is.
        what: the kind of thing, for the error.

    Raises:
        ValueError: for an unknown name, with the nearest and all that are known.
    """
    if name in known:
        return known[name]
    near = nearest(name, known)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"unknown {what} {name!r}{hint} (known: {', '.join(known)})")
