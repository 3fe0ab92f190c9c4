"""Color spaces: the sRGB transfer function between stored values and linear light."""

from jaxtyping import Float
from torch import Tensor


def srgb_to_linear(image: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Undo the sRGB transfer function, so that values add as light does.

    Args:
        image: sRGB values in [0, 1].

    Returns:
        Linear light in [0, 1], same shape.

    Source: IEC 61966-2-1:1999.
    """
    return (image / 12.92).where(image <= 0.04045, ((image.clamp(min=0.0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: Float[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
    """Apply the sRGB transfer function to linear light.

    Args:
        light: linear light in [0, 1].

    Returns:
        sRGB values in [0, 1], same shape.

    Source: IEC 61966-2-1:1999.
    """
    # the clamp keeps the power's gradient finite where the linear branch is taken
    return (light * 12.92).where(light <= 0.0031308, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
