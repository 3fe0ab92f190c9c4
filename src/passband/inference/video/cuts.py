"""Finds scene cuts between two consecutive frames of a video, from the low frequencies of their luma."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

CUT_SIMILARITY = 0.4
"""Similarity below which two consecutive frames belong to two scenes; see `similarity`."""
_CELLS = 16
_FLOOR = (2 / 255) ** 2


def luma_cells(images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 16 16"]:
    """Return the low frequencies of luma: its means over 16 x 16 cells.

    Args:
        images: images in [0, 1].

    Returns:
        Means of the luma of BT.601, in [0, 1].
    """
    return cells_of_luma((images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True))


def cells_of_luma(luma: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 16 16"]:
    """Return the means of luma over 16 x 16 cells.

    Args:
        luma: luma in [0, 1].

    Returns:
        Means in [0, 1], in float32.
    """
    return F.adaptive_avg_pool2d(luma, _CELLS)[:, 0].float()


def similarity(first: Float[Tensor, "16 16"], second: Float[Tensor, "16 16"]) -> float:
    """Return the similarity of the structure of two frames, regardless of their brightness.

    It is the contrast and structure term of SSIM over whole frames, 2 cov(a, b) / (var a + var b). Haze that comes or
    goes scales the contrast of a frame and shifts its brightness, and the similarity stays high (0.4 at a fifth of the
    contrast). For another scene, or a black frame, it falls to 0.

    Args:
        first: `luma_cells` of a frame.
        second: `luma_cells` of another frame.

    Returns:
        A number from -1 to 1.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, eq. 6 to 10.
    """
    a, b = (first - first.mean()).double(), (second - second.mean()).double()
    return ((2 * (a * b).mean() + _FLOOR) / (a.square().mean() + b.square().mean() + _FLOOR)).item()
