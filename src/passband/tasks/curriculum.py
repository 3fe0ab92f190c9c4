"""What a recipe's `[curriculum]` makes of a training: the data set's profile, the schedule, the pictures to learn from.

`Curriculum` follows a schedule of `passband.curriculum`; what is here puts both together from a recipe and the data.
"""

import logging
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.config.segmentation import CurriculumConfig, SegmentationRecipe
from passband.curriculum import AdaptiveSchedule, Curriculum, RadialProfile, RatioSchedule
from passband.curriculum.search import RatioSearch
from passband.tasks.task import Stateful

MEASURED = ("magnitude", "energy", "area")
"""Definitions by which a ratio's radius is measured on pictures; by `radius` it follows from their size."""

_log = logging.getLogger(__name__)


class Lesson:
    """The curriculum of a run: which pictures are learned from at each moment.

    Args:
        recipe: the run's settings.
        profile: of the data set, as `measured_profile` gave it; None where the recipe needs none.
        reference: pictures 3 H W in [0, 1] that an adaptive schedule searches on, B of them; None for others.
    """

    def __init__(
        self,
        recipe: SegmentationRecipe,
        profile: RadialProfile | None,
        reference: Float[Tensor, "B 3 H W"] | None = None,
    ):
        settings = recipe.curriculum
        self.reference, self.adaptive = reference, None
        if settings.mode == "none":
            self.curriculum = None
            return
        schedule = _schedule(settings)
        if settings.schedule == "adaptive":
            schedule = self.adaptive = _adaptive(settings, profile)
        definition = profile.definition if profile is not None else settings.definition
        self.curriculum = Curriculum(schedule, settings.mode, recipe.sizes, definition, profile)

    def state(self) -> list[Stateful]:
        """What is found while training: the ratios of an adaptive schedule."""
        return [] if self.adaptive is None else [self.adaptive]

    def pictures(
        self, images: Float[Tensor, "B 3 H W"], model: nn.Module, done: float
    ) -> tuple[Float[Tensor, "B 3 h w"], dict[str, Tensor]]:
        """What is to be learned from, and figures to watch: the ratio, and the side in pixels.

        Args:
            images: whole pictures in [0, 1].
            model: the network as it is, which an adaptive schedule asks.
            done: share of the run, from 0 to 1.
        """
        if self.curriculum is None:
            return images, {}
        if self.adaptive is not None and self.reference is not None:
            self.reference = self.reference.to(images.device)
            found = self.adaptive.update(done, model, self.reference)
            if found is not None:
                _log.info("at %g of the run: %s", done, found.words)
        seen = self.curriculum.apply(images, done)
        figures = {"ratio": self.curriculum.schedule.at(done), "side": float(min(seen.shape[-2:]))}
        return seen, {name: torch.tensor(value, dtype=torch.float64) for name, value in figures.items()}


def measured_profile(settings: CurriculumConfig, pictures: Iterable[Float[Tensor, "3 H W"]]) -> RadialProfile | None:
    """The profile of a data set, where a recipe's ratios need one.

    Args:
        settings: the recipe's.
        pictures: of the data set, in [0, 1], all of the size of training.

    Raises:
        ValueError: for no pictures, or some that are not finite.
    """
    if settings.mode == "none" or settings.profile == "picture" or settings.definition not in MEASURED:
        return None
    return RadialProfile.of((picture[None] for picture in pictures), settings.definition)


def stored_profile(preprocessing: dict[str, Any]) -> RadialProfile | None:
    """The profile that a network's config holds, if any."""
    stored = preprocessing.get("profile")
    return None if stored is None else RadialProfile.from_config(stored)


def _schedule(settings: CurriculumConfig) -> RatioSchedule | AdaptiveSchedule:
    """The schedule whose ratios a recipe gives; its steps are shares of the run."""
    return RatioSchedule(
        steps=1,
        start=settings.end if settings.fixed else settings.start,
        end=settings.end,
        shape=settings.shape,
        plateaus=settings.plateaus,
        hold=settings.hold,
        tail=settings.tail,
        tail_end=settings.tail_end,
    )


def _adaptive(settings: CurriculumConfig, profile: RadialProfile | None) -> AdaptiveSchedule:
    """The schedule whose ratios are searched."""
    chosen = settings.adaptive
    search = RatioSearch(
        definition=settings.definition,
        term=chosen.term,
        alpha=chosen.alpha,
        beta=chosen.beta,
        radii=chosen.radii,
        method=chosen.method,
        profile=profile,
        batch=4,  # on a processor a sweep of more at once is no faster, and holds more memory
    )
    return AdaptiveSchedule(chosen.shares, search, chosen.between, hold=chosen.hold, least=chosen.least)
