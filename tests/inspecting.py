"""Makes photos and inspectors."""

import json

import numpy as np
import torch

from passband.data.degradations import KINDS
from passband.inference import Diagnosis, Inspector
from passband.io.image import write_image
from passband.models.inspection.inspector import InspectorNetwork

HAZE = {"haze": 0.9, "rain": 0.8, "clean": 0.01}


def photograph(seed, height=96, width=112):
    """Return an image of smooth colors with edges: soft noise in cells, and a few bars."""
    rng = np.random.default_rng(seed)
    cells = torch.from_numpy(rng.random((1, 3, 7, 9), np.float32))
    image = torch.nn.functional.interpolate(cells, (height, width), mode="bicubic", align_corners=False)[0]
    for _ in range(6):
        top, left = int(rng.integers(height - 8)), int(rng.integers(width - 8))
        image[:, top : top + int(rng.integers(2, 8)), left : left + int(rng.integers(4, 60))] = float(rng.random())
    return image.clamp(0, 1)


def photographs(folder, count=12):
    """Write such images into a folder, and return the folder."""
    for number in range(count):
        write_image(folder / f"{number:02d}.png", photograph(number))
    return folder


def decided(kinds=(), psnr=20.0, gains=None, *, known=True):
    """Return an inspector with the same result for every image."""
    gains = {"general": 2.0, "derain-small": 5.0} if gains is None else gains
    model = InspectorNetwork([*KINDS, "clean"], list(gains), width=8, hidden=8)
    last = model.head[-1]
    torch.nn.init.zeros_(last.weight)
    logits = [3.0 if kind in kinds else -3.0 for kind in model.kinds]
    with torch.no_grad():
        last.bias.copy_(torch.tensor([*logits, (psnr - 25) / 10, *(gain / 5 for gain in gains.values())]))
        model.known.distance.copy_(torch.tensor([100.0 if known else -100.0, 1.0]))
    return model.eval()


def saved(model, folder):
    """Save the weights of an inspector, and return the folder."""
    model.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model"] == "inspector"
    return folder


class Layered(Inspector):
    """Stands for an inspector that finds haze, and then other things in what was restored, which is black."""

    def __init__(self, second, tried=True, same=1.0):
        self.weights, self.networks = "layered", ("dehaze-small", "derain-small")
        self.second, self.tried, self.same, self.restored_sizes, self.files = second, tried, same, [], 0
        self.trials = self

    def __call__(self, picture):
        if picture.max() > 0:
            return Diagnosis(HAZE, 12.0, {"dehaze-small": 7.0, "derain-small": 4.0}, 1.0, tried=True)
        rain = {"rain": 0.7, "clean": 0.1}
        return Diagnosis(rain, 20.0, {"dehaze-small": self.same, "derain-small": self.second}, 1.0, tried=self.tried)

    def inspect_file(self, path, *, max_pixels=0):
        self.files += 1
        return self(torch.ones(3, 1, 1))

    def restored(self, name, image):
        assert name == "dehaze-small"
        self.restored_sizes.append(tuple(image.shape[-2:]))
        return torch.zeros_like(image)
