"""What a network sees at each moment of a curriculum: masked pictures, or smaller ones that cost less."""

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
    "mask": "what lies beyond the ratio is taken out; pictures stay as large, and cost as much",
    "crop": "the spectrum is cropped: pictures are smaller, and cost less",
}
"""Name to what becomes of a picture."""


@runtime_checkable
class Schedule(Protocol):
    """What tells the ratio, such as `RatioSchedule`."""

    def at(self, done: float) -> float:
        """The ratio when this share of the training, from 0 to 1, is done."""
        ...


@dataclass(frozen=True)
class Curriculum:
    """A schedule, and how pictures follow it.

    In mode `"crop"` a picture is cut, spectrum first, to the smallest of `sizes` that holds the ratio, and is whole
    where none does: `RatioSchedule(steps, start=0.5, shape="step", plateaus=3)` with sizes 128 and 192 trains on
    pictures of 256 at 128, 192 and 256 pixels for a third of the steps each. Few sizes, all multiples of what the
    network halves by, keep compiled kernels and memory in use. Labels stay as large as they are: the network's output
    is interpolated to them.

    Attributes:
        schedule: the ratio over the training.
        mode: a key of `MODES`.
        sizes: of the shorter side for the mode `"crop"`, in pixels; the whole picture need not be among them.
        definition: what a ratio is a share of, a key of `DEFINITIONS`. For the mode `"crop"`, which needs one size for
            a batch, it is `"radius"`, or that of the profile.
        profile: of the data set; None measures each picture.

    Raises:
        ValueError: for an unknown mode, for crops without sizes or by a definition that differs between pictures.
    """

    schedule: Schedule
    mode: str = "crop"
    sizes: tuple[int, ...] = ()
    definition: str = "radius"
    profile: RadialProfile | None = None

    def __post_init__(self) -> None:
        """Check what cannot be meant."""
        entry(self.mode, MODES, "mode of the curriculum")
        if self.mode == "crop" and (not self.sizes or min(self.sizes) < 1):
            raise ValueError(f"crops need sizes of 1 pixel or more, such as (128, 192); got {self.sizes}")
        if self.mode == "crop" and self.profile is None and self.definition != "radius":
            raise ValueError(
                f"by {self.definition} each picture has a size of its own: crop by definition='radius', or give the "
                "data set's profile"
            )

    def apply(self, images: Float[Tensor, "B C H W"], done: float) -> Float[Tensor, "B C h w"]:
        """The pictures to learn from when a share of the training is done.

        Args:
            images: any range and size.
            done: share of the training, from 0 to 1.

        Returns:
            Of `size_at(done, H, W)`; the mean of each channel is kept.

        Raises:
            ValueError: as `low_pass_ratio`, in the mode `"mask"`.
        """
        check_images(images, "Curriculum.apply")
        if self.mode == "mask":
            return low_pass_ratio(images, self.schedule.at(done), self.definition, self.profile)
        height, width = images.shape[-2:]
        size = self.size_at(done, height, width)
        return images if size == (height, width) else spectral_crop(images, size)

    def size_at(self, done: float, height: int, width: int) -> tuple[int, int]:
        """Height and width of the pictures to learn from when a share of the training is done, in pixels.

        Args:
            done: share of the training, from 0 to 1.
            height: of the whole pictures, pixels.
            width: of the whole pictures, pixels.
        """
        ratio = self.schedule.at(done)
        if self.mode == "mask" or ratio == 1:
            return height, width
        shorter = min(height, width)
        # a picture of side n holds the frequencies below n / 2 cycles; rounding must not ask for a larger one
        needed = 2 * self.profile.radius(ratio) if self.profile is not None else ratio * shorter
        side = min((size for size in self.sizes if needed <= size + 1e-9 and size < shorter), default=shorter)
        return height * side // shorter, width * side // shorter

    def pixels(self, steps: int, height: int, width: int) -> float:
        """The share of pixels that a training sees of those it would see without the curriculum.

        Args:
            steps: of the training.
            height: of the whole pictures, pixels.
            width: of the whole pictures, pixels.
        """
        seen = (math.prod(self.size_at(step / steps, height, width)) for step in range(steps))
        return sum(seen) / (steps * height * width)


def check_stride(sizes: Iterable[int], multiple: int) -> None:
    """Refuse sizes that a network cannot take.

    Args:
        sizes: in pixels.
        multiple: what the network needs sides to be a multiple of.

    Raises:
        ValueError: naming those that are none, and the nearest that are.
    """
    wrong = [size for size in sizes if size % multiple]
    if wrong:
        nearest = [max(1, round(size / multiple)) * multiple for size in wrong]
        raise ValueError(
            f"the network takes sides that are multiples of {multiple}; got {', '.join(map(str, wrong))}: choose "
            f"{', '.join(map(str, nearest))}"
        )
