"""Runs every reader of passband on one file, and judges the result, for `fuzz.py`."""

import io
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import tifffile
import torch
from fuzz_pictures import Seed
from PIL import Image
from PIL import ImageSequence as PillowSequence

from passband.config import RecipeError, load_recipe
from passband.data.coco import find_coco
from passband.data.coco.entries import CocoError
from passband.data.cubes.channel_statistics import ChannelStatistics
from passband.inference import Restorer
from passband.inference.video.streaming import restore_video
from passband.io import jpeg
from passband.io.image import ImageError, ImageSequence, open_images, read_stored_image, write_images
from passband.io.image.size import stored_size
from passband.io.jpeg import compiled as jpeg_compiled
from passband.io.jpeg import engine as jpeg_engine
from passband.io.jpeg import fallback as jpeg_fallback
from passband.io.mask import read_stored_mask
from passband.io.thumbnail import read_thumbnail
from passband.io.video import VideoError, VideoReader
from passband.io.video.join import target_suffix
from passband.models import load_model
from passband.runs import RunError, read_run
from passband.state_dicts import CheckpointError
from passband.weights_io import load_weights

DAMAGED = re.compile(r"damaged|cut short|cut before|lost its index")
LONGEST = 2000
"""Largest number of characters of a message."""
Read = Callable[[Path], Any]
CHANNELS = ((0, 1, 8, 63), (0,), (2, 1))


class Still(Restorer):
    """A restorer that returns its input, without a network."""

    def __init__(self) -> None:
        super().__init__("general", device="cpu")

    def restore(self, degraded: Any) -> Any:
        """Return the input."""
        return degraded


def _coefficients(engine: Any, truncated: bool) -> Read:
    def read(path: Path) -> None:
        with patch.object(jpeg_engine, "engine", lambda: engine):
            jpeg.read_header(path)
            jpeg.read_coefficients(path, allow_truncated=truncated)
            jpeg.read_channels(path.read_bytes(), CHANNELS, flip=truncated, allow_truncated=truncated)

    return read


def _frames(path: Path) -> None:
    with VideoReader(path) as reader:
        for _ in islice(reader.frames(), 100):
            pass


@cache
def _still() -> Still:
    return Still()


def _restored(path: Path) -> None:
    target = path.parent / "restored" / f"out{target_suffix(path.suffix)}"
    try:
        restore_video(_still(), path, target)
    finally:
        for left in target.parent.rglob("*") if target.parent.exists() else ():
            if left.is_file():
                left.unlink()


def _written_again(path: Path) -> None:
    """Read every image of a file, write them with their metadata as one of all types, and read that.

    Raises:
        ImageError: if the file is refused.
        RuntimeError: if what was written is refused or has another size.
    """
    data = path.read_bytes()
    size = stored_size(path)
    if size is None or size[0] * size[1] > 1 << 18:  # writing takes long, and says nothing about the reader
        return
    target = path.parent / f"again{TARGETS[zlib.crc32(data) % len(TARGETS)]}"
    try:
        images = open_images(path)
        first = next(images.images)
        rest = islice(images.images, 20)
        count = min(images.count, 21)
        animation = images.animation
        if animation:
            animation = replace(animation, durations=animation.durations[: count - animation.still_first])
        write_images(target, ImageSequence(count, chain([first], rest), animation))
        try:
            again = read_stored_image(target)
        except ImageError as error:
            raise RuntimeError(f"what was written as {target.suffix} is refused: {error}") from error
        if again.image.shape != first.image.shape:
            raise RuntimeError(f"{target.suffix}: {tuple(first.image.shape)} became {tuple(again.image.shape)}")
    finally:
        target.unlink(missing_ok=True)


TARGETS = (".png", ".jpg", ".webp", ".tif", ".bmp", ".heic", ".avif")
"""Types that images are written to again."""
PICTURE: dict[str, Read] = {
    "read_stored_image": read_stored_image,
    "stored_size": stored_size,
    "read_stored_mask": read_stored_mask,
    "read_thumbnail": lambda path: read_thumbnail(path, 16),
    "write_images": _written_again,
}
READERS: dict[str, dict[str, Read]] = {
    **dict.fromkeys(("PNG", "JPEG", "WebP", "TIFF", "BMP", "HEIC", "AVIF"), PICTURE),
    "JPEG coefficients": {
        f"{name}{', truncated' if truncated else ''}": _coefficients(engine, truncated)
        for name, engine in (("compiled", jpeg_compiled), ("jpeglib", jpeg_fallback))
        for truncated in (False, True)
    },
    "COCO JSON": {"find_coco": find_coco, "find_coco, boxes": lambda path: find_coco(path, masks=False)},
    "recipe": {"load_recipe": load_recipe},
    "weights": {"load_model": lambda path: load_model(path.parent)},
    "pickle": {"load_weights": load_weights},
    "run record": {"read_run": lambda path: read_run(path.parent)},
    "statistics": {"ChannelStatistics": ChannelStatistics.load},
    "video": {"VideoReader": _frames, "restore_video": _restored},
}
"""Readers of each kind of files."""
ERRORS: dict[str, tuple[type[Exception], ...]] = {
    "JPEG coefficients": (jpeg.JpegError,),
    "COCO JSON": (CocoError, FileNotFoundError),  # of a picture that is named and not there
    "recipe": (RecipeError,),
    "weights": (CheckpointError,),
    "pickle": (CheckpointError,),
    "run record": (RunError, RecipeError),
    "statistics": (ValueError,),
    "video": (VideoError,),
}
"""Errors that the readers of a kind may raise. Other kinds may raise ImageError."""
SELDOM = {"restore_video": 4, "jpeglib": 2, "jpeglib, truncated": 2, "find_coco, boxes": 4, "write_images": 2}
"""Slow readers, and the number n for which they read only every n-th file."""


