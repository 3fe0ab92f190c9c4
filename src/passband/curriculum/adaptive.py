"""A schedule that follows the network: the best ratio, searched anew at chosen moments of a training."""

import warnings
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.curriculum.optimal_ratio import OptimalRatio
from passband.curriculum.search import RatioSearch
from passband.naming import entry

BETWEEN = {
    "step": "the ratio that was found last",
    "linear": "from the ratio found before to the last one, until the next search",
}
"""Shape to the ratio between two searches."""


class AdaptiveSchedule:
    """The ratio that suits the network as it is, searched at chosen shares of the training.

    After "Adaptive Frequency Ratio Scheduler" (lab slides, 2023). In a training loop, or a task's loss:

        schedule.update(done, model, reference)  # searches where a search is due, else returns at once
        images = curriculum.apply(images, done)  # of a Curriculum(schedule, ...), which asks schedule.at(done)

    `reference` is a batch of pictures that stays the same over the training and on every process, as the network takes
    them and at full size. `at` is a function of `done` and of the ratios found so far, which `state_dict` holds: a
    training that is resumed with it goes on as if it had not been interrupted. `Curriculum` needs the definition and
    the profile of the search.

    Args:
        shares: of the training at which a search is due, ascending, from 0 up to the hold.
        search: how.
        shape: a key of `BETWEEN`.
        hold: the share of the training, at its end, that sees the whole spectrum.
        least: the smallest ratio that is used, whatever is found; the search may end at a picture's mean.
        initial: the ratio before anything is found.

    Raises:
        ValueError: for unknown names, or numbers outside these bounds.

    Warns:
        UserWarning: for a hold of 0, by which the last step need not see the whole spectrum, which scores are taken
            with.
    """

    def __init__(
        self,
        shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75),
        search: RatioSearch | None = None,
        shape: str = "step",
        hold: float = 0.1,
        least: float = 0.1,
        initial: float = 1.0,
    ):
        entry(shape, BETWEEN, "shape of the adaptive schedule")
        for name, value in (("hold", hold), ("least", least), ("initial", initial)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a share from 0 to 1; got {value}")
        if not shares or sorted(set(shares)) != list(shares) or not 0 <= shares[0] <= shares[-1] < 1:
            raise ValueError(f"searches are due at ascending shares of the training, from 0 to below 1; got {shares}")
        if shares[-1] >= 1 - hold and hold:
            raise ValueError(
                f"the last {hold:g} of the training see the whole spectrum, so that a search at {shares[-1]:g} finds "
                f"nothing to change: let shares end below {1 - hold:g}"
            )
        if not hold:
            warnings.warn(
                "an adaptive schedule without a hold may end below a frequency ratio of 1: the network is then trained "
                "on another spectrum than it is scored with, which costs accuracy; hold a share of the training",
                stacklevel=2,
            )
        self.shares, self.search, self.shape = tuple(map(float, shares)), search or RatioSearch(), shape
        self.hold, self.least, self.initial = hold, least, initial
        self._found: dict[float, float] = {}

    @property
    def found(self) -> dict[float, float]:
        """Share of the training to the ratio found there, ascending."""
        return dict(sorted(self._found.items()))

    def update(self, done: float, model: nn.Module, images: Float[Tensor, "B C H W"]) -> OptimalRatio | None:
        """Search the best ratio where a search is due; call it before each step.

        Moments that a training went past without a call, as it may when it is resumed from elsewhere, are not made up
        for: only the last one due is. The network is left as it was, mode, statistics and gradients included. Where
        several processes train, all call it together, and all take the first one's ratio.

        Args:
            done: share of the training, from 0 to 1.
            model: the network as it is, plain or in DistributedDataParallel.
            images: the reference batch, on the network's device.

        Returns:
            What was found, or None where no search was due.

        Raises:
            ValueError: as `RatioSearch`.
        """
        due = max((share for share in self.shares if share <= done), default=None)
        if due is None or due in self._found:
            return None
        if isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module  # whose wrapper would wait for gradients of its parameters
        found = self.search(model, images)
        ratio = max(self.least, found.ratio)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            shared = torch.tensor(ratio, dtype=torch.float64, device=images.device)
            torch.distributed.broadcast(shared, 0)  # statistics of normalization differ between processes
            ratio = shared.item()
        self._found[due] = ratio
        return found

    def at(self, done: float) -> float:
        """The ratio when this share of the training, from 0 to 1, is done."""
        done = min(1.0, max(0.0, done))
        if self.hold and done >= 1 - self.hold:
            return 1.0
        past = [share for share in sorted(self._found) if share <= done]
        if not past:
            return self.initial
        ratio = self._found[past[-1]]
        if self.shape == "step" or len(past) == 1:
            return ratio
        until = min((share for share in self.shares if share > past[-1]), default=1 - self.hold)
        part = (done - past[-1]) / (until - past[-1])
        before = self._found[past[-2]]
        return before + (ratio - before) * min(1.0, part)

    def state_dict(self) -> dict[str, Any]:
        """The ratios found, for a checkpoint."""
        return {"found": self.found}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what `state_dict` gave.

        Raises:
            ValueError: where it is of a schedule that searches at other shares.
        """
        found = {float(share): float(ratio) for share, ratio in state["found"].items()}
        others = sorted({*found} - {*self.shares})
        if others:
            raise ValueError(
                f"the checkpoint's schedule searched at {', '.join(map(str, others))} of the training; this one does "
                f"at {', '.join(map(str, self.shares))}: resume with the settings the training was begun with"
            )
        self._found = found
