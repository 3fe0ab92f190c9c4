"""Makes folders of small JPEG textures, and classifiers of them with random weights."""

import numpy as np
import torch
from PIL import Image

from passband.data.classifier_input import Preprocessing
from passband.layers.channels import channel_subset
from passband.models import build_model
from passband.weights_io import save_weights

PERIODS = {"coarse": 31, "fine": 3, "middle": 9}
"""Period of the waves in pixels, by class."""


def texture(name, seed, size=(61, 83)):
    """Return colored waves of a class in a random direction, with noise, uint8 H W 3."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    angle = rng.uniform(0, 2 * np.pi)
    phase = 2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / PERIODS[name]
    waves = 128 + 70 * np.sin(phase)[..., None] * rng.uniform(0.5, 1, 3) + rng.normal(0, 6, (*size, 3))
    return waves.clip(0, 255).astype(np.uint8)


def write_textures(folder, classes=("coarse", "fine", "middle"), count=4, **saving):
    """Write FOLDER/CLASS/NUMBER.jpg for all classes, and return the folder."""
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.fromarray(texture(name, number)).save(folder / name / f"{number}.jpg", quality=92, **saving)
    return folder


def save_classifier(
    folder, model="dct-resnet18", kind="coefficients", channels="24S", classes=tuple(PERIODS), seed=0, **about
):
    """Write a small network with random weights and batch statistics, and return the folder."""
    is_pixels = kind in ("rgb", "ycbcr")
    numbers = () if is_pixels else tuple(channel_subset(channels).indices())
    count = 3 if is_pixels else len(numbers)
    stride = 1 if is_pixels else 8
    size = 56 if kind == "published" else 32 if is_pixels else 64
    # the approximate standard deviation of the coefficients of these textures
    mean, std = ((0.5,) * 3, (0.25,) * 3) if is_pixels else ((0.0,) * count, (60.0,) * count)
    preprocessing = Preprocessing(kind, numbers, size, stride, mean, std)
    torch.manual_seed(seed)
    network = build_model(model, channels=count, classes=len(classes), width=8)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    config = {"model": model, **network.arguments, "preprocessing": preprocessing.to_config()}
    save_weights(network, folder, {**config, "classes_named": list(classes), **about})
    return folder
