"""Measures the time to load a training batch for a classifier on one thread, from files to normalized tensors.

    python benchmarks/loading/loader.py FOLDER [--files 256] [--batch 32] [--rounds 5] [-o loader.json]

Every method takes a random part of each image, mirrored half of the time, and returns the input of a ResNet-50:
24 x 56 x 56 or 192 x 56 x 56 frequency channels, or 3 x 224 x 224 pixels. Each round times every method once over the
same files, in a rotating order, so that a drifting machine affects all of them equally. The table shows medians over
the rounds. The files are read from their folder, and a first pass brings them into the page cache.

"Encoded and parsed" is the published pipeline (Xu et al., CVPR 2020) in the way of its released code. The image is
cropped and resized to 448 pixels, it and a copy of twice the size are encoded as JPEG at quality 100, and coefficients
are read from both files. Here Pillow takes the place of OpenCV, and jpeglib reads the files. It reads only from paths,
so the files lie in a temporary folder.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from passband.data.classifier_input import Preprocessing
from passband.data.cubes.fitting import IMAGENET_RGB, of_imagenet, unnormalized
from passband.data.cubes.views import Augmentation, pixel_window
from passband.io.image import ImageError
from passband.io.jpeg import JpegError, backend, read_coefficients
from passband.io.json_files import write_json
from passband.layers.channels import channel_subset
from passband.provenance import environment

SUFFIXES = {".jpg", ".jpeg"}
SCALE = (0.08, 1.0)
LOADED = Callable[[Path, int], Tensor]
"""Function that returns a training view of an image, drawn with a number."""


def augmentation(number: int) -> Augmentation:
    return Augmentation(np.random.default_rng(number), SCALE)


def ours(preprocessing: Preprocessing) -> LOADED:
    """Yield samples as `passband train` prepares them."""
    return lambda path, number: preprocessing.prepare(path, augmentation(number))


def cubes(channels: str, size: int, stride: int) -> LOADED:
    numbers = tuple(channel_subset(channels).indices())
    return ours(of_imagenet(unnormalized("coefficients", numbers, size, stride)))


def published(channels: str) -> LOADED:
    """Yield the coefficients of the published pipeline, computed without JPEG files."""
    plain = unnormalized("published", tuple(channel_subset(channels).indices()), 448, 8)
    return ours(plain)


def torchvision_pillow() -> LOADED:
    """Yield pixels with the usual training loader of torchvision."""
    from torchvision import transforms

    chain = transforms.Compose(
        [
            transforms.RandomResizedCrop(224, scale=SCALE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(*IMAGENET_RGB),
        ]
    )

    def load(path: Path, number: int) -> Tensor:
        torch.manual_seed(number)
        with Image.open(path) as image:
            return chain(image.convert("RGB"))

    return load


def torchvision_tensors() -> LOADED:
    """Yield pixels without Pillow: decoded, cropped and resized as tensors of 8 bits."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms import v2

    chain = v2.Compose(
        [
            v2.RandomResizedCrop(224, scale=SCALE, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*IMAGENET_RGB),
        ]
    )

    def load(path: Path, number: int) -> Tensor:
        torch.manual_seed(number)
        return chain(decode_jpeg(read_file(str(path)), ImageReadMode.RGB))

    return load


