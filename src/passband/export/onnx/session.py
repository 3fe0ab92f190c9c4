"""Starts files of ONNX Runtime on an execution provider."""

from pathlib import Path
from typing import Any

import torch

from passband.export.network_writer import ExportError
from passband.export.packages import reason_of, require
from passband.naming import suggestion

CPU_PROVIDER = "CPUExecutionProvider"
_PROVIDER_PACKAGES = {
    "TensorrtExecutionProvider": "pip install onnxruntime-gpu tensorrt",
    "CUDAExecutionProvider": "pip install onnxruntime-gpu",
    "DmlExecutionProvider": "pip install onnxruntime-directml (Windows)",
    "CoreMLExecutionProvider": "pip install onnxruntime (macOS)",
    "OpenVINOExecutionProvider": "pip install onnxruntime-openvino",
}
"""Packages that bring execution providers; each of them replaces the package onnxruntime."""


def start_session(source: Any, provider: str = CPU_PROVIDER) -> Any:
    """Start a network with ONNX Runtime.

    Args:
        source: .onnx file, or `onnx.ModelProto` in memory.
        provider: name of the execution provider, see `onnx_providers`. Parts of the network that it cannot compute run
            on the CPU.

    Returns:
        An `onnxruntime.InferenceSession`, with as many threads as torch has.

    Raises:
        ExportError: if ONNX Runtime is not installed, this build of it has no such provider, the provider does not
            start on this machine, or the file is damaged.
    """
    require("onnxruntime", "onnxruntime")
    import onnxruntime

    check_provider(provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    if provider == "DmlExecutionProvider":  # DirectML needs both settings
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    network = str(source) if isinstance(source, str | Path) else source.SerializeToString()
    providers = [provider] if provider == CPU_PROVIDER else [provider, CPU_PROVIDER]
    try:
        session = onnxruntime.InferenceSession(network, options, providers=providers)
    except Exception as error:  # ONNX Runtime raises many classes of errors, which share no base class
        what = "is damaged or not an ONNX network"
        if provider != CPU_PROVIDER:
            what += f", or {provider} cannot run it"
        raise ExportError(f"{shown_name(source)} {what}: {reason_of(error)}") from error
    if provider not in session.get_providers():
        raise ExportError(
            f"{provider} is in this build of ONNX Runtime but does not start on this machine, often because a "
            "driver or a library is missing; its own message is above. Leave out --provider to run on the CPU."
        )
    return session


def onnx_providers() -> list[str]:
    """Return the names of the execution providers of the installed build of ONNX Runtime.

    Returns:
        Names such as `CUDAExecutionProvider`, the fastest provider first.

    Raises:
        ExportError: if ONNX Runtime is not installed.
    """
    require("onnxruntime", "onnxruntime")
    import onnxruntime

    return onnxruntime.get_available_providers()


def check_provider(provider: str) -> None:
    """Refuse an execution provider that the installed build of ONNX Runtime does not have.

    Args:
        provider: name of the provider, such as `"CUDAExecutionProvider"`.

    Raises:
        ExportError: if ONNX Runtime is not installed, or has no such provider; the message lists those that it has.
    """
    available = onnx_providers()
    if provider not in available:
        known = {_short(name): name for name in (*_PROVIDER_PACKAGES, *available)}
        name = known.get(_short(provider), provider)  # such as TensorRT, without the end of the name
        install = "" if name in available else _PROVIDER_PACKAGES.get(name)
        near = f" Did you mean {name!r}?" if name != provider else "" if install else suggestion(provider, available)
        hint = f" It comes with: {install}." if install else ""
        raise ExportError(
            f"--provider is one of {', '.join(available)} in this build of ONNX Runtime; got {provider!r}.{near}{hint}"
        )


def _short(provider: str) -> str:
    """Return the name of an execution provider in small letters, without its end."""
    return provider.lower().removesuffix("executionprovider")


def shown_name(source: Any) -> str:
    """Return the name of a network for messages: its path, or a description if it is in memory.

    Args:
        source: path, or model in memory.
    """
    return str(source) if isinstance(source, str | Path) else "the exported network"
