"""The images that a network sees at each moment of a curriculum: masked ones, or smaller ones that cost less."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from passband.curriculum.ratio import RadialProfile, low_pass_ratio
from passband.naming import entry
from passband.ops.checks import check_images
from passband.ops.fourier import spectral_crop

MODES = {
    "mask": "frequencies beyond the ratio are removed; images keep their size and their cost",
    "crop": "the spectrum is cropped: images are smaller and cost less",
}
"""The change of an image, by the name of the mode."""


@runtime_checkable
class Schedule(Protocol):
    """A schedule of the ratio, such as `RatioSchedule`."""

    def at(self, done: float) -> float:
        """Return the ratio, from 0 to 1, at a moment of the training.

        Args:
            done: share of the training that is done, from 0 to 1.
        """
        ...


@dataclass(frozen=True)
class Curriculum:
    """A schedule, and the way in which images follow it.

    In mode `"crop"` the spectrum of an image is cropped to the smallest of `sizes` that holds the ratio, to the nearest
    pixel; if none does, the image stays whole. `RatioSchedule(steps, start=0.5, shape="step", plateaus=3)` with sizes
    128 and 192 trains on images of 256 pixels at 128, 192 and 256 pixels for a third of the steps each. A few sizes,
    all multiples of the network's total stride, let compiled kernels and memory be reused. Labels keep their size: the
    network's output is interpolated to them.

    Attributes:
        schedule: ratio over the training.
        mode: change of the images, a key of `MODES`.
        sizes: lengths of the shorter side in pixels for the mode `"crop"`; the whole image need not be among them.
        definition: definition of the ratio, a key of `DEFINITIONS`. The mode `"crop"` needs one size for a batch, so it
            takes `"radius"` or the definition of the profile.
        profile: profile of the data set; None measures each image.

    Raises:
        ValueError: if the mode is unknown, or crops have no sizes or a definition that differs between images.
    """

    schedule: Schedule
    mode: str = "crop"
    sizes: tuple[int, ...] = ()
    definition: str = "radius"
    profile: RadialProfile | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        entry(self.mode, MODES, "mode of the curriculum")
        if self.mode == "crop" and (not self.sizes or min(self.sizes) < 1):
            raise ValueError(f"crops need sizes of 1 pixel or more, such as (128, 192); got {self.sizes}")
        if self.mode == "crop" and self.profile is None and self.definition != "radius":
            raise ValueError(
                f"crops need one size for a batch, but by {self.definition} each image has its own: use "
                "definition='radius', or give the profile of the data set"
            )

    def apply(self, images: Float[Tensor, "B C H W"], done: float) -> Float[Tensor, "B C h w"]:
        """Return the images to train on at a share of the training.

        Args:
            images: images of any range and size.
            done: share of the training that is done, from 0 to 1.

        Returns:
            Images of `size_at(done, H, W)`, with the mean of each channel unchanged.

        Raises:
            ValueError: as `low_pass_ratio` raises it, in the mode `"mask"`.
        """
        check_images(images, "Curriculum.apply")
        if self.mode == "mask":
            return low_pass_ratio(images, self.schedule.at(done), self.definition, self.profile)
        height, width = images.shape[-2:]
        size = self.size_at(done, height, width)
        return images if size == (height, width) else spectral_crop(images, size)

    def size_at(self, done: float, height: int, width: int) -> tuple[int, int]:
        """Return the height and the width of the images to train on at a share of the training, in pixels.

        Args:
            done: share of the training that is done, from 0 to 1.
            height: height of the whole images, in pixels.
            width: width of the whole images, in pixels.
        """
        ratio = self.schedule.at(done)
        if self.mode == "mask" or ratio == 1:
            return height, width
        shorter = min(height, width)
        # an image of side n holds the frequencies below n / 2 cycles; a ratio of .43 for 96 of 224 pixels asks for 96.3
        needed = round(2 * self.profile.radius(ratio) if self.profile is not None else ratio * shorter)
        side = min((size for size in self.sizes if needed <= size < shorter), default=shorter)
        return height * side // shorter, width * side // shorter

    def unused(self, steps: int, height: int, width: int) -> tuple[int, ...]:
        """Return those of `sizes` to which a training never crops, in pixels.

        Args:
            steps: number of steps of the training, at least 1.
            height: height of the whole images, in pixels.
            width: width of the whole images, in pixels.
        """
        if self.mode == "mask":
            return ()
        seen = {min(self.size_at(step / steps, height, width)) for step in range(steps)}
        return tuple(size for size in self.sizes if size not in seen)

    def pixels(self, steps: int, height: int, width: int) -> float:
        """Return the number of pixels that a training sees, as a share of the number without the curriculum.

        Args:
            steps: number of steps of the training, at least 1.
            height: height of the whole images, in pixels.
            width: width of the whole images, in pixels.
        """
        seen = (math.prod(self.size_at(step / steps, height, width)) for step in range(steps))
        return sum(seen) / (steps * height * width)


def check_stride(sizes: Iterable[int], multiple: int) -> None:
    """Raise an error for sizes that a network cannot take.

    Args:
        sizes: sides of images, in pixels.
        multiple: number by which sides must be divisible.

    Raises:
        ValueError: if a size is not a multiple; the message names the nearest ones.
    """
    wrong = [size for size in sizes if size % multiple]
    if wrong:
        nearest = [max(1, round(size / multiple)) * multiple for size in wrong]
        halvings = multiple.bit_length() - 1
        reason = f", because it halves them {halvings} times" if multiple == 2**halvings and halvings > 1 else ""
        raise ValueError(
            f"the network takes sides that are multiples of {multiple}{reason}; got {', '.join(map(str, wrong))}: "
            f"choose {', '.join(map(str, nearest))}"
        )
