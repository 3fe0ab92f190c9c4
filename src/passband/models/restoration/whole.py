"""Runs restoration networks on images of any size, each image as a whole."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from passband.ops.tiling import pad_to_multiple


def restore_batch(
    model: nn.Module, degraded: Float[Tensor, "B C H W"], run: Callable[[Tensor], Tensor] | None = None
) -> Float[Tensor, "B 3 H W"]:
    """Restore images of any size: pad them to a size that the network takes, run it, and crop the result.

    Args:
        model: restoration network, whose `multiple` and `minimum` give the sizes that it takes.
        degraded: images in [0, 1], from 1 x 1.
        run: function that restores padded images by the network, such as its engine; None calls the network.

    Returns:
        The prediction in full size, not clamped.
    """
    padded, (height, width) = pad_to_multiple(degraded, model.multiple, model.minimum)  # type: ignore[arg-type]
    restored = model(padded)[-1] if run is None else run(padded)
    return restored[..., :height, :width]
