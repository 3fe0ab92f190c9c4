"""Shows frames of videos as players do."""

from fractions import Fraction

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.io.image import ImageMeta, StoredImage
from passband.io.video import Frame, VideoFormat


def shown_frame(frame: Frame, video: VideoFormat) -> StoredImage:
    """Return a frame as players show it: upright, and with square pixels.

    Args:
        frame: frame of a video.
        video: format of the video.
    """
    image = _upright(_square(frame.image, video.aspect), video.display_matrix)
    alpha = None
    if frame.alpha is not None:
        alpha = _upright(_square(frame.alpha / ((1 << video.coding.bits) - 1), video.aspect), video.display_matrix)
    return StoredImage(image, alpha, ImageMeta("PNG"))


def _square(image: Float[Tensor, "C H W"], aspect: Fraction | None) -> Float[Tensor, "C h w"]:
    """Return an image with square pixels; one of its sides grows."""
    if aspect in (None, 1):
        return image
    assert aspect is not None
    height, width = image.shape[-2:]
    size = (height, round(width * aspect)) if aspect > 1 else (round(height / aspect), width)
    return F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=True)[0].clamp(0, 1)


def _upright(image: Float[Tensor, "C H W"], matrix: tuple[int, ...] | None) -> Float[Tensor, "C h w"]:
    """Return an image that is turned by quarters and mirrored as a display matrix says."""
    if matrix is None:
        return image
    # a point x, y moves to a x + c y across and b x + d y down
    a, b, c, d = (round(matrix[place] / 65536) for place in (0, 1, 3, 4))
    if a == 0 and d == 0:
        image, a, d = image.transpose(-2, -1), c, b
    mirrored = [axis for axis, sign in ((-1, a), (-2, d)) if sign < 0]
    return image.flip(mirrored) if mirrored else image
