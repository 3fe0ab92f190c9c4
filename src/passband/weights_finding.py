"""Finds weights by name: shipped ones, files, folders, runs and hub ids; an error suggests the nearest names."""

import os
import re
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from torch import nn

from passband.io.paths import NAME_BYTES, from_home
from passband.naming import listed, nearest, shortened
from passband.ops.checks import kind_of
from passband.state_dicts import PICKLE_SUFFIXES, CheckpointError, first_line

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
RUN_FILE = "run.json"
AUTO = "auto"
"""Name that stands for networks which are chosen for each image, see `inference.inspection.auto`. It is no network."""
JOINT = "+"
"""Character between names of networks that restore an image one after the other, see `inference.restoration.chain`."""
INSPECTOR = "inspector"
"""Shipped weights of the network that finds how an image is degraded. They cannot restore images."""
OTHERS_ADVICE = "passband.compare scores any other restoration network by a folder of images that it restored."
"""Sentence for users whose network passband cannot load."""
LISTED = 6
"""Largest number of folders that an error lists."""
RUNS = "runs"
"""Folder of runs in the examples. A name inside it is a path, even if the folder does not exist."""
HUB_PAUSE = 60.0
"""Seconds for which a hub that could not be reached is not asked again, because its client tries for half a minute."""
_unreached: dict[str, float] = {}
"""Hub ids that could not be reached, with the time of the last attempt."""


def shipped_weights() -> dict[str, Path]:
    """Return the folders of the restoration weights inside the package, by name."""
    return {name: folder for name, folder in packaged_weights().items() if name != INSPECTOR}


def packaged_weights() -> dict[str, Path]:
    """Return the folders of all weights inside the package, by name."""
    root = Path(str(files("passband"))) / "weights"
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{WEIGHTS_FILE}"))}


def find_weights(source: str | Path, name: str = WEIGHTS_FILE, **hub_options: Any) -> Path:
    """Find a file of some weights, and download it if `source` is a hub id.

    Args:
        source: weights to find: a shipped name, a folder with model.safetensors, a safetensors file, the folder of a
            run (for its best weights), a published pickle, or a hub id (OWNER/NAME).
        name: name of the file to find, if `source` is a folder, a shipped name or a hub id.
        hub_options: options of `huggingface_hub.hf_hub_download`, for a hub id.

    Returns:
        Path of the file. If `source` is a file, the result is that file, whatever its name.

    Raises:
        CheckpointError: if there are no such weights. The message suggests similar names.
    """
    source = checked_name(source)
    path = packaged_weights().get(str(source), Path(source))
    if path.is_dir():
        file = run_weights(path) / name
        if file.is_dir():
            raise CheckpointError(f"{file} is a folder, but a file is needed: save the weights again")
        return file
    if path.exists():
        if path.suffix not in (*PICKLE_SUFFIXES, ".safetensors"):
            raise CheckpointError(
                f"{path} does not look like weights: expected .safetensors or one of {', '.join(PICKLE_SUFFIXES)}"
            )
        return path
    if not _is_hub_id(source):
        raise _unknown_weights_error(source)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    missing = f"{source}: there is no such file or folder, and the hub gave no {name}: "
    if time.monotonic() - _unreached.get(str(source), -HUB_PAUSE) < HUB_PAUSE:
        raise CheckpointError(f"{missing}it could not be reached a moment ago.")
    try:
        return Path(hf_hub_download(str(source), name, **hub_options))
    except Exception as error:  # the client raises errors of its own, of requests and of the system
        if isinstance(error, LocalEntryNotFoundError) and not hub_options:
            _unreached[str(source)] = time.monotonic()
        raise CheckpointError(f"{missing}{first_line(error)}") from error


