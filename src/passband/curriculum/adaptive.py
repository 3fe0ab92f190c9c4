"""A schedule that follows the network: it searches the best ratio again at chosen moments of a training."""

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
"""The ratio between two searches, by the name of the shape."""


class AdaptiveSchedule:
    """A schedule whose ratio is searched for the current network at chosen shares of the training.

    After "Adaptive Frequency Ratio Scheduler" (lab slides, 2023). In a training loop, or a task's loss:

        schedule.update(done, model, reference)  # searches if a search is due, otherwise returns at once
        images = curriculum.apply(images, done)  # of a Curriculum(schedule, ...), which calls schedule.at(done)

    `reference` is a batch of images as the network takes them, at full size. It stays the same over the training and on
    every process. `at` depends only on `done` and on the ratios found so far, which `state_dict` holds: a resumed
    training continues as if it had not been interrupted. `Curriculum` needs the definition and the profile of the
    search.

    Args:
        shares: shares of the training at which a search is due, ascending, from 0 up to the hold.
        search: settings of the search.
        shape: rule for the ratio between two searches, a key of `BETWEEN`.
        hold: share at the end of the training that uses the whole spectrum.
        least: smallest ratio to use, whatever the search finds; a search may end at an image's mean.
        initial: ratio before the first search.

    Raises:
        ValueError: if a name is unknown, or a number is out of its range.

    Warns:
        UserWarning: if the hold is 0. The last step may then not see the whole spectrum, which is used for validation.
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
                raise ValueError(f"{name} must be a share from 0 to 1; got {value}")
        if not shares or sorted(set(shares)) != list(shares) or not 0 <= shares[0] <= shares[-1] < 1:
            raise ValueError(f"shares must be ascending shares of the training, from 0 to below 1; got {shares}")
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
        """The ratio that was found at each share of the training, in ascending order."""
        return dict(sorted(self._found.items()))

    def update(self, done: float, model: nn.Module, images: Float[Tensor, "B C H W"]) -> OptimalRatio | None:
        """Search the best ratio if a search is due; call this before each step.

        A search that was missed, for example because a training is resumed from elsewhere, is not repeated: only the
        last one due is made. The network keeps its mode, statistics and gradients. In distributed training all
        processes call this together, and all use the ratio of the first process.

        Args:
            done: share of the training that is done, from 0 to 1.
            model: current network, plain or in DistributedDataParallel.
            images: reference batch as the network takes it, on the network's device.

        Returns:
            The result of the search, or None if no search was due.

        Raises:
            ValueError: as `RatioSearch` raises it.
        """
        due = max((share for share in self.shares if share <= done), default=None)
        if due is None or due in self._found:
            return None
        if isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module  # the wrapper would wait for gradients of its parameters
        found = self.search(model, images)
        ratio = max(self.least, found.ratio)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            shared = torch.tensor(ratio, dtype=torch.float64, device=images.device)
            torch.distributed.broadcast(shared, 0)  # normalization statistics differ between processes
            ratio = shared.item()
        self._found[due] = ratio
        return found

    def at(self, done: float) -> float:
        """Return the ratio at a share of the training, from 0 to 1."""
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
        """Return the ratios that were found, for a checkpoint."""
        return {"found": self.found}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if it belongs to a schedule with searches at other shares.
        """
        found = {float(share): float(ratio) for share, ratio in state["found"].items()}
        others = sorted({*found} - {*self.shares})
        if others:
            raise ValueError(
                f"the checkpoint's schedule searched at {', '.join(map(str, others))} of the training; this one does "
                f"at {', '.join(map(str, self.shares))}: resume with the settings the training was begun with"
            )
        self._found = found
