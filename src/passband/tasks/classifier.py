"""A trained classifier as its weights hold it: the network, how it gets a picture, and what its classes are called."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from passband.data.preprocessing import Preprocessing
from passband.io.files import failure
from passband.models.gated import Gated
from passband.tasks.weights import load_of_task
from passband.weights_io import CheckpointError

TASK = "classification"
"""What a network of this kind has as its attribute `task`."""


@dataclass(frozen=True)
class TrainedClassifier:
    """All that is needed to tell what a picture shows."""

    model: nn.Module
    """On its device, ready for evaluation."""
    preprocessing: Preprocessing
    """How a picture becomes the network's input."""
    classes: tuple[str, ...]
    """Names, in the order of the network's outputs."""
    device: torch.device

    @torch.inference_mode()
    def logits(self, views: Float[Tensor, "B K h w"]) -> Float[Tensor, "B classes"]:
        """Score prepared pictures, on any device; the scores come back to the CPU."""
        return logits_of(self.model(views.to(self.device))).float().cpu()

    def score_files(
        self, paths: Sequence[Path], batch: int = 32, workers: int = 0
    ) -> Iterator[tuple[Path, Float[Tensor, " classes"] | str]]:
        """Score pictures in files, in their order; a bad one does not keep the others from being scored.

        Args:
            paths: of the pictures.
            batch: how many are scored at once.
            workers: processes that prepare them; 0 prepares them here.

        Yields:
            Each path with a logit per class, or with what is wrong with the file.
        """
        loader = DataLoader(_Views(paths, self.preprocessing), batch, num_workers=workers, collate_fn=list)
        remaining = iter(paths)
        for views in loader:
            good = [view for view in views if isinstance(view, Tensor)]
            scores = iter(self._scores(good))
            for path, view in zip(islice(remaining, len(views)), views, strict=True):
                given = view if isinstance(view, str) else next(scores)
                yield path, failure(given, path) if isinstance(given, Exception) else given

    def _scores(self, views: Sequence[Float[Tensor, "K h w"]]) -> Sequence[Float[Tensor, " classes"] | Exception]:
        """The scores of each picture, or why there are none; one by one, where they cannot be scored together."""
        try:
            return list(self.logits(torch.stack(list(views)))) if views else []
        except Exception as error:
            return [error] if len(views) == 1 else [one for view in views for one in self._scores([view])]


class _Views(Dataset[Tensor | str]):
    """Prepared pictures, or what is wrong with their files."""

    def __init__(self, paths: Sequence[Path], preprocessing: Preprocessing):
        self.paths, self.preprocessing = paths, preprocessing

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor | str:
        try:
            return self.preprocessing.prepare(self.paths[number])
        except Exception as error:  # of any kind: a bad file may break what reads it in any way
            return failure(error, self.paths[number])


def load_classifier(weights: str | Path, device: str = "auto") -> TrainedClassifier:
    """Load a classifier with all that its weights say.

    Args:
        weights: a folder that training made, such as RUN/weights/best, a shipped name, or a hub id.
        device: see `models.pick_device`.

    Raises:
        CheckpointError: for weights that cannot be used, are of another kind of network, or do not say how pictures
            are prepared.
        ValueError: for a device that is not here.
    """
    model, config, chosen_device = load_of_task(weights, TASK, device)
    if "preprocessing" not in config:
        raise CheckpointError(
            f"{weights} does not say how pictures become its input: its config.json needs `preprocessing`, which "
            "`passband train` writes"
        )
    try:
        preprocessing = Preprocessing.from_config(config["preprocessing"])
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{weights}: the preprocessing in its config.json cannot be used: {error}") from error
    numbered = [str(number) for number in range(int(model.classes))]  # type: ignore[arg-type]
    classes = tuple(str(name) for name in config.get("classes_named", numbered))
    if len(classes) != len(numbered):
        raise CheckpointError(
            f"{weights} tells {len(numbered)} classes apart, but its config.json names {len(classes)} (classes_named)"
        )
    return TrainedClassifier(model.to(chosen_device), preprocessing, classes, chosen_device)


def logits_of(output: Float[Tensor, "B classes"] | Gated) -> Float[Tensor, "B classes"]:
    """The scores in what a classifier gives, with a gate or without."""
    return output.logits if isinstance(output, Gated) else output
