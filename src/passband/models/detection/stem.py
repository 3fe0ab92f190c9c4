"""The input of a detector's first layer: frequency channels of pixels, or a JPEG file's own coefficients.

Both have one definition of the cube. Luma is the DCT of cells of 4 x 4 pixels. Chroma, at `chroma_ratio=2`, is the DCT
of 2 x 2 samples, each the mean of 2 x 2 pixels. These are the coefficients that a JPEG file at 4:2:0 stores, with its
blocks split, and those that a file at 4:4:4 stores, halved (`ops.dct_geometry.downscale_by_two`). At `chroma_ratio=1`
it is the DCT of 4 x 4 pixels, which are the coefficients of a file at 4:4:4.

A cell of 4 x 4 has the frequencies 0 to 3. 24S fits, and so do the 48 channels of all three components with
`chroma_ratio=1`. The published 48S and 64S are of blocks of 8 x 8, of an image of twice the size (`doubled`). They have
the same grid of cells with four times as many samples, of which at most a quarter is new information. Ours are taken
from the image doubled by bilinear interpolation, luma and chroma alike, without rounding. The published ones take
chroma from an image that is doubled once more and averaged, and round to integers.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.channels import ChannelSubset
from passband.ops.cube import image_cube

STRIDE = 4
"""Side of the cells in pixels, which is the stride of the input of a ResNet's layer1."""
DIVISIBLE = 32
"""Sides of a batch are multiples of this many pixels, for five halvings in all."""
GRAY = 128 / 255
"""Gray level whose coefficients are all zero; images are padded with it."""

IMAGENET_DC = (-31.8, -26.6, 16.2)
"""Means of the lowest frequency of Y, Cb and Cr at a stride of 4; others are zero within .03 of their deviation."""
IMAGENET_STD = (
    *(271.0, 32.0, 17.5, 11.0, 34.1, 17.1, 12.1, 8.15, 18.9, 12.4, 9.76, 6.98, 12.2, 8.67, 7.19, 6.4),
    *(67.9, 6.25, 2.74, 1.52, 6.73, 3.0, 1.84, 1.12, 3.07, 1.9, 1.41, 0.916, 1.79, 1.23, 0.982, 0.68),
    *(66.0, 6.21, 2.61, 1.37, 6.26, 2.73, 1.68, 1.02, 2.71, 1.71, 1.26, 0.826, 1.52, 1.09, 0.866, 0.602),
)
"""Standard deviations of all 48 channels at a stride of 4. Like the means, they are those of 355 ImageNet photographs,
which the package contains as the channel statistics `imagenet-4`, rounded to three digits."""


