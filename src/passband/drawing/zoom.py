"""Finds the most detailed part of an image, enlarges it, and frames it in the image."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

STEPS = 4
"""Ratio of the side of a part to the step in which the search moves it."""
SIDE = 640
"""Longest side of an image in a report, in pixels."""
ZOOM = 4
"""Factor by which a part is enlarged in a report, against the image above it."""


@dataclass(frozen=True)
class Part:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: Float[Tensor, "3 H W"]) -> Float[Tensor, "3 h w"]:
        """Return the pixels of an image inside this rectangle.

        Args:
            image: image in which the rectangle lies.

        Returns:
            A view of `height` x `width` pixels.
        """
        return image[:, self.top : self.top + self.height, self.left : self.left + self.width]

    def scaled(self, ratio: float) -> "Part":
        """Return the same rectangle in an image that was resized by a ratio.

        Args:
            ratio: side of the resized image divided by that of the image.

        Returns:
            The rectangle, rounded to whole pixels.
        """
        return Part(*(round(ratio * number) for number in (self.top, self.left, self.height, self.width)))


def most_detailed(reference: Float[Tensor, "3 H W"], height: int, width: int) -> Part:
    """Return the rectangle whose pixels differ most from their neighbors.

    Args:
        reference: image to search, RGB in [0, 1].
        height: height of the rectangle in pixels, which is limited to that of the image.
        width: width of the rectangle in pixels, which is limited to that of the image.
    """
    gray = reference.mean(0)
    # zero padding, if it were counted, would look like an edge at the border of a bright image
    around = F.avg_pool2d(gray[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    return strongest((gray - around).abs(), height, width)


def strongest(strength: Float[Tensor, "H W"], height: int, width: int) -> Part:
    """Return the rectangle in which the mean of a map is greatest.

    Args:
        strength: value of each pixel, at least 0.
        height: height of the rectangle in pixels, which is limited to that of the map.
        width: width of the rectangle in pixels, which is limited to that of the map.
    """
    height, width = min(height, strength.shape[-2]), min(width, strength.shape[-1])
    down, across = max(1, height // STEPS), max(1, width // STEPS)
    energy = F.avg_pool2d(strength[None], (height, width), stride=(down, across))[0]
    row, column = divmod(int(energy.argmax()), energy.shape[1])
    return Part(row * down, column * across, height, width)


def with_enlarged_part(
    images: Iterable[Float[Tensor, "3 H W"]],
    size: tuple[int, int],
    find: Callable[[int, int], Part],
    side: int = SIDE,
    zoom: int = ZOOM,
) -> tuple[list[Float[Tensor, "3 h w"]], list[Float[Tensor, "3 _ _"]]]:
    """Shrink images of one size, mark the same part in each with a frame, and enlarge this part.

    Args:
        images: images to show, RGB in [0, 1]. They are taken one at a time.
        size: (height, width) of the images in pixels.
        find: function of height and width in pixels that returns a part of this size of the whole images.
        side: longest side of the shrunk images in pixels. Smaller images keep their size.
        zoom: factor by which the part is enlarged, against the image above it.

    Returns:
        The shrunk images with a frame, and the enlarged parts.
    """
    ratio = min(1.0, side / max(size))
    small = (max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio)))
    times = max(1, round(ratio * zoom)) if ratio < 1 else zoom
    part = find(max(1, small[0] // times), max(1, small[1] // times))
    shrunk, parts = [], []
    for image in images:
        shrunk.append(framed(F.interpolate(image[None], small, mode="area")[0], part.scaled(ratio)))
        parts.append(magnified(part.of(image), times))
    return shrunk, parts


def magnified(image: Float[Tensor, "C h w"], times: int) -> Float[Tensor, "C H W"]:
    """Enlarge an image by repeating every pixel, without smoothing.

    Args:
        image: image of any range.
        times: number of repetitions in each direction.
    """
    return image.repeat_interleave(times, -2).repeat_interleave(times, -1)


def framed(image: Float[Tensor, "3 H W"], part: Part) -> Float[Tensor, "3 H W"]:
    """Draw a frame around a part of an image. The frame is white between black lines, so that it is visible anywhere.

    Args:
        image: RGB image in [0, 1], which is not changed.
        part: part to frame. The frame lies around it.

    Returns:
        RGB in [0, 1].
    """
    with_frame = image.clone()
    for distance, value in ((2, 0.0), (1, 1.0), (0, 0.0)):
        top, left = max(0, part.top - distance), max(0, part.left - distance)
        bottom = min(image.shape[-2], part.top + part.height + distance)
        right = min(image.shape[-1], part.left + part.width + distance)
        inside = torch.zeros(image.shape[-2:], dtype=torch.bool)
        inside[top:bottom, left:right] = True
        inside[top + 1 : bottom - 1, left + 1 : right - 1] = False
        with_frame[:, inside] = value
    return with_frame
