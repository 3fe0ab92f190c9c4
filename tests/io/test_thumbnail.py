import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from passband.io.image import ImageError, read_image, write_image
from passband.io.thumbnail import read_thumbnail


def test_a_thumbnail_is_the_mean_of_each_part(tmp_path, photograph):
    picture = photograph[:, :256, :448]
    write_image(tmp_path / "a.png", picture)
    gray = read_image(tmp_path / "a.png").mean(0)
    means = gray.reshape(32, 8, 32, 14).mean((1, 3))
    # rounded to 8 bits before and after
    torch.testing.assert_close(read_thumbnail(tmp_path / "a.png", 32), means, atol=1.01 / 255, rtol=0)


def test_jpeg_at_a_part_of_its_size_is_nearly_the_same(tmp_path):
    image = Image.fromarray(data.chelsea()[:, :440])
    image.save(tmp_path / "a.jpg", quality=95)
    exact = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), dtype=np.float32) / 255
    # it is decoded at a half, a quarter or an eighth, whose pixels straddle those of the thumbnail
    assert np.abs(read_thumbnail(tmp_path / "a.jpg", 32).numpy() - exact).mean() < 2 / 255


def test_jpeg_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    image = Image.fromarray(data.chelsea()[:256, :256])
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.save(tmp_path / "as_is.jpg")
    torch.testing.assert_close(
        read_thumbnail(tmp_path / "turned.jpg", 16), read_thumbnail(tmp_path / "as_is.jpg", 16).flip(0, 1)
    )


def test_damaged_files_are_named(tmp_path):
    Image.fromarray(data.chelsea()).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"a\.jpg is a JPEG file that is incomplete"):
        read_thumbnail(tmp_path / "a.jpg", 32)
    (tmp_path / "b.jpg").write_text("no picture")
    with pytest.raises(ImageError, match=r"b\.jpg"):
        read_thumbnail(tmp_path / "b.jpg", 32)
