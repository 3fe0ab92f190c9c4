"""Scores the masks of a validation, and draws some of them."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from jaxtyping import Float
from torch import Tensor

from passband.drawing.comparison import comparison_rows
from passband.drawing.overlay import overlay
from passband.io.image import ImageError
from passband.metrics.mask_scores import MaskMetrics, SegmentationScores, predicted_classes, resized_logits
from passband.ops.areas import shrunk_mask
from passband.processes import in_turn
from passband.tasks.robustness import RobustnessScores
from passband.tasks.task import Validation

MASK_CAPTIONS = ("picture", "ground truth", "prediction")
"""Captions of the three columns in the image of a validation."""
DRAWN = 6
"""Number of rows in the image of a validation."""
ONLY_BACKGROUND = "The network finds only background in the images that were scored: train longer."
"""Remark on a network whose masks are all empty although the true ones are not."""


class MaskValidation:
    """Collects the scores of a validation batch by batch, in each process.

    Args:
        protocol: name of the protocol, a key of `metrics.mask_scores.PROTOCOLS`.
        main: name of the main figure, which is the score.
        classes: number of maps of logits.
        measure: loss of logits against a mask, both B ... in the size of the mask.
    """

    def __init__(self, protocol: str, main: str, classes: int, measure: Callable[[Tensor, Tensor], Tensor]):
        self.main, self.measure = main, measure
        self.scores = SegmentationScores(protocol, classes)
        self.parts: list[list[tuple[MaskMetrics, float, bool, bool]]] = []
        self.rows: list[list[list[Tensor]]] = []

    def add(self, batch: dict[str, Any], logits: Float[Tensor, "B K S S"]) -> None:
        """Score a batch, without the images that have a problem or no pixel to score.

        Args:
            batch: a batch of the data set of a validation.
            logits: logits of its images.
        """
        self.parts.append([])
        self.rows.append([])
        for image, one, mask, problem in zip(batch["image"], logits, batch["mask"], batch["problem"], strict=True):
            if problem or not (figures := self.scores.add(one, mask)):
                continue
            loss = self.measure(resized_logits(one[None], mask.shape), mask[None]).item()
            found = bool(predicted_classes(one).any())
            self.parts[-1].append((figures, loss, found, bool((mask > 0).any())))
            if sum(map(len, self.rows)) < DRAWN:
                self.rows[-1].append(_row(image.cpu(), mask.cpu(), one.cpu()))

    def result(self, robustness: RobustnessScores) -> Validation:
        """Return the scores of the images of all processes, and a drawing of the first ones.

        Args:
            robustness: scores on degraded copies, whose figures are added.

        Raises:
            ImageError: if no image was scored.
        """
        scored_images = list(chain(*in_turn(self.parts)))
        if not scored_images:
            raise ImageError(
                "none of the images to score on can be used: their files have problems, which the log names, or all of "
                "their pixels are ignored"
            )
        self.scores.gather([[figures for figures, *_ in part] for part in self.parts])
        losses = [loss for _, loss, _, _ in scored_images]
        finds, holds = (any(image[place] for image in scored_images) for place in (2, 3))
        figures = {**self.scores.total(), **robustness.figures(self.main), "loss": sum(losses) / len(losses)}
        drawn = list(chain(*in_turn(self.rows)))[:DRAWN]
        remark = ONLY_BACKGROUND if holds and not finds else ""
        return Validation(figures[self.main], figures, comparison_rows(drawn, [MASK_CAPTIONS] * len(drawn)), remark)


def _row(image: Float[Tensor, "3 S S"], mask: Tensor, logits: Float[Tensor, "K S S"]) -> list[Float[Tensor, "3 S S"]]:
    """Return an image, its ground truth and its prediction."""
    truth = shrunk_mask(mask, max(2, len(logits)), (image.shape[-2], image.shape[-1]))
    return [image, overlay(image, truth), overlay(image, predicted_classes(logits))]
