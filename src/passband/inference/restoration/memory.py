"""Plans how to restore an image within a cap on memory: whole or in bands, whichever fits and is faster, or in tiles.

The memory of each way was measured as the peak of the process for images of growing size
(`benchmarks/speed/memory.py`). It is a constant, for the buffers of the libraries, and a part that grows with the
image. The second part is computed here: for whole images from one small run (`memory_probe`), for bands and tiles from
the maps that are alive at once.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from passband.inference.restoration.memory_probe import live_bytes_per_pixel
from passband.io.sizes import parse_bytes
from passband.models import ConvIR, FSNet
from passband.models.restoration.bands.walk import BAND_VALUES, LEAST_ROWS
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.models.restoration.tiles.reach import measure_reach

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
            others are independent, and overlap by the measured reach of the network, see `independent_overlap`.
        shape: shape B C H W of the images, which are in memory already.
        room: number of bytes that may be used, see `free_memory`.
        tiles: whether tiles are allowed; they are not for frames whose averages are smoothed over time.

    Raises:
        MemoryError: if not even the smallest allowed way fits; the message says what would fit.
    """
    batch, channels, height, width = shape
    pixels = height * width
    # the restored images and, if sides are padded, a copy of the degraded ones
    restored = 4 * pixels * batch * 3
    padded = 4 * pixels * channels
    per_pixel = live_bytes_per_pixel(model)
    ways = [_plan_whole(model, shape, per_pixel)]
    if isinstance(model, ThreeScaleNetwork):
        per_pixel = int(BAND_SLACK * _live_maps(model) * _map_bytes(model))
        band = max(BAND_VALUES, LEAST_ROWS * width * model.arguments["width"])
        bands = CONSTANT // 4 + 4 * BAND_COPIES * band + restored + padded * batch + per_pixel * pixels
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
    constant += restored
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


def _plan_whole(model: nn.Module, shape: tuple[int, ...], per_pixel: float) -> MemoryPlan:
    """Return the plan of restoring images of a shape B C H W as a whole, from `live_bytes_per_pixel`."""
    batch, _, height, width = shape
    computed = max(height, width) ** 2 if getattr(model, "is_square", False) else height * width
    images = 4 * height * width * batch * 3
    return MemoryPlan("whole", CONSTANT + images + int(WHOLE_SLACK * per_pixel * computed * batch))


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
    shown = (batch, channels, min(side, height), min(side, width))
    tile = _plan_whole(model, shown, live_bytes_per_pixel(model))
    needed = tile.bytes + 4 * height * width * batch * 3
    if needed > room:
        raise _too_large(shape, needed, room, f"in tiles of {side} pixels")
    return MemoryPlan("own tiles", needed, side)


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


def _left(room: int) -> str:
    """Return a clause about the memory that is left."""
    if room < 0:
        return f"but Python and torch already use {_gigabytes(-room)} more than the cap"
    return f"but {_gigabytes(room)} is left"


def _number(path: Path) -> int | None:
    """Return the number in a file of the control group; None if there is no such file, or no limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _gigabytes(count: int) -> str:
    """Return a number of bytes in GB."""
    return f"{count / 1e9:.2f} GB"
