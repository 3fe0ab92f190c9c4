"""Telling what pictures show: in memory, or file by file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.io.conversion import AnyPicture, as_tensor
from passband.metrics.class_scores import ranking
from passband.naming import described, listed
from passband.tasks.classifier import load_classifier


@dataclass(frozen=True)
class Guess:
    """A class that a picture may show."""

    name: str
    """Of the class."""
    number: int
    """Of the class, from 0."""
    probability: float
    """By the network's own estimate, 0 to 1."""


@dataclass(frozen=True)
class Classified:
    """What became of a file."""

    source: Path
    guesses: tuple[Guess, ...] = ()
    """The most probable first; none where it failed."""
    error: str | None = None
    """Why it failed."""

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        guesses = [{"class": one.name, "number": one.number, "probability": one.probability} for one in self.guesses]
        return {"file": str(self.source), "guesses": guesses, "error": self.error}


class Classifier:
    """Tells what pictures show, with one network, prepared as its weights say.

    Args:
        weights: a folder that training made, such as RUN/weights/best, a shipped name, or a hub id.
        device: see `models.pick_device`.

    Attributes:
        classes: names, in the order of the network's outputs.

    Raises:
        CheckpointError: for weights that cannot be used, or that are of no classifier.
        ValueError: for a device that is not here.
    """

    def __init__(self, weights: str | Path, device: str = "auto"):
        self.trained = load_classifier(weights, device)
        self.weights = str(weights)
        self.classes = self.trained.classes
        self.device = self.trained.device

    def __repr__(self) -> str:
        return described(self, self.weights, {"classes": f"[{listed(self.classes, 6)}]", "device": self.device})

    def __call__(self, picture: AnyPicture, top: int = 5) -> tuple[Guess, ...]:
        """Tell what a picture shows.

        Args:
            picture: a path (of a JPEG the coefficients are read, where the network takes those), a PIL picture, an
                array H W or H W 3 of uint8, uint16 or float in [0, 1], or a tensor 3 H W in [0, 1].
            top: guesses, at most; 1 or more.

        Returns:
            The most probable classes, the first one first.

        Raises:
            ImageError, JpegError: for a file that is not a picture.
            OSError: for one that cannot be read.
            ValueError: for `top` below 1, or a tensor or array of another shape.
        """
        _check_top(top)
        prepare = self.trained.preprocessing
        if isinstance(picture, str | Path):
            view = prepare.prepare(Path(picture))  # of its coefficients, where it has some
        else:
            view = prepare.prepare_image(as_tensor(picture))
        return self._guesses(self.trained.logits(view[None])[0], top)

    def classify(
        self, paths: Sequence[str | Path], top: int = 5, *, batch: int = 16, workers: int = 0
    ) -> Iterator[Classified]:
        """Classify files one by one; a bad one does not keep the others from being done.

        Args:
            paths: of the pictures.
            top: guesses for each, at most; 1 or more.
            batch: how many are scored at once.
            workers: processes that prepare them; 0 prepares them here.

        Yields:
            What each file shows, in their order; a failed one carries the reason.

        Raises:
            ValueError: for `top` below 1.
        """
        _check_top(top)
        for path, scores in self.trained.score_files([Path(path) for path in paths], batch, workers):
            if isinstance(scores, str):
                yield Classified(path, error=scores)
            else:
                yield Classified(path, self._guesses(scores, top))

    def _guesses(self, logits: Float[Tensor, " classes"], top: int) -> tuple[Guess, ...]:
        """The most probable classes."""
        probabilities = logits.double().softmax(0)
        chosen = ranking(logits[None])[0, :top].tolist()
        return tuple(Guess(self.classes[number], number, probabilities[number].item()) for number in chosen)


def _check_top(top: int) -> None:
    """Refuse to give no guesses."""
    if top < 1:
        raise ValueError(f"top is how many guesses are wanted, 1 or more; got {top}")