def run_weights(folder: Path, prefer: Literal["best", "last"] = "best") -> Path:
    """Return the folder that holds model.safetensors: a folder of weights itself, or a folder inside a run.

    Args:
        folder: folder with weights, folder of a run, or the folder `weights` of a run.
        prefer: weights of a run to choose, best or last. If the run has no such weights, the other ones are chosen.

    Raises:
        CheckpointError: if the folder holds no weights, or if it is a run that has none yet.
    """
    if (folder / WEIGHTS_FILE).exists():
        return folder
    is_run = (folder / RUN_FILE).exists()
    parent = folder / "weights" if (folder / "weights").is_dir() else folder
    for name in (prefer, "best", "last"):
        if (parent / name / WEIGHTS_FILE).exists():
            return parent / name
    is_sweep = any(folder.glob(f"*/{RUN_FILE}"))
    if is_run and not is_sweep:
        raise CheckpointError(
            f"{folder} is a run that has no weights yet, because it was not validated. Continue its training with "
            "--resume if it has a checkpoint, or train again"
        )
    raise CheckpointError(_no_weights_message(folder))


def checked_name(source: Any) -> str | Path:
    """Return the name or path of some weights, if it is one; a leading `~` of a path is the home folder.

    Args:
        source: the value that a user passed as weights.

    Raises:
        CheckpointError: if it is empty, or longer than any path.
        TypeError: if it is neither a text nor a path, for example a network.
    """
    if not isinstance(source, str | Path):
        advice = ""
        if hasattr(source, "save_pretrained"):
            advice = " Save the network with save_pretrained(FOLDER), and pass this folder."
        elif isinstance(source, nn.Module | Mapping):
            advice = f" A network of passband is passed as the folder of its save_pretrained(FOLDER). {OTHERS_ADVICE}"
        raise TypeError(f"weights must be the name or the path of saved weights, got {kind_of(source)}.{advice}")
    if not str(source):
        raise CheckpointError("weights must be a name or a path; got an empty text. The current folder is '.'")
    if any(len(os.fsencode(part)) > NAME_BYTES for part in Path(source).parts):
        raise CheckpointError(
            f"No weights named {shortened(repr(str(source)))}: a part of this path has more than {NAME_BYTES} bytes."
        )
    return from_home(source) if str(source).startswith("~") else source


def one_network_needed(weights: str | Path) -> str:
    """Return a sentence that refuses weights that choose networks for each image, where one network is needed.

    Args:
        weights: name of the weights, such as `auto`.
    """
    return (
        f"{str(weights)!r} chooses restoration networks for each image, in passband restore and passband compare, but "
        "one network is needed here."
    )


def _is_hub_id(source: str | Path) -> bool:
    """Return whether a name can be a hub id. A name inside a folder that exists here is a path with a typing error."""
    parent = Path(source).parent
    return re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) is not None and parent != Path(RUNS) and not parent.is_dir()


def _unknown_weights_error(source: str | Path) -> CheckpointError:
    """Return the error for weights that do not exist, with the nearest names."""
    folder, shipped = Path(source).parent, shipped_weights()
    local = sorted(path.parent.name for path in folder.glob(f"*/{WEIGHTS_FILE}"))
    near = nearest(Path(source).name, [*packaged_weights(), *local])
    if near in local and near not in packaged_weights():
        near = str(folder / near)
    hint = "" if near is None else f" Did you mean {near!r}?"
    if JOINT in str(source):
        hint = f" Networks joined by {JOINT} restore one after the other, but one network is needed here."
    problem = one_network_needed(source) if str(source) == AUTO else f"No weights named {str(source)!r}.{hint}"
    here = f" In {'this folder' if folder == Path() else folder}: {listed(local)}." if local else ""
    return CheckpointError(
        f"{problem} Shipped weights: {', '.join(shipped)}.{here} A folder, a file or a hub id (OWNER/NAME) will also "
        "do."
    )


def _no_weights_message(folder: Path) -> str:
    """Return the message for a folder without weights, with the runs or weights in its subfolders."""
    runs = sorted(path.parent for path in folder.glob(f"*/{RUN_FILE}"))
    below = runs or sorted(path.parent for path in folder.glob(f"*/{WEIGHTS_FILE}"))
    if not below:
        return (
            f"{folder} holds no weights: there is no {WEIGHTS_FILE} in it. Give a folder that `passband train` or "
            "save_pretrained wrote."
        )
    kind = "It holds several runs:" if runs else "It holds several folders of weights:"
    return f"{folder} holds no weights itself. {kind} use {listed([str(path) for path in below], LISTED)}."
