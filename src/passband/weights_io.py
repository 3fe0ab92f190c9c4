"""Weights on disk: ours (a folder with safetensors and a config) and the published pickles, read safely."""

import json
import pickle
import re
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from passband.io.files import write_whole
from passband.naming import listed, nearest, printable

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
RUN_FILE = "run.json"
ABOUT_DATA = ("preprocessing", "classes_named")
"""Keys of a config that are no numbers of the network: how its input is made, and the names of what it tells apart."""
PICKLE_SUFFIXES = (".pkl", ".pth", ".pt", ".ckpt", ".bin")

WRAPPERS = ("model", "model_state_dict", "state_dict", "params_ema", "params", "net")
"""Keys under which training programs put the state dict in a pickle; averaged weights before the others."""

SFNET_PUBLISHED_KEYS = (
    (r"^Encoder\.(\d)\.layers\.", r"encoder.\1."),
    (r"^Decoder\.0\.layers\.", "decoder.2."),  # the released decoder counts from the smallest scale
    (r"^Decoder\.1\.layers\.", "decoder.1."),
    (r"^Decoder\.2\.layers\.", "decoder.0."),
    (r"\.conv1\.main\.0\.", ".conv_in."),
    (r"\.conv2\.main\.0\.", ".conv_out."),
    (r"\.dyna\.", ".filters.0."),
    (r"\.dyna_2\.", ".filters.1."),
    (r"(\.filters\.\d)\.conv\.", r"\1.predict."),
    (r"(\.filters\.\d)\.bn\.", r"\1.norm."),
    (r"\.modulate\.fc\.", ".modulator.squeeze."),
    (r"\.modulate\.fcs\.0\.", ".modulator.excite_high."),
    (r"\.modulate\.fcs\.1\.", ".modulator.excite_low."),
    (r"\.modulate\.out\.", ".modulator.join."),
    (r"\.global_ap\.fscale_h$", ".modulate_global.high"),
    (r"\.global_ap\.fscale_d$", ".modulate_global.low"),
    (r"\.localap\.h$", ".modulate_window.high"),
    (r"\.localap\.l$", ".modulate_window.low"),
    (r"^feat_extract\.([012])\.main\.0\.", r"stem.\1."),
    (r"^feat_extract\.3\.main\.0\.", "grow.1."),
    (r"^feat_extract\.4\.main\.0\.", "grow.0."),
    (r"^feat_extract\.5\.main\.0\.", "head.0."),
    (r"^ConvsOut\.0\.main\.0\.", "head.2."),
    (r"^ConvsOut\.1\.main\.0\.", "head.1."),
    (r"^Convs\.0\.main\.0\.", "merge.1."),
    (r"^Convs\.1\.main\.0\.", "merge.0."),
    (r"^FAM2\.merge\.main\.0\.", "fuse.0."),
    (r"^FAM1\.merge\.main\.0\.", "fuse.1."),
    (r"^SCM2\.main\.4\.", "shallow.0.7."),
    (r"^SCM1\.main\.4\.", "shallow.1.7."),
    (r"^SCM2\.main\.0\.main\.0\.", "shallow.0.0."),
    (r"^SCM2\.main\.1\.main\.0\.", "shallow.0.2."),
    (r"^SCM2\.main\.2\.main\.0\.", "shallow.0.4."),
    (r"^SCM2\.main\.3\.main\.0\.", "shallow.0.6."),
    (r"^SCM1\.main\.0\.main\.0\.", "shallow.1.0."),
    (r"^SCM1\.main\.1\.main\.0\.", "shallow.1.2."),
    (r"^SCM1\.main\.2\.main\.0\.", "shallow.1.4."),
    (r"^SCM1\.main\.3\.main\.0\.", "shallow.1.6."),
)
"""Published SFNet names to ours: every pattern that matches is replaced, in this order."""

SFNET_UNUSED_KEYS = re.compile(r"\.(lamb_l|lamb_h)$")
"""Saved by the released code, used by nothing in it."""


class CheckpointError(ValueError):
    """Weights that cannot be used, with their source and the reason in the message."""


INSPECTOR = "inspector"
"""Weights inside the package that restore nothing, but say what is wrong with a picture."""


def shipped_weights() -> dict[str, Path]:
    """Name to folder of the weights of restoration networks inside the package."""
    return {name: folder for name, folder in _packaged().items() if name != INSPECTOR}


def _packaged() -> dict[str, Path]:
    """Name to folder of all weights inside the package."""
    root = Path(str(files("passband"))) / "weights"
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{WEIGHTS_FILE}"))}


