"""What a restoration did to a picture as a whole, and what its user should be told about that."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

UNCHANGED = 0.5
"""Mean change in levels of 255 below which almost nothing happened."""
MOVED = 3.0
"""Change of a channel's mean in levels of 255 from which a color counts as moved."""
ALONE = 0.5
"""Rest of the change beside that of the mean color, as a share of it, below which the color alone moved."""
SAME = 0.1
"""Change of the contrast up to which it counts as the same: haze that goes takes its light along and gives contrast."""
BEYOND, BEYOND_SHARE = 8 / 255, 0.02
"""How far beyond [0, 1] a value counts as out of range, and the share of such values that is told."""


@dataclass(frozen=True)
class Change:
    """What a restoration did to a picture.

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
        """Compare a picture with what a network gave for it.

        Args:
            degraded: the picture, in [0, 1].
            restored: the network's output, not clamped.
        """
        means, colors, variances, spreads, beyond = [], [], [], [], 0
        for before, after in zip(degraded[0], restored[0], strict=True):  # by channel, for large pictures
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
        """Sentences for the user of these weights; none where a picture was restored as one expects.

        Args:
            weights: the name of the weights.
        """
        notes = []
        moved = max(self.color, key=abs)
        if self.mean < UNCHANGED:
            notes.append(
                f"almost nothing changed (by {self.mean:.2f} of 255 levels in the mean). If the image is degraded, "
                f"{weights} does not know how: try other weights, or fine-tune on pairs of your own."
            )
        elif abs(moved) >= MOVED and self.rest < ALONE * abs(moved) and abs(self.contrast - 1) < SAME:
            notes.append(
                f"the color of the whole image moved by {moved:+.0f} of 255 levels, and little else changed. If the "
                "image was clean, keep the original, or use --strength 0.5."
            )
        if self.beyond > BEYOND_SHARE:
            notes.append(
                f"{100 * self.beyond:.0f} % of the values left the range of an image and were cut off, so it is unlike "
                f"those that {weights} was trained on. Compare it with the original, or use --strength 0.5."
            )
        return tuple(notes)


def blended(
    degraded: Float[Tensor, "B 3 H W"], restored: Float[Tensor, "B 3 H W"], strength: float
) -> Float[Tensor, "B 3 H W"]:
    """Mix a restored picture with the degraded one.

    Args:
        degraded: the pictures.
        restored: what a network gave; not changed.
        strength: 0 for the degraded picture, 1 for the restored one.
    """
    return restored if strength == 1 else torch.lerp(degraded, restored, strength)
