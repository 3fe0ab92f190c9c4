"""Layers that choose frequencies, for any backbone.

`DynamicFilter` and the modulators split a map into low and high parts and weight them (SFNet). `ChannelGate` learns
which frequency channels of DCT coefficients a network needs. `channel_subset` returns the published subsets by name.
"""

from passband.layers.channels import SUBSETS, ChannelSubset, channel_subset
from passband.layers.dynamic_filter import DynamicFilter
from passband.layers.gate import ChannelGate
from passband.layers.gate import temperature as gate_temperature
from passband.layers.modulation import GlobalModulation, Modulator, WindowModulation
from passband.layers.pooling import POOL_MODES, LocalAvgPool2d

__all__ = [
    "POOL_MODES",
    "SUBSETS",
    "ChannelGate",
    "ChannelSubset",
    "DynamicFilter",
    "GlobalModulation",
    "LocalAvgPool2d",
    "Modulator",
    "WindowModulation",
    "channel_subset",
    "gate_temperature",
]
