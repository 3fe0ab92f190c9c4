"""Checks uploaded files by their headers, and makes images that browsers show."""

from pathlib import Path

from passband.io.image import ImageError, read_stored_image, write_image
from passband.io.image.kinds import NAMES, kind_of_file
from passband.io.image.size import stored_size
from passband.io.signatures import suffix_by_content
from passband.io.video import VIDEO_SUFFIXES, VideoReader
from passband.io.video.showing import shown_frame
from passband.naming import counted, printable, shortened

SHOWN = frozenset(("PNG", "JPEG", "WEBP", "AVIF"))
"""Types of images that browsers show."""


LONGEST = 60
"""Largest number of characters of a name on the page."""


class UploadError(ValueError):
    """An uploaded file cannot be used. The message says why, and what to do."""


def shown_name(path: Path) -> str:
    """Return the name of a file as the page shows it: on one line, and without its middle if it is long.

    Args:
        path: path of the file.
    """
    return shortened(printable(path.name), LONGEST)


def check_image(source: Path, image_pixels: int, need: str) -> None:
    """Check that an uploaded file is an image of an allowed size, see `check_file`.

    Args:
        source: path of the file.
        image_pixels: largest number of pixels.
        need: sentence that tells a person who gave a video what is needed.

    Raises:
        UploadError: if the file is not an image, or too large.
    """
    if check_file(source, image_pixels, 0):
        raise UploadError(f"{shown_name(source)} is a video. {need}")


def check_file(source: Path, image_pixels: int, video_pixels: int) -> bool:
    """Check the type and size of an uploaded file by its header, before anything is decoded.

    Args:
        source: path of the file.
        image_pixels: largest number of pixels of an image.
        video_pixels: largest number of pixels of a video, over all frames; 0 if only images are taken.

    Returns:
        Whether the file is a video.

    Raises:
        UploadError: if the file is neither an image nor a video, or too large.
        VideoError: if the file is a damaged video.
    """
    name, suffix = shown_name(source), suffix_by_content(source)
    if not suffix:
        what, or_video = ("neither an image nor a video", ", or a video") if video_pixels else ("no image", "")
        raise UploadError(f"{name} is {what} that passband reads. Give a {NAMES} image{or_video}.")
    if suffix not in VIDEO_SUFFIXES:
        size = stored_size(source)
        if size is not None and size[0] * size[1] > image_pixels:
            raise UploadError(
                f"{name} has {size[0]} x {size[1]} pixels, which is {megapixels(size[0] * size[1])}. This "
                f"page takes images of at most {megapixels(image_pixels)}. Reduce the image, or use the "
                "command line of passband."
            )
        return False
    if not video_pixels:
        return True
    with VideoReader(source) as reader:
        frame, count = reader.format.width * reader.format.height, reader.expected or 1
    if frame * count > video_pixels:
        raise UploadError(
            f"{name} has {counted(count, 'frame')} of {megapixels(frame)}. This page takes at most "
            f"{counted(video_pixels // frame, 'frame')} of this size. Cut the video, or use passband restore on "
            "the command line."
        )
    return True


def megapixels(pixels: int) -> str:
    """Return a number of pixels in megapixels, with three digits.

    Args:
        pixels: number of pixels.
    """
    return counted(float(f"{pixels / 1e6:.3g}"), "megapixel")


def shown(path: Path, target: Path, is_video: bool) -> Path:
    """Return an image that browsers show: the file itself, or a copy in another type.

    Args:
        path: path of an image or a video.
        target: path of the copy, without a suffix.
        is_video: whether the file is a video, whose first frame is then shown as players show it.

    Raises:
        ImageError: if the video has no frames.
    """
    if not is_video and kind_of_file(path) in SHOWN:
        return path
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_video:
        with VideoReader(path) as reader:
            image = next((shown_frame(frame, reader.format).image for frame in reader.frames()), None)
        if image is None:
            raise ImageError(f"{path} has no frames")
        write_image(target.with_suffix(".png"), image)
        return target.with_suffix(".png")
    write_image(target.with_suffix(".jpg"), read_stored_image(path).image)
    return target.with_suffix(".jpg")
