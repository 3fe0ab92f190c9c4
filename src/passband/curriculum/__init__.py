"""Curricula over the spectrum: definitions of the frequency ratio, and schedules of it.

In a training loop: `ratio = schedule(step)`, then `images = low_pass_ratio(images, ratio)`.
"""

from passband.curriculum.adaptive import AdaptiveSchedule
from passband.curriculum.batches import curriculum_batch, enlarged, resized_targets
from passband.curriculum.objective import saliency
from passband.curriculum.optimal_ratio import OptimalRatio
from passband.curriculum.ratio import DEFINITIONS, RadialProfile, low_pass_ratio, radii_of, ratios_of
from passband.curriculum.schedule import SHAPES, RatioSchedule
from passband.curriculum.search import RatioSearch
from passband.curriculum.stages import MODES, Curriculum, check_stride

__all__ = [
    "DEFINITIONS",
    "MODES",
    "SHAPES",
    "AdaptiveSchedule",
    "Curriculum",
    "OptimalRatio",
    "RadialProfile",
    "RatioSchedule",
    "RatioSearch",
    "check_stride",
    "curriculum_batch",
    "enlarged",
    "low_pass_ratio",
    "radii_of",
    "ratios_of",
    "resized_targets",
    "saliency",
]
