"""Scores of networks: the distance of images to reference images, and the accuracy of predicted classes."""

from passband.metrics.class_scores import class_accuracy, confusion_matrix, rank_of, ranking, wilson_interval
from passband.metrics.fidelity import SSIM_WINDOW, psnr, ssim
from passband.metrics.intervals import (
    Interval,
    PairedDifference,
    bootstrap_interval,
    grouped_interval,
    paired_difference,
    student_interval,
)
from passband.metrics.named import METRICS, ImageMetric, image_metric
from passband.metrics.psnr_hvs import psnr_hvs, psnr_hvs_m
from passband.metrics.restoration_protocols import PROTOCOLS
from passband.metrics.spectral_error import SpectralErrors, spectral_errors

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "SSIM_WINDOW",
    "ImageMetric",
    "Interval",
    "PairedDifference",
    "SpectralErrors",
    "bootstrap_interval",
    "class_accuracy",
    "confusion_matrix",
    "grouped_interval",
    "image_metric",
    "paired_difference",
    "psnr",
    "psnr_hvs",
    "psnr_hvs_m",
    "rank_of",
    "ranking",
    "spectral_errors",
    "ssim",
    "student_interval",
    "wilson_interval",
]
