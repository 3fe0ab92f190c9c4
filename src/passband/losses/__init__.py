"""Losses: functions that training minimizes."""

from passband.losses.frequency import (
    FocalFrequencyLoss,
    FrequencyLoss,
    focal_frequency_loss,
    frequency_loss,
    gate_weights,
    ring_distances,
)
from passband.losses.mask_losses import SEGMENTATION_LOSSES, dice_loss, segmentation_loss
from passband.losses.multiscale import multiscale_loss, relative_multiscale_loss
from passband.losses.spectral import spectral_l1

__all__ = [
    "SEGMENTATION_LOSSES",
    "FocalFrequencyLoss",
    "FrequencyLoss",
    "dice_loss",
    "focal_frequency_loss",
    "frequency_loss",
    "gate_weights",
    "multiscale_loss",
    "relative_multiscale_loss",
    "ring_distances",
    "segmentation_loss",
    "spectral_l1",
]
