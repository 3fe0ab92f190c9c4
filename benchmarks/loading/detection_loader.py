"""Measures the time to load an image for a detector on one thread, from its file to the input of the network.

    python benchmarks/loading/detection_loader.py FOLDER [--files 32] [--rounds 3] [-o detection_loader.json]

The folder is in COCO's format. The first table loads the image only, mirrored half of the time. Pixels are resized to a
shorter side of 800, or less if the longer side would exceed 1333, as torchvision's detectors do after loading; or they
are left at their size. Cubes of coefficients keep the size of their image, as in the training. The second table also
loads boxes and masks, at the size of the image, as the processes of a loader do.

"Encoded and parsed" is the published construction (Xu et al., CVPR 2020). The image is resized in the same way and
encoded as JPEG at quality 100, and so is a copy of twice its size. Y is read from the first file, and Cb and Cr from
the second. Here Pillow takes the place of OpenCV, and jpeglib reads the files. It reads only from paths, so the files
lie in a temporary folder. Each round times every method once over the same files, in a rotating order. The table shows
medians over the rounds.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import to_tensor

from passband.data.coco import CocoImage, CocoImages, find_coco
from passband.data.cubes.native_size import NativeFormat, read_native_cube
from passband.data.datasets.detection import DetectionTrainingSet
from passband.io.image import read_image
from passband.io.jpeg import backend
from passband.io.json_files import write_json
from passband.io.rle import mask_functions
from passband.layers.channels import channel_subset
from passband.provenance import environment

SHORTER, LONGER = 800, 1333
"""Sides in pixels to which torchvision's detectors resize images."""
LOADED = Callable[[int], Tensor]
"""Function that makes the input of a network from the image with a number."""
PUBLISHED = "published, 64S, encoded and parsed"


def resized_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width after torchvision's resize."""
    factor = min(SHORTER / min(height, width), LONGER / max(height, width))
    return round(height * factor), round(width * factor)


def image_of(pictures: CocoImages, number: int) -> CocoImage:
    return pictures.images[number % len(pictures)]


def samples(pictures: CocoImages, cubes: NativeFormat | None = None) -> LOADED:
    """Yield samples as `passband train` prepares them: pixels or cubes, boxes and masks."""
    data = DetectionTrainingSet(pictures, 0, cubes=cubes)
    return lambda number: data[number]["image"]


def pillow_samples(pictures: CocoImages) -> LOADED:
    """Yield samples as torchvision's references prepare them, with Pillow and COCO's masks of polygons."""
    functions = mask_functions()

    def load(number: int) -> Tensor:
        image = image_of(pictures, number)
        values, masks = pillow_pixels(image), []
        for one in image.trained:
            codes = one.segmentation
            if isinstance(codes, tuple):
                polygons = [polygon.tolist() for polygon in codes]
                codes = functions.frPyObjects(polygons, image.height, image.width)
                masks.append(torch.from_numpy(functions.decode(codes)).any(2))
            else:
                codes = functions.frPyObjects(codes, image.height, image.width)
                masks.append(torch.from_numpy(functions.decode(codes)))
        stacked = torch.stack([mask.to(torch.uint8) for mask in masks])
        if number % 2:
            values, stacked = values.flip(-1), stacked.flip(-1)
        return values

    return load


def pillow_pixels(image: CocoImage) -> Tensor:
    with Image.open(image.path) as file:
        return to_tensor(file.convert("RGB"))


def resized(pictures: CocoImages, read: Callable[[CocoImage], Tensor]) -> LOADED:
    """Yield images, mirrored and resized as torchvision's detectors do it."""

    def load(number: int) -> Tensor:
        values = read(image_of(pictures, number))
        values = values.flip(-1) if number % 2 else values
        size = resized_size(values.shape[-2], values.shape[-1])
        return interpolate(values[None], size, mode="bilinear", align_corners=False)[0]

    return load


def pixels_alone(pictures: CocoImages) -> LOADED:
    def load(number: int) -> Tensor:
        values = read_image(image_of(pictures, number).path)
        return values.flip(-1) if number % 2 else values

    return load


def cubes_alone(pictures: CocoImages, form: NativeFormat) -> LOADED:
    return lambda number: read_native_cube(image_of(pictures, number).path, form, mirrored=bool(number % 2)).values


