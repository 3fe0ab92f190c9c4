"""Replays networks on small images as CUDA graphs, which start thousands of computations at once."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from itertools import chain
from threading import Lock
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.hardware import tf32_settings
from passband.inference.engines.network_parts import network_parts
from passband.models import ConvIR, FSNet, SFNet

MOST_PIXELS = 2**19
"""Largest number of pixels of a batch that is replayed, such as 8 images of 256 x 256. Larger batches keep a GPU busy
without a graph, and a graph keeps the memory of its maps."""
PLAIN = 2
"""Number of batches of a size that are computed without a graph, because recording takes as long as several of them."""
KEPT = 4
"""Number of sizes that are known, the latest ones. Their graphs share one memory, which is that of the largest."""

_FAILED: list[torch.cuda.CUDAGraph] = []
"""Graphs whose recording failed. torch's allocator may still refer to them, so they are never deleted."""
_log = logging.getLogger(__name__)
_LOCK = Lock()
"""Held while a graph is recorded or started: torch records one graph at a time, and a graph has one place for its
input."""


class CudaGraphs:
    """Records a network once for each size of its input that comes again, and replays it.

    Only SFNet, FSNet and ConvIR are recorded, whose computations depend on nothing but the size. Everything else is
    computed: other networks, large batches, networks in training or with hooks, and sizes that are rare. If a
    recording fails, everything is computed from then on.

    Args:
        model: network on a CUDA device.
        compute: function that runs the network on images, without gradients, and returns one tensor. If it uses
            `torch.autocast`, then without its cache of weights, which a graph cannot see.
    """

    def __init__(self, model: nn.Module, compute: Callable[[Tensor], Tensor]):
        self._model, self._compute = model, compute
        self._sizes: OrderedDict[torch.Size, int | _Recorded] = OrderedDict()
        """A graph for each size, or the number of its batches until now; the latest size is last."""
        self._state: tuple[Any, ...] | None = None
        self._is_broken = False

    def __call__(self, images: Float[Tensor, "B C H W"], precision: str) -> Float[Tensor, "B 3 H W"]:
        """Compute images, by a graph if their size came before.

        Args:
            images: batch on the device of the network.
            precision: precision at which the function computes.

        Returns:
            The result of the function. Later calls do not change it.
        """
        state = None if self._is_broken or _is_large(images) else network_state(self._model)
        if state is not None:
            with _LOCK:
                recorded = self._recorded(images, (*state, images.device, precision, *_settings()))
                if recorded is not None:
                    return recorded(images)
        return self._compute(images)

    def _recorded(self, images: Tensor, state: tuple[Any, ...]) -> "_Recorded | None":
        """Return the graph for a batch, which is recorded now if it is time; None if there is none."""
        if state != self._state:
            self._forget(0)
            self._state = state
        found = self._sizes.pop(images.shape, 0)
        if isinstance(found, int):
            found = self._record(images) if found == PLAIN else found + 1
        if found is None:
            return None
        self._sizes[images.shape] = found
        self._forget(KEPT)
        return None if isinstance(found, int) else found

    def _record(self, images: Tensor) -> "_Recorded | None":
        """Record a graph; None if that fails."""
        before = next((known for known in self._sizes.values() if not isinstance(known, int)), None)
        try:
            check_layers(self._model)
            return _Recorded(self._compute, images, before)
        except Exception as error:  # of any kind: the batch can be computed without a graph
            _log.debug("%s is not replayed as a CUDA graph: %s", type(self._model).__name__, error)
            self._is_broken = True
            self._forget(0)
        if images.is_cuda:
            _recover(images.device)
        return None

    def _forget(self, kept: int) -> None:
        """Forget all but the latest sizes."""
        while len(self._sizes) > kept:
            _, known = self._sizes.popitem(last=False)
            if not isinstance(known, int):
                known.wait()


class _Recorded:
    """A function that is recorded for one size.

    Args:
        compute: the function.
        images: images of the size.
        before: an earlier graph, whose memory this one shares. They are never computed at the same time.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], images: Tensor, before: "_Recorded | None"):
        self._stream = torch.cuda.Stream(images.device) if before is None else before._stream
        self._done = torch.cuda.Event() if before is None else before._done
        self._graph = torch.cuda.CUDAGraph()
        pool = None if before is None else before._graph.pool()
        present = torch.cuda.current_stream(images.device)
        self._stream.wait_stream(present)
        # A failed recording leaves its stream the current one; the outer block restores the one before. Tensors of the
        # inference mode could be changed in this mode only.
        with torch.cuda.stream(self._stream), torch.inference_mode(False), torch.no_grad():
            self._input = images.clone(memory_format=torch.contiguous_format)
            compute(self._input)  # libraries choose their algorithms before the recording
            try:
                with torch.cuda.graph(self._graph, pool, self._stream, capture_error_mode="thread_local"):
                    self._output = compute(self._input)
            except Exception:
                _FAILED.append(self._graph)
                raise
        present.wait_stream(self._stream)

    def __call__(self, images: Tensor) -> Tensor:
        """Replay the function on other images of the size."""
        stream = torch.cuda.current_stream(images.device)
        stream.wait_event(self._done)  # another stream may still use the memory
        self._input.copy_(images)
        self._graph.replay()
        restored = self._output.clone()
        self._done.record(stream)
        return restored

    def wait(self) -> None:
        """Wait until the GPU has computed all that was started, so that the graph may be deleted."""
        self._done.synchronize()


def network_state(model: nn.Module) -> tuple[Any, ...] | None:
    """Return all of a network that a recording keeps: its layers, and the places of its weights in memory.

    Args:
        model: network.

    Returns:
        A value that differs after a change that a recording does not see, such as moved weights; None if the network
        must not be replayed, because it is of another project, in training or has hooks.
    """
    if type(model) not in (SFNet, FSNet, ConvIR):
        return None
    parts = network_parts(model)
    if any(module.training or module._forward_hooks or module._forward_pre_hooks for module in parts.modules):
        return None
    types, own = tuple(map(type, parts.modules)), tuple(vars(module).get("forward") for module in parts.modules)
    return parts.modules, types, own, tuple(map(Tensor.data_ptr, chain(parts.parameters, parts.buffers)))


def check_layers(model: nn.Module) -> None:
    """Refuse a network with layers of other projects, which may do other computations for each image.

    Args:
        model: network.

    Raises:
        TypeError: if it has such a layer.
    """
    for module in model.modules():
        if type(module).__module__.split(".")[0] not in ("passband", "torch"):
            raise TypeError(f"it has a layer of another project, {type(module).__name__}")


def _is_large(images: Tensor) -> bool:
    """Tell whether a batch is too large for a graph. A stream that is being recorded already also takes none."""
    batch, _, height, width = images.shape
    return batch * height * width > MOST_PIXELS or (images.is_cuda and torch.cuda.is_current_stream_capturing())


def _settings() -> tuple[Any, ...]:
    """Return the settings of torch that choose the algorithms of a network."""
    is_deterministic = torch.backends.cudnn.deterministic, torch.are_deterministic_algorithms_enabled()
    return (*is_deterministic, *tf32_settings())


def _recover(device: torch.device) -> None:
    """Make a GPU usable again after a failed recording, which may leave its random generator in an invalid state."""
    torch.cuda.synchronize(device)
    generator = torch.cuda.default_generators[device.index]
    generator.graphsafe_set_state(generator.clone_state())
