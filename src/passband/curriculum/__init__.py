"""Which share of the spectrum to learn from, and when: definitions of the frequency ratio, and schedules.

In a training loop: `ratio = schedule(step)`, then `images = low_pass_ratio(images, ratio)`.
"""

from passband.curriculum.ratio import DEFINITIONS, RadialProfile, low_pass_ratio, radii_of, ratios_of
from passband.curriculum.schedule import RatioSchedule

__all__ = ["DEFINITIONS", "RadialProfile", "RatioSchedule", "low_pass_ratio", "radii_of", "ratios_of"]