def encoded_and_parsed(pictures: CocoImages, channels: str, folder: Path) -> LOADED:
    """Yield images from the published construction with two JPEG files."""
    import jpeglib

    index = channel_subset(channels).indices()
    mean, std = torch.zeros(len(index), 1, 1), torch.full((len(index), 1, 1), 50.0)

    def parsed(image: Image.Image, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image.save(folder / name, "JPEG", quality=100, subsampling="4:2:0")
        held = jpeglib.read_dct(str(folder / name))
        return held.Y, held.Cb, held.Cr

    def load(number: int) -> Tensor:
        with Image.open(image_of(pictures, number).path) as file:
            image = file.convert("RGB")
        # cut to whole blocks
        height, width = (side // 8 * 8 for side in resized_size(image.height, image.width))
        view = image.resize((width, height), Image.Resampling.BILINEAR)
        if number % 2:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        luma = parsed(view, "y.jpg")[0]
        chroma = parsed(view.resize((2 * width, 2 * height), Image.Resampling.BILINEAR), "c.jpg")[1:]
        # all quantization steps are 1 at this quality
        blocks = np.stack([luma, *chroma]).reshape(3, height // 8, width // 8, 64).transpose(0, 3, 1, 2)
        cube = blocks.reshape(192, height // 8, width // 8)[index].astype(np.float32)
        return (torch.from_numpy(cube) - mean) / std

    return load


def ways(pictures: CocoImages, folder: Path) -> dict[str, LOADED | str]:
    """Return each method to load an image, or the reason why it is not available."""
    form = NativeFormat(tuple(channel_subset("24S").indices()), 2)
    found: dict[str, LOADED | str] = {
        "pixels, ours, resized": resized(pictures, lambda image: read_image(image.path)),
        "pixels, ours, as loaded": pixels_alone(pictures),
        "pixels, torchvision and Pillow, resized": resized(pictures, pillow_pixels),
        "coefficients, 24 channels": cubes_alone(pictures, form),
    }
    for channels in ("64S", "24S"):
        found[f"published, {channels}, encoded and parsed"] = (
            encoded_and_parsed(pictures, channels, folder)
            if find_spec("jpeglib")
            else "not installed: pip install 'passband[jpeg]'"
        )
    return found | {
        "pixels, ours, boxes and masks": samples(pictures),
        "coefficients, 24 channels, boxes and masks": samples(pictures, form),
        "pixels, torchvision and Pillow, boxes and masks": pillow_samples(pictures),
    }


def measure(found: dict[str, LOADED | str], count: int, rounds: int) -> dict[str, dict[str, object]]:
    """Return milliseconds per image and the shape of the first image, or the reason why there are none."""
    loads = {name: load for name, load in found.items() if not isinstance(load, str)}
    shapes = {name: list(load(0).shape) for name, load in loads.items()}
    seconds: dict[str, list[float]] = {name: [] for name in loads}
    for load in loads.values():  # the pages of the files, and what is made once
        for number in range(min(count, 4)):
            load(number)
    for turn in range(rounds):
        names = [*loads]
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = time.perf_counter()
            for number in range(count):
                loads[name](turn * count + number)
            seconds[name].append(time.perf_counter() - started)
    return {
        name: {
            "milliseconds": 1000 * statistics.median(seconds[name]) / count,
            "fastest": 1000 * min(seconds[name]) / count,
            "slowest": 1000 * max(seconds[name]) / count,
            "shape": shapes[name],
        }
        if name in loads
        else {"reason": load}
        for name, load in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a data set in COCO's format")
    parser.add_argument("--part", help="file of annotations, if there are several")
    parser.add_argument("--files", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures = find_coco(options.folder, part=options.part).for_training().spread(options.files)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(ways(pictures, Path(folder)), len(pictures), options.rounds)
    size = sum(image.path.stat().st_size for image in pictures.images) / len(pictures)
    usual = found[PUBLISHED].get("milliseconds")
    print(f"\n{len(pictures)} files of {size / 1000:.0f} KB on average, coefficients by the {backend()} reader\n")
    print(f"| loader | first picture | ms/picture | pictures/s | faster than {PUBLISHED} |")
    print("|---|---|---|---|---|")
    for name, figures in found.items():
        if "reason" in figures:
            print(f"| {name} | {figures['reason']} | | | |")
            continue
        taken = float(str(figures["milliseconds"]))
        shape = " x ".join(map(str, figures["shape"]))  # pyright: ignore[reportArgumentType]
        ratio = f"{float(str(usual)) / taken:.1f}x" if usual else ""
        print(f"| {name} | {shape} | {taken:.1f} | {1000 / taken:.0f} | {ratio} |")
    if options.output:
        content = {"files": len(pictures), "mean_bytes": size, "reader": backend(), "ways": found, **environment()}
        write_json(options.output, content)


if __name__ == "__main__":
    main()