class CubeStem(nn.Module):
    """Normalize cubes, which are computed from pixels or given.

    Args:
        subset: frequency channels.
        mean: mean of each channel, which is subtracted; None for ImageNet's.
        std: standard deviation of each channel, by which it is divided; None for ImageNet's.
        takes_pixels: whether the input is pixels rather than cubes.
        chroma_ratio: factor by which chroma is reduced along each direction, 1 or 2.
        doubled: whether channels are those of blocks of 8 x 8 in an image of twice the size.

    Raises:
        ValueError: if such cells do not have these channels, or the number of statistics differs.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        subset: ChannelSubset,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        takes_pixels: bool = True,
        chroma_ratio: int = 2,
        doubled: bool = False,
    ):
        super().__init__()
        block = 2 * STRIDE if doubled else STRIDE
        self.lists = subset.lists(block)
        self.block, self.chroma_ratio, self.takes_pixels = block, chroma_ratio, takes_pixels
        if chroma_ratio not in (1, 2):
            raise ValueError(f"chroma_ratio is 1 (4:4:4) or 2 (4:2:0); got {chroma_ratio}")
        if doubled:
            if not takes_pixels:
                raise ValueError(
                    "doubled cubes are made of pixels, because no file holds their coefficients; take input = pixels"
                )
            if chroma_ratio != 1:
                raise ValueError("doubled images are doubled in luma and chroma: set chroma_ratio to 1")
        highest = max((max(frequency) for part in (subset.cb, subset.cr) for frequency in part), default=0)
        if highest >= block // chroma_ratio:
            raise ValueError(
                f"chroma at half the size has frequencies 0 and 1 in a cell of {STRIDE}, this subset of {len(subset)} "
                f"channels needs {highest}; set chroma_ratio to 1, or take 24S"
            )
        if mean is None and std is None:
            mean, std = imagenet_statistics(subset, block)
        if mean is None or std is None or not len(mean) == len(std) == len(subset) or min(std) <= 0:
            raise ValueError(
                f"mean and std above 0 of each of {len(subset)} channels are needed; got "
                f"{'none' if mean is None else len(mean)} and {'none' if std is None else len(std)}"
            )
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def cube(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K h w"]:
        """Compute the cube of pixels, not normalized.

        Args:
            pixels: RGB minus `GRAY`, with sides that are multiples of 4.

        Returns:
            The chosen channels, in the units of `ops.cube.assemble_cube`.
        """
        image = pixels + GRAY
        if self.block != STRIDE:
            image = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
        return image_cube(image, self.block, (self.chroma_ratio, self.chroma_ratio), self.lists)

    def forward(self, x: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B K h w"]:
        """Return normalized cubes.

        Args:
            x: pixels as for `cube`; or cubes in the units of `ops.cube`, if the stem takes cubes.
        """
        return ((self.cube(x) if self.takes_pixels else x) - self.mean) / self.std


def imagenet_statistics(subset: ChannelSubset, block: int = STRIDE) -> tuple[list[float], list[float]]:
    """Return the mean and the std of a subset's channels over ImageNet's photographs.

    Args:
        subset: frequency channels.
        block: side of the cells' blocks, in samples.

    Returns:
        Mean and standard deviation of each channel, in the unit of `CubeStem.cube`.

    Raises:
        ValueError: if blocks are not 4 x 4.
    """
    if block != STRIDE:
        raise ValueError(
            "mean and std of doubled images are needed, because there are no statistics of ImageNet for them: give "
            'them, or measure them with data.statistics = "fit"'
        )
    wanted = subset.indices(STRIDE)
    return [0.0 if index % 16 else IMAGENET_DC[index // 16] for index in wanted], [
        IMAGENET_STD[index] for index in wanted
    ]


def batch_cubes(
    cubes: Sequence[Float[Tensor, "K _ _"]],
    sizes: Sequence[tuple[int, int]],
    agreed: Callable[[Sequence[int]], Sequence[int]] | None = None,
) -> tuple[Float[Tensor, "B K h w"], Float[Tensor, "B 1 H W"]]:
    """Put cubes of several sizes into a batch, on a middle gray.

    Args:
        cubes: cubes that are not normalized, at a stride of 4; with or without cells beyond the image's edge.
        sizes: height and width of their images, in pixels.
        agreed: function that returns the height and the width of the whole batch in cells, if this is a part of it;
            None if it is the whole batch.

    Returns:
        The batch, and a tensor with the size of the batch in pixels. This tensor takes no memory; proposals and anchors
        need only its size, to know the scale of feature maps.

    Raises:
        ValueError: if the size of a cube does not fit its image.
    """
    cells = [(-(-height // STRIDE), -(-width // STRIDE)) for height, width in sizes]
    for cube, (rows, columns), (height, width) in zip(cubes, cells, sizes, strict=True):
        # a file's last MCU may reach 12 pixels beyond the image
        beyond = cube.shape[-2] - rows, cube.shape[-1] - columns
        if not all(0 <= more < DIVISIBLE // STRIDE for more in beyond):
            raise ValueError(
                f"an image of {height} x {width} pixels has a cube of {rows} x {columns} cells at stride {STRIDE}, "
                f"got {cube.shape[-2]} x {cube.shape[-1]}"
            )
    unit = DIVISIBLE // STRIDE
    longest = [max(sides) for sides in zip(*cells, strict=True)]
    height, width = (-(-side // unit) * unit for side in (agreed(longest) if agreed else longest))
    batch = cubes[0].new_zeros(len(cubes), cubes[0].shape[0], height, width)
    for place, cube, (rows, columns) in zip(batch, cubes, cells, strict=True):
        place[:, :rows, :columns] = cube[:, :rows, :columns]
    return batch, batch.new_empty(1).expand(len(cubes), 1, STRIDE * height, STRIDE * width)
