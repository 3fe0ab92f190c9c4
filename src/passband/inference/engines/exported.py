"""Loads a network for a predictor: weights for torch, or an exported file for ONNX Runtime."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from passband.export.exported_network import ExportedNetwork
from passband.export.network_writer import ExportError
from passband.export.onnx.session import CPU_PROVIDER
from passband.export.runtimes import runtime_of
from passband.models import load_with_config, pick_device
from passband.models.network_task import NETWORKS, check_task
from passband.naming import with_article
from passband.weights_finding import checked_name
from passband.weights_io import EXPORTED_SUFFIX


def load_network(
    weights: str | Path, task: str, device: str = "auto", provider: str | None = None
) -> tuple[nn.Module, dict[str, Any], torch.device]:
    """Load a classifier or a segmentation network from weights, or from a file of `passband export`.

    Args:
        weights: weights to load, as `models.load_model` takes them, or an .onnx file of `passband export`.
        task: task that the network must be for, a key of `models.network_task.NETWORKS`.
        device: name of a device, see `models.pick_device`; an exported file takes `"auto"` and `"cpu"`.
        provider: execution provider of ONNX Runtime that runs an exported file; None for the CPU.

    Returns:
        The network, its whole config, and the device.

    Raises:
        CheckpointError: if the weights cannot be used, or are for another task.
        ExportError: if an exported file cannot be run.
        ValueError: if this machine does not have the device, or the provider or device does not fit the weights.
    """
    runtime = runtime_of(weights)
    if runtime is None:
        if provider is not None:
            raise ValueError(
                f"--provider is for exported files ({EXPORTED_SUFFIX}), got the weights {weights}; leave it out, or "
                "run passband export first"
            )
        chosen_device = pick_device(device)
        return *load_with_config(weights, task=task), chosen_device
    if runtime != "onnxruntime":
        network = with_article(NETWORKS[task])
        raise ExportError(f"{network} runs from weights or an {EXPORTED_SUFFIX} file here, got {weights}")
    if device not in ("auto", "cpu"):
        raise ValueError(
            f"exported files run on the processor or on the execution provider that --provider names, got the device "
            f"{device!r}; leave it out"
        )
    network = ExportedNetwork(Path(checked_name(weights)), provider or CPU_PROVIDER)
    check_task(network, task, weights, f"export weights of {with_article(NETWORKS[task])}")
    return network, network.config, torch.device("cpu")
