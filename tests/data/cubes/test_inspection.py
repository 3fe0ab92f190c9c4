import io

import pytest
import torch
from PIL import Image

from passband.data.cubes.inspection import file_views, pixel_views, window_places
from passband.io.image import ImageError, read_image, to_pil
from passband.ops.color import rgb_to_ycbcr
from tests.inspecting import photograph


def jpeg(image, **options):
    file = io.BytesIO()
    to_pil(image).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0", "4:2:2"])
def test_a_jpeg_file_and_its_pixels_look_alike(subsampling):
    data = jpeg(photograph(1, 330, 344), quality=97, subsampling=subsampling)
    stored, decoded = file_views(data), pixel_views(read_image(data))
    assert stored.windows.shape == decoded.windows.shape == (4, 96, 32, 32)
    # pixels are rounded to 8 bits and clipped, and subsampled chroma is smoothed when it is decoded
    assert (stored.windows - decoded.windows)[:, :64].abs().mean() < 0.6
    assert (stored.windows - decoded.windows)[:, 64:].abs().mean() < (0.6 if subsampling == "4:4:4" else 3)
    torch.testing.assert_close(stored.overview[0], decoded.overview[0], atol=0.01, rtol=0)
    torch.testing.assert_close(stored.overview[5], decoded.overview[5], atol=0.1, rtol=0)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_jpeg_file_is_seen_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(photograph(2, 80, 112), quality=97, subsampling="4:4:4", exif=exif)
    stored, upright = file_views(data), pixel_views(read_image(data))
    assert stored.windows.shape == upright.windows.shape
    assert (stored.windows - upright.windows).abs().mean() < 0.6
    torch.testing.assert_close(stored.overview[:5], upright.overview[:5], atol=0.02, rtol=0)


def test_a_gray_file_has_no_color():
    file = io.BytesIO()
    to_pil(photograph(3)).convert("L").save(file, "JPEG")
    views = file_views(file.getvalue())
    assert not views.windows[:, 64:].any()
    torch.testing.assert_close(views.overview[1:3], torch.full((2, 16, 16), 128 / 255))


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (8, 8), (37, 41), (700, 9)])
def test_pictures_of_any_size_have_views(size):
    image = photograph(4, 120, 120)[:, :1, :1].expand(3, *size).contiguous()
    for views in (pixel_views(image), file_views(jpeg(image))):
        assert views.windows.shape[:2] == (views.windows.shape[0], 96)
        assert views.overview.shape == (6, 16, 16)
        assert views.windows.isfinite().all()


def test_windows_of_one_size_lie_in_the_picture_and_are_at_most_four():
    for rows in range(1, 130):
        for columns in (1, 31, 40, 41, 64, 500):
            places = window_places(rows, columns)
            assert 1 <= len(places) <= 4
            assert len({place[2:] for place in places}) == 1
            for top, left, height, width in places:
                assert min(top, left) >= 0
                assert top + height <= rows
                assert left + width <= columns


def test_mirrored_views_are_those_of_the_mirrored_picture():
    image = photograph(5, 96, 128)
    torch.testing.assert_close(
        pixel_views(image).mirrored().windows, pixel_views(image.flip(-1)).windows, atol=2e-3, rtol=0
    )
    torch.testing.assert_close(pixel_views(image).mirrored().overview, pixel_views(image.flip(-1)).overview)


def test_the_first_channels_are_means_of_blocks():
    image = photograph(6, 64, 64)
    views = pixel_views(image)
    means = torch.nn.functional.avg_pool2d(rgb_to_ycbcr(image)[None], 8)[0]
    torch.testing.assert_close((views.windows[0, [0, 64, 80]] / 8 + 128) / 255, means, atol=1e-5, rtol=0)


def test_what_is_no_picture_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "no.jpg"
    path.write_bytes(b"no picture at all")
    with pytest.raises(ImageError, match=r"no\.jpg is not a"):
        file_views(path)
