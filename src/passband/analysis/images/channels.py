"""Shows the 192 frequency channels of an image, and the image that remains of some of them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.drawing.charts.style import save_charts
from passband.drawing.frequencies.mosaic import mosaic_figure
from passband.io.image import read_image, write_image
from passband.io.jpeg import JpegCoefficients, JpegError, dequantize, read_coefficients
from passband.layers.channels import COMPONENTS, SUBSETS, ChannelSubset, channel_subset
from passband.metrics import psnr
from passband.naming import listed
from passband.ops.checks import check_images
from passband.ops.color import ycbcr_to_rgb
from passband.ops.cube import assemble_cube, image_cube, sampling_ratios
from passband.ops.dct import inverse_block_dct
from passband.ops.dct_geometry import orient
from passband.ops.tiling import pad_to_multiple
from passband.reports.files import write_csv

BLOCK = 8
"""Side of a block in pixels."""
WHOLE = "192"
"""Name of the subset of all channels."""
COLUMNS = ("channel", "component", "v", "u", "chosen", "stored", "mean", "std", "energy")
"""Columns of channels.csv."""


@dataclass(frozen=True, eq=False)
class ImageChannels:
    """The frequency channels of one image: one DCT coefficient of all blocks of 8 x 8 pixels each."""

    cube: Float[Tensor, "192 h w"]
    """Coefficients of Y, Cb and Cr in the units of a JPEG file, upright, channel 64 component + 8 v + u."""
    rows: tuple[int, int]
    """First row of the image in the blocks and the row after the last, because blocks may extend beyond the image."""
    columns: tuple[int, int]
    """First column and the column after the last."""
    from_jpeg: bool
    """Whether the coefficients are those of a JPEG file, otherwise they are computed from pixels."""
    chroma_ratio: tuple[int, int] = (1, 1)
    """Factor by which a JPEG file stores Cb and Cr smaller, vertically and horizontally."""

    @classmethod
    def of_image(cls, image: Float[Tensor, "3 H W"]) -> "ImageChannels":
        """Compute the channels of pixels.

        Args:
            image: RGB image in [0, 1], of any size.

        Raises:
            TypeError: if the image is not a tensor of floating-point values.
            ValueError: if the shape is not 3 H W.
        """
        check_images(image[None], "ImageChannels.of_image", channels=3)
        padded, (height, width) = pad_to_multiple(image[None], BLOCK)
        return cls(image_cube(padded, BLOCK)[0], (0, height), (0, width), from_jpeg=False)

    @classmethod
    def of_file(cls, path: str | Path) -> "ImageChannels":
        """Read the channels of an image file; a JPEG file gives those that it stores, without being decoded.

        The few JPEG files whose coefficients cannot be used, such as those with CMYK or RGB inside, are decoded, and so
        is every other type of image.

        Args:
            path: path of an image.

        Raises:
            ImageError: if the file cannot be read as an image.
            OSError: if the file cannot be read.
        """
        with suppress(JpegError):  # not a JPEG file, or a damaged one, which reading its pixels reports better
            stored = read_coefficients(Path(path))
            if stored.color_space != "rgb":
                with suppress(ValueError):  # sampling factors that do not fit one grid of blocks
                    return cls._of_coefficients(stored)
        return cls.of_image(read_image(path))

    @classmethod
    def _of_coefficients(cls, stored: JpegCoefficients) -> "ImageChannels":
        """Arrange the coefficients of a JPEG file on one grid, upright.

        Raises:
            ValueError: if the sampling factors do not fit one grid.
        """
        ratios = sampling_ratios(stored.header.factors)
        cube = assemble_cube([part[None] for part in dequantize(stored)], ratios, BLOCK)
        orientation, chroma = stored.orientation, ratios[1] if len(ratios) == 3 else (1, 1)
        height, width = stored.height, stored.width
        if orientation >= 5:
            height, width, chroma = width, height, (chroma[1], chroma[0])
        upright = orient(cube, orientation)[0]
        # mirrored blocks extend beyond the image at the top or the left
        top = BLOCK * upright.shape[-2] - height if orientation in (3, 4, 7, 8) else 0
        left = BLOCK * upright.shape[-1] - width if orientation in (2, 3, 6, 7) else 0
        return cls(upright, (top, top + height), (left, left + width), True, chroma)

    @property
    def image(self) -> Float[Tensor, "3 H W"]:
        """The image of all channels, in [0, 1]. For a JPEG file with small chroma, the enlarged chroma is smooth."""
        return self.rebuilt(WHOLE)

    @property
    def stored(self) -> list[bool]:
        """Whether the source holds each channel. A JPEG file with small chroma lacks the high frequencies of Cb, Cr."""
        down, across = (BLOCK // ratio for ratio in self.chroma_ratio)
        chroma = [index // BLOCK < down and index % BLOCK < across for index in range(BLOCK * BLOCK)]
        return [True] * (BLOCK * BLOCK) + 2 * chroma

    def rebuilt(self, subset: str | Sequence[int] | ChannelSubset) -> Float[Tensor, "3 H W"]:
        """Return the image that these channels alone hold; all other coefficients are zero.

        Args:
            subset: name of a subset, such as "24S", numbers of channels, or a subset.

        Returns:
            RGB image in [0, 1]. Without the lowest channel of a component, its mean is a middle gray.

        Raises:
            ValueError: if the name or a number is unknown.
        """
        chosen = _subset(subset)
        kept = chosen.embed(chosen.select(self.cube[None]))
        samples = inverse_block_dct(kept)[0, :, slice(*self.rows), slice(*self.columns)]
        return ycbcr_to_rgb((samples + 128) / 255).clamp(0, 1)

    def fidelity(self, subset: str | Sequence[int] | ChannelSubset) -> dict[str, float]:
        """Return how much of the image these channels hold.

        Args:
            subset: subset of channels, as in `rebuilt`.

        Returns:
            `channels`, their number; `values`, the share of all numbers, 0 to 1; `energy`, the share of the energy of
            all coefficients without the lowest of each block, which are the contrast within blocks; and `psnr`, the
            PSNR in dB of the image of these channels against the image of all channels.
        """
        chosen = _subset(subset)
        numbers = chosen.indices()
        energy = self._energy()
        energy[:: BLOCK * BLOCK] = 0
        whole = float(energy.sum())
        return {
            "channels": float(len(numbers)),
            "values": len(numbers) / len(self.cube),
            "energy": float(energy[numbers].sum()) / whole if whole > 0 else 1.0,
            "psnr": float(psnr(self.rebuilt(chosen)[None], self.image[None])),
        }

    def table(self, subset: str | Sequence[int] | ChannelSubset = WHOLE) -> list[dict[str, Any]]:
        """Return a row for each channel: mean, standard deviation, and its share of the energy of its component.

        Args:
            subset: subset whose channels are marked as chosen, as in `rebuilt`.

        Returns:
            Rows by column (`COLUMNS`). Mean and standard deviation are in the units of JPEG, and shares are from 0 to
            1.
        """
        chosen, energy, stored = {*_subset(subset).indices()}, self._energy().view(3, -1), self.stored
        shares = (energy / energy.sum(1, keepdim=True).clamp(min=torch.finfo(energy.dtype).tiny)).flatten().tolist()
        values = self.cube.double().flatten(1)
        means, stds = values.mean(1).tolist(), values.std(1, correction=0).tolist()
        rows = []
        for number in range(len(self.cube)):
            component, index = divmod(number, BLOCK * BLOCK)
            v, u = divmod(index, BLOCK)
            row = (number, COMPONENTS[component], v, u, number in chosen, stored[number])
            rows.append(dict(zip(COLUMNS, (*row, means[number], stds[number], shares[number]), strict=True)))
        return rows

    def _energy(self) -> Float[Tensor, "192"]:
        """Return the energy of each channel."""
        return self.cube.double().square().sum((-2, -1))


def analyze_image_channels(
    source: str | Path, output: str | Path, *, subset: str | Sequence[int] = "24S"
) -> dict[str, float]:
    """Write the frequency channels of an image as a mosaic, and the image that a subset of them still shows.

    Writes channels.png and channels.svg (mosaics of Y, Cb and Cr, and the image of the subset), channels.csv (a row for
    each channel), subsets.csv (a row for each named subset), and rebuilt.png (the image of the subset at full size).

    Args:
        source: path of an image. A JPEG file gives the coefficients that it stores.
        output: folder for these files, which is made if it does not exist.
        subset: name of a subset, such as "24S", or numbers of channels.

    Returns:
        The figures of `ImageChannels.fidelity` for the subset.

    Raises:
        ImageError: if the image cannot be read.
        ValueError: if the name or a number is unknown.
        OSError: if the image cannot be read, or a file cannot be written.
    """
    output = Path(output)
    name, chosen = subset_name(subset), channel_subset(subset)
    channels = ImageChannels.of_file(source)
    fidelity = channels.fidelity(chosen)
    rebuilt = channels.rebuilt(chosen)
    figure = mosaic_figure(
        channels.cube, chosen.indices(), channels.stored, channels.image, rebuilt, *described_channels(name, fidelity)
    )
    save_charts(figure, output / "channels.png")
    write_image(output / "rebuilt.png", rebuilt)
    write_csv(output / "channels.csv", COLUMNS, channels.table(chosen))
    compared = {**{known: channels.fidelity(known) for known in SUBSETS}, name: fidelity}
    rows = [{"subset": known, **figures} for known, figures in compared.items()]
    write_csv(output / "subsets.csv", ["subset", *fidelity], rows)
    return fidelity


def described_channels(name: str, fidelity: dict[str, float]) -> tuple[str, str]:
    """Return a title and sentences about a subset.

    Args:
        name: name of the subset.
        fidelity: figures of `ImageChannels.fidelity`.
    """
    count = int(fidelity["channels"])
    loss = "nothing is lost" if fidelity["psnr"] == float("inf") else f"PSNR {fidelity['psnr']:.1f} dB"
    title = f"{count} of 192 frequency channels ({name}) hold {100 * fidelity['energy']:.1f} % of the detail energy"
    text = (
        f"The image of these channels alone against the image of all channels: {loss}. They are "
        f"{100 * fidelity['values']:.3g} % of the numbers."
    )
    return title, text


def subset_name(subset: str | Sequence[int]) -> str:
    """Return a name of a subset for titles and tables.

    Args:
        subset: name of a subset, or numbers of channels.
    """
    return subset if isinstance(subset, str) else f"numbers {listed(subset, most=8)}"


def _subset(subset: str | Sequence[int] | ChannelSubset) -> ChannelSubset:
    """Return a subset of any form."""
    return subset if isinstance(subset, ChannelSubset) else channel_subset(subset)
