"""Blocks that choose frequencies, for any backbone."""

from passband.layers.dynamic_filter import DynamicFilter
from passband.layers.modulation import GlobalModulation, Modulator, WindowModulation
from passband.layers.pooling import POOL_MODES, LocalAvgPool2d

__all__ = ["POOL_MODES", "DynamicFilter", "GlobalModulation", "LocalAvgPool2d", "Modulator", "WindowModulation"]
