"""Computes the networks of three scales band by band: the same outputs with a fraction of the memory.

A layer needs a few rows around those that it computes, so each layer is computed a band of rows at a time. Averages
over a map are complete when the last band of the layer before has been computed. These maps are in memory at once: a
block's input, to which its output is added in place, one map between the two halves of a block, and the maps that the
decoder needs. FSNet also stores the input of a stage at full size, and ConvIR a map of half the size. All other maps
are a band high. Shallow features are computed twice, for their statistics and for their use, and never stored.
"""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.inputs import check_batch
from passband.models.restoration.bands.stages import compute_stage, loops_of
from passband.models.restoration.bands.statistics import Map, MapStatistics, OwnStatistics
from passband.models.restoration.bands.walk import Walk, band_of, convolve, rows_of
from passband.models.restoration.three_scales import ThreeScaleNetwork, mean_view
from passband.ops.progress import Report, part_of


@torch.no_grad()
def restore_in_bands(
    model: ThreeScaleNetwork,
    image: Float[Tensor, "B C H W"],
    *,
    rows: int | None = None,
    statistics: MapStatistics | None = None,
    report: Report | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Restore images one by one, each layer a band of rows at a time.

    Args:
        model: network in evaluation mode.
        image: degraded images in [0, 1], of a size that the network takes.
        rows: height of a band at full size, even; None uses `BAND_VALUES`. Lower bands take less memory and more time.
        statistics: source of averages; None uses those of each image.
        report: function that is called after each band with the share of the work that is done.

    Returns:
        The full-size prediction, not clamped; it equals `model(image)[-1]` up to rounding.

    Raises:
        TypeError: if the images are not a tensor of the precision of the weights.
        ValueError: if the network is in training mode, there is no image, or the size, the channels or the height of
            bands do not fit.
    """
    if model.training:
        raise ValueError("restore_in_bands needs a network in evaluation; call model.eval() first")
    if rows is not None and (rows < 4 or rows % 2):
        raise ValueError(f"bands are an even number of rows, at least 4; got {rows}")
    check_batch(image, model, type(model).__name__, model.in_channels)
    model.check_size(*image.shape[-2:])

    def restore(number: int) -> Float[Tensor, "1 3 H W"]:
        one = part_of(report, number / len(image), (number + 1) / len(image))
        return _Frame(model, rows, statistics or OwnStatistics(), one).restore(image[number : number + 1])

    return torch.cat([restore(number) for number in range(len(image))]) if len(image) > 1 else restore(0)


class _Frame(Walk):
    """The computation of one image by a network."""

    def __init__(
        self, model: ThreeScaleNetwork, rows: int | None, statistics: MapStatistics, report: Report | None = None
    ):
        super().__init__(rows, statistics, report, 1.0)
        self.model = model

    def restore(self, image: Map) -> Float[Tensor, "1 3 H W"]:
        model = self.model
        self.done, self.work = 0.0, _work(model, *image.shape[-2:])
        stem = cast(nn.Conv2d, model.stem[0])
        full = self.layer(image.shape, stem.out_channels, lambda a, b: F.gelu(convolve(stem, band_of(image, a, b))))
        full = compute_stage(self, model.encoder[0], full)
        half = self.enter(1, full, image[..., ::2, ::2])
        half = compute_stage(self, model.encoder[1], half)
        quarter = self.enter(2, half, image[..., ::4, ::4])
        quarter = compute_stage(self, model.encoder[2], quarter)

        quarter = compute_stage(self, model.decoder[2], quarter)
        self.leave(1, quarter, half)
        del quarter
        half = compute_stage(self, model.decoder[1], half)
        self.leave(0, half, full)
        del half
        full = compute_stage(self, model.decoder[0], full)
        head = cast(nn.Conv2d, model.head[0])
        return self.layer(
            image.shape, 3, lambda a, b: convolve(head, band_of(full, a, b)) + mean_view(image[..., a:b, :])
        )

    def enter(self, scale: int, above: Map, image: Map) -> Map:
        """Compute the first map of a stage of the encoder: half the one above, fused with the shallow features."""
        stem, fuse = cast(nn.Conv2d, self.model.stem[scale]), cast(nn.Conv2d, self.model.fuse[scale - 1])
        shallow = cast(nn.Sequential, self.model.shallow[scale - 1])
        norm = cast(nn.InstanceNorm2d, shallow[-1])
        height, width = image.shape[-2:]
        spans = self.spans(height, width, fuse.out_channels)
        moments = self.statistics.spread(norm, (_shallow(shallow, image, a, b) for a, b in spans))
        mean, variance = (moment.to(norm.weight.dtype) for moment in moments)

        def make(start: int, end: int) -> Tensor:
            top, bottom = max(start - 1, 0), min(end + 1, height)
            # row r of the stem reads rows 2 r - 1 to 2 r + 1 above, of which the last one is never below the map
            x = F.gelu(convolve(stem, rows_of(above, 2 * top - 1, 2 * bottom)))
            features = F.batch_norm(
                _shallow(shallow, image, top, bottom), mean, variance, norm.weight, norm.bias, False, 0.0, norm.eps
            )
            return convolve(fuse, rows_of(torch.cat([x, features], dim=1), start - 1 - top, end + 1 - top))

        return self.layer(image.shape, fuse.out_channels, make)

    def leave(self, scale: int, below: Map, skip: Map) -> None:
        """Compute the first map of a stage of the decoder, in place of the map that the encoder stored for it."""
        grow, merge = cast(nn.ConvTranspose2d, self.model.grow[scale]), cast(nn.Conv2d, self.model.merge[scale])
        for start, end in self.spans(skip.shape[-2], skip.shape[-1], skip.shape[1]):
            band = band_of(below, start // 2, end // 2)
            # each row below becomes two; the first and the last two are those of the rows around
            grown = F.gelu(F.conv_transpose2d(band, grow.weight, grow.bias, stride=2, padding=1)[..., 2:-2, :])
            skip[..., start:end, :] = F.gelu(merge(torch.cat([grown, skip[..., start:end, :]], dim=1)))


def _work(model: ThreeScaleNetwork, height: int, width: int) -> float:
    """Return the total that `Walk.spans` counts for an image: values times channels, over all loops over bands."""
    # halving a map doubles its channels, so that a loop counts the same at each of the three sizes
    one = height * width * cast(nn.Conv2d, model.stem[0]).out_channels ** 2
    loops = sum(loops_of(stage) for stage in (*model.encoder, *model.decoder))
    # the stem, statistics and features of two sizes, and what leads back to them
    return (loops + 1 + 2 * 2 + 2) * one + height * width * 3**2


def _shallow(shallow: nn.Sequential, image: Map, start: int, end: int) -> Map:
    """Compute rows of the shallow features before their normalization."""
    height = image.shape[-2]
    top, bottom = max(start - 1, 0), min(end + 1, height)
    x = F.gelu(shallow[2](F.gelu(convolve(cast(nn.Conv2d, shallow[0]), band_of(image, top, bottom)))))
    x = rows_of(x, start - 1 - top, end + 1 - top)
    return shallow[6](F.gelu(convolve(cast(nn.Conv2d, shallow[4]), x)))
