"""What a task gives the training loop."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import Dataset

Loss = tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]
"""What is minimized, and figures to watch, detached."""


@dataclass(frozen=True)
class Validation:
    """How good a network is at a moment of its training."""

    score: float
    """What picks the best weights: the higher, the better."""
    figures: dict[str, float]
    """Name to value."""
    picture: Float[Tensor, "3 H W"]
    """What it made of some samples."""
    remark: str = ""
    """What is wrong with what it gives, in a sentence, such as that it finds nothing; empty where nothing is."""


@runtime_checkable
class Stateful(Protocol):
    """What a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """All that it has to go on with."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what `state_dict` gave."""
        ...


@runtime_checkable
class Task(Protocol):
    """Data, loss and scores of a kind of job; built from a recipe of its kind in `config.RECIPES`."""

    def network_config(self, folder: Path, start: dict[str, Any] | None) -> dict[str, Any]:
        """The config of the network to train, as `models.build_from` takes and `checkpoint.save_weights` writes it.

        Args:
            folder: to train on; what depends on the data, such as the number of classes, is found in it.
            start: the config of the weights to start from; None for fresh ones.
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
        """Make a batch of samples."""
        ...

    def check(self, model: nn.Module, weights: str | Path) -> None:
        """Refuse a network, called `weights`, that does not take what the recipe's data give."""
        ...

    def training_data(self, folder: Path, network: dict[str, Any]) -> Dataset[Any]:
        """Samples, as `collate` takes them; their numbers go on past the first epoch."""
        ...

    def validation_data(self, training: Path, folder: Path | None, network: dict[str, Any]) -> Dataset[Any]:
        """Samples that are the same every time; of the folder to train on where there is no other."""
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
