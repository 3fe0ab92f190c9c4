"""Restores images as `memory` plans it, and tells when memory runs out nevertheless."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.inference.restoration.memory import (
    OVERLAP,
    MemoryPlan,
    free_memory,
    independent_overlap,
    plan_memory,
    tile_step,
)
from passband.models.restoration.bands import restore_in_bands
from passband.models.restoration.bands.statistics import MapStatistics
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.models.restoration.tiles import restore_in_tiles
from passband.models.restoration.whole import restore_batch
from passband.ops.progress import Report
from passband.ops.tiling import map_tiles, pad_to_multiple


def restore_planned(
    model: nn.Module,
    image: Float[Tensor, "B C H W"],
    plan: MemoryPlan,
    statistics: MapStatistics | None = None,
    report: Report | None = None,
    run: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Restore images of any size as planned.

    Args:
        model: restoration network.
        image: degraded images in [0, 1].
        plan: plan from `plan_memory`.
        statistics: source of the averages of bands; None for those of each image.
        report: function that is called after each band or tile with the share that is done; it is not called for images
            that are restored whole.
        run: function that restores images whole, as `restore_batch` takes it; None for the network itself.

    Returns:
        The prediction, not clamped.
    """
    if plan.mode == "whole":
        return restore_batch(model, image, run)
    if plan.mode == "bands":
        assert isinstance(model, ThreeScaleNetwork)
        padded, (height, width) = pad_to_multiple(image, model.multiple, model.minimum)
        return restore_in_bands(model, padded, statistics=statistics, report=report)[..., :height, :width]
    assert statistics is None, "tiles have statistics of their own"
    if isinstance(model, ThreeScaleNetwork):
        overlap = OVERLAP if plan.overlap is None else plan.overlap
        return restore_in_tiles(model, image, plan.side, overlap, report=report)
    overlap = independent_overlap(model, plan.side) if plan.overlap is None else plan.overlap
    return map_tiles(lambda tile: restore_batch(model, tile), image, plan.side, overlap, tile_step(model), report)


@torch.no_grad()
def restore_within(
    model: nn.Module,
    image: Float[Tensor, "B C H W"],
    cap: int | None = None,
    statistics: MapStatistics | None = None,
    report: Report | None = None,
    run: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Float[Tensor, "B 3 H W"], MemoryPlan]:
    """Restore images within a cap on memory. If memory runs out nevertheless, try again with half of it.

    Args:
        model: restoration network.
        image: degraded images in [0, 1], from 1 x 1, on the network's device.
        cap: cap in bytes, see `free_memory`.
        statistics: source of the averages of bands, such as averages that are smoothed over frames; tiles have averages
            of their own, so they are then not allowed. None for the averages of each image.
        report: function as in `restore_planned`; it starts again if memory ran out.
        run: function as in `restore_planned`; None for the network itself.

    Returns:
        The prediction in full size, not clamped, and the plan by which it was computed.

    Raises:
        MemoryError: if the images do not fit; the message says what to do.
    """
    shape, tiles = tuple(image.shape), statistics is None
    chosen = plan_memory(model, shape, free_memory(image.device, cap), tiles=tiles)
    while True:
        try:
            return restore_planned(model, image, chosen, statistics, report, run), chosen
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            try:
                chosen = plan_memory(model, shape, chosen.bytes // 2, tiles=tiles)
            except MemoryError:
                raise _exhausted(image) from error
        # outside of the handler, where the traceback no longer holds the tensors of the failed run
        if image.device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def told_of_memory(image: Float[Tensor, "B C H W"]) -> Iterator[None]:
    """Say what to do if memory runs out in a block.

    Args:
        image: images that the block restores, whose size the message names.

    Raises:
        MemoryError: if memory runs out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise _exhausted(image) from error


def _exhausted(image: Tensor) -> MemoryError:
    """Return the error for images that the memory of their device turned out to be too small for."""
    height, width = image.shape[-2:]
    return MemoryError(
        f"{width}x{height} pixels need more memory than {image.device} has free; close other programs, or restore a "
        "smaller image"
    )


def _out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that memory ran out; torch's CPU allocator raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
