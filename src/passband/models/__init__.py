"""Networks, a folder for each task; `MODELS` lists them by name."""

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from passband.models.base import without_initial_weights
from passband.models.classification.dct_efficientnet import (
    FrequencyEfficientNet,
    dct_efficientnet_lite0,
    efficientnet_lite0,
)
from passband.models.classification.dct_mobilenet import FrequencyMobileNet, dct_mobilenet_v2, mobilenet_v2
from passband.models.classification.dct_resnet import FrequencyResNet, dct_resnet18, dct_resnet50, resnet18, resnet50
from passband.models.classification.dct_vit import FrequencyViT, dct_vit
from passband.models.classification.gated import (
    Gated,
    GatedClassifier,
    from_published,
    gated_dct_resnet18,
    gated_dct_resnet50,
)
from passband.models.classification.imagenet import fit_first_block, load_imagenet
from passband.models.detection.dct_mask_rcnn import (
    FrequencyRCNN,
    dct_mask_rcnn,
    dct_mask_rcnn_lite0,
    dct_mask_rcnn_resnet18,
)
from passband.models.inspection.inspector import InspectorNetwork, inspector
from passband.models.network_task import other_task_error
from passband.models.restoration.convir import ConvIR, convir, convir_b, convir_l, convir_s, convir_tiny
from passband.models.restoration.foreign import load_foreign
from passband.models.restoration.fsnet import FSNet, fsnet, fsnet_small
from passband.models.restoration.published import published_file_hint
from passband.models.restoration.sfnet import SFNet, sfnet, sfnet_small
from passband.models.segmentation.smp import SMPNetwork, smp
from passband.models.segmentation.unet import UNet, unet
from passband.naming import entry, listed, printable
from passband.state_dicts import PICKLE_SUFFIXES, CheckpointError, published_config, read_state, rename_published
from passband.weights_finding import CONFIG_FILE, OTHERS_ADVICE, checked_name, find_weights
from passband.weights_io import ABOUT_DATA, load_config, load_state

WITHOUT_WEIGHTS = re.compile("(max|min)_size|pool_window|tile|rpn_.*_top_n_.*")
"""Arguments of networks that may be larger than any side of the weights: sides of images, and counts of proposals."""
MODELS: dict[str, Callable[..., nn.Module]] = {
    "sfnet": sfnet,
    "sfnet-small": sfnet_small,
    "fsnet": fsnet,
    "fsnet-small": fsnet_small,
    "convir": convir,
    "convir-s": convir_s,
    "convir-b": convir_b,
    "convir-l": convir_l,
    "convir-tiny": convir_tiny,
    "dct-resnet18": dct_resnet18,
    "dct-resnet50": dct_resnet50,
    "dct-mobilenet-v2": dct_mobilenet_v2,
    "dct-vit": dct_vit,
    "dct-efficientnet-lite0": dct_efficientnet_lite0,
    "dct-mask-rcnn": dct_mask_rcnn,
    "dct-mask-rcnn-resnet18": dct_mask_rcnn_resnet18,
    "dct-mask-rcnn-lite0": dct_mask_rcnn_lite0,
    "gated-dct-resnet18": gated_dct_resnet18,
    "gated-dct-resnet50": gated_dct_resnet50,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "mobilenet-v2": mobilenet_v2,
    "efficientnet-lite0": efficientnet_lite0,
    "inspector": inspector,
    "unet": unet,
    "smp": smp,
}

