"""Loads and saves the weights of networks and their configs, and copies weights into a network."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from passband.io.files import write_whole
from passband.io.json_files import write_json
from passband.io.onnx_metadata import read_onnx_metadata
from passband.naming import counted, listed
from passband.ops.checks import kind_of
from passband.state_dicts import PICKLE_SUFFIXES, CheckpointError, published_config, read_state, rename_published
from passband.weights_finding import CONFIG_FILE, WEIGHTS_FILE, checked_name, find_weights

ABOUT_DATA = ("preprocessing", "classes_named")
"""Keys of a config that are no arguments of the network: the preprocessing of its input, and the names of its
classes."""
EXPORTED_SUFFIX = ".onnx"
"""Suffix of exported files that hold the config of their network, if it classifies or segments."""
LISTED = 6
"""Largest number of entries that an error lists."""


def load_weights(source: str | Path, **hub_options: Any) -> dict[str, Tensor]:
    """Load a state dict.

    Args:
        source: weights to load, as `weights_finding.find_weights` finds them.
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
    return config


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
    write_json(folder / CONFIG_FILE, config)  # first, because a folder with weights alone would look complete
    with write_whole(folder / WEIGHTS_FILE) as path:
        path.write_bytes(save(state, metadata={"format": "pt"}))  # save_file would let only the owner read the file
