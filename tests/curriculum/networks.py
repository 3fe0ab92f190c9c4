"""Makes networks with known saliency, and images with few frequencies."""

import math

import torch
from torch import nn


class Quadratic(nn.Module):
    """Scores half the squares of a picture, so that its input gradient is the picture itself."""

    def forward(self, image):
        return 0.5 * image.square().sum(1, keepdim=True)


class Linear(nn.Module):
    """A weighted sum of the pixels, whose input gradient are the weights, whatever the picture."""

    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64))

    def forward(self, image):
        return (image * self.weight).sum(1, keepdim=True)


def waves(amplitudes, side=48, count=1):
    """Return images of one channel with mean 0: vertical waves of given numbers of cycles and amplitudes."""
    x = torch.arange(side, dtype=torch.float64) / side
    row = sum(amplitude * torch.cos(2 * math.pi * cycles * x + cycles) for cycles, amplitude in amplitudes.items())
    return row.expand(count, 1, side, side).clone()


def small_network(channels=3, classes=1, seed=0, normalized=True):
    """Return a segmentation network with ReLUs, and optionally with batch statistics that training changes."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(6) if normalized else nn.Identity()
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), norm, nn.ReLU(inplace=True), nn.Conv2d(6, classes, 3, padding=1)
    )


def noisy_pictures(count=3, size=(17, 20), channels=3, dtype=torch.float32):
    """Return smooth images with noise."""
    generator = torch.Generator().manual_seed(sum(size))
    coarse = torch.rand(count, channels, 4, 5, generator=generator, dtype=dtype)
    smooth = nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
    return smooth + 0.05 * torch.randn(count, channels, *size, generator=generator, dtype=dtype)
