"""Reads state dicts from files without running code in them, and translates the names of published networks."""

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from passband.naming import printable

PICKLE_SUFFIXES = (".pkl", ".pth", ".pt", ".ckpt", ".bin")
"""Suffixes of files that are read as pickles."""
WRAPPERS = ("model", "model_state_dict", "state_dict", "params_ema", "params-ema", "params", "net", "netG", "network")
"""Keys under which training programs store the state dict in a pickle. Averaged weights come before others."""

PUBLISHED_KEYS = (
    (r"^(En|De)coder\.(\d)\.layers\.layers\.", r"\1coder.\2.layers.blocks."),  # the stages of FSNet at full size
    (r"^(En|De)coder\.(\d)\.layers\.conv\.", r"\1coder.\2.layers.join."),
    (r"^Encoder\.(\d)\.layers\.", r"encoder.\1."),
    (r"^Decoder\.0\.layers\.", "decoder.2."),  # the released decoder counts from the smallest scale
    (r"^Decoder\.1\.layers\.", "decoder.1."),
    (r"^Decoder\.2\.layers\.", "decoder.0."),
    (r"^(encoder|decoder)\.(\d\.\d+)\.main\.0\.main\.0\.", r"\1.\2.conv_in."),  # the blocks of ConvIR
    (r"^(encoder|decoder)\.(\d\.\d+)\.main\.2\.main\.0\.", r"\1.\2.conv_out."),
    (r"^(encoder|decoder)\.(\d\.\d+)\.main\.1\.", r"\1.\2.scales."),
    (r"\.scales\.conv_sum\.", ".scales.join."),
    (r"\.dynas\.(\d)\.square_att\.", r".filters.\1.square."),
    (r"\.dynas\.(\d)\.strip_att\.H_spatial_att\.", r".filters.\1.across."),
    (r"\.dynas\.(\d)\.strip_att\.W_spatial_att\.", r".filters.\1.down."),
    (r"\.dynas\.(\d)\.strip_att\.gamma$", r".filters.\1.gain"),
    (r"\.dynas\.(\d)\.strip_att\.beta$", r".filters.\1.through"),
    (r"(\.filters\.\d\.(?:square|across|down))\.conv\.", r"\1.predict."),
    (r"(\.filters\.\d\.square)\.bn\.", r"\1.norm."),
    (r"(\.filters\.\d\.(?:square|across|down))\.inside_all$", r"\1.inside"),
    (r"(\.filters\.\d\.(?:square|across|down))\.lamb_l$", r"\1.low"),
    (r"(\.filters\.\d\.(?:square|across|down))\.lamb_h$", r"\1.high"),
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
"""Patterns of published names of SFNet, FSNet and ConvIR, and our names for them. Every pattern that matches is
replaced, in this order."""

UNUSED_KEYS = re.compile(r"\.dyna(_2)?\.(lamb_l|lamb_h)$")
"""Entries that the released code of SFNet and FSNet saves and never uses."""


class CheckpointError(ValueError):
    """Raised if weights cannot be used. The message names the weights and the reason."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a file, with the names that the file uses.

    Args:
        path: path of a safetensors file or a pickle.

    Returns:
        Tensors by name.

    Raises:
        CheckpointError: if the file is damaged, holds no state dict, or could only be read by running code in it.
    """
    return _read_pickle(path) if path.suffix in PICKLE_SUFFIXES else _read_safetensors(path)


def rename_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Translate published names of SFNet, FSNet and ConvIR into ours, and leave out entries that they never use.

    Args:
        state: tensors by name. Names that are not published names of these networks are kept, without a leading
            `module.`.

    Returns:
        Tensors by their new names.
    """
    renamed = {}
    for key, value in state.items():
        name = key.removeprefix("module.")
        if UNUSED_KEYS.search(name):
            continue
        for pattern, replacement in PUBLISHED_KEYS:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


def published_config(state: dict[str, Tensor]) -> dict[str, Any] | None:
    """Return the config of the network of three scales that a state dict holds the weights of; None for any other.

    Args:
        state: tensors by our names, as `rename_published` returns them.

    Returns:
        The name of the network, and its width, depth and number of input channels, such as `{"model": "convir",
        "width": 32, "depth": 8, "in_channels": 3}`. Arguments without weights, such as pooling windows, are unknown.
    """
    needed = ("stem.0.weight", "shallow.0.7.weight", "fuse.1.weight", "head.2.weight")
    if not all(key in state and state[key].ndim in (1, 4) for key in needed):
        return None
    width, in_channels = state["stem.0.weight"].shape[:2]

    def blocks(prefix: str) -> int:
        numbers = (key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix))
        return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)

    depth, full_depth = blocks("encoder.1."), blocks("encoder.0.")
    numbers = {"width": width, "depth": depth, "in_channels": in_channels}
    if any(".filters.0.square." in key for key in state):
        return {"model": "convir", **numbers, **({} if full_depth == depth else {"full_depth": full_depth})}
    if not any(".filters.0.modulator.excite_low." in key for key in state):
        return None
    if "encoder.0.down.weight" in state:
        return {"model": "fsnet", **numbers, "full_depth": blocks("encoder.0.blocks.")}
    return {"model": "sfnet", **numbers}


def first_line(error: Exception) -> str:
    """Return the first line of the message of an error, or the name of its class if it has no message.

    Args:
        error: error of any kind.
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        reason = printable(str(error))  # the reason may quote any bytes of a damaged header
        raise CheckpointError(
            f"{path} is damaged or not a safetensors file ({reason}): copy or save it again"
        ) from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    """Read a published pickle with a loader that builds only tensors and plain containers."""
    try:
        with warnings.catch_warnings():  # warnings about pickle protocols repeat what the errors below say
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needed = re.search(r"(?:GLOBAL|global|callable) ([\w.]+)", str(error))
        reason = (
            f"it asks for {needed[1]}, which could run code" if needed else "it is damaged, or needs more than tensors"
        )
        raise CheckpointError(f"{path} was refused, and nothing in it was run: {reason}") from error
    except Exception as error:  # the loader raises errors of any kind for damaged pickles
        if isinstance(error, MemoryError) or getattr(error, "filename", None) is not None:
            raise  # the system could not read the file
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} was refused, and nothing in it was run: it is a TorchScript program; a state dict is needed"
            ) from error
        # the messages of other errors, such as the number of a byte, say nothing
        reason = first_line(error) if isinstance(error, RuntimeError) else "it holds no pickle of tensors"
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {reason}") from error
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if isinstance(content, dict) and len(content) == 1:
        (only,) = content.values()
        content = only if isinstance(only, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f'{path} holds no state dict: expected {{"model": {{name: tensor}}}} or {{name: tensor}}')
    return content
