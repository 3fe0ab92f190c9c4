"""Classifies images in memory or in files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from passband.data.classifier_input import Preprocessing
from passband.inference.engines.exported import load_network
from passband.inference.files.pieces import Executor, Piece
from passband.inference.rebuilding import Rebuilt
from passband.io.conversion import AnyImage, as_tensor
from passband.io.failures import failure
from passband.io.records import OutputSettings
from passband.metrics.class_scores import ranking
from passband.models.class_names import class_names
from passband.models.classification.gated import logits_of
from passband.naming import described, listed
from passband.processes import worker_context
from passband.provenance import weights_checksum
from passband.state_dicts import CheckpointError


@dataclass(frozen=True)
class Guess:
    """A class that an image may show."""

    name: str
    """Name of the class."""
    number: int
    """Number of the class, from 0."""
    probability: float
    """Probability by the network's own estimate, 0 to 1."""


@dataclass(frozen=True)
class Classified:
    """The result for one file."""

    source: Path | str
    """Path or address of the image."""
    guesses: tuple[Guess, ...] = ()
    """Guesses, the most probable one first; empty if the file failed."""
    error: str | None = None
    """The reason why the file failed."""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        guesses = [{"class": one.name, "number": one.number, "probability": one.probability} for one in self.guesses]
        return {"file": str(self.source), "guesses": guesses, "error": self.error}


class Classifier(Rebuilt):
    """Classifies images with one network, which gets them as its weights say.

    Args:
        weights: weights to load: a folder that training made, such as RUN/weights/best, a shipped name, a hub id, or an
            .onnx file of `passband export`.
        device: name of a device, see `models.pick_device`.
        provider: execution provider of ONNX Runtime for an exported file; None for the CPU.

    Attributes:
        model: the network, on its device and ready for evaluation.
        preprocessing: steps that turn an image into the network's input.
        classes: names of the classes, in the order of the network's outputs.

    Raises:
        CheckpointError: if the weights cannot be used, are not a classifier's, or do not say how images are prepared.
        ExportError: if an exported file cannot be run.
        ValueError: if this machine does not have the device.
    """

    def __init__(self, weights: str | Path, device: str = "auto", provider: str | None = None):
        model, config, self.device = load_network(weights, "classification", device, provider)
        self.weights, self._device_name, self._provider = str(weights), device, provider
        if "preprocessing" not in config:
            raise CheckpointError(
                f"{weights} does not say how images become its input: its config.json needs `preprocessing`, which "
                "`passband train` writes"
            )
        try:
            self.preprocessing = Preprocessing.from_config(config["preprocessing"])
        except (TypeError, ValueError, KeyError) as error:
            raise CheckpointError(f"{weights}: the preprocessing in its config.json cannot be used: {error}") from error
        count = int(model.classes)  # type: ignore[arg-type]
        self.classes = class_names(config, [str(number) for number in range(count)], weights)
        self.model = model.to(self.device, torch.float32)

    def __repr__(self) -> str:
        return described(self, self.weights, {"classes": f"[{listed(self.classes, 6)}]", "device": self.device})

    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"weights": self.weights, "device": self._device_name, "provider": self._provider}

    def __call__(self, image: AnyImage, top: int = 5) -> tuple[Guess, ...]:
        """Classify one image.

        Args:
            image: a path, the bytes of an image file, a PIL image, an array H W or H W 3 of uint8, uint16 or float in
                [0, 1], or a tensor 3 H W in [0, 1]. If the network takes coefficients, those of a JPEG file are read
                without decoding it.
            top: largest number of guesses, 1 or more.

        Returns:
            The most probable classes, in falling order of their probability.

        Raises:
            ImageError, JpegError: if the file is not an image.
            OSError: if the file cannot be read.
            ValueError: if `top` is below 1, or a tensor or array has another shape.
        """
        _check_top(top)
        if isinstance(image, str | PathLike | bytes):
            view = self.preprocessing.prepare(image if isinstance(image, bytes) else Path(image))
        else:
            view = self.preprocessing.prepare_image(as_tensor(image))
        return self._guesses(self.logits(view[None])[0], top)

    def classify(
        self,
        paths: Sequence[str | Path],
        top: int = 5,
        *,
        batch: int = 16,
        workers: int = 0,
        executor: Executor | None = None,
    ) -> Iterator[Classified]:
        """Classify files; a bad file does not stop the others.

        Args:
            paths: paths of the images.
            top: largest number of guesses for each image, 1 or more.
            batch: number of images that the network gets at once.
            workers: number of processes that prepare images; 0 prepares them in this process.
            executor: executor whose processes prepare and classify images, one by one, such as those of the room
                `scale`; None classifies them in this process, in batches.

        Yields:
            The result for each file, in their order; that of a bad file holds the reason.

        Raises:
            ValueError: if `top` is below 1.
        """
        _check_top(top)
        if executor is not None:
            yield from executor(partial(_classify_piece, self, top), map(_ClassifierPiece, map(Path, paths)))
            return
        for path, scores in self.score_files([Path(path) for path in paths], batch, workers):
            if isinstance(scores, str):
                yield Classified(path, error=scores)
            else:
                yield Classified(path, self._guesses(scores, top))

    @torch.no_grad()
    def logits(self, views: Float[Tensor, "B K h w"]) -> Float[Tensor, "B classes"]:
        """Return the logits of prepared images, on the CPU.

        Args:
            views: prepared images, on any device.

        Returns:
            Logits in float32.
        """
        return logits_of(self.model(views.to(self.device))).float().cpu()

    def score_files(
        self, paths: Sequence[Path], batch: int = 32, workers: int = 0
    ) -> Iterator[tuple[Path, Float[Tensor, " classes"] | str]]:
        """Compute the logits of images in files; a bad file does not stop the others.

        Args:
            paths: paths of the images.
            batch: number of images that the network gets at once.
            workers: number of processes that prepare images; 0 prepares them in this process.

        Yields:
            Each path in order, with a logit for each class, or with the reason why the file failed.
        """
        loader = DataLoader(
            _Views(paths, self.preprocessing),
            batch,
            num_workers=workers,
            collate_fn=list,
            multiprocessing_context=worker_context(workers),
        )
        remaining = iter(paths)
        for views in loader:
            scores = iter(self._scores([view for view in views if isinstance(view, Tensor)]))
            for path, view in zip(islice(remaining, len(views)), views, strict=True):
                result = view if isinstance(view, str) else next(scores)
                yield path, failure(result, path) if isinstance(result, Exception) else result

    def _scores(self, views: Sequence[Float[Tensor, "K h w"]]) -> Sequence[Float[Tensor, " classes"] | Exception]:
        """Return the logits of each image, or an error; if a batch fails, its images are scored one by one."""
        try:
            return list(self.logits(torch.stack(list(views)))) if views else []
        except Exception as error:
            return [error] if len(views) == 1 else [one for view in views for one in self._scores([view])]

    def _guesses(self, logits: Float[Tensor, " classes"], top: int) -> tuple[Guess, ...]:
        """Return the most probable classes."""
        probabilities = logits.double().softmax(0)
        numbers = ranking(logits[None])[0, :top].tolist()
        return tuple(Guess(self.classes[number], number, probabilities[number].item()) for number in numbers)


