"""Makes folders of small images of blobs on noise with their masks, and segmentation networks with random weights."""

import numpy as np
import torch
from PIL import Image

from passband.models import build_model
from passband.weights_io import save_weights


def blob(seed, size=(37, 53), classes=1):
    """Return a bright ellipse on gray noise, uint8 H W 3, with a color for each class, and its mask, uint8 H W."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    mask = np.zeros(size, np.uint8)
    picture = rng.normal(80, 10, (*size, 3))
    for number in range(1, max(2, classes)):
        center = rng.uniform(0.3, 0.7, 2) * size
        radius = rng.uniform(0.18, 0.3, 2) * size
        inside = ((y - center[0]) / radius[0]) ** 2 + ((x - center[1]) / radius[1]) ** 2 <= 1
        mask[inside] = number
        color = np.full(3, 90.0)
        color[(number - 1) % 3] = 210
        picture[inside] = color + rng.normal(0, 10, (int(inside.sum()), 3))
    return picture.clip(0, 255).astype(np.uint8), mask


def write_blobs(folder, count=6, seed=0, size=(37, 53), classes=1):
    """Write FOLDER/images/NUMBER.png and FOLDER/masks/NUMBER.png, and return the folder."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture, mask = blob(1000 * seed + number, size, classes)
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask * 255 if classes == 1 else mask).save(folder / "masks" / f"{number}.png")
    return folder


def save_segmenter(folder, size=32, classes=1, seed=0, **about):
    """Write a tiny U-Net with random weights and batch statistics, and return the folder."""
    torch.manual_seed(seed)
    network = build_model("unet", width=4, depth=2, classes=classes)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    torch.nn.init.normal_(network.head.weight, std=1.0)
    with torch.no_grad():  # so that each class is found about as often as any other
        picture = torch.from_numpy(blob(99, (size // 4 * 4, size // 4 * 4))[0]).permute(2, 0, 1)[None].float() / 255
        network.head.bias -= network.eval()(picture).flatten(2).median(-1).values[0]
    config = {"model": "unet", **network.arguments, "preprocessing": {"size": size, "profile": None}}
    save_weights(network, folder, {**config, **about})
    return folder