__all__ = [
    "MODELS",
    "ConvIR",
    "FSNet",
    "FrequencyEfficientNet",
    "FrequencyMobileNet",
    "FrequencyRCNN",
    "FrequencyResNet",
    "FrequencyViT",
    "Gated",
    "GatedClassifier",
    "InspectorNetwork",
    "SFNet",
    "SMPNetwork",
    "UNet",
    "accepted_arguments",
    "build_from",
    "build_model",
    "convir",
    "convir_b",
    "convir_l",
    "convir_s",
    "convir_tiny",
    "dct_efficientnet_lite0",
    "dct_mask_rcnn",
    "dct_mask_rcnn_lite0",
    "dct_mask_rcnn_resnet18",
    "dct_mobilenet_v2",
    "dct_resnet18",
    "dct_resnet50",
    "dct_vit",
    "efficientnet_lite0",
    "fit_first_block",
    "from_published",
    "fsnet",
    "fsnet_small",
    "gated_dct_resnet18",
    "gated_dct_resnet50",
    "inspector",
    "load_imagenet",
    "load_model",
    "load_with_config",
    "mobilenet_v2",
    "pick_device",
    "resnet18",
    "resnet50",
    "sfnet",
    "sfnet_small",
    "smp",
    "task_of",
    "unet",
]


