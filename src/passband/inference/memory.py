"""Restores an image within a cap on memory: whole or in bands, whichever is faster and fits, or else in tiles.

The memory of each way was measured as the peak of the process for images of growing size
(`benchmarks/speed/memory.py`). It is a constant, for the buffers of the libraries, and a part that grows with the
image. The second part is computed here: for whole images from one small run (`memory_probe`), for bands and tiles from
the maps that are alive at once.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.inference.memory_probe import live_bytes_per_pixel
from passband.io.sizes import parse_bytes
from passband.models import ConvIR, FSNet
from passband.models.bands import restore_in_bands
from passband.models.bands.statistics import MapStatistics
from passband.models.bands.walk import BAND_VALUES, LEAST_ROWS
from passband.models.padded import restore_batch
from passband.models.three_scales import ThreeScaleNetwork
from passband.models.tiles import restore_in_tiles
from passband.models.tiles.reach import measure_reach
from passband.ops.progress import Report
from passband.ops.tiling import map_tiles, pad_to_multiple

FREE_SHARE = 0.8
"""Share of the free memory that is used without a cap."""
CONSTANT = 160_000_000
"""Bytes that a first run takes for any image: code of the convolutions, and unused parts of the allocator."""
BAND_COPIES = 30
"""Number of bands of float32 by which the heap grows: about ten are alive at once, and gaps remain between them."""
WHOLE_SLACK = 1.15
"""Measured peak divided by that of the tensors alone: convolutions copy their input and output."""
BAND_SLACK = 1.1
"""The same ratio for bands, whose convolutions copy only bands."""
LARGE_MAP = 2**25
"""Size of a map in bytes above which bands are faster on a CPU: allocators (glibc's from 32 MiB on) get each such map
anew from the system, and mapping its pages takes as long as computing it."""
OVERLAP = 256
"""Smallest overlap of tiles that share statistics, in pixels. Others overlap by their measured reach."""
LEAST_TILE = 2 * OVERLAP
"""Side of the smallest tiles, in pixels."""
LEAST_OVERLAP = 64
"""Smallest overlap of independent tiles, in pixels, if the network sees only a neighborhood of each pixel."""
ALIGNMENT = 64
"""Number whose multiples independent tiles begin and end at, in pixels: networks halve an image up to six times, and
the halvings of a tile must be at the same positions as those of the whole image."""


@dataclass(frozen=True)
class MemoryPlan:
    """The way to restore an image within the memory."""

    mode: Literal["whole", "bands", "tiles", "own tiles"]
    bytes: int
    """Expected memory beyond that of the process before."""
    side: int = 0
    """Side of the tiles in pixels; 0 without tiles."""
    overlap: int | None = None
    """Smallest overlap of the tiles in pixels; None for that of the network, or without tiles."""

    @property
    def how(self) -> str:
        """The way as text: `whole`, `bands`, `tiles of 1536 pixels`, or `own tiles of 256 pixels`."""
        return f"{self.mode} of {self.side} pixels" if self.side else self.mode

    def __str__(self) -> str:
        """Return the plan as text for reports."""
        return f"{self.how}, about {self.bytes / 1e9:.2f} GB"


def parse_memory(size: str | int) -> int:
    """Return the number of bytes of a size such as `"2GB"`, `"1500 MB"`, `"2 GiB"` or 2_000_000_000.

    Args:
        size: size as text with a unit, or as a number of bytes.

    Raises:
        ValueError: if it is anything else, or below 1 byte.
    """
    return parse_bytes(size, "memory")


@dataclass
class _Share:
    """The share of this process in the memory of a command that runs several processes."""

    processes: int = 1
    others: int = 0


_SHARE = _Share()


def share_memory(processes: int, others: int = 0) -> None:
    """Divide the memory, capped or free, among several processes that restore images; this one is one of them.

    Args:
        processes: number of processes.
        others: number of bytes that further processes hold, which a cap also covers.
    """
    _SHARE.processes, _SHARE.others = processes, others


def free_memory(device: torch.device, cap: int | None = None) -> int:
    """Return the number of bytes that a restoration may still take.

    Args:
        device: device of the network.
        cap: largest number of bytes that the process may hold (on a GPU: that torch may hold on it); None for
            `FREE_SHARE` of the free memory. Processes that `share_memory` has counted get equal parts.
    """
    if device.type == "cuda":
        taken = torch.cuda.memory_allocated(device)
        # memory that torch has reserved but not used is free for it
        free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - taken
    else:
        import psutil

        taken, free = psutil.Process().memory_info().rss, psutil.virtual_memory().available
        limit, used = (_number(Path("/sys/fs/cgroup") / f"memory.{name}") for name in ("max", "current"))
        if limit is not None and used is not None:
            free = min(free, limit - used)
    if cap is None:
        return int(free * FREE_SHARE / _SHARE.processes)
    return (cap - _SHARE.others) // _SHARE.processes - taken


def plan_memory(model: nn.Module, shape: tuple[int, ...], room: int, *, tiles: bool = True) -> MemoryPlan:
    """Choose the way to restore images: whole, in bands if that is faster or nothing else fits, or else in tiles.

    Bands give the same result as the whole, up to rounding. Tiles give a close result, and are as large as the memory
    allows.

    Args:
        model: restoration network. Only networks of three scales (SFNet, FSNet, ConvIR) run in bands; the tiles of
            others are independent, and overlap by the measured reach of the network, see `models.tiles.reach`.
        shape: shape B C H W of the images, which are in memory already.
        room: number of bytes that may be used, see `free_memory`.
        tiles: whether tiles are allowed; they are not for frames whose averages are smoothed over time.

    Raises:
        MemoryError: if not even the smallest allowed way fits; the message says what would fit.
    """
    batch, channels, height, width = shape
    pixels = height * width
    # the restored images and, if sides are padded, a copy of the degraded ones
    pictures = 4 * pixels * batch * 3
    padded = 4 * pixels * channels
    per_pixel = live_bytes_per_pixel(model)
    ways = [_plan_whole(model, shape)]
    if isinstance(model, ThreeScaleNetwork):
        per_pixel = int(BAND_SLACK * _live_maps(model) * _map_bytes(model))
        band = max(BAND_VALUES, LEAST_ROWS * width * model.arguments["width"])
        bands = CONSTANT // 4 + 4 * BAND_COPIES * band + pictures + padded * batch + per_pixel * pixels
        faster = _on_processor(model) and _map_bytes(model) * pixels * batch > LARGE_MAP
        ways.insert(0 if faster else 1, MemoryPlan("bands", bands))
        constant = CONSTANT // 4 + 4 * BAND_COPIES * BAND_VALUES
    else:
        per_pixel, constant = int(WHOLE_SLACK * per_pixel * batch), CONSTANT
    for way in ways:
        if way.bytes <= room:
            return way
    exact = min(way.bytes for way in ways)
    if not tiles:
        raise MemoryError(
            f"{width}x{height} pixels need {_gigabytes(exact)} of memory, because frames that are smoothed over time "
            f"cannot be cut into tiles, {_left(room)}. Allow {_gigabytes(_for_all(exact - room))} more with --memory, "
            "close other programs, or leave out the temporal smoothing."
        )
    constant += pictures
    # a tile is cut out, padded and restored
    per_pixel += 4 * (2 * channels + 6)
    step = tile_step(model)
    side = int((max(room - constant, 0) / per_pixel) ** 0.5) // step * step
    if min(height, width) < side:
        shorter = -(-min(height, width) // step) * step
        side = min(max(height, width), (room - constant) // (per_pixel * shorter)) // step * step
    if side >= LEAST_TILE:
        overlap = None if isinstance(model, ThreeScaleNetwork) else independent_overlap(model, side)
        return MemoryPlan("tiles", constant + per_pixel * side * min(side, height, width), side, overlap)
    least = constant + per_pixel * LEAST_TILE * min(LEAST_TILE, height, width)
    raise _too_large(shape, least, room, "even in the smallest tiles")


def _plan_whole(model: nn.Module, shape: tuple[int, ...]) -> MemoryPlan:
    """Return the plan of restoring images of a shape B C H W as a whole."""
    batch, _, height, width = shape
    computed = max(height, width) ** 2 if getattr(model, "is_square", False) else height * width
    images = 4 * height * width * batch * 3
    return MemoryPlan("whole", CONSTANT + images + int(WHOLE_SLACK * live_bytes_per_pixel(model) * computed * batch))


def plan_tiles(model: nn.Module, shape: tuple[int, ...], room: int, side: int) -> MemoryPlan:
    """Return the plan of independent tiles of one size, the own ones of a network.

    Args:
        model: restoration network.
        shape: shape B C H W of the images, which are in memory already.
        room: number of bytes that may be used, see `free_memory`.
        side: side of the tiles in pixels.

    Raises:
        MemoryError: if the restored images and a tile do not fit; the message says what would fit.
    """
    batch, channels, height, width = shape
    tile = _plan_whole(model, (batch, channels, min(side, height), min(side, width)))
    needed = tile.bytes + 4 * height * width * batch * 3
    if needed > room:
        raise _too_large(shape, needed, room, f"in tiles of {side} pixels")
    return MemoryPlan("own tiles", needed, side)


def restore_planned(
    model: nn.Module,
    image: Float[Tensor, "B C H W"],
    plan: MemoryPlan,
    statistics: MapStatistics | None = None,
    report: Report | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Restore images of any size as planned.

    Args:
        model: restoration network.
        image: degraded images in [0, 1].
        plan: plan from `plan_memory`.
        statistics: source of the averages of bands; None for those of each image.
        report: function that is called after each band or tile with the share that is done; it is not called for images
            that are restored whole.

    Returns:
        The prediction, not clamped.
    """
    if plan.mode == "whole":
        return restore_batch(model, image)
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


def independent_overlap(model: nn.Module, side: int) -> int:
    """Return the overlap of independent tiles, over which the network's results at their borders are not used.

    Args:
        model: restoration network, whose reach is measured at the first call.
        side: side of the tiles in pixels.

    Returns:
        Four times the reach of the network, because only the middle half of an overlap is blended; at least
        `LEAST_OVERLAP`, or `OVERLAP` for a network that uses averages of the whole image, whose differences between
        tiles are blended over it; at most half of the side, and a multiple of the number that tiles begin at.
    """
    step, reach = tile_step(model), measure_reach(model)
    wanted = max(LEAST_OVERLAP if reach.is_local else OVERLAP, 4 * reach.pixels)
    return min(-(-wanted // step), side // 2 // step) * step


@torch.no_grad()
def restore_within(
    model: nn.Module,
    image: Float[Tensor, "B C H W"],
    cap: int | None = None,
    statistics: MapStatistics | None = None,
    report: Report | None = None,
) -> tuple[Float[Tensor, "B 3 H W"], MemoryPlan]:
    """Restore images within a cap on memory. If memory runs out nevertheless, try again with half of it.

    Args:
        model: restoration network.
        image: degraded images in [0, 1], from 1 x 1, on the network's device.
        cap: cap in bytes, see `free_memory`.
        statistics: source of the averages of bands, such as averages that are smoothed over frames; tiles have averages
            of their own, so they are then not allowed. None for the averages of each image.
        report: function as in `restore_planned`; it starts again if memory ran out.

    Returns:
        The prediction in full size, not clamped, and the plan by which it was computed.

    Raises:
        MemoryError: if the images do not fit; the message says what to do.
    """
    shape, tiles = tuple(image.shape), statistics is None
    chosen = plan_memory(model, shape, free_memory(image.device, cap), tiles=tiles)
    while True:
        try:
            return restore_planned(model, image, chosen, statistics, report), chosen
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
        image: images that the block restores.

    Raises:
        MemoryError: if memory runs out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise _exhausted(image) from error


def tile_step(model: nn.Module) -> int:
    """Return the number whose multiples the tiles of a network begin and end at, where its smallest map does.

    Args:
        model: restoration network.
    """
    multiple = int(getattr(model, "multiple", 8))
    return max(8, multiple) if isinstance(model, ThreeScaleNetwork) else math.lcm(ALIGNMENT, multiple)


def _live_maps(model: ThreeScaleNetwork) -> float:
    """Return the number of full-size maps alive at once in bands: the input of a block, and the map inside it."""
    # local windows still read the map that a filter replaces, in half of the channels
    maps = 2 if model.arguments.get("pool_window") is None else 2.5
    if isinstance(model, FSNet):
        maps += 1  # the input of the stage, which is added at its end
    if isinstance(model, ConvIR):
        maps += 1  # three maps of half the size, and smaller ones
    return maps


def _map_bytes(model: ThreeScaleNetwork) -> int:
    """Return the number of bytes per pixel of a full-size map at the present precision."""
    device = next(model.parameters()).device.type
    half = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device).itemsize == 2
    return model.arguments["width"] * (2 if half else 4)


def _on_processor(model: nn.Module) -> bool:
    """Tell whether a network is on the CPU."""
    return next(model.parameters()).device.type == "cpu"


def _for_all(size: int) -> int:
    """Return the number of bytes that all processes need if each needs a number of bytes."""
    return size * _SHARE.processes


def _too_large(shape: tuple[int, ...], needed: int, room: int, how: str) -> MemoryError:
    """Return the error for images that do not fit, which says how much memory they need and what to do."""
    return MemoryError(
        f"{shape[-1]}x{shape[-2]} pixels need {_gigabytes(needed)} of memory {how}, {_left(room)}. Allow "
        f"{_gigabytes(_for_all(needed - room))} more with --memory, close other programs, or restore a smaller image."
    )


def _exhausted(image: Tensor) -> MemoryError:
    """Return the error for images that the memory of their device turned out to be too small for."""
    height, width = image.shape[-2:]
    return MemoryError(
        f"{width}x{height} pixels need more memory than {image.device} has free; close other programs, or restore a "
        "smaller image"
    )


def _left(room: int) -> str:
    """Return a clause about the memory that is left."""
    if room < 0:
        return f"but Python and torch already use {_gigabytes(-room)} more than the cap"
    return f"but {_gigabytes(room)} is left"


def _out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that memory ran out; torch's CPU allocator raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _number(path: Path) -> int | None:
    """Return the number in a file of the control group; None if there is no such file, or no limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _gigabytes(count: int) -> str:
    """Return a number of bytes in GB."""
    return f"{count / 1e9:.2f} GB"