@dataclass(frozen=True)
class ClassifyWork:
    """The work on one file, for engines that keep answers as JSON.

    Args:
        classifier: the classifier.
        top: largest number of guesses for each image.
    """

    classifier: Classifier
    top: int

    @property
    def making(self) -> OutputSettings:
        """Everything that decides the guesses, apart from the image."""
        return OutputSettings("classify", weights_checksum(self.classifier.model), {"top": self.top})

    def ask(self, path: Path, drawing: Path | None = None) -> list[dict[str, Any]]:
        """Return the guesses about an image, as `Classified.as_dict` does.

        Args:
            path: path of the image.
            drawing: path of a drawing; classification has none.

        Returns:
            `class`, `number` and `probability` of each guess, the likeliest first.
        """
        return Classified(path, self.classifier(path, self.top)).as_dict()["guesses"]

    def result(self, source: str, guesses: list[dict[str, Any]] | None, error: str | None) -> Classified:
        """Return the result for a file.

        Args:
            source: address of the image.
            guesses: answer of `ask`; None if the file failed.
            error: the reason why it failed; None if it did not fail.
        """
        made = [Guess(one["class"], one["number"], one["probability"]) for one in guesses or ()]
        return Classified(source, tuple(made), error)


@dataclass(frozen=True)
class _ClassifierPiece(Piece):
    """An image to classify."""

    source: Path

    @property
    def path(self) -> Path:
        """The path of the image."""
        return self.source

    def failed(self, reason: str) -> Classified:
        """Return the result if the image failed for a reason."""
        return Classified(self.source, error=reason)


def _classify_piece(classifier: Classifier, top: int, piece: _ClassifierPiece) -> Classified:
    """Classify an image, or return the reason why it failed."""
    try:
        return Classified(piece.source, classifier(piece.source, top))
    except Exception as error:  # any kind: a bad file may break its reader in any way
        return piece.failed(failure(error, piece.source))


class _Views(Dataset[Tensor | str]):
    """Prepared images, or the reasons why their files failed.

    Args:
        paths: paths of the images.
        preprocessing: steps that prepare an image.
    """

    def __init__(self, paths: Sequence[Path], preprocessing: Preprocessing):
        self.paths, self.preprocessing = paths, preprocessing

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor | str:
        try:
            return self.preprocessing.prepare(self.paths[number])
        except Exception as error:  # any kind: a bad file may break its reader in any way
            return failure(error, self.paths[number])


def _check_top(top: int) -> None:
    """Refuse a number of guesses below 1.

    Raises:
        ValueError: if it is.
    """
    if top < 1:
        raise ValueError(f"top is the largest number of guesses and must be 1 or more; got {top}")
