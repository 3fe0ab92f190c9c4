"""The generated set of `classification_rows.py`, and its views as coefficients and as pixels."""

import argparse
import json
import multiprocessing
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from passband.data.classifier_input import Preprocessing
from passband.data.datasets.classification import LabeledImages, find_classes
from passband.data.pasting import PARTS, CutoutFolders, PasteSettings, SetPlan, paste_set
from passband.io.image import read_image

SIDE, VIEW, BLOCK = 288, 256, 8
"""Sides in pixels of the files and of a view, and of a block."""
CELLS, SHOWN = SIDE // BLOCK, VIEW // BLOCK
QUALITIES = (50, 95)
"""Smallest and largest quality of the files of the generated set."""
SET_SEED = 20
MEAN, STD = 127 / 255, 128 / 255
"""Numbers by which RGB is normalized, those of the ImageNet weights."""


def generate(options: argparse.Namespace) -> Path:
    """Make the set, unless it is there."""
    folder, done = options.scratch / "set", options.scratch / "set-done"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    cutouts = options.cutouts
    if (
        options.hold_out == "drawings"
    ):  # names that agree up to the first _ would keep the drawings of an object together
        cutouts = options.scratch / "cutouts"
        for path in options.cutouts.rglob("*.png"):
            target = cutouts / path.parent.name / path.name.replace("_", "-")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    settings = PasteSettings(size=(SIDE, SIDE), count=(1, 1), scale=tuple(options.scale), turn=30, light=0.3)
    source = CutoutFolders(cutouts, options.photos, held_out=options.held_out)
    plan = SetPlan(tuple(options.counts), settings, SET_SEED, QUALITIES)
    paste_set("classification", source, folder, plan, workers=options.workers)
    objects = {part: sum(map(len, source.cutouts[part].values())) for part in PARTS}
    about = {"classes": list(source.classes), "counts": list(options.counts), "drawings": objects}
    about |= {"photos": {part: len(source.photos[part]) for part in PARTS}, "scale": list(options.scale)}
    about["held out"] = options.hold_out
    (options.output / "set.json").write_text(json.dumps(about, indent=2) + "\n")
    done.touch()
    print(f"set: {sum(options.counts)} files in {time.perf_counter() - began:.1f} s; {about}", flush=True)
    return folder


def plain_preprocessing() -> Preprocessing:
    """Return the preprocessing that reads all coefficients of a file, not normalized."""
    return Preprocessing("coefficients", tuple(range(192)), SIDE, BLOCK, (0.0,) * 192, (1.0,) * 192)


def start_arrays(folder: Path, data: Path, part: str, classes: tuple[str, ...] | None) -> LabeledImages:
    """Write the labels of a part and empty arrays for its coefficients and pixels, and return its files."""
    images = find_classes(data / part, classes)
    shapes = {
        "cubes": ((len(images), 192, CELLS, CELLS), np.float16),
        "pixels": ((len(images), 3, SIDE, SIDE), np.uint8),
    }
    for name, (shape, kind) in shapes.items():
        np.lib.format.open_memmap(folder / f"{part}-{name}.npy", "w+", kind, shape).flush()
    np.save(folder / f"{part}-labels.npy", np.array(images.labels))
    return images


