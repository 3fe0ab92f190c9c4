"""Builds the curriculum of a run from a recipe's `[curriculum]` and the data: spectral profile, schedule and images.

`passband.curriculum.Curriculum` follows a schedule; this module makes both.
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
"""Definitions by which the radius of a ratio is measured on images; by `radius` it follows from their size."""

SAMPLED = 1000
"""Number of moments of a run at which the sizes that it uses are looked up."""

_log = logging.getLogger(__name__)


class Lesson:
    """The curriculum of a run, which makes the images to learn from at each moment.

    Warns about sizes of the recipe to which a schedule of ratios never crops.

    Args:
        recipe: settings of the run.
        profile: spectral profile of the data set from `measured_profile`; None if the recipe needs none.
        reference: images in [0, 1] on which an adaptive schedule searches; None for other schedules.
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
        side = recipe.data.size
        unused = set(self.curriculum.unused(SAMPLED, side, side)) - {side}
        if unused and self.adaptive is None:
            _log.warning(
                "the curriculum never crops images of %d pixels to %s pixels, because its ratios are from %g to %g: "
                "change curriculum.sizes or curriculum.start",
                side, " and ".join(map(str, sorted(unused))), settings.start, settings.end,
            )  # fmt: skip

    def state(self) -> list[Stateful]:
        """Return what is found during training: the ratios of an adaptive schedule."""
        return [] if self.adaptive is None else [self.adaptive]

    def seen_images(
        self, images: Float[Tensor, "B 3 H W"], model: nn.Module, done: float
    ) -> tuple[Float[Tensor, "B 3 h w"], dict[str, Tensor]]:
        """Return the images to learn from, and figures to log: the ratio, and the side in pixels.

        Args:
            images: whole images in [0, 1].
            model: the network at this moment, which an adaptive schedule evaluates.
            done: share of the run that is done, from 0 to 1.
        """
        if self.curriculum is None:
            return images, {}
        if self.adaptive is not None and self.reference is not None:
            self.reference = self.reference.to(images.device)
            optimum = self.adaptive.update(done, model, self.reference)
            if optimum is not None:
                _log.info("at %g of the run: %s", done, optimum.words)
        seen = self.curriculum.apply(images, done)
        figures = {"ratio": self.curriculum.schedule.at(done), "side": float(min(seen.shape[-2:]))}
        return seen, {name: torch.tensor(value, dtype=torch.float64) for name, value in figures.items()}


def measured_profile(settings: CurriculumConfig, images: Iterable[Float[Tensor, "3 H W"]]) -> RadialProfile | None:
    """Return the spectral profile of a data set, or None if the recipe's ratios need none.

    Args:
        settings: settings of the curriculum.
        images: images of the data set in [0, 1], all of the size of training.

    Raises:
        ValueError: if there are no images, or some are not finite.
    """
    if settings.mode == "none" or settings.profile == "image" or settings.definition not in MEASURED:
        return None
    return RadialProfile.of((image[None] for image in images), settings.definition)


def stored_profile(preprocessing: dict[str, Any]) -> RadialProfile | None:
    """Return the spectral profile in the config of a network, or None.

    Args:
        preprocessing: entry `preprocessing` of the config.
    """
    stored = preprocessing.get("profile")
    return None if stored is None else RadialProfile.from_config(stored)


def _schedule(settings: CurriculumConfig) -> RatioSchedule | AdaptiveSchedule:
    """Return the schedule with the ratios of a recipe; its steps are shares of the run."""
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
    """Return the schedule whose ratios are searched."""
    chosen = settings.adaptive
    search = RatioSearch(
        definition=settings.definition,
        term=chosen.term,
        alpha=chosen.alpha,
        beta=chosen.beta,
        radii=chosen.radii,
        method=chosen.method,
        profile=profile,
        batch=4,  # on a CPU larger batches are no faster and need more memory
    )
    return AdaptiveSchedule(chosen.shares, search, chosen.between, hold=chosen.hold, least=chosen.least)
