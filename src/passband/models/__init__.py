"""Networks, one file per architecture, by name in `MODELS`."""

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from passband.checkpoint import CheckpointError, load_config, load_state, load_weights
from passband.models.sfnet import SFNet, sfnet, sfnet_small

MODELS: dict[str, Callable[..., nn.Module]] = {"sfnet": sfnet, "sfnet-small": sfnet_small}

__all__ = ["MODELS", "SFNet", "build_model", "load_model", "pick_device", "sfnet", "sfnet_small"]


def build_model(name: str, **numbers: Any) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        name: a key of `MODELS`.
        numbers: keywords of its constructor.

    Raises:
        ValueError: for an unknown name or keyword, naming the nearest.
    """
    builder = _known(name, MODELS, "network")
    # a builder takes overrides for the class it returns
    target = inspect.signature(builder).return_annotation
    accepted = inspect.signature(target if inspect.isclass(target) else builder).parameters
    for number in numbers:
        _known(number, accepted, f"number of {name}")
    return builder(**numbers)


def load_model(source: str | Path, **overrides: Any) -> nn.Module:
    """Load a network with its weights, ready for evaluation.

    Args:
        source: a shipped name, a folder of ours, a published SFNet pickle, or a hub id.
        overrides: keywords of the constructor that replace those of the config, such as `pool_window=210`.

    Raises:
        CheckpointError: where the weights are missing, unsafe, damaged or for another network.
        ValueError: for an unknown override.
    """
    config = {**load_config(source), **overrides}
    name = config.pop("model")
    try:
        model = build_model(name, **config)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: {error}") from error
    load_state(model, load_weights(source), source=source)
    return model.eval()


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name.

    Args:
        name: `"auto"` (a GPU where there is one), or what torch calls a device: `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`.

    Raises:
        ValueError: for a device that torch does not know or this machine does not have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used here: {reason}; try auto or cpu") from error
    return device


def _known(name: str, known: Any, what: str) -> Any:
    """The entry of `known` called `name`, or an error that names the nearest."""
    if name in known:
        return known[name]
    nearest = get_close_matches(name, list(known), n=1, cutoff=0.0)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"unknown {what} {name!r}{hint} (known: {', '.join(known)})")
