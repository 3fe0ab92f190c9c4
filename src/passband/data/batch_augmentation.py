"""Random changes of whole batches of images and masks, on the device that trains.

Each sample has its own changes, which depend only on its seed: not on the other samples of the batch, the device, or
the number of processes. All geometric changes are one resampling, and all changes of color are one matrix per image, so
a batch costs few operations of the device, whatever its size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from passband.ops.checks import check_images, shape_of

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a gray value."""
TO_YIQ = (LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
"""Matrix from RGB to YIQ. A rotation of its last two values shifts the hue."""
DRAWS = 12
"""Random numbers that each sample draws. It draws all of them whether they are used or not, so that switching one
change off leaves the others as they are."""


@dataclass(frozen=True)
class BatchAugmentation:
    """Random changes of batches of images in [0, 1], and of their masks. A value of 0 turns a change off.

    Attributes:
        flip: whether to mirror left to right and top to bottom, each half of the time.
        rotation: largest angle of a rotation in degrees, 0 to 180, in either direction.
        zoom: smallest and largest factor by which images are enlarged, above 0.
        shift: largest shift along each axis, as a share of the side, 0 to 1.
        brightness: largest change b of the brightness, 0 to 1; the image is multiplied by 1 - b to 1 + b.
        contrast: largest change of the contrast, 0 to 1, alike.
        saturation: largest change of the saturation, 0 to 1, alike.
        hue: largest shift of the hue as a share of the color circle, 0 to 0.5.
        blur: largest standard deviation in pixels of a Gaussian blur, which half of the images get.
        noise: largest standard deviation of Gaussian noise in [0, 1], which half of the images get.
        outside: label of pixels that come from outside an image: 0 for the background, or `ops.labels.IGNORED` if these
            pixels should not be learned.

    Raises:
        ValueError: if a number is out of its range.
    """

    flip: bool = True
    rotation: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    outside: int = 0

    def __post_init__(self) -> None:
        limits = {"rotation": 180.0, "hue": 0.5, "blur": math.inf}
        for name in ("rotation", "shift", "brightness", "contrast", "saturation", "hue", "blur", "noise"):
            value, most = getattr(self, name), limits.get(name, 1.0)
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be 0 (off) to {most:g}; got {value}")
        low, high = self.zoom
        if not 0 < low <= high:
            raise ValueError(f"zoom must be two factors, 0 < smallest <= largest; got {self.zoom}")

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "B 3 H W"], masks: Int[Tensor, "_ _ _"], seeds: Sequence[int]
    ) -> tuple[Float[Tensor, "B 3 H W"], Int[Tensor, "B H W"]]:
        """Change a batch.

        Args:
            images: images in [0, 1].
            masks: labels of their pixels, of the same size.
            seeds: seed of each image.

        Returns:
            The changed images, in [0, 1], and masks. Pixels from outside an image are black and have the label
            `outside`.

        Raises:
            ValueError: if the batch is empty, or the images, masks and seeds do not belong together.
        """
        check_images(images, "BatchAugmentation", 3)
        if masks.shape != (len(images), *images.shape[-2:]) or len(seeds) != len(images):
            raise ValueError(
                f"BatchAugmentation needs a mask B H W of the size of the images, and a seed for each image; got "
                f"{shape_of(images)} images, {shape_of(masks)} masks and {len(seeds)} seeds"
            )
        random = torch.stack([torch.rand(DRAWS, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        if self.flip or self.rotation or self.zoom != (1, 1) or self.shift:
            images, masks = self._moved(images, masks, random)
        if self.blur:
            images = _blurred(images, self.blur * _half(random[:, 10]), self.blur)
        if self.brightness or self.contrast or self.saturation or self.hue:
            images = self._colored(images, random)
        if self.noise:
            strengths = self.noise * _half(random[:, 11])
            images = images + strengths.to(images)[:, None, None, None] * _noise(images, seeds)
        return images.clamp(0, 1), masks

    def _moved(self, images: Tensor, masks: Tensor, random: Float[Tensor, "B draws"]) -> tuple[Tensor, Tensor]:
        """Flip, rotate, enlarge and shift by one resampling, bilinear for images and nearest for masks."""
        height, width = images.shape[-2:]
        flips = torch.where(random[:, :2] < 0.5, -1.0, 1.0) if self.flip else torch.ones(len(random), 2)
        angle = math.radians(self.rotation) * (2 * random[:, 2] - 1)
        low, high = (math.log(factor) for factor in self.zoom)
        zoom = (low + (high - low) * random[:, 3]).exp()
        shift = 2 * self.shift * (2 * random[:, 4:6] - 1)
        # a place in the result, in units of half a side, comes from matrix @ place + shift in the image
        cos, sin, aspect = angle.cos() / zoom, angle.sin() / zoom, width / height
        matrix = torch.stack(
            [
                torch.stack([flips[:, 0] * cos, flips[:, 0] * -sin / aspect, shift[:, 0]], -1),
                torch.stack([flips[:, 1] * sin * aspect, flips[:, 1] * cos, shift[:, 1]], -1),
            ],
            1,
        )
        grid = F.affine_grid(matrix.to(images), [*images.shape], align_corners=False)
        moved = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
        # the resampling gives 0 to pixels from outside
        shifted = masks[:, None].to(images) - self.outside
        labels = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)[:, 0] + self.outside
        return moved, labels.round().to(masks.dtype)

    def _colored(self, images: Tensor, random: Float[Tensor, "B draws"]) -> Tensor:
        """Change saturation, hue, contrast and brightness, in this order, by one matrix and one offset per image."""
        brightness, contrast, saturation = (
            1 + limit * (2 * random[:, 6 + place] - 1)
            for place, limit in enumerate((self.brightness, self.contrast, self.saturation))
        )
        angle = 2 * math.pi * self.hue * (2 * random[:, 9] - 1)
        to_yiq = torch.tensor(TO_YIQ)
        turned = torch.zeros(len(random), 3, 3)
        turned[:, 0, 0] = 1
        turned[:, 1, 1] = turned[:, 2, 2] = saturation * angle.cos()
        turned[:, 2, 1] = saturation * angle.sin()
        turned[:, 1, 2] = -turned[:, 2, 1]
        matrix = (contrast * brightness)[:, None, None] * (to_yiq.inverse() @ turned @ to_yiq)
        gray = torch.tensor(LUMA).to(images) @ images.mean((-2, -1)).mT
        offset = ((1 - contrast) * brightness).to(images) * gray
        return torch.einsum("bij,bjhw->bihw", matrix.to(images), images) + offset[:, None, None, None]


def _half(random: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Map random numbers from 0 to 1 to strengths from 0 to 1, of which half are 0."""
    return (2 * random - 1).clamp(min=0)


def _blurred(images: Float[Tensor, "B 3 H W"], sigmas: Float[Tensor, " B"], largest: float) -> Float[Tensor, "B 3 H W"]:
    """Blur each image by a Gaussian of its own, along each axis in turn; a sigma of 0 leaves an image as it is."""
    batch, channels, height, width = images.shape
    reach = min(math.ceil(3 * largest), min(height, width) - 1)
    places = torch.arange(-reach, reach + 1).double()
    kernels = (-0.5 * (places / sigmas.double().clamp(min=1e-3)[:, None]) ** 2).exp()
    kernels = (kernels / kernels.sum(1, keepdim=True)).to(images).repeat_interleave(channels, 0)[:, None]
    planes = images.reshape(1, batch * channels, height, width)
    for axis, pads in ((-1, (reach, reach, 0, 0)), (-2, (0, 0, reach, reach))):
        padded = F.pad(planes, pads, mode="reflect")
        planes = F.conv2d(padded, kernels.unsqueeze(-2 if axis == -1 else -1), groups=batch * channels)
    return planes.reshape(images.shape)


def _noise(images: Float[Tensor, "B 3 H W"], seeds: Sequence[int]) -> Float[Tensor, "B 3 H W"]:
    """Draw the Gaussian noise of each image on the CPU, so that it is the same on every device."""
    shape = images.shape[1:]
    drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(drawn).to(images)
