"""Entries of the user's own weights: runs, folders and files of weights, and weights in the cache of the hub."""

import json
import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from passband.catalog.entries import CatalogEntry, CatalogScore, count
from passband.models import MODELS
from passband.state_dicts import CheckpointError
from passband.weights_finding import CONFIG_FILE, RUN_FILE, WEIGHTS_FILE, run_weights
from passband.weights_io import load_config

DEPTH = 3
"""Number of levels of subfolders in which weights are looked for."""
SUFFIXES = (".pth", ".pkl", ".ckpt", ".safetensors")
"""Suffixes of single files of weights. Files of other suffixes are often something else."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Ends of the names of values that batch normalization measures; they are no parameters."""
VALIDATION = "its validation data"
"""Name of the data that the score of a run is of."""


def own_entries(folder: str | Path | None = None) -> list[CatalogEntry]:
    """Return the entries of the user's own weights.

    Args:
        folder: folder to look in, down to `DEPTH` levels of subfolders. None looks in the current folder and in the
            cache of the hub.

    Returns:
        Entries of runs with weights, of folders that `save_pretrained` or `passband convert` wrote, and of single files
        of weights. A single file is not read, so its network is unknown.

    Raises:
        FileNotFoundError: if the folder does not exist.
    """
    root = Path() if folder is None else Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder: name a folder to look for your own weights in")
    return [*_below(root, DEPTH), *(_hub_entries() if folder is None else ())]


def _below(folder: Path, depth: int) -> Iterator[CatalogEntry]:
    """Yield the entries of a folder and its subfolders."""
    if (folder / RUN_FILE).exists():
        entry = _run_entry(folder)
        if entry is not None:
            yield entry
        return
    if (folder / WEIGHTS_FILE).exists():
        yield _folder_entry(folder)
        return
    try:
        content = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError:
        return  # a folder that may not be read has no weights that could be used
    for one in content:
        path = folder / one.name
        if one.name.startswith("."):
            continue
        if one.is_file() and path.suffix.lower() in SUFFIXES:
            yield CatalogEntry(str(path), "own", "", bytes=one.stat().st_size, file=str(path), remark="not read")
        elif depth and one.is_dir(follow_symlinks=False):
            yield from _below(path, depth - 1)


def _run_entry(folder: Path) -> CatalogEntry | None:
    """Return the entry of a run; None if it has no weights yet, or its record is damaged."""
    try:
        run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        weights = run_weights(folder)
        figures = {name: float(value) for name, value in run["figures"].items()}
        remark = f"{run['status']} at step {run['step']}"
        tasks = _tasks(run)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    scores = (CatalogScore(VALIDATION, figures),) if figures else ()
    return _folder_entry(weights, str(folder), tasks=tasks, scores=scores, source=RUN_FILE, remark=remark)


def _tasks(run: dict[str, Any]) -> tuple[str, ...]:
    """Return the task of a run; that of a restoration is not known."""
    task = run["recipe"]["task"]
    return () if task == "restoration" else (str(task),)


def _folder_entry(folder: Path, name: str = "", **facts: Any) -> CatalogEntry:
    """Return the entry of a folder of weights."""
    file = folder / WEIGHTS_FILE
    try:
        config = load_config(folder)
    except CheckpointError:
        config = {}
        facts.setdefault("remark", f"without a readable {CONFIG_FILE}")
    network = str(config.get("model", ""))
    return CatalogEntry(
        name or str(folder),
        "own",
        network,
        bytes=file.stat().st_size,
        parameters=_stored_parameters(file) if network in MODELS else None,
        file=str(file),
        **facts,
    )


def _stored_parameters(file: Path) -> int | None:
    """Return the number of parameters in a file of weights, or None if it is damaged.

    Only the head of the file is read. To build the network would be slow in a folder with many weights, and a config of
    unknown origin may ask for a network of any size.
    """
    try:
        with safe_open(file, "numpy") as opened:
            names = [name for name in opened.keys() if not name.endswith(STATISTICS)]  # noqa: SIM118
            return sum(prod(opened.get_slice(name).get_shape()) for name in names)
    except (OSError, SafetensorError):
        return None


def _hub_entries() -> Iterator[CatalogEntry]:
    """Yield the entries of weights that lie in the cache of the hub."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repositories = scan_cache_dir().repos
    except (CacheNotFound, OSError, ValueError):
        return
    for repository in sorted(repositories, key=lambda one: one.repo_id):
        newest = max(repository.revisions, key=lambda one: one.last_modified, default=None)
        names = set() if newest is None else {file.file_name for file in newest.files}
        if newest is None or repository.repo_type != "model" or not {WEIGHTS_FILE, CONFIG_FILE} <= names:
            continue
        if not _is_ours(Path(newest.snapshot_path)):
            continue  # other projects use the same names of files
        yield _folder_entry(Path(newest.snapshot_path), repository.repo_id, remark="in the cache of the hub")


def _is_ours(folder: Path) -> bool:
    """Return whether a folder holds weights of a network that can be built."""
    try:
        return count(load_config(folder)) is not None
    except CheckpointError:
        return False
