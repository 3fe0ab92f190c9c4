"""Measures whether seams between tiles are visible: brightness steps at their borders against steps elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.inference.engines.tiled import own_overlap, restore_tiled
from passband.inference.restoration.memory import OVERLAP, MemoryPlan, independent_overlap, tile_step
from passband.inference.restoration.network import RestorationNetwork
from passband.inference.restoration.planned import restore_planned
from passband.io.files import results_folder
from passband.io.image import read_image, write_image
from passband.io.json_files import write_json
from passband.metrics import psnr
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.models.restoration.tiles.reach import Reach, measure_reach
from passband.ops.tiling import Tile, lay_tiles
from passband.runs import weights_of

LEVELS = 255
"""Number of steps of 8 bits from black to white."""
EQUAL = 0.01
"""Difference in levels below which two images are called equal: sums in another order differ by less."""


@dataclass(frozen=True)
class SeamAnalysis:
    """Differences between an image that was restored in tiles, and the same image restored whole."""

    side: int
    """Side of the tiles in pixels."""
    overlap: int
    """Smallest overlap of the tiles in pixels."""
    tiles: int
    """Number of tiles."""
    reach: Reach
    """Distance over which a tile's result differs near its border, measured on the network."""
    shares_statistics: bool
    """Whether the tiles share the averages of the whole image."""
    psnr: float
    """PSNR in dB of the image in tiles against the whole one; infinite if they are equal."""
    largest: float
    """Largest difference of a value, in levels of 8 bits."""
    step: float
    """Greatest step at the borders: the largest mean change of the difference from a row or column to the next, where
    tiles overlap, in levels of 8 bits."""
    ratio: float
    """Steps across the borders over steps elsewhere, relative to the whole image: 1 if there are no seams."""

    @property
    def words(self) -> str:
        """The analysis in two sentences."""
        kind = "that share the averages of the whole image" if self.shares_statistics else "that are independent"
        closeness = "equal to it, up to rounding" if self.largest < EQUAL else f"{self.psnr:.1f} dB from it"
        return (
            f"{self.tiles} tiles of {self.side} pixels {kind} and overlap by {self.overlap} (measured reach of the "
            f"network: {self.reach.words}). Against the whole image, the result is {closeness}; the largest difference "
            f"is {self.largest:.2f} levels of 255, the greatest step at a border {self.step:.3f} levels, and steps "
            f"across borders are {self.ratio:.3f} times those of the whole image."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, for JSON; an infinite PSNR is None."""
        return {**asdict(self), "psnr": None if math.isinf(self.psnr) else self.psnr}


def analyze_seams(
    source: str | Path,
    weights: str | Path = "general",
    *,
    side: int = 512,
    overlap: int | None = None,
    output: str | Path | None = None,
    device: str = "auto",
) -> SeamAnalysis:
    """Restore an image in tiles and whole, and measure the seams.

    Writes seams.json (the result) and difference.png (the differences, so that the largest is white), if an output is
    given.

    Args:
        source: path of an image that is larger than a tile.
        weights: weights of a restoration network, as `inference.Restorer` takes them.
        side: side of the tiles in pixels, a multiple of 64.
        overlap: smallest overlap of the tiles in pixels; None for that of `passband restore`.
        output: folder for these files, or None.
        device: name of a device, see `models.pick_device`.

    Returns:
        The figures.

    Raises:
        CheckpointError: if the weights cannot be used.
        ImageError: if the image cannot be read.
        ValueError: if the image fits into one tile, or the side or the overlap does not fit.
        OSError: if the image cannot be read, or a file cannot be written.
    """
    folder = None if output is None else results_folder(output)
    network = RestorationNetwork(weights_of(weights), device, precision="float32")
    model = network.model
    image = read_image(source)[None].to(network.device)
    has_own = network.engine.sizes.tile is not None
    is_sharing = isinstance(model, ThreeScaleNetwork) and not has_own
    if side < 64 or side % 64:
        raise ValueError(f"tiles need a side that is a multiple of 64, got {side}")
    if overlap is None and has_own:
        overlap = own_overlap(network.engine, side)
    elif overlap is None:
        overlap = min(OVERLAP, side // 2) if is_sharing else independent_overlap(model, side)
    between = None if is_sharing else 1
    tiles = lay_tiles(image.shape[-2], image.shape[-1], side, overlap, tile_step(model), border_multiple=between)
    if len(tiles) == 1:
        height, width = image.shape[-2:]
        raise ValueError(
            f"{source} has {width}x{height} pixels, which fit into one tile of {side}: choose smaller tiles with "
            "--tile, or a larger image"
        )
    with torch.inference_mode():
        whole = restore_planned(model, image, MemoryPlan("whole", 0)).float().clamp(0, 1)
        if has_own:
            tiled = restore_tiled(network.engine, image, side, overlap).clamp(0, 1)
        else:
            tiled = restore_planned(model, image, MemoryPlan("tiles", 0, side, overlap)).float().clamp(0, 1)
    difference = LEVELS * (tiled - whole)
    analysis = SeamAnalysis(
        side, overlap, len(tiles), measure_reach(model), is_sharing,
        psnr(tiled, whole).item(), difference.abs().max().item(), _step(difference, tiles),
        seam_figure(tiled, whole, tiles),
    )  # fmt: skip
    if folder is not None:
        write_json(folder / "seams.json", analysis.as_dict())
        write_image(folder / "difference.png", (difference.abs() / max(analysis.largest, 1e-9))[0].cpu())
    return analysis


def _step(difference: Float[Tensor, "B C H W"], tiles: Sequence[Tile]) -> float:
    """Return the largest mean step between neighboring rows or columns of a difference, where tiles overlap."""
    largest = 0.0
    for dim, spans in ((-2, {tile.rows for tile in tiles}), (-1, {tile.columns for tile in tiles})):
        steps = difference.double().diff(dim=dim).movedim(dim, 0).flatten(1).mean(1).abs()
        ordered = sorted(spans, key=lambda span: span.start)
        for before, after in pairwise(ordered):
            shared = steps[max(after.start - 1, 0) : before.end]
            if len(shared):
                largest = max(largest, float(shared.max()))
    return largest


def seam_figure(tiled: Float[Tensor, "B C H W"], whole: Float[Tensor, "B C H W"], tiles: Sequence[Tile]) -> float:
    """Return the strength of steps across the borders of tiles, relative to the same image computed whole.

    Args:
        tiled: image that was computed in tiles, of any range.
        whole: the same image computed whole, in the same unit. It has edges of its own at these places.
        tiles: tiles from `ops.tiling.lay_tiles`, at least two.

    Returns:
        The seam ratio of `tiled` divided by that of `whole`: 1 if there are no seams.
    """
    return seam_ratio(tiled, tiles) / seam_ratio(whole, tiles)


def seam_ratio(image: Float[Tensor, "B C H W"], tiles: Sequence[Tile]) -> float:
    """Return the mean step between neighboring pixels across the borders of tiles, divided by the mean step elsewhere.

    Args:
        image: image of any range that is not of a single color.
        tiles: tiles from `ops.tiling.lay_tiles`, at least two; the borders are the ends of their own parts.

    Returns:
        The ratio, at least 0; about 1 if steps across borders are like those elsewhere.

    Raises:
        ValueError: if there is a single tile, which has no border.
    """
    across, elsewhere = [], []
    for dim, spans in ((-2, {tile.rows for tile in tiles}), (-1, {tile.columns for tile in tiles})):
        steps = image.double().diff(dim=dim).abs().movedim(dim, 0).flatten(1).mean(1)
        border = torch.zeros(len(steps), dtype=torch.bool)
        border[[span.own_start - 1 for span in spans if span.own_start]] = True
        across.append(steps[border])
        # each border is compared with steps in its own direction
        elsewhere.append(steps[~border].mean().expand(int(border.sum())))
    if not len(torch.cat(across)):
        raise ValueError("a seam needs two tiles at least; got one that covers the image")
    return (torch.cat(across).mean() / torch.cat(elsewhere).mean()).item()