def load_weights(source: str | Path, **hub_options: Any) -> dict[str, Tensor]:
    """Read a state dict, whatever it lies in.

    Args:
        source: a shipped name, a folder with model.safetensors, such a file, a run's folder (for its best weights), a
            published pickle, or a hub id.
        hub_options: passed to `huggingface_hub.hf_hub_download` for a hub id.

    Returns:
        Name to tensor, with our names for published SFNet ones.

    Raises:
        CheckpointError: where there are no weights, or none that load safely.
    """
    return with_our_names(read_state(find_weights(source, WEIGHTS_FILE, **hub_options)))


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file, with the names that it has there.

    Args:
        path: a safetensors file or a pickle.

    Raises:
        CheckpointError: for a file that is damaged, holds no state dict, or would need code to run.
    """
    return _read_pickle(path) if path.suffix in PICKLE_SUFFIXES else _read_safetensors(path)


def load_config(source: str | Path, **hub_options: Any) -> dict[str, Any]:
    """Read what a folder of ours says of its network: `{"model": name, number: value, ...}`, and `ABOUT_DATA`.

    Args:
        source: as in `load_weights`. A published pickle says nothing of itself: it is the published SFNet.
        hub_options: as in `load_weights`.

    Raises:
        CheckpointError: where there is no config, or it is not one of ours.
    """
    path = find_weights(source, CONFIG_FILE, **hub_options)
    if path.suffix in PICKLE_SUFFIXES:
        return {"model": "sfnet"}
    if path.suffix == ".safetensors":
        path = path.with_name(CONFIG_FILE)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{source}: there is no {CONFIG_FILE} beside the weights to say which network they are for"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} holds no settings of a network but a {type(config).__name__}")
    return with_current_names({"model": "sfnet", **config})


def with_current_names(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a network with the names that its arguments have now.

    Args:
        config: as a file holds it. Version 0.1.0 called the input of a detector `way`, `"A"` or `"B"`.
    """
    former = {"A": "pixels", "B": "coefficients"}
    if config.get("way") not in former:
        return config
    renamed = {key: value for key, value in config.items() if key != "way"}
    return {**renamed, "input": former[config["way"]]}


def find_weights(source: str | Path, name: str = WEIGHTS_FILE, **hub_options: Any) -> Path:
    """Find the file `name` of some weights.

    Args:
        source: as in `load_weights`.
        name: the file wanted where `source` is a folder, a shipped name or a hub id.
        hub_options: as in `load_weights`.

    Raises:
        CheckpointError: where there is nothing of that name, saying what was looked for.
    """
    path = _packaged().get(str(source), Path(source))
    if path.is_dir():
        return run_weights(path) / name
    if path.exists():
        if path.suffix not in (*PICKLE_SUFFIXES, ".safetensors"):
            raise CheckpointError(
                f"{path} does not look like weights: expected .safetensors or one of {', '.join(PICKLE_SUFFIXES)}"
            )
        return path
    if not _is_hub_id(source):
        raise _nothing(source)
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(str(source), name, **hub_options))
    except Exception as error:  # the hub's client raises its own, requests' and the system's errors
        raise CheckpointError(
            f"{source}: no such file or folder here, and the hub gave no {name}: {_first_line(error)}"
        ) from error


def here_or_hub(source: str | Path) -> str:
    """Where the hub's own `from_pretrained` finds weights: the folder of a shipped name, another path, or a hub id.

    Args:
        source: one of these.

    Raises:
        CheckpointError: for what is none of them, which the hub would be asked for again and again.
    """
    path = _packaged().get(str(source), Path(source))
    if not path.exists() and not _is_hub_id(source):
        raise _nothing(source)
    if path.is_dir():
        path = run_weights(path)
    return str(path if path.exists() else source)


def run_weights(folder: Path, prefer: Literal["best", "last"] = "best") -> Path:
    """The folder in which the weights lie that a folder stands for.

    Args:
        folder: with weights, or of a run, or the folder `weights` of a run.
        prefer: which weights of a run to take; the others where it has no such.

    Raises:
        CheckpointError: for a folder that is none of these, or a run that has no weights yet.
    """
    if (folder / WEIGHTS_FILE).exists():
        return folder
    is_run = (folder / RUN_FILE).exists()
    held = folder / "weights" if (folder / "weights").is_dir() else folder
    for name in (prefer, "best", "last"):
        if (held / name / WEIGHTS_FILE).exists():
            return held / name
    if is_run and not any(folder.glob(f"*/{RUN_FILE}")):  # which a sweep of runs has
        raise CheckpointError(
            f"{folder} is a run that has no weights yet, because it was not validated: go on with it (passband train "
            f"-o {folder} --resume), or choose other weights"
        )
    raise CheckpointError(_without_weights(folder))


def _is_hub_id(source: str | Path) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) is not None


