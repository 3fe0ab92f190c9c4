"""Files of several pictures: pages of TIFF, frames of PNG and WebP."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from passband.io.image import (
    Animation,
    ImageError,
    ImageMeta,
    ImageSequence,
    StoredImage,
    open_images,
    read_stored_image,
    write_images,
)

HEIGHT, WIDTH = 11, 14


def noise(seed: int, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    shape = (HEIGHT, WIDTH, channels)[: 3 if channels > 1 else 2]
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def through(path: Path, suffix: str = "") -> tuple[Path, tuple[str, ...]]:
    after = path.with_name("after" + (suffix or path.suffix))
    return after, write_images(after, open_images(path))


def levels(picture: StoredImage) -> np.ndarray:
    planes = picture.image if picture.alpha is None else torch.cat([picture.image, picture.alpha])
    return (planes.double() * (2**picture.meta.bits - 1)).round().permute(1, 2, 0).numpy()


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_all_pages_of_a_tiff_come_back_each_with_its_size_depth_and_density(tmp_path, compression):
    pages = [noise(0), noise(1, 1, np.uint16), noise(2)[:5, :6], noise(3, 4)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number, page in enumerate(pages):
            file.write(
                page,
                photometric="minisblack" if page.ndim == 2 else "rgb",
                extrasamples=["unassalpha"] if page.shape[-1] == 4 else None,
                compression=compression,
                resolution=(100 + number, 100 + number),
                resolutionunit="inch",
                metadata=None,
            )
    after, notes = through(tmp_path / "a.tif")
    assert notes == ()
    with tifffile.TiffFile(after) as file:
        assert len(file.pages) == 4
        for number, (page, stored) in enumerate(zip(pages, file.pages, strict=True)):
            np.testing.assert_array_equal(stored.asarray(), page)
            assert stored.tags[282].value == (100 + number, 1)


def test_a_scan_of_several_pages_with_lzw_comes_back(tmp_path):
    pages = [Image.fromarray(noise(seed)) for seed in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    after, _ = through(tmp_path / "a.tif")
    np.testing.assert_array_equal(tifffile.imread(after), [np.array(page) for page in pages])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("one_directory", [False, True])
def test_a_stack_of_imagej_comes_back_as_a_stack(tmp_path, order, one_directory):
    stack = np.stack([noise(seed, 1, np.uint16) for seed in range(3)])
    if one_directory:
        text = "ImageJ=1.53k\nimages=3\nslices=3\n"
        page = stack.astype(f"{order}u2")
        with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=order) as file:
            file.write(page[0], description=text, metadata=None)
        data = (tmp_path / "a.tif").read_bytes()
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            end = file.pages[0].dataoffsets[0] + file.pages[0].nbytes
        assert end == len(data)
        (tmp_path / "a.tif").write_bytes(data + page[1:].tobytes())  # the other slices follow the first
    else:
        tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True)
    assert open_images(tmp_path / "a.tif").count == 3
    after, _ = through(tmp_path / "a.tif")
    np.testing.assert_array_equal(tifffile.imread(after), stack)


def test_pages_are_decoded_one_by_one(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([noise(seed) for seed in range(4)]), photometric="rgb")
    file = open_images(tmp_path / "a.tif")
    np.testing.assert_array_equal(levels(next(file.images)), noise(0))
    np.testing.assert_array_equal(levels(next(file.images)), noise(1))
    assert len(list(file.images)) == 2


def test_a_damaged_page_is_an_error_and_leaves_no_file(tmp_path):
    stack = np.stack([noise(seed) for seed in range(3)])
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", compression="deflate")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        at = file.pages[2].dataoffsets[0]
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[at : at + 40] = bytes(40)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ImageError, match="incomplete or damaged"):
        through(tmp_path / "a.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_another_type_keeps_the_first_page_and_says_so(tmp_path, suffix):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([noise(seed) for seed in range(3)]), photometric="rgb")
    after, notes = through(tmp_path / "a.tif", suffix)
    assert "only the first of its 3 pages is kept" in notes
    assert open_images(after).count == 1


def test_reading_one_picture_of_several_says_so(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([noise(seed) for seed in range(3)]), photometric="rgb")
    assert read_stored_image(tmp_path / "a.tif").notes == ("only the first of its 3 pages is kept",)


# --- frames ---------------------------------------------------------------------------------------------------------

DURATIONS = (100, 250, 1000)


def animate(path: Path, mode: str, **options: object) -> list[np.ndarray]:
    """An animation, and its frames as a viewer shows them."""
    frames = [Image.fromarray(noise(seed, 4)).convert(mode) for seed in range(3)]
    lossless = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=list(DURATIONS), loop=5, **lossless, **options
    )
    with Image.open(path) as image:
        shown = []
        for number in range(image.n_frames):
            image.seek(number)
            shown.append(np.array(image.convert("RGBA")))
    return shown


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_all_frames_come_back_with_their_durations_and_loops(tmp_path, suffix, mode):
    shown = animate(tmp_path / f"a{suffix}", mode)
    after, notes = through(tmp_path / f"a{suffix}")
    assert notes == ()
    with Image.open(after) as image:
        assert (image.n_frames, image.info["loop"]) == (3, 5)
        for number, frame in enumerate(shown):
            image.seek(number)
            image.load()
            assert image.info["duration"] == DURATIONS[number]
            seen = np.array(image.convert("RGBA"))
            opaque = frame[..., 3:] > 0
            np.testing.assert_array_equal(seen * opaque, frame * opaque)
            np.testing.assert_array_equal(seen[..., 3], frame[..., 3])


@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_frames_that_cover_a_part_are_shown_as_ffmpeg_shows_them(tmp_path, disposal, blend):
    def cut_out(seed: int) -> np.ndarray:
        pixels = noise(seed, 4)
        pixels[..., 3] = np.where(pixels[..., 3] > 127, 255, 0)
        return pixels

    frames = [Image.fromarray(cut_out(0))]
    for seed in (1, 2):
        frame = frames[0].copy()
        frame.paste(Image.fromarray(cut_out(seed)[:4, :5]), (2 + seed, 3))
        frames.append(frame)
    frames[0].save(
        tmp_path / "a.png",
        save_all=True,
        append_images=frames[1:],
        disposal=[disposal, disposal, 0],
        blend=[0, blend, blend],
    )
    with av.open(tmp_path / "a.png", format="apng") as file:
        shown = [frame.to_ndarray(format="rgba").astype(float) for frame in file.decode(video=0)]
        for picture, expected in zip(open_images(tmp_path / "a.png").images, shown, strict=True):
            opacity = expected[..., 3:] / 255  # colors under transparent pixels mean nothing
            np.testing.assert_array_equal(levels(picture) * opacity, expected * opacity)


def test_half_transparent_pixels_are_laid_over_others_as_the_standard_says(tmp_path):
    lower, upper = np.array([[[200, 100, 0, 128]]], np.uint8), np.array([[[0, 100, 200, 64]]], np.uint8)
    frames = [Image.fromarray(pixels) for pixels in (lower, upper)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], blend=1, disposal=0)
    _, shown = open_images(tmp_path / "a.png").images
    below, above = 128 / 255, 64 / 255
    opacity = above + below * (1 - above)
    colors = (upper[0, 0, :3] * above + lower[0, 0, :3] * below * (1 - above)) / opacity
    np.testing.assert_allclose(levels(shown)[0, 0], [*colors, opacity * 255], atol=0.5)  # rounded to levels


def test_a_picture_for_programs_without_animations_stays_one(tmp_path):
    first = Image.fromarray(noise(9))
    frames = [Image.fromarray(noise(seed)) for seed in range(2)]
    first.save(tmp_path / "a.png", save_all=True, append_images=frames, default_image=True, duration=[100, 200])
    file = open_images(tmp_path / "a.png")
    assert file.count == 3
    assert file.animation == Animation((Fraction(1, 10), Fraction(1, 5)), 0, still_first=True)
    after, _ = through(tmp_path / "a.png")
    with Image.open(after) as image:
        assert image.info["default_image"]
        np.testing.assert_array_equal(np.array(image), noise(9))
        assert image.n_frames == 3
        image.seek(2)
        np.testing.assert_array_equal(np.array(image), noise(1))


def test_frames_of_16_bits_keep_them(tmp_path):
    pictures = [StoredImage(torch.rand(3, 5, 6), meta=ImageMeta(bits=16)) for _ in range(2)]
    animation = Animation((Fraction(1, 24), Fraction(1, 25)))
    write_images(tmp_path / "a.png", ImageSequence(2, iter(pictures), animation))
    file = open_images(tmp_path / "a.png")
    assert file.animation == animation
    for before, after in zip(pictures, file.images, strict=True):
        assert after.meta.bits == 16
        np.testing.assert_array_equal(levels(after), levels(before))


def test_an_animation_changes_between_png_and_webp_and_keeps_its_times(tmp_path):
    animate(tmp_path / "a.png", "RGB")
    after, _ = through(tmp_path / "a.png", ".webp")
    assert open_images(after).animation == open_images(tmp_path / "a.png").animation


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".bmp"])
def test_a_type_without_animations_keeps_the_first_frame_and_says_so(tmp_path, suffix):
    animate(tmp_path / "a.webp", "RGB")
    _, notes = through(tmp_path / "a.webp", suffix)
    assert "only the first of its 3 frames is kept" in notes