def encoded_and_parsed(channels: str, folder: Path) -> LOADED:
    """Yield coefficients of the published pipeline with two JPEG files."""
    import jpeglib

    index = channel_subset(channels).indices()
    mean, std = torch.zeros(len(index), 1, 1), torch.full((len(index), 1, 1), 50.0)

    def parsed(image: Image.Image, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image.save(folder / name, "JPEG", quality=100, subsampling="4:2:0")
        held = jpeglib.read_dct(str(folder / name))
        return held.Y, held.Cb, held.Cr

    def load(path: Path, number: int) -> Tensor:
        with Image.open(path) as file:
            image = file.convert("RGB")
        window = pixel_window(image.height, image.width, augmentation(number))
        box = (window.left, window.top, window.left + window.width, window.top + window.height)
        view = image.resize((448, 448), Image.Resampling.BILINEAR, box)
        if window.mirrored:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        luma = parsed(view, "y.jpg")[0]
        chroma = parsed(view.resize((896, 896), Image.Resampling.BILINEAR), "c.jpg")[1:]
        # all quantization steps are 1 at this quality
        blocks = np.stack([luma, *chroma]).reshape(3, 56, 56, 64).transpose(0, 3, 1, 2).reshape(192, 56, 56)
        return (torch.from_numpy(blocks[index].astype(np.float32)) - mean) / std

    return load


def ways(folder: Path) -> dict[str, LOADED | str]:
    """Return each method to load a view, or the reason why it is not available."""
    found: dict[str, LOADED | str] = {
        "coefficients, 24 channels, 224 px at stride 4": cubes("24S", 224, 4),
        "coefficients, 24 channels, 448 px at stride 8": cubes("24S", 448, 8),
        "coefficients, 192 channels, 448 px at stride 8": cubes("192", 448, 8),
        "RGB, as passband reads it": ours(of_imagenet(unnormalized("rgb", (), 224, 1))),
        "RGB, torchvision and Pillow": torchvision_pillow(),
        "RGB, torchvision, tensors": torchvision_tensors(),
        "published, 24 channels, computed": published("24S"),
    }
    name = "published, 24 channels, encoded and parsed"
    if find_spec("jpeglib"):
        found[name] = encoded_and_parsed("24S", folder)
    else:
        found[name] = "not installed: pip install 'passband[jpeg]'"
    return found


def batches(load: LOADED, paths: list[Path], size: int, first: int) -> Iterator[Tensor]:
    """Yield stacked views of all images."""
    for start in range(0, len(paths), size):
        yield torch.stack([load(path, first + start + place) for place, path in enumerate(paths[start : start + size])])


def measure(found: dict[str, LOADED | str], paths: list[Path], size: int, rounds: int) -> dict[str, dict[str, object]]:
    """Return milliseconds per image and the shape for every method, or the reason why there are none."""
    loads = {name: load for name, load in found.items() if not isinstance(load, str)}
    shapes = {name: list(load(paths[0], 0).shape) for name, load in loads.items()}
    seconds: dict[str, list[float]] = {name: [] for name in loads}
    for load in loads.values():  # the pages of the files, and what is made once
        for _ in batches(load, paths[:size], size, 0):
            continue
    for number in range(rounds):
        names = [*loads]
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            for _ in batches(loads[name], paths, size, number * len(paths)):
                continue
            seconds[name].append(time.perf_counter() - started)
    return {
        name: {"milliseconds": 1000 * statistics.median(seconds[name]) / len(paths), "shape": shapes[name]}
        if name in loads
        else {"reason": load}
        for name, load in found.items()
    }


def readable(paths: list[Path]) -> list[Path]:
    """Return the files that every method can load: undamaged files with coefficients."""
    good = []
    for path in paths:
        try:
            read_coefficients(path)
            with Image.open(path) as image:
                image.load()
        except (JpegError, ImageError, OSError) as error:
            print(f"left out: {error}")
        else:
            good.append(path)
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of JPEG files, with subfolders")
    parser.add_argument("--files", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    all_paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    step = max(1, len(all_paths) // options.files)
    paths = readable(all_paths[::step][: options.files])
    if not paths:
        parser.error(f"{options.folder} holds no JPEG files that can be read")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(ways(Path(folder)), paths, options.batch, options.rounds)
    usual = found["RGB, torchvision and Pillow"]["milliseconds"]
    size = sum(path.stat().st_size for path in paths) / len(paths)
    print(f"\n{len(paths)} files of {size / 1000:.0f} KB on average, coefficients by the {backend()} reader\n")
    print("| loader | input | ms/image | images/s | of torchvision and Pillow |")
    print("|---|---|---|---|---|")
    for name, figures in found.items():
        if "reason" in figures:
            print(f"| {name} | {figures['reason']} | | | |")
            continue
        taken = figures["milliseconds"]
        shape = " x ".join(map(str, figures["shape"]))
        print(f"| {name} | {shape} | {taken:.2f} | {1000 / taken:.0f} | {usual / taken:.2f}x |")
    if options.output:
        content = {"files": len(paths), "mean_bytes": size, "reader": backend(), "ways": found, **environment()}
        write_json(options.output, content)


if __name__ == "__main__":
    main()
