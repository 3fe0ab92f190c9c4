"""Finds, loads and saves weights: shipped ones, folders with safetensors and a config, runs, pickles and hub ids."""

import json
import os
import re
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from passband.io.files import NAME_BYTES, from_home, write_whole
from passband.io.json_files import write_json
from passband.io.onnx_metadata import read_onnx_metadata
from passband.naming import counted, listed, nearest, shortened
from passband.ops.checks import kind_of
from passband.state_dicts import (
    PICKLE_SUFFIXES,
    CheckpointError,
    first_line,
    published_config,
    read_state,
    rename_published,
)

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
RUN_FILE = "run.json"
ABOUT_DATA = ("preprocessing", "classes_named")
"""Keys of a config that are no arguments of the network: the preprocessing of its input, and the names of its
classes."""
EXPORTED_SUFFIX = ".onnx"
"""Suffix of exported files that hold the config of their network, if it classifies or segments."""
AUTO = "auto"
"""Name that stands for networks which are chosen for each image, see `inference.network_choice`. It is no network."""
JOINT = "+"
"""Character between the names of networks that restore an image one after the other, see `inference.network_chain`."""
INSPECTOR = "inspector"
"""Shipped weights of the network that finds how an image is degraded. They cannot restore images."""
LISTED = 6
"""Largest number of names that an error lists."""
RUNS = "runs"
"""Folder of runs in the examples. A name inside it is a path, even if the folder does not exist."""
HUB_PAUSE = 60.0
"""Seconds for which a hub that could not be reached is not asked again, because its client tries for half a minute."""
_unreached: dict[str, float] = {}
"""Hub ids that could not be reached, with the time of the last attempt."""


def shipped_weights() -> dict[str, Path]:
    """Return the folders of the restoration weights inside the package, by name."""
    return {name: folder for name, folder in packaged_weights().items() if name != INSPECTOR}


def load_weights(source: str | Path, **hub_options: Any) -> dict[str, Tensor]:
    """Load a state dict.

    Args:
        source: weights to load: a shipped name, a folder with model.safetensors, a safetensors file, the folder of a
            run (for its best weights), a published pickle, or a hub id (OWNER/NAME).
        hub_options: options of `huggingface_hub.hf_hub_download`, for a hub id.

    Returns:
        Tensors by name. Published names of SFNet, FSNet and ConvIR are translated into ours.

    Raises:
        CheckpointError: if the weights do not exist, or cannot be loaded safely.
    """
    return rename_published(read_state(find_weights(source, WEIGHTS_FILE, **hub_options)))


def load_config(source: str | Path, **hub_options: Any) -> dict[str, Any]:
    """Load the config of a network: its architecture, its arguments, and the entries that `ABOUT_DATA` names.

    Args:
        source: weights whose config is loaded, as in `load_weights`, or an exported classifier or segmentation network
            (.onnx). Pickles have no config; their network and its size are found by the names and shapes of the
            tensors. A pickle of any other network is taken as an SFNet.
        hub_options: options of `huggingface_hub.hf_hub_download`, for a hub id.

    Returns:
        A config such as `{"model": name, argument: value}`.

    Raises:
        CheckpointError: if there is no config, or if it is damaged.
    """
    source = checked_name(source)
    if Path(source).suffix == EXPORTED_SUFFIX and Path(source).is_file():
        return _exported_config(Path(source))
    path = find_weights(source, CONFIG_FILE, **hub_options)
    if path.suffix in PICKLE_SUFFIXES:
        return published_config(rename_published(read_state(path))) or {"model": "sfnet"}
    if path.suffix == ".safetensors":
        path = path.with_name(CONFIG_FILE)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{source}: there is no {CONFIG_FILE} beside the weights, which names the network they are for"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} must hold the config of a network; it holds {kind_of(config)}")
    config = {"model": "sfnet", **config}
    if not isinstance(config["model"], str):
        raise CheckpointError(f"{path}: model must be the name of a network; it is {kind_of(config['model'])}")
    return with_current_names(config)


