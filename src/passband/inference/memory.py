"""Restoring a picture within a cap on memory: whole or band by band, whichever is faster and fits, or else in tiles.

What each takes was measured as the peak of the process over pictures of growing size (`benchmarks/memory.py`): it is
a constant, for the libraries' own buffers, and a part that grows with the picture, which is computed here from the
network: for whole pictures from following the tensors of one small run (`memory_probe`), for bands and tiles from the
maps that are alive at once.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.inference.memory_probe import live_bytes_per_pixel
from passband.models import SFNet
from passband.models.sfnet.bands import BAND_VALUES, LEAST_ROWS, MapStatistics, restore_in_bands
from passband.models.sfnet.tiles import restore_in_tiles
from passband.ops.progress import Report
from passband.ops.tiling import map_tiles, pad_to_multiple
from passband.tasks.restoration import restore_batch

FREE_SHARE = 0.8
"""Part of the free memory that is used where no cap is given."""
CONSTANT = 160_000_000
"""Bytes that a first run takes whatever the picture's size: code of the convolutions, and the allocator's slack."""
BAND_COPIES = 30
"""Bands of float32 that the heap grows by: about ten are alive at once, and holes remain between them."""
WHOLE_SLACK = 1.15
"""Measured peak over that of the tensors followed: convolutions copy their input and output."""
BAND_SLACK = 1.1
"""The same for bands, whose convolutions copy bands alone."""
LARGE_MAP = 2**25
"""Bytes of a map above which bands are faster on a processor: allocators (glibc's from 32 MiB on) take each such map
from the system anew, and to fault its pages in takes as long as to compute it."""
OVERLAP = 256
"""Pixels that tiles share at least."""
LEAST_TILE = 2 * OVERLAP
"""Side of the smallest tiles, in pixels."""

_UNITS = {"": 1, "b": 1} | {
    f"{letter}{kind}b": base**power
    for power, letter in enumerate("kmgt", start=1)
    for kind, base in (("", 1000), ("i", 1024))
}


@dataclass(frozen=True)
class MemoryPlan:
    """How a picture is restored."""

    mode: Literal["whole", "bands", "tiles"]
    bytes: int
    """What it is expected to take beyond what the process holds already."""
    side: int = 0
    """Height and width of tiles in pixels; 0 without tiles."""

    @property
    def how(self) -> str:
        """The way in words: `whole`, `bands`, or `tiles of 1536 pixels`."""
        return f"{self.mode} of {self.side} pixels" if self.side else self.mode

    def __str__(self) -> str:
        """In words, for reports."""
        return f"{self.how}, about {self.bytes / 1e9:.2f} GB"


def parse_memory(size: str | int) -> int:
    """Bytes of a size such as `"2GB"`, `"1500 MB"`, `"2 GiB"` or 2_000_000_000.

    Raises:
        ValueError: for anything else, and for no memory at all.
    """
    number = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]*)\s*", str(size).lower())
    unit = _UNITS.get(number[2], _UNITS.get(f"{number[2]}b")) if number else None
    if number is None or unit is None or isinstance(size, bool) or float(number[1]) * unit < 1:
        raise ValueError(f"memory is a size such as '2GB' or '1500 MB', or a number of bytes; got {size!r}")
    return int(float(number[1]) * unit)


def free_memory(device: torch.device, cap: int | None = None) -> int:
    """Bytes that a restoration may take now, beyond what is taken already.

    Args:
        device: where the network is.
        cap: bytes the process may hold at its peak (on a GPU: that torch may hold on it); None for `FREE_SHARE` of
            what is free now.
    """
    if device.type == "cuda":
        taken = torch.cuda.memory_allocated(device)
        # what torch has reserved and not given out is free to it
        free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - taken
    else:
        import psutil

        taken, free = psutil.Process().memory_info().rss, psutil.virtual_memory().available
        limit, used = (_number(Path("/sys/fs/cgroup") / f"memory.{name}") for name in ("max", "current"))
        if limit is not None and used is not None:
            free = min(free, limit - used)
    return int(free * FREE_SHARE) if cap is None else cap - taken


def plan_memory(model: nn.Module, shape: tuple[int, ...], room: int, *, tiles: bool = True) -> MemoryPlan:
    """Choose how to restore pictures: whole, or by bands where that is faster or all that fits, or else in tiles.

    Bands give the same as the whole, to rounding; tiles come near it, and are as large as fits.

    Args:
        model: a restoration network. One that is not an SFNet is not run in bands, and its tiles do not know the
            whole picture.
        shape: B C H W of the pictures, which are in memory already.
        room: bytes there are for it, see `free_memory`.
        tiles: whether they may be cut; frames whose averages are smoothed over time may not.

    Raises:
        MemoryError: if not even the smallest tiles fit, or nothing but tiles, saying what would.
    """
    batch, channels, height, width = shape
    pixels = height * width
    # the restored pictures and, where sides are padded, a copy of the degraded ones
    pictures = 4 * pixels * batch * 3
    padded = 4 * pixels * channels
    per_pixel = live_bytes_per_pixel(model)
    ways = [MemoryPlan("whole", CONSTANT + pictures + int(WHOLE_SLACK * per_pixel * pixels * batch))]
    if isinstance(model, SFNet):
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
            f"cannot be cut into tiles, {_left(room)}. Allow {_gigabytes(exact - room)} more with --memory, close "
            "other programs, or leave out the temporal smoothing."
        )
    constant += pictures
    # a tile is cut out, padded and restored
    per_pixel += 4 * (2 * channels + 6)
    side = int((max(room - constant, 0) / per_pixel) ** 0.5) // 8 * 8
    if min(height, width) < side:
        side = min(max(height, width), (room - constant) // (per_pixel * -(-min(height, width) // 8) * 8)) // 8 * 8
    if side >= LEAST_TILE:
        return MemoryPlan("tiles", constant + per_pixel * side * min(side, height, width), side)
    least = constant + per_pixel * LEAST_TILE * min(LEAST_TILE, height, width)
    raise MemoryError(
        f"{width}x{height} pixels need {_gigabytes(least)} of memory even in the smallest tiles, {_left(room)}. Allow "
        f"{_gigabytes(least - room)} more with --memory, close other programs, or restore a smaller picture."
    )


def restore_planned(
    model: nn.Module,
    image: Float[Tensor, "B C H W"],
    plan: MemoryPlan,
    statistics: MapStatistics | None = None,
    report: Report | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Restore pictures of any size as planned; the prediction is not clamped.

    Args:
        model: a restoration network.
        image: degraded pictures in [0, 1].
        plan: of `plan_memory`.
        statistics: where bands have the averages from; None for those of each picture.
        report: called after each band or tile with the share that is done; never for pictures restored whole.
    """
    if plan.mode == "whole":
        return restore_batch(model, image)
    if plan.mode == "bands":
        padded, (height, width) = pad_to_multiple(image, SFNet.multiple, SFNet.minimum)
        return restore_in_bands(_sfnet(model), padded, statistics=statistics, report=report)[..., :height, :width]
    assert statistics is None, "tiles have statistics of their own"
    if isinstance(model, SFNet):
        return restore_in_tiles(model, image, plan.side, OVERLAP, report=report)
    return map_tiles(lambda tile: restore_batch(model, tile), image, plan.side, OVERLAP, 8, report)


@torch.no_grad()
def restore_within(
    model: nn.Module,
    image: Float[Tensor, "B C H W"],
    cap: int | None = None,
    statistics: MapStatistics | None = None,
    report: Report | None = None,
) -> tuple[Float[Tensor, "B 3 H W"], MemoryPlan]:
    """Restore pictures within a cap on memory; where memory runs out all the same, again with half the room.

    Args:
        model: a restoration network.
        image: degraded pictures in [0, 1], from 1 x 1, on the network's device.
        cap: bytes, see `free_memory`.
        statistics: where bands have the averages from, such as those smoothed over frames, and then tiles, which have
            their own, are no choice; None for those of each picture.
        report: see `restore_planned`; it begins again where memory ran out.

    Returns:
        The full-size prediction, not clamped, and how it was made.

    Raises:
        MemoryError: saying what to do, where the picture does not fit.
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
                height, width = image.shape[-2:]
                raise MemoryError(
                    f"{width}x{height} pixels need more memory than {image.device} has free; close other programs, "
                    "or restore a smaller picture"
                ) from error
        # outside of the handler, so that the failed run's tensors, which its traceback holds, are gone
        if image.device.type == "cuda":
            torch.cuda.empty_cache()


def _live_maps(model: SFNet) -> float:
    """Full-size maps alive at once in bands: a block's input and what is between its two convolutions."""
    # windows that are local still read what a filter replaces, in half of the channels
    return 2 if model.arguments["pool_window"] is None else 2.5


def _map_bytes(model: SFNet) -> int:
    """Bytes per pixel of a full-size map at the present precision."""
    device = next(model.parameters()).device.type
    half = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device).itemsize == 2
    return model.arguments["width"] * (2 if half else 4)


def _on_processor(model: nn.Module) -> bool:
    return next(model.parameters()).device.type == "cpu"


def _sfnet(model: nn.Module) -> SFNet:
    assert isinstance(model, SFNet)
    return model


def _left(room: int) -> str:
    """What is left, in words."""
    if room < 0:
        return f"but Python and torch already use {_gigabytes(-room)} more than the cap"
    return f"but {_gigabytes(room)} is left"


def _out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: torch's CPU allocator raises a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _number(path: Path) -> int | None:
    """The number in a file of the control group; None where there is none, or no limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
