from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageCms

from passband.drawing.before_after import PIXELS, before_after, write_comparison
from passband.drawing.comparison import GAP, MARGIN
from passband.drawing.lettering import line_height
from passband.io.image import ImageMeta, StoredImage, read_stored_image, write_stored_image


def picture(height, width, **meta):
    return StoredImage(torch.rand(3, height, width) * 0.9, None, ImageMeta(**meta))


@pytest.mark.parametrize(("height", "width", "stacked"), [(250, 300, False), (100, 300, True), (300, 400, False)])
def test_both_stand_below_their_labels_side_by_side_unless_they_are_wide(height, width, stacked):
    before, after = picture(height, width), picture(height, width)
    sheet = before_after(before, after).image[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    strip = line_height(max(11, min(20, width // 20)))
    assert torch.equal(sheet[:, strip : strip + height, :width], before.image)
    assert torch.equal(sheet[:, -height:, -width:], after.image)
    tall, wide = strip + height, width
    expected = (2 * tall + GAP, wide) if stacked else (tall, 2 * wide + GAP)
    assert sheet.shape == (3, *expected)
    labels = [
        sheet[:, :strip, :width],
        sheet[:, tall + GAP : tall + GAP + strip] if stacked else sheet[:, :strip, -width:],
    ]
    assert all(label.min() < 0.3 for label in labels)
    assert not torch.equal(*labels)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3), (1000, 1001), (1200, 3000), (4000, 30)])
def test_a_comparison_has_at_most_two_million_pixels_unless_more_are_asked_for(size):
    before, after = picture(*size), picture(*size)
    sheet = before_after(before, after).image
    assert sheet[0].numel() <= PIXELS
    if size[0] * size[1] > PIXELS / 2:
        assert sheet[0].numel() > 0.9 * PIXELS
    whole = before_after(before, after, None).image
    assert (
        torch.equal(whole[:, -MARGIN - size[0] : -MARGIN][..., -MARGIN - size[1] : -MARGIN], after.image)
        or size[1] < 150
    )
    assert whole[0].numel() >= 2 * size[0] * size[1]


def test_a_comparison_of_few_pixels_is_refused():
    with pytest.raises(ValueError, match="no room for images"):
        before_after(picture(50, 50), picture(50, 50), 100)
    with pytest.raises(ValueError, match="one size, got 50x40 and 40x50 pixels"):
        before_after(picture(40, 50), picture(50, 40))


def test_gray_stays_gray_and_the_profile_is_kept(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    color = picture(20, 30, icc=profile)
    gray = StoredImage(color.image[:1].expand(3, -1, -1), None, ImageMeta(gray=True))
    for kind, wanted in ((gray, "L"), (color, "RGB")):
        write_stored_image(tmp_path / "a.png", kind)
        write_stored_image(tmp_path / "b.png", replace(kind, image=1 - kind.image))
        write_comparison(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png")
        with Image.open(tmp_path / "c.png") as shown:
            assert shown.mode == wanted
            assert shown.info.get("icc_profile") == (profile if wanted == "RGB" else None)
    assert not before_after(gray, color).meta.gray


def test_the_comparison_shows_what_was_saved_and_not_what_was_meant(tmp_path):
    source = picture(240, 250)
    write_stored_image(tmp_path / "b.jpg", source, quality=5)
    write_comparison(source, tmp_path / "b.jpg", tmp_path / "c.png")
    shown = read_stored_image(tmp_path / "c.png").image[:, -MARGIN - 240 : -MARGIN, -MARGIN - 250 : -MARGIN]
    saved = read_stored_image(tmp_path / "b.jpg").image
    torch.testing.assert_close(shown, saved, rtol=0, atol=1e-6)
    assert not torch.allclose(shown, source.image, atol=0.05)


def test_what_is_transparent_shows_a_checkerboard():
    clear = replace(picture(240, 250), alpha=torch.zeros(1, 240, 250))
    sheet = before_after(clear, picture(240, 250)).image[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert set(sheet[:, -240:, :250].unique().tolist()) == {0.75, 1.0}
