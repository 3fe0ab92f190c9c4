"""When to learn from which share of the spectrum: one schedule, from coarse to fine or the reverse."""

import math
import warnings
from dataclasses import dataclass

from passband.naming import entry

SHAPES = {
    "linear": "in a line",
    "cosine": "slow at both ends",
    "step": "in plateaus of equal length",
}
"""Name to how a ratio gets from start to end."""


@dataclass(frozen=True)
class RatioSchedule:
    """The frequency ratio at each step of a training: a pure function of the step, alike on every process.

    Attributes:
        steps: of the whole training.
        start: the ratio that it begins with, from 0 to 1.
        end: the ratio that it comes to. `start=1, end=0.3` is the falling schedule of "Adaptive Frequency Ratio
            Scheduler" (lab slides, 2023), `start=0.3` goes from coarse to fine, and `start == end` is a fixed ratio.
        shape: how it gets there: a key of `SHAPES`.
        plateaus: ratios of the shape `"step"`, the first and the last among them; 2 or more.
        hold: the share of the training, at its end, that stays at `end`.
        tail: the share of the training after that which falls back from `end` to `tail_end`, linearly.
        tail_end: the ratio of the last step where there is a tail.

    Raises:
        ValueError: for an unknown shape, what is no share, a hold and a tail that leave no time, or no steps.

    Warns:
        UserWarning: where the last step does not see the whole spectrum, which scores are taken with.
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
        """Check the numbers."""
        entry(self.shape, SHAPES, "shape of the schedule")
        if self.steps < 1:
            raise ValueError(f"a schedule is of 1 step or more; got {self.steps}")
        for name in ("start", "end", "hold", "tail", "tail_end"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a share from 0 to 1; got {value}")
        if self.hold + self.tail > 1:
            raise ValueError(f"hold and tail are shares of one training; got {self.hold} and {self.tail}")
        if self.shape == "step" and self.plateaus < 2:
            raise ValueError(f"plateaus are 2 or more; got {self.plateaus}")
        last = self.at(1)
        if last < 1:
            warnings.warn(
                f"the schedule ends at a frequency ratio of {last:g}: the network is then trained on another spectrum "
                "than it is scored with, which costs accuracy; let it end at 1",
                stacklevel=3,
            )

    def __call__(self, step: int) -> float:
        """The ratio at a step, counted from 0; the last is `steps - 1`."""
        return self.at(step / max(1, self.steps - 1))

    def at(self, done: float) -> float:
        """The ratio when this share of the training, from 0 to 1, is done."""
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
