"""Lists all weights that passband can run: shipped ones, the user's own, and published ones to fetch by hand."""

from collections.abc import Collection
from pathlib import Path

from passband.catalog.entries import CatalogEntry, CatalogScore
from passband.catalog.own import own_entries
from passband.catalog.published import published_entries
from passband.catalog.shipped import shipped_entries
from passband.naming import entry, suggestion
from passband.weights_finding import AUTO, one_network_needed

KINDS = ("shipped", "own", "published")
"""Kinds of weights, in the order of the list."""

__all__ = ["KINDS", "CatalogEntry", "CatalogScore", "find_entry", "list_weights"]


def list_weights(
    kinds: Collection[str] = (), task: str | None = None, folder: str | Path | None = None
) -> list[CatalogEntry]:
    """List the weights that passband can run.

    Args:
        kinds: kinds to list: `"shipped"` (in the package), `"own"` (runs, folders and files of weights in a folder, and
            the cache of the hub) and `"published"` (to fetch by hand); empty for all.
        task: degradation that the weights must remove, such as `"dehaze"`; None for all. The user's own weights of
            unknown task are then left out.
        folder: folder in which to look for the user's own weights; None for the current folder and the cache of the
            hub.

    Returns:
        The entries, by kind.

    Raises:
        ValueError: if a kind or the task is unknown; the message suggests the nearest one.
        FileNotFoundError: if the folder does not exist.
    """
    chosen = [entry(kind, dict(zip(KINDS, KINDS, strict=True)), "kind of weights") for kind in kinds] or KINDS
    makers = {"shipped": shipped_entries, "own": lambda: own_entries(folder), "published": published_entries}
    if task is not None:
        known = sorted({name for one in (*shipped_entries(), *published_entries()) for name in one.tasks})
        entry(task, dict.fromkeys(known), "task of weights")
    entries = [one for kind in KINDS if kind in chosen for one in makers[kind]()]
    return [one for one in entries if task is None or task in one.tasks]


def find_entry(name: str, folder: str | Path | None = None) -> CatalogEntry:
    """Return the entry of a name.

    Args:
        name: name of an entry, in upper or lower case, or the name of a published file.
        folder: folder of the user's own weights, as `list_weights` takes it.

    Raises:
        ValueError: if no entry has this name; the message suggests the nearest one.
        FileNotFoundError: if the folder does not exist.
    """
    entries = list_weights(folder=folder)
    wanted = name.lower()
    for one in entries:
        if wanted in (one.name.lower(), one.file.lower()):
            return one
    if name == AUTO:
        raise ValueError(one_network_needed(name))
    near = suggestion(name, [one.name for one in entries])
    raise ValueError(f"There are no weights named {name!r} in the list.{near} passband weights list shows all names.")
