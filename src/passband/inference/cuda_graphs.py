"""Replays networks on small images as CUDA graphs, which start thousands of computations at once."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor

MOST_PIXELS = 384 * 384
"""Largest number of pixels of a batch that is replayed. Larger batches keep a GPU busy without a graph, and their
graphs would keep much memory."""
KEPT = 4
"""Number of sizes whose graphs are kept, the latest ones. A graph keeps the memory of its maps: 0.1 GB at 256 x 256."""


class CudaGraphs:
    """Records the computations of a function once for each size of its input, and replays them.

    The first input of a size is computed without a graph, because most sizes come only once. The second one is
    recorded, which takes as long as four computations.

    Args:
        compute: function from images on a CUDA device to one tensor. It must do the same computations for all images of
            a size, without asking for a value on the way.
        most_pixels: largest number of pixels of a batch that is replayed.
        kept: number of sizes whose graphs are kept.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], most_pixels: int = MOST_PIXELS, kept: int = KEPT):
        self._compute, self._most_pixels, self._kept = compute, most_pixels, kept
        self._graphs: OrderedDict[tuple[int, ...], _Recorded | None] = OrderedDict()  # None: seen once
        self._lock = Lock()

    def covers(self, images: Float[Tensor, "B C H W"]) -> bool:
        """Tell whether a batch is replayed: it lies on a CUDA device and is small.

        Args:
            images: the batch.
        """
        batch, _, height, width = images.shape
        return images.is_cuda and batch * height * width <= self._most_pixels

    @torch.inference_mode()
    def __call__(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H2 W2"]:
        """Compute images, by a graph if their size came before.

        Args:
            images: the batch, which `covers` allows.

        Returns:
            What the function returns. Later calls do not change it.
        """
        size = tuple(images.shape)
        with self._lock:  # a graph has one place for its input
            if size not in self._graphs:
                self._keep(size, None)
                return self._compute(images)
            recorded = self._graphs[size] or _Recorded(self._compute, images)
            self._keep(size, recorded)
            return recorded(images)

    def _keep(self, size: tuple[int, ...], recorded: "_Recorded | None") -> None:
        """Note a size as the latest one, and drop the earliest size if there are too many."""
        self._graphs[size] = recorded
        self._graphs.move_to_end(size)
        if len(self._graphs) > self._kept:
            self._graphs.popitem(last=False)


class _Recorded:
    """The computations for one size, recorded as a CUDA graph."""

    def __init__(self, compute: Callable[[Tensor], Tensor], images: Tensor):
        self._input = images.clone()
        stream = torch.cuda.Stream(images.device)
        stream.wait_stream(torch.cuda.current_stream(images.device))
        with torch.cuda.stream(stream):  # libraries choose their algorithms before the recording
            for _ in range(2):
                compute(self._input)
        torch.cuda.current_stream(images.device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(images.device), torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._output = compute(self._input)

    def __call__(self, images: Tensor) -> Tensor:
        """Replay the computations on other images."""
        self._input.copy_(images)
        self._graph.replay()
        return self._output.clone()