def prepare_files(plain: Preprocessing, folder: Path, part: str, paths: list[Path], start: int) -> int:
    """Write the coefficients and the pixels of some files into the arrays of a part."""
    torch.set_num_threads(1)
    cubes = np.load(folder / f"{part}-cubes.npy", mmap_mode="r+")
    pixels = np.load(folder / f"{part}-pixels.npy", mmap_mode="r+")
    for place, path in enumerate(paths, start):
        cubes[place] = plain.prepare(path).numpy()
        image = read_image(path)
        if min(image.shape[-2:]) < SIDE:
            raise ValueError(f"{path} is too small: images of at least {SIDE} x {SIDE} pixels are needed")
        top, left = ((side - SIDE) // 2 for side in image.shape[-2:])
        pixels[place] = image[:, top : top + SIDE, left : left + SIDE].mul(255).round().numpy()
    return len(paths)


def prepare(data: Path, options: argparse.Namespace) -> Path:
    """Read every file of the set once: its coefficients at stride 8, and its pixels."""
    folder = options.scratch / "memory"
    if (folder / "done").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    plain = plain_preprocessing()
    classes = None
    for part in PARTS:
        images = start_arrays(folder, data, part, classes)
        classes, count = images.classes, len(images)
        step = max(1, min(64, count // (4 * options.workers)))
        starts = range(0, count, step)
        pieces = [list(images.paths[start : start + step]) for start in starts]
        work = partial(prepare_files, plain, folder, part)
        with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(work, pieces, starts))
    (folder / "classes.json").write_text(json.dumps(classes))
    (folder / "done").touch()
    print(f"read into memory in {time.perf_counter() - began:.1f} s", flush=True)
    return folder


class Memory:
    """The part of the set that a row needs, on its device."""

    def __init__(self, folder: Path, part: str, channels: list[int] | None, device: torch.device):
        name = "pixels" if channels is None else "cubes"
        stored = np.load(folder / f"{part}-{name}.npy", mmap_mode="r")
        if channels is None:  # a view of whole blocks is reduced alike before and after it is cut out
            parts = [torch.from_numpy(np.array(stored[start : start + 256])) for start in range(0, len(stored), 256)]
            self.values = torch.cat([(F.avg_pool2d(one.to(device).float(), 2) / 255).half() for one in parts])
        else:
            self.values = torch.from_numpy(np.array(stored if len(channels) == 192 else stored[:, channels])).to(device)
        self.labels = torch.from_numpy(np.load(folder / f"{part}-labels.npy")).to(device)
        self.channels = channels
        if channels is not None:
            self.is_chroma = torch.tensor([number >= 64 for number in channels], device=device)
            self.odd = torch.tensor([number % 8 % 2 == 1 for number in channels], device=device)
            self.first = channels.index(0) if 0 in channels else None
            # the statistics of the training images, as `passband train` fits them
            sums = [self.values[start : start + 64].double() for start in range(0, len(self.values), 64)]
            mean = sum(one.sum((0, 2, 3)) for one in sums) / (len(self.values) * CELLS**2)
            power = sum(one.square().sum((0, 2, 3)) for one in sums) / (len(self.values) * CELLS**2)
            self.mean, self.std = mean.float(), (power - mean.square()).clamp_min(1e-6).sqrt().float()

    def center(self, places: Tensor) -> Tensor:
        """Return the center views of images, not normalized."""
        margin = (CELLS - SHOWN) // 2
        count = torch.zeros(len(places), dtype=torch.long, device=places.device)
        return self.view(places, {"top": count + margin, "left": count + margin, "flip": count > 0})

    def view(self, places: Tensor, draw: dict[str, Tensor]) -> Tensor:
        """Return views of images: a window of blocks, mirrored or not, with changes of color."""
        unit = BLOCK // 2 if self.channels is None else 1
        side = unit * SHOWN
        windows = self.values[places].unfold(2, side, unit).unfold(3, side, unit)
        x = windows[torch.arange(len(places), device=places.device), :, draw["top"], draw["left"]].float()
        x = torch.where(draw["flip"][:, None, None, None], x.flip(-1), x)
        return self._pixels(x, draw) if self.channels is None else self._cubes(x, draw)

    def _pixels(self, x: Tensor, draw: dict[str, Tensor]) -> Tensor:
        if "contrast" in draw:
            contrast, light, color = (draw[name][:, None, None, None] for name in ("contrast", "light", "color"))
            gray = (x * x.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
            x = ((gray - 0.5) + color * (x - gray)) * contrast + 0.5 + light
        return x

    def _cubes(self, x: Tensor, draw: dict[str, Tensor]) -> Tensor:
        sign = torch.where(draw["flip"][:, None] & self.odd, -1.0, 1.0)
        if "contrast" in draw:
            sign = sign * draw["contrast"][:, None]
            sign = torch.where(self.is_chroma, sign * draw["color"][:, None], sign)
        x = x * sign[..., None, None]
        if "light" in draw and self.first is not None:
            x[:, self.first] += 8 * 255 * draw["light"][:, None, None]
        return x

    def normalized(self, x: Tensor, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
        """Return the network's input; cubes use the statistics of the training part."""
        if self.channels is None:
            return (x - MEAN) / STD
        assert mean is not None
        assert std is not None
        return (x - mean[:, None, None]) / std[:, None, None]


def draws(count: int, generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    """Draw the views of a step, the same for every row."""
    ends = {"contrast": (0.7, 1.3), "light": (-0.15, 0.15), "color": (0.6, 1.4)}
    drawn = {name: torch.randint(CELLS - SHOWN + 1, (count,), generator=generator) for name in ("top", "left")}
    drawn["flip"] = torch.rand(count, generator=generator) < 0.5
    for name, (low, high) in ends.items():
        drawn[name] = low + (high - low) * torch.rand(count, generator=generator)
    return {name: value.to(device) for name, value in drawn.items()}