def build_model(name: str, **arguments: Any) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        name: name of the network, a key of `MODELS`.
        arguments: keywords of its constructor.

    Returns:
        The network.

    Raises:
        ValueError: if the name or a keyword is unknown; the message suggests the nearest.
    """
    builder, accepted = entry(name, MODELS, "network"), accepted_arguments(name)
    for argument in arguments:
        entry(argument, accepted, f"argument of {name}")
    return builder(**arguments)


def accepted_arguments(name: str) -> Mapping[str, inspect.Parameter]:
    """Return the keywords that a network's builder takes.

    Args:
        name: name of the network, a key of `MODELS`.

    Raises:
        ValueError: if the name is unknown; the message suggests the nearest.
    """
    builder = entry(name, MODELS, "network")
    # a builder takes the keywords of the class that it returns, or of the class's from_arguments
    target = inspect.signature(builder).return_annotation
    target = getattr(target, "from_arguments", target)
    return inspect.signature(target if callable(target) else builder).parameters


def build_from(config: dict[str, Any]) -> nn.Module:
    """Build the network of a config with fresh weights.

    Args:
        config: `{"model": name, argument: value, ...}`; its entries about data (`weights_io.ABOUT_DATA`) are ignored.

    Returns:
        The network.

    Raises:
        ValueError: as `build_model` raises it.
    """
    arguments = {key: value for key, value in config.items() if key not in ("model", *ABOUT_DATA)}
    return build_model(config["model"], **arguments)


def task_of(weights: str | Path) -> str:
    """Return the task that weights are for, by their config alone; the weights are not read.

    Args:
        weights: weights as `models.load_model` takes them.

    Returns:
        A key of `network_task.NETWORKS`. Weights that cannot be found or have no config count as restoration, because
        loading them then says what is wrong. Pickles are published restoration networks.
    """
    try:
        if Path(checked_name(weights)).suffix in PICKLE_SUFFIXES and Path(weights).is_file():
            return "restoration"
        name = load_config(weights)["model"]
    except CheckpointError:
        return "restoration"
    return _task_of_network(name)


def _task_of_network(name: str) -> str:
    """Return the task of a network of a name; restoration if there is no such network."""
    builder = MODELS.get(name)
    built = inspect.signature(builder).return_annotation if builder is not None else None
    return getattr(built, "task", "restoration")


def load_model(source: str | Path, *, task: str | None = None, **overrides: Any) -> nn.Module:
    """Load a network with its weights, ready for evaluation.

    Args:
        source: shipped name, folder of passband, published pickle of SFNet, FSNet or ConvIR, hub id, or a file of
            another restoration network that spandrel knows, see `models.restoration.foreign`.
        task: task that the network must be for, a key of `network_task.NETWORKS`; None for any task.
        overrides: keywords of the constructor that replace those of the config, such as `pool_window=210`.

    Returns:
        The network in evaluation mode.

    Raises:
        CheckpointError: if the weights are missing, unsafe, damaged, of another network or for another task.
        ValueError: if an override is unknown.
    """
    return load_with_config(source, task=task, **overrides)[0]


def load_with_config(
    source: str | Path,
    *,
    task: str | None = None,
    hub_options: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> tuple[nn.Module, dict[str, Any]]:
    """Load a network with its weights, ready for evaluation, and read its config once.

    Args:
        source: shipped name, folder of passband, published pickle of SFNet, FSNet or ConvIR, hub id, or a file of
            another restoration network that spandrel knows, see `models.restoration.foreign`.
        task: task that the network must be for, a key of `network_task.NETWORKS`; None for any task.
        hub_options: options of `huggingface_hub.hf_hub_download`, for a hub id; None for the defaults.
        overrides: keywords of the constructor that replace those of the config, such as `pool_window=210`.

    Returns:
        The network in evaluation mode, and its config as stored; the config is empty for a network of another project.

    Raises:
        CheckpointError: if the weights are missing, unsafe, damaged, of another network or for another task.
        ValueError: if an override is unknown.
    """
    hub = hub_options or {}
    try:
        path = find_weights(source, **hub)
    except CheckpointError as error:
        hint = published_file_hint(source)
        if hint == "":
            raise
        raise CheckpointError(f"{error}{hint}") from error
    stored = read_state(path)
    state = rename_published(stored)
    found = published_config(state)
    is_bare = found is None and (path.suffix != ".safetensors" or not path.with_name(CONFIG_FILE).exists())
    if is_bare:
        foreign = load_foreign(stored, source, **overrides)
        if foreign is not None:
            if task not in ("restoration", None):
                raise other_task_error(source, foreign.name, "restoration", task)
            return foreign.eval(), {}
    config = found if found is not None and path.suffix in PICKLE_SUFFIXES else load_config(source, **hub)
    own = _task_of_network(config["model"])
    if task not in (own, None):
        raise other_task_error(source, config["model"], own, task)
    _check_arguments(config, state, source)
    try:
        model = build_from(without_initial_weights({**config, **overrides}))
    except (
        TypeError,
        ValueError,
        ArithmeticError,
        RuntimeError,
    ) as error:  # torch raises these for arguments that do not fit
        reason = printable(str(error).splitlines()[0])
        if isinstance(error, TypeError):
            reason = f"an argument of the network is of a wrong type, in {CONFIG_FILE} or among the keywords ({reason})"
        if reason.startswith("unknown ") and not overrides:
            reason += ". Weights of a newer version of passband need that version."
        raise CheckpointError(f"{source}: {reason}") from error
    if is_bare and not state.keys() & model.state_dict().keys():
        raise CheckpointError(
            f"{source}: neither passband nor spandrel knows a network with these entries: "
            f"{listed(stored, 6)}. {OTHERS_ADVICE}"
        )
    load_state(model, state, source=source)
    return model.eval(), config


def _check_arguments(config: dict[str, Any], state: dict[str, torch.Tensor], source: str | Path) -> None:
    """Raise an error for a config of a network that is far larger than the weights, before memory is allocated."""
    largest = max(1000, len(state), *(side for value in state.values() for side in value.shape))
    for key, value in config.items():
        is_size = isinstance(value, int | float) and key not in ABOUT_DATA and not WITHOUT_WEIGHTS.fullmatch(key)
        if is_size and not abs(value) <= largest:
            raise CheckpointError(
                f"{source}: {key} = {value} does not fit these weights, whose sides are up to {largest}"
            )


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of a name.

    Args:
        name: `"auto"` (a GPU if there is one), or a name of torch: `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`.

    Raises:
        ValueError: if torch does not know the device or this machine does not have it.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:  # its message lists many kinds of devices that torch here lacks
        raise ValueError(f"device is one of auto, cpu, cuda, cuda:1 or mps; got {name!r}") from error
    if device.type == "meta":
        raise ValueError("device 'meta' holds no values, so nothing can be computed there; try auto or cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used here: {reason}; try auto or cpu") from error
    return device
