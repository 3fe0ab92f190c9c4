"""Restores images of any size with any engine: whole, or in independent tiles."""

from jaxtyping import Float
from torch import Tensor

from passband.inference.engines.loading import Engine
from passband.ops.progress import Report
from passband.ops.tiling import map_tiles, pad_to_fit


def own_overlap(engine: Engine, side: int) -> int:
    """Return the overlap of a network's own tiles in pixels: a quarter of their side, rounded up to a size it takes.

    Args:
        engine: engine from `load_engine`.
        side: side of the tiles in pixels.
    """
    return -(-side // (4 * engine.sizes.multiple)) * engine.sizes.multiple


def restore_tiled(
    engine: Engine, degraded: Float[Tensor, "B C H W"], tile: int, overlap: int, report: Report | None = None
) -> Float[Tensor, "B 3 H W"]:
    """Restore images of any size with any engine, whole or in independent tiles that are blended.

    An engine of one size restores larger images in tiles of this size. Smaller images are padded to it by reflection,
    so that averages over the padded image are close to those over the image.

    Args:
        engine: engine from `load_engine`.
        degraded: images in [0, 1], from 1 x 1.
        tile: side in pixels above which an image is cut; at least twice the overlap. An engine of one size ignores it.
        overlap: number of pixels over which tiles are blended; for an engine of one size at most half of its shorter
            side.
        report: function that is called after each tile with the share that is done.

    Returns:
        The restored images, on the device of `degraded`, not clamped.
    """

    def restore(part: Tensor) -> Tensor:
        height, width = part.shape[-2:]
        padded = pad_to_fit(part, engine.sizes.multiple, engine.sizes.minimum, engine.size)
        return engine(padded)[..., :height, :width].to(part.device)

    if engine.size is not None:
        overlap = min(overlap, min(engine.size) // 2) // engine.sizes.multiple * engine.sizes.multiple
    return map_tiles(restore, degraded, engine.size or tile, overlap, engine.sizes.multiple, report)