def readers(kind: str, number: int) -> Iterator[tuple[str, Read]]:
    """Return the readers that a file of a kind goes through."""
    for name, read in READERS[kind.split()[0] if kind.startswith("video") else kind].items():
        if number % SELDOM.get(name, 1) == 0:
            yield name, read


def complaint(kind: str, error: Exception) -> str | None:
    """Return the fault of an error that a reader raised, or None for an error of passband's own in a sentence."""
    own = ERRORS.get("video" if kind.startswith("video") else kind, (ImageError,))
    if not isinstance(error, own):
        return f"{type(error).__name__}: {str(error)[:200]}"
    text = str(error)
    if len(text) > LONGEST:
        return f"a message of {len(text):,} characters"
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
        return f"a message with control characters: {text[:200]!r}"
    return None


def sound_after_all(seed: Seed, path: Path, reader: str, error: Exception) -> bool:
    """Return whether other readers accept a file that was reported as damaged, with the pixels of the sound file."""
    if not DAMAGED.search(str(error)) or "Corrupt JPEG data" in str(error):  # libjpeg complains, and Pillow is silent
        return False
    every = reader == "write_images"  # the others read the first image alone, which may be whole in front of damage
    judge, expected = _judge(seed.kind, seed.name, every, *next(iter(seed.files.items())))
    try:
        found = judge(path)
    except Exception:  # a complaint
        return False
    return bool(found) and len(found) == len(expected) and all(map(np.array_equal, found, expected))


Pixels = list[np.ndarray]


@cache
def _judge(kind: str, about: str, every: bool, name: str, data: bytes) -> tuple[Callable[[Path], Pixels], Pixels]:
    """Return an independent reader of a sound file, and its result. Files without images have none."""
    judges = (_by_ffmpeg,) if kind.startswith("video") else (partial(_by_pillow, every), _by_tifffile)
    if kind == "HEIC":
        judges = (_by_libheif,)
    if kind == "TIFF" and about.startswith(("16 bit", "planes", "gray and alpha", "tiles of planes")):
        judges = (_by_tifffile,)  # Pillow mistakes planes of 16 bits, and finds pixels where there are too few
    if kind in ERRORS and kind not in ("JPEG coefficients", "video"):
        return lambda _: [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        for judge in judges:
            try:
                return judge, judge(path)
            except Exception:  # some layouts of TIFF
                continue
    if kind == "TIFF":  # LZW is read by no other without further packages
        return lambda _: [], []
    raise AssertionError(f"nothing else reads {name}")


def _by_pillow(every: bool, path: Path) -> Pixels:
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        if image.width * image.height > 1 << 24:  # no sound file is so large, and the judge's time counts as a hang
            return []
        frames = islice(PillowSequence.Iterator(image), 100 if every else 1)
        return [np.asarray(frame) for frame in frames]


def _by_tifffile(path: Path) -> Pixels:
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        # tifffile takes text or nothing for numbers, and finds uncompressed pixels whatever the size of their tiles
        misread = any(
            page.tags[code].dtype == 2 or not page.tags[code].count
            for code in (256, 257, 258, 259, 262, 277, 284)
            if code in page.tags
        )
        if misread or page.tilewidth * page.tilelength > 1 << 24:
            return []
        return [page.asarray()]


def _by_libheif(path: Path) -> Pixels:
    import pillow_heif

    return [np.asarray(pillow_heif.open_heif(io.BytesIO(path.read_bytes()), convert_hdr_to_8bit=False))]


def _by_ffmpeg(path: Path) -> Pixels:
    """Return the decoded frames, or none if a frame is damaged."""
    with av.open(f"file:{path}") as container:
        frames = list(islice(container.decode(video=0), 100))
        return [] if any(frame.is_corrupt for frame in frames) else [frame.to_ndarray() for frame in frames]


def quiet() -> None:
    """Use one thread, as each of the processes of a run does."""
    torch.set_num_threads(1)
