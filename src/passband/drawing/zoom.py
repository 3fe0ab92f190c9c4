"""The part of a picture that has most detail, enlarged, and where it lies."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

STEPS = 4
"""A part is looked for in steps of its side over this."""


@dataclass(frozen=True)
class Part:
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 h w"]:
        """The rectangle of a picture."""
        return image[:, self.top : self.top + self.height, self.left : self.left + self.width]

    def scaled(self, ratio: float) -> "Part":
        """The same rectangle of a picture that was resized by a ratio."""
        return Part(*(round(ratio * number) for number in (self.top, self.left, self.height, self.width)))


def most_detailed(reference: Float[Tensor, "3 H W"], height: int, width: int) -> Part:
    """The rectangle of a size whose pixels differ most from what is around them.

    Args:
        reference: the picture that decides.
        height: of the rectangle, in pixels; less where the picture is smaller.
        width: of the rectangle, in pixels; less where the picture is smaller.
    """
    height, width = min(height, reference.shape[-2]), min(width, reference.shape[-1])
    gray = reference.mean(0)
    # zeros counted as neighbors would make an edge of a bright picture's border
    around = F.avg_pool2d(gray[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    down, across = max(1, height // STEPS), max(1, width // STEPS)
    energy = F.avg_pool2d((gray - around).abs()[None], (height, width), stride=(down, across))[0]
    row, column = divmod(int(energy.argmax()), energy.shape[1])
    return Part(row * down, column * across, height, width)


def magnified(image: Float[Tensor, "3 h w"], times: int) -> Float[Tensor, "3 H W"]:
    """A picture with every pixel repeated, so that nothing is smoothed."""
    return image.repeat_interleave(times, -2).repeat_interleave(times, -1)


def framed(image: Float[Tensor, "3 H W"], part: Part) -> Float[Tensor, "3 H W"]:
    """A picture with a frame around a part: white between black, to be seen on every ground."""
    shown = image.clone()
    for distance, value in ((2, 0.0), (1, 1.0), (0, 0.0)):
        top, left = max(0, part.top - distance), max(0, part.left - distance)
        bottom = min(image.shape[-2], part.top + part.height + distance)
        right = min(image.shape[-1], part.left + part.width + distance)
        inside = torch.zeros(image.shape[-2:], dtype=torch.bool)
        inside[top:bottom, left:right] = True
        inside[top + 1 : bottom - 1, left + 1 : right - 1] = False
        shown[:, inside] = value
    return shown
