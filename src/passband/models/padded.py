"""Runs restoration networks on images of any size, and checks how many views of a scene a network takes."""

from collections.abc import Callable
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from passband.ops.tiling import pad_to_multiple

_VIEWS = {1: "one view", 2: "left and right views"}


def input_views(model: object) -> int:
    """Return the number of images of a scene that a network takes: 1, or 2 for left and right views in 6 channels.

    Args:
        model: a restoration network or an engine.
    """
    return getattr(model, "in_channels", 3) // 3


def check_views(model: object, views: int, weights: str | Path) -> None:
    """Refuse a network that takes another number of views than it will get.

    Args:
        model: a restoration network or an engine; without `in_channels` it takes 3 channels.
        views: number of images of each scene that it will get.
        weights: name of the weights for the error.

    Raises:
        ValueError: if the numbers differ; the message says what to do.
    """
    taken = input_views(model)
    if taken != views:
        needed, given = (_VIEWS.get(count, f"{count} views") for count in (taken, views))
        raise ValueError(
            f"{weights} takes {3 * taken} input channels ({needed} of a scene), but gets {3 * views} ({given}): choose "
            f"weights for {given}, or give it {needed}"
        )


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