def _nothing(source: str | Path) -> CheckpointError:
    """What is said of a name that leads nowhere."""
    folder, shipped = Path(source).parent, shipped_weights()
    beside = sorted(found.parent.name for found in folder.glob(f"*/{WEIGHTS_FILE}"))
    near = nearest(Path(source).name, [*shipped, *beside])
    if near in beside and near not in shipped:
        near = str(folder / near)
    hint = "" if near is None else f" Did you mean {near!r}?"
    here = f" In {'this folder' if folder == Path() else folder}: {listed(beside)}." if beside else ""
    return CheckpointError(
        f"no weights named {str(source)!r}.{hint} Shipped weights: {', '.join(shipped)}.{here} A folder, a file or a "
        "hub id (OWNER/NAME) will also do."
    )


def _without_weights(folder: Path) -> str:
    """What is said of a folder that holds no weights, with those that lie below it."""
    runs = sorted(found.parent for found in folder.glob(f"*/{RUN_FILE}"))
    below = runs or sorted(found.parent for found in folder.glob(f"*/{WEIGHTS_FILE}"))
    if not below:
        return (
            f"{folder} holds no weights: there is no {WEIGHTS_FILE} in it. Give a folder that `passband train` or "
            "save_pretrained wrote."
        )
    kind = "It holds several runs:" if runs else "Give one of its folders:"
    return f"{folder} holds no weights itself. {kind} use {listed([str(path) for path in below], 6)}."


def load_state(module: nn.Module, state: dict[str, Tensor], source: str | Path) -> None:
    """Copy a state dict into a network, all of it or none.

    Args:
        module: the network; its dtype and device stay.
        state: name to tensor.
        source: what to call the weights in an error.

    Raises:
        CheckpointError: listing the names that miss, are left over or have another shape, or that hold values that
            are not finite.
    """
    own = module.state_dict()
    # counters of BatchNorm, which published files may lack and which evaluation does not use
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems = [
        f"{len(names)} {what}: {_some(names)}"
        for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{source}: these weights are not for this {type(module).__name__}; entries {'; '.join(problems)}"
        )
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise CheckpointError(f"{source}: {len(broken)} entries hold NaN or infinity: {_some(broken)}")
    module.load_state_dict(state, strict=False)


def with_our_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Translate published SFNet names, and leave out what the published network saves and never uses.

    Args:
        state: name to tensor; names that are not published ones pass, without a leading `module.`.
    """
    named = {}
    for key, value in state.items():
        new = key.removeprefix("module.")
        if SFNET_UNUSED_KEYS.search(new):
            continue
        for pattern, replacement in SFNET_PUBLISHED_KEYS:
            new = re.sub(pattern, replacement, new)
        named[new] = value
    return named


def is_sfnet(state: dict[str, Tensor]) -> bool:
    """Whether these, under our names, are weights of an SFNet of whatever size."""
    needed = ("stem.0.weight", "shallow.0.7.weight", "fuse.1.weight", "head.2.weight")
    return all(key in state for key in needed) and any(".filters.0.modulator.excite_low." in key for key in state)


def save_weights(module: nn.Module, folder: Path, config: dict[str, Any], dtype: torch.dtype | None = None) -> None:
    """Write model.safetensors and config.json into a folder, each whole.

    Args:
        module: the network.
        folder: made where it does not exist.
        config: `{"model": name, number: value, ...}`.
        dtype: for floating-point parameters; None keeps theirs. Buffers keep theirs always, because running
            statistics can leave the range of half precision.

    Raises:
        OSError: where the folder cannot be written.
    """
    parameters = dict(module.named_parameters())
    state = {
        key: (value.to(dtype) if dtype and key in parameters else value).detach().cpu().contiguous()
        for key, value in module.state_dict().items()
    }
    with write_whole(folder / WEIGHTS_FILE) as path:
        path.write_bytes(save(state, metadata={"format": "pt"}))  # save_file would make a file for its owner only
    with write_whole(folder / CONFIG_FILE) as path:
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        reason = printable(str(error))  # which may quote what a damaged header holds
        raise CheckpointError(f"{path} is damaged or not a safetensors file: {reason}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    """Read a published pickle with a loader that builds tensors and plain containers, and nothing else."""
    try:
        with warnings.catch_warnings():  # about pickle protocols, of which the error below says enough
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needed = re.search(r"(?:GLOBAL|global|callable) ([\w.]+)", str(error))
        reason = (
            f"it asks for {needed[1]}, which could run code" if needed else "it is damaged, or needs more than tensors"
        )
        raise CheckpointError(f"{path} was refused, and nothing in it was run: {reason}") from error
    except Exception as error:  # a damaged pickle makes the loader raise anything
        if isinstance(error, MemoryError) or getattr(error, "filename", None) is not None:
            raise  # the system refuses the file
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} was refused, and nothing in it was run: it is a TorchScript program; a state dict is needed"
            ) from error
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {_first_line(error)}") from error
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f'{path} holds no state dict: expected {{"model": {{name: tensor}}}} or {{name: tensor}}')
    return content


def _first_line(error: Exception) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _some(names: list[str], most: int = 6) -> str:
    """The first few of a list of names."""
    return ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")