def _exported_config(path: Path) -> dict[str, Any]:
    """Return the config that `passband export` wrote into an ONNX file.

    Raises:
        CheckpointError: if there is none, as in an exported restoration network, or the file cannot be read.
    """
    try:
        config = json.loads(read_onnx_metadata(path).get("config", "null"))
    except ImportError as error:
        raise CheckpointError(
            f"{path} needs the package onnx ({error}); install it with: pip install 'passband[onnx]'"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(
            f"{path} is no exported classifier or segmentation network; an exported restoration network is for "
            "passband restore"
        )
    return config


def with_current_names(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a network with the current names of its arguments.

    Args:
        config: config as a file holds it. Version 0.1.0 called the input of a detector `way`, `"A"` or `"B"`.
    """
    inputs = {"A": "pixels", "B": "coefficients"}
    if config.get("way") not in inputs:
        return config
    renamed = {key: value for key, value in config.items() if key != "way"}
    return {**renamed, "input": inputs[config["way"]]}


def find_weights(source: str | Path, name: str = WEIGHTS_FILE, **hub_options: Any) -> Path:
    """Find a file of some weights, and download it if `source` is a hub id.

    Args:
        source: weights to find, as in `load_weights`.
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
        if isinstance(source, nn.Module | Mapping):
            advice = " Save the network with save_pretrained(FOLDER), and pass this folder."
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
            f"{folder} is a run that has no weights yet, because it was not validated. To continue it, run: passband "
            f"train -o {folder} --resume"
        )
    raise CheckpointError(_no_weights_message(folder))


def load_state(module: nn.Module, state: dict[str, Tensor], source: str | Path) -> None:
    """Copy a state dict into a network. If an entry does not fit, nothing is copied.

    Args:
        module: network that receives the weights. Its dtype and device do not change.
        state: tensors by name.
        source: name of the weights for error messages.

    Raises:
        CheckpointError: if entries are missing, unknown, of another shape, or not finite. The message lists them.
    """
    own = module.state_dict()
    # published files may lack the counters of BatchNorm, which evaluation does not use
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems = [
        f"{len(names)} {problem}: {listed(names, LISTED)}"
        for problem, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{source}: these weights are not for this {type(module).__name__}. Entries: {'; '.join(problems)}"
        )
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"{source}: {counted(len(broken), 'entry holds', 'entries hold')} NaN or infinity: {listed(broken, LISTED)}"
        )
    module.load_state_dict(state, strict=False)


def save_weights(module: nn.Module, folder: Path, config: dict[str, Any], dtype: torch.dtype | None = None) -> None:
    """Write model.safetensors and config.json into a folder.

    Each file is written under a temporary name first, so that no reader finds an incomplete file.

    Args:
        module: network whose weights are written.
        folder: folder to write to, which is created if it does not exist.
        config: config of the network, such as `{"model": name, argument: value}`.
        dtype: dtype of floating-point parameters in the file. None keeps their dtype. Buffers always keep theirs,
            because running statistics can exceed the range of half precision.

    Raises:
        OSError: if the folder cannot be written.
    """
    parameters = dict(module.named_parameters())
    state = {
        key: (value.to(dtype) if dtype and key in parameters else value).detach().cpu().contiguous()
        for key, value in module.state_dict().items()
    }
    with write_whole(folder / WEIGHTS_FILE) as path:
        path.write_bytes(save(state, metadata={"format": "pt"}))  # save_file would let only the owner read the file
    write_json(folder / CONFIG_FILE, config)


def packaged_weights() -> dict[str, Path]:
    """Return the folders of all weights inside the package, by name."""
    root = Path(str(files("passband"))) / "weights"
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{WEIGHTS_FILE}"))}


def _is_hub_id(source: str | Path) -> bool:
    """Return whether a name can be a hub id. A name inside a folder that exists here is a path with a typing error."""
    parent = Path(source).parent
    return re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) is not None and parent != Path(RUNS) and not parent.is_dir()


def _unknown_weights_error(source: str | Path) -> CheckpointError:
    """Return the error for weights that do not exist, with the nearest names."""
    folder, shipped = Path(source).parent, shipped_weights()
    local = sorted(path.parent.name for path in folder.glob(f"*/{WEIGHTS_FILE}"))
    near = nearest(Path(source).name, [*shipped, *local])
    if near in local and near not in shipped:
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
