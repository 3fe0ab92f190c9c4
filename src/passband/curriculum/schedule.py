"""A schedule of the frequency ratio over a training, from coarse to fine or the reverse."""

import math
import warnings
from dataclasses import dataclass

from passband.naming import entry

SHAPES = {
    "linear": "in a line",
    "cosine": "slow at both ends",
    "step": "in plateaus of equal length",
}
"""The course of the ratio from start to end, by the name of the shape."""


@dataclass(frozen=True)
class RatioSchedule:
    """The frequency ratio at each step of a training. It depends only on the step and is equal on every process.

    Attributes:
        steps: number of steps of the whole training.
        start: ratio at the beginning, from 0 to 1.
        end: ratio that is reached. `start=1, end=0.3` is the falling schedule of "Adaptive Frequency Ratio Scheduler"
            (lab slides, 2023), `start=0.3` goes from coarse to fine, and `start == end` is a fixed ratio.
        shape: course from start to end, a key of `SHAPES`.
        plateaus: number of ratios of the shape `"step"`, including the first and the last; at least 2.
        hold: share at the end of the training that stays at `end`.
        tail: share of the training after the hold that returns linearly from `end` to `tail_end`.
        tail_end: ratio of the last step if there is a tail.

    Raises:
        ValueError: if the shape is unknown, a share is not from 0 to 1, hold and tail leave no time, or there are no
            steps.

    Warns:
        UserWarning: if the last step does not see the whole spectrum, which is used for validation.
    """

    steps: int
    start: float = 0.3
    end: float = 1.0
    shape: str = "linear"
    plateaus: int = 3
    hold: float = 0.0
    tail: float = 0.0
    tail_end: float = 1.0

    def __post_init__(self) -> None:
        """Check the values."""
        entry(self.shape, SHAPES, "shape of the schedule")
        if self.steps < 1:
            raise ValueError(f"a schedule needs 1 step or more; got {self.steps}")
        for name in ("start", "end", "hold", "tail", "tail_end"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1; got {value}")
        if self.hold + self.tail > 1:
            raise ValueError(f"hold and tail must add to at most 1; got {self.hold} and {self.tail}")
        if self.shape == "step" and self.plateaus < 2:
            raise ValueError(f"plateaus must be 2 or more; got {self.plateaus}")
        last = self.at(1)
        if last < 1:
            warnings.warn(
                f"the schedule ends at a frequency ratio of {last:g}: the network is then trained on another spectrum "
                "than it is scored with, which costs accuracy; let it end at 1",
                stacklevel=3,
            )

    def __call__(self, step: int) -> float:
        """Return the ratio, from 0 to 1, at a step.

        Args:
            step: number of the step, from 0 to `steps - 1`.
        """
        return self.at(step / max(1, self.steps - 1))

    def at(self, done: float) -> float:
        """Return the ratio, from 0 to 1, at a moment of the training.

        Args:
            done: share of the training that is done, from 0 to 1; values beyond are limited to this range.
        """
        done = min(1.0, max(0.0, done))
        moving = 1 - self.hold - self.tail
        if self.tail and done > 1 - self.tail:
            return self.end + (self.tail_end - self.end) * (done - 1 + self.tail) / self.tail
        part = done / moving if done < moving else 1.0
        if self.shape == "cosine":
            part = (1 - math.cos(math.pi * part)) / 2
        if self.shape == "step":
            part = min(self.plateaus - 1, math.floor(part * self.plateaus)) / (self.plateaus - 1)
        return self.start + (self.end - self.start) * part
