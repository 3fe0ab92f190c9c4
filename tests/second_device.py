"""A device without hardware, `"other"`, whose tensors compute on the CPU but refuse to be mixed with tensors of it.

It finds tensors that code creates on the CPU although its input is elsewhere. `enable` changes this process, so tests
use a process of their own: `python second_device.py` runs all calls of `device_calls` and prints the failures.
"""

import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

DEVICE = "other:0"
MAY_MIX = {"copy_", "_to_copy", "index", "index_put_", "_index_put_impl_"}
"""Operations that also take tensors of the CPU: copies, and indices, as on a GPU."""


class OtherTensor(Tensor):
    """A tensor that says that it is on the device `other`, and holds its values on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OtherTensor":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(DEVICE),
            requires_grad=False,
        )
        made.held = held
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OtherTensor({self.held})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


class OtherDevice(TorchDispatchMode):
    """Catches the functions that create tensors on the device `other`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(func, args, kwargs or {})


def dispatch(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operation on the CPU, and tell on which device its results are."""
    name = func._schema.name.split("::")[1]
    inputs: list[Tensor] = []
    tree_map(lambda part: inputs.append(part) if isinstance(part, Tensor) else None, (args, kwargs))
    is_other = any(isinstance(part, OtherTensor) for part in inputs)
    strangers = [part for part in inputs if not isinstance(part, OtherTensor) and part.ndim]
    if is_other and strangers and name not in MAY_MIX:
        raise RuntimeError(f"{name} gets a tensor of the CPU, shape {tuple(strangers[0].shape)}, beside the device's")
    if inputs and name in MAY_MIX and "index" in name and is_other and not isinstance(inputs[0], OtherTensor):
        raise RuntimeError("indices of the device are used for a tensor of the CPU")
    kwargs = dict(kwargs)
    device = kwargs.get("device")
    if device is not None:
        is_other = torch.device(device).type == "other"
        kwargs["device"] = torch.device("cpu")
    if is_other and kwargs.get("generator") is not None:
        raise RuntimeError(f"{name} gets a random generator of the CPU for a tensor of the device")
    plain_args, plain_kwargs = tree_map(
        lambda part: part.held if isinstance(part, OtherTensor) else part, (args, kwargs)
    )
    plain_kwargs.pop("pin_memory", None)
    result = func(*plain_args, **plain_kwargs)
    if func._schema.name.endswith("_") and args and isinstance(args[0], OtherTensor):
        return args[0]
    if not is_other:
        return result
    return tree_map(lambda part: OtherTensor(part) if type(part) is Tensor else part, result)


def enable() -> None:
    """Register the device in this process."""
    _setup_privateuseone_for_python_backend("other")
    module = torch.get_device_module("other")
    module.get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]  # needed by torch.autocast
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=...) then passes through the mode
    OtherDevice().__enter__()


def moved(model: nn.Module) -> nn.Module:
    """Return a network whose parameters and buffers are on the device; its other tensors stay where they are."""
    for module in model.modules():
        for name, value in module._parameters.items():
            if value is not None:
                module._parameters[name] = nn.Parameter(OtherTensor(value.detach()), value.requires_grad)
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = OtherTensor(value)
    return model


def failures() -> dict[str, str]:
    """Return why calls fail on the device, by their names."""
    from tests.device_calls import CALLS, Inputs, tensors_from

    enable()
    inputs, found = Inputs(OtherTensor, moved), {}
    for name in CALLS:
        try:
            assert tensors_from(name, inputs), "it returns no tensor"
        except Exception as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "passband" in frame.filename]
            at = " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:])
            found[name] = f"{type(error).__name__}: {str(error).splitlines()[0]} ({at})"
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    problems = failures()
    print("\n".join(f"{name}: {problem}" for name, problem in problems.items()))
    sys.exit(bool(problems))
