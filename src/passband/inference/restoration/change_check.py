"""Checks how a restoration changed an image as a whole, and warns the user about unexpected changes."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from passband.models.restoration.three_scales import mean_view

UNCHANGED = 0.5
"""Mean change, in levels of 255, below which the image counts as unchanged."""
MOVED = 3.0
"""Change of a channel's mean, in levels of 255, from which the color counts as shifted."""
ALONE = 0.5
"""Remaining change, as a share of the color shift, below which only the color counts as changed."""
SAME = 0.1
"""Relative change of the contrast up to which it counts as the same. Removing haze changes color and contrast."""
BEYOND = 8 / 255
"""Distance from [0, 1] from which a value counts as out of range."""
BEYOND_SHARE = 0.02
"""Share of values out of range from which the user is warned."""


@dataclass(frozen=True)
class Change:
    """The change of an image by a restoration.

    Attributes:
        mean: mean absolute change of a value, in levels of 255.
        color: change of the mean of red, green and blue, in levels of 255.
        rest: standard deviation of the change within a channel, in levels of 255.
        contrast: factor by which the standard deviation within a channel changed.
        beyond: share of the values that the network gave outside of [0, 1], by more than 8 levels.
    """

    mean: float
    color: tuple[float, float, float]
    rest: float
    contrast: float
    beyond: float

    @classmethod
    def between(cls, degraded: Float[Tensor, "1 3 H W"], restored: Float[Tensor, "1 3 H W"]) -> "Change":
        """Compare an image with the output of a network.

        Args:
            degraded: the image, in [0, 1].
            restored: the network's output, not clamped to [0, 1].
        """
        means, colors, variances, spreads, beyond = [], [], [], [], 0
        for before, after in zip(degraded[0], restored[0], strict=True):  # channel by channel, to save memory
            beyond += int(((after < -BEYOND) | (after > 1 + BEYOND)).sum())
            after = after.clamp(0, 1)
            spreads.append((before.var(correction=0).item(), after.var(correction=0).item()))
            change = after - before
            means.append(255 * change.abs().mean().item())
            colors.append(255 * change.mean().item())
            variances.append(255**2 * change.var(correction=0).item())
        red, green, blue = colors
        deviation = (sum(variances) / 3) ** 0.5
        spread_before, spread_after = (sum(part) + 1e-9 for part in zip(*spreads, strict=True))
        contrast = (spread_after / spread_before) ** 0.5
        return cls(sum(means) / 3, (red, green, blue), deviation, contrast, beyond / degraded[0].numel())

    def notes(self, weights: str) -> tuple[str, ...]:
        """Return warnings for the user; none if the change is a usual one.

        Args:
            weights: name of the weights.
        """
        notes = []
        moved = max(self.color, key=abs)
        if self.mean < UNCHANGED:
            notes.append(
                f"almost nothing changed (by {self.mean:.2f} of 255 levels on average). If the image is degraded, "
                f"{weights} does not know this degradation: try other weights, or fine-tune on pairs of your own."
            )
        elif abs(moved) >= MOVED and self.rest < ALONE * abs(moved) and abs(self.contrast - 1) < SAME:
            notes.append(
                f"the color of the whole image moved by {moved:+.0f} of 255 levels, and little else changed. If the "
                "image was clean, keep the original, or use a strength of 0.5."
            )
        if self.beyond > BEYOND_SHARE:
            notes.append(
                f"{100 * self.beyond:.0f} % of the values left the range of an image and were cut off, so it is unlike "
                f"those that {weights} was trained on. Compare it with the original, or use a strength of 0.5."
            )
        return tuple(notes)


def blended(
    degraded: Float[Tensor, "B C H W"], restored: Float[Tensor, "B 3 H W"], strength: float
) -> Float[Tensor, "B 3 H W"]:
    """Mix restored images with the degraded ones.

    Args:
        degraded: the degraded images in [0, 1], or the views of each scene, whose mean is mixed in.
        restored: output of the network, which may leave [0, 1] and is not modified.
        strength: share of the restored image, from 0 (the degraded image) to 1 (the restored one).

    Returns:
        The mixed images, not clamped.
    """
    return restored if strength == 1 else torch.lerp(mean_view(degraded), restored, strength)
