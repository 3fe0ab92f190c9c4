"""Measures which frequencies of an image are wrong before and after restoration, and how the error changed.

Images are transformed by the orthonormal DCT of square blocks. For each coefficient of each block and channel, let d, r
and c be its values in the degraded, the restored and the clean image. The error is (d - c)^2 before and (r - c)^2
after the restoration, and the change (d - c)^2 - (r - c)^2 counts as

- **restored** if the error became smaller,
- **lost** if it became larger and |r| <= |c|: content of the clean image is now missing,
- **invented** if it became larger and |r| > |c|: content has appeared that the clean image does not have.

All three are nonnegative, and before - after = restored - lost - invented for each coefficient. The transform preserves
energy (Parseval), so the sums over all frequencies, divided by the number of values of the image, are exactly the mean
squared errors (MSE) and their change. Without a degraded image, the clean one takes its place: the error before is
zero, and the whole error is either lost or invented.

Blocks of 8 pixels give 8 x 8 frequencies, as JPEG has them; larger blocks give finer ones. Bands gather frequencies by
their radius sqrt(v^2 + u^2) / block, where 1 is the Nyquist frequency of half a cycle per pixel. No window is applied,
because windows change the energy. They are not needed either: the cosine transform continues a block by its mirror
image and so has no jumps at the borders, unlike the Fourier transform. Blocks also keep apart what a restoration does
at different places, which the spectrum of a whole image mixes.
If a side is not a multiple of the block, the errors continue with zeros, which adds no energy, and the clean image
continues with its last row or column.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from passband.ops.checks import check_images, check_same_shape
from passband.ops.dct import constant, dct_matrix
from passband.ops.precision import computing_dtype

BLOCK = 8
"""Side of the blocks, in pixels, unless another one is asked for."""
LARGEST_BLOCK = 32
"""Largest side of the blocks, in pixels."""
PARTS = ("before", "after", "restored", "lost", "invented")
"""Names of the measured quantities."""
_ROWS, _COLUMNS = 64, 2048
"""Largest size in pixels of the part of an image that is measured at once. Its values stay in the cache of a CPU."""


@dataclass(frozen=True)
class SpectralErrors:
    """Error energies of images by frequency, as contributions to their mean squared error, in float64.

    The first axis counts images. The other axes are the frequencies (v, u) of a block, vertical frequency first, or
    bands of frequencies.

    Attributes:
        before: error of the degraded image.
        after: error of the restored image.
        restored: decrease of the error where it became smaller.
        lost: increase of the error where the restored coefficient is not stronger than the clean one.
        invented: increase of the error where it is stronger.
    """

    before: Float[Tensor, "B *K"]
    after: Float[Tensor, "B *K"]
    restored: Float[Tensor, "B *K"]
    lost: Float[Tensor, "B *K"]
    invented: Float[Tensor, "B *K"]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.after)

    @property
    def change(self) -> Float[Tensor, "B *K"]:
        """Decrease of the error: restored - lost - invented."""
        return self.before - self.after

    def of_each(self, function: Callable[[Tensor], Tensor]) -> "SpectralErrors":
        """Return the results of a function for all five quantities.

        Args:
            function: function of a tensor, such as a sum over its frequencies.
        """
        return SpectralErrors(*(function(getattr(self, name)) for name in PARTS))

    def in_bands(self) -> "SpectralErrors":
        """Return the sums over the bands of `band_edges`, of shape B block + 1, from errors by frequency."""
        block = self.after.shape[-1]
        numbers = band_numbers(block).to(self.after.device).flatten()

        def summed(energy: Tensor) -> Tensor:
            return energy.new_zeros(len(energy), block + 1).index_add_(1, numbers, energy.flatten(1))

        return self.of_each(summed)

    @staticmethod
    def of_images(parts: "Sequence[SpectralErrors]") -> "SpectralErrors":
        """Put the errors of several images together.

        Args:
            parts: errors of one or more images each.

        Raises:
            ValueError: if there are none.
        """
        if not parts:
            raise ValueError("spectral errors need at least one image, got none.")
        return SpectralErrors(*(torch.cat([getattr(part, name) for part in parts]) for name in PARTS))


def spectral_errors(
    restored: Float[Tensor, "B C H W"],
    clean: Float[Tensor, "B C H W"],
    degraded: Float[Tensor, "B C H W"] | None = None,
    *,
    block: int = BLOCK,
) -> SpectralErrors:
    """Measure the errors of images by frequency, and what a restoration changed.

    Args:
        restored: restored images in [0, 1], at least as large as a block.
        clean: the images without degradation.
        degraded: the images before the restoration; None to measure the error of `restored` alone.
        block: side of the blocks in pixels, from 2 to 32.

    Returns:
        Energies of each image and frequency, of shape B block block, summed over channels, on the device of the images.
        They are computed in float32, or in float64 for images of that type, and added up in float64.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if the shapes differ, the block is out of range, or the images are smaller than a block.
    """
    where = "spectral_errors"
    check_images(clean, where)
    degraded = clean if degraded is None else degraded
    for image, name in ((restored, "restored"), (degraded, "degraded")):
        check_same_shape(image, clean, where, (name, "clean"))
    if not 2 <= block <= LARGEST_BLOCK:
        raise ValueError(f"{where} needs a block of 2 to {LARGEST_BLOCK} pixels, got {block}.")
    height, width = clean.shape[-2:]
    if min(height, width) < block:
        raise ValueError(f"{where} needs images of at least {block} x {block} pixels, got {height} x {width}.")
    with torch.no_grad(), torch.autocast(clean.device.type, enabled=False):
        sums = torch.stack([_sums(*image, block) for image in zip(degraded, restored, clean, strict=True)])
    after, growth, worse, invented = (sums / clean[0].numel()).unbind(1)
    return SpectralErrors(after - growth, after, worse - growth, worse - invented, invented)


def band_numbers(block: int = BLOCK) -> Int64[Tensor, "V U"]:
    """Return the band of each frequency of a block, from 0 to `block`.

    Args:
        block: side of the blocks, in pixels.

    Returns:
        Number of the band of each frequency (v, u); the corner beyond the Nyquist frequency has the number `block`.
    """
    frequency = torch.arange(block, dtype=torch.float64)
    return torch.hypot(frequency[:, None], frequency).long().clamp(max=block)


def band_edges(block: int = BLOCK) -> list[tuple[float, float]]:
    """Return the lowest and the highest radius of each band, as shares of the Nyquist frequency.

    Bands have the width 1 / block. The last one holds the radii from 1 on, in the corner of the spectrum.

    Args:
        block: side of the blocks, in pixels.

    Returns:
        block + 1 pairs, from the lowest band to the corner, which ends at sqrt 2.
    """
    return [*((number / block, (number + 1) / block) for number in range(block)), (1.0, 2**0.5)]


def _sums(
    degraded: Float[Tensor, "C H W"], restored: Float[Tensor, "C H W"], clean: Float[Tensor, "C H W"], block: int
) -> Float[Tensor, "4 V U"]:
    """Add up four quantities of an image by frequency, see `_Workspace.sums`."""
    channels, height, width = clean.shape
    dtype = computing_dtype(clean)
    workspace = _Workspace(channels, block, dtype, clean.device)
    total = torch.zeros(4, block, block, dtype=torch.float64, device=clean.device)
    for rows in _pieces(height, _ROWS, block):
        for columns in _pieces(width, _COLUMNS, block):
            workspace.load(*(image[:, rows, columns].to(dtype) for image in (degraded, restored, clean)))
            total += workspace.sums()
    return total


def _pieces(length: int, longest: int, block: int) -> Iterator[slice]:
    """Cut a side into pieces of whole blocks and similar lengths; the last piece may end within a block."""
    blocks, most = -(-length // block), longest // block
    step = block * -(-blocks // -(-blocks // most))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


class _Workspace:
    """Memory for a piece of an image. All pieces share it, because new memory would take longer than the work.

    Args:
        channels: number of channels of the image.
        block: side of the blocks, in pixels.
        dtype: type in which the piece is transformed.
        device: device of the image.
    """

    def __init__(self, channels: int, block: int, dtype: torch.dtype, device: torch.device):
        size = channels * _ROWS * _COLUMNS
        self.channels, self.block = channels, block
        self._images, self._coefficients, self._parts = (
            torch.empty(count * size, dtype=dtype, device=device) for count in (3, 3, 4)
        )
        self._size = (0, 0)

    def load(self, degraded: Tensor, restored: Tensor, clean: Tensor) -> None:
        """Store both errors and the clean image, continued to whole blocks.

        Args:
            degraded: piece of the degraded image, C h w.
            restored: piece of the restored image.
            clean: piece of the clean image.
        """
        height, width = clean.shape[-2:]
        bottom, right = -height % self.block, -width % self.block
        self._size = (height + bottom, width + right)
        before, after, content = _view(self._images, 3, self.channels, *self._size)
        if bottom or right:
            before.zero_()
            after.zero_()
            clean = F.pad(clean[None], (0, right, 0, bottom), mode="replicate")[0]
        content.copy_(clean)
        inside = clean[:, :height, :width]
        torch.sub(degraded, inside, out=before[:, :height, :width])
        torch.sub(restored, inside, out=after[:, :height, :width])

    def sums(self) -> Float[Tensor, "4 V U"]:
        """Return four sums for each frequency.

        They are the error after, its growth, its growth where it became larger, and the part of this where the restored
        coefficient is stronger than the clean one. In each coefficient the third quantity is at least as large as the
        second and the fourth one. Rounded sums in the same order keep this, so no difference of them is negative.
        """
        height, width = self._size
        before, after, content = self._transformed()
        parts = _view(self._parts, 4, self.channels, height, width)
        energy, growth, worse, invented = parts
        torch.mul(after, after, out=energy)
        torch.addcmul(energy, before, before, value=-1, out=growth)
        torch.clamp(growth, min=0, out=worse)
        louder = torch.addcmul(energy, after, content, value=2, out=invented)  # |r|^2 - |c|^2
        # worse where louder > 0, and 0 elsewhere: several times as fast as torch.where
        torch.ops.aten.threshold_backward.grad_input(worse, louder, 0.0, grad_input=invented)
        rows = parts.view(4, -1, self.block * width).sum(1)
        return rows.view(4, self.block, -1, self.block).sum(2).double()

    def _transformed(self) -> Float[Tensor, "3 C h w"]:
        """Return the coefficients of all blocks, each block in the place of its pixels.

        `ops.dct.block_dct` sorts them by frequency, which takes as long as the transform.
        """
        height, width = self._size
        matrix = constant(dct_matrix, self.block, like=self._images)
        count = 3 * self.channels * height * width
        across = _view(self._parts, count // self.block, self.block)  # the parts are computed later
        torch.mm(_view(self._images, *across.shape), matrix.mT, out=across)
        rows = (count // (self.block * width), self.block, width)
        torch.matmul(matrix, across.view(rows), out=_view(self._coefficients, *rows))
        return _view(self._coefficients, 3, self.channels, height, width)


def _view(memory: Float[Tensor, " N"], *shape: int) -> Tensor:
    """Return the beginning of a memory as a tensor of some shape."""
    return memory[: prod(shape)].view(shape)
