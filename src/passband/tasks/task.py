"""The interface between a task and the training loop."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

Loss = tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]
"""The loss to minimize, and detached figures to log."""
Direction = Literal["maximize", "minimize"]
"""Whether higher or lower values of a figure are better."""


@dataclass(frozen=True)
class Validation:
    """The result of a validation."""

    score: float
    """Score by which the best weights are chosen; higher is better."""
    figures: dict[str, float]
    """Figures by name."""
    picture: Float[Tensor, "3 H W"]
    """Image with the predictions for some samples."""
    remark: str = ""
    """A sentence about a problem of the predictions, such as that nothing is found; empty if there is none."""


@runtime_checkable
class Stateful(Protocol):
    """An object whose state a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state that `state_dict` returned.

        Args:
            state: the state.
        """
        ...


@runtime_checkable
class Task(Protocol):
    """Data, loss and validation of a task, built from a recipe of its kind in `config.RECIPES`.

    The methods can be called in any order: what one needs from another is one of its arguments.
    """

    def directions(self, network: dict[str, Any]) -> dict[str, Direction]:
        """Return the figures that a validation reports, with the direction of each. The main figure is the first.

        Args:
            network: config of the network.
        """
        ...

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """Return the config of the network to train, as `models.build_from` takes it.

        Args:
            folder: folder to train on, which decides entries such as the number of classes.
            start: config of the weights to start from; None for fresh ones.

        Returns:
            The name of the network as `model`, its arguments, and facts about the data.
        """
        ...

    def lesson(self, folder: Path, network: dict[str, Any]) -> Any:
        """Return the plan that says which images are learned from at each moment of a run.

        Args:
            folder: folder to train on.
            network: config of the network.

        Returns:
            An object that `loss` and `state` take; None if images are learned from as they are.
        """
        ...

    def state(self, lesson: Any) -> list[Stateful]:
        """Return what is learned beside the network during a run, for checkpoints to keep.

        Args:
            lesson: result of `lesson`.
        """
        ...

    def collate(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch of samples.

        Args:
            samples: samples of a data set of this task.
        """
        ...

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network that does not take the recipe's data.

        Args:
            model: the network.
            weights: name of its weights for the error.
        """
        ...

    def training_data(self, folder: Path, network: dict[str, Any]) -> Dataset[Any]:
        """Return the samples to learn from; their numbers continue past the first epoch.

        Args:
            folder: folder to train on.
            network: config of the network.
        """
        ...

    def validation_data(self, training: Path, folder: Path | None, network: dict[str, Any]) -> Dataset[Any]:
        """Return the samples to score on, which are the same every time.

        Args:
            training: folder to train on.
            folder: folder to score on; None scores on a part of the other folder.
            network: config of the network.
        """
        ...

    def loss(self, model: nn.Module, batch: dict[str, Any], done: float, lesson: Any = None) -> Loss:
        """Compute the loss of a batch.

        Args:
            model: the network, in training mode.
            batch: a batch that `collate` made.
            done: share of the run that is done, from 0 to 1.
            lesson: result of `lesson`.
        """
        ...

    def validate(self, model: nn.Module, batches: Iterable[dict[str, Any]], scored: Any = None) -> Validation:
        """Score a network, which is put into evaluation mode and back.

        Args:
            model: the network.
            batches: batches of the samples to score on.
            scored: data set that the batches come from, result of `validation_data`.
        """
        ...


class FixedLesson:
    """The parts of a task that learns from images as they are, from the first step to the last."""

    def lesson(self, folder: Path, network: dict[str, Any]) -> None:
        """Return None: images are learned from as they are.

        Args:
            folder: folder to train on, which is not used.
            network: config of the network, which is not used.
        """

    def state(self, lesson: None = None) -> list[Stateful]:
        """Return nothing: a checkpoint keeps the network alone.

        Args:
            lesson: result of `lesson`.
        """
        return []

    def collate(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Stack samples, whose tensors have one size.

        Args:
            samples: samples of a data set of this task.
        """
        return default_collate(samples)
