import numpy as np
import pytest
import torch

from passband.analysis.comparison import GAP, before_after, captioned, comparison_rows, zoomed_crop


def pictures(*sizes):
    return [torch.rand(3, height, width) * 0.9 for height, width in sizes]


def enlarged(picture, times):
    return picture.repeat_interleave(times, 1).repeat_interleave(times, 2)


def test_rows_lie_on_white_where_they_belong():
    rows = [pictures((5, 7), (5, 7), (5, 7)), pictures((3, 11)), pictures((8, 8), (8, 8))]
    sheet = comparison_rows(rows)
    expected = np.ones((3, 5 + 3 + 8 + 2 * GAP, 3 * 7 + 2 * GAP), np.float32)
    top = 0
    for row in rows:
        left = 0
        for picture in row:
            height, width = picture.shape[-2:]
            expected[:, top : top + height, left : left + width] = picture
            left += width + GAP
        top += height + GAP
    assert np.array_equal(sheet.numpy(), expected)


def test_one_picture_alone_is_itself():
    (picture,) = pictures((5, 3))
    assert torch.equal(comparison_rows([[picture]]), picture)


def test_a_caption_stands_above_its_picture_and_changes_none_of_it():
    rows = [pictures((20, 90), (20, 90)), pictures((30, 40)), pictures((9, 50), (9, 50))]
    sheet = comparison_rows(rows, [("rain: 20.1 dB", ""), (), ("a name that is much too long", "clean")])
    plain = comparison_rows(rows)
    strips = [captioned(row[0], "").shape[-2] - row[0].shape[-2] for row in rows]
    assert sheet.shape[-2] == plain.shape[-2] + strips[0] + strips[2]
    first, last = slice(0, strips[0]), slice(-9 - strips[2], -9)
    assert torch.equal(sheet[:, strips[0] : strips[0] + 20 + GAP + 30 + GAP], plain[:, : 20 + GAP + 30 + GAP])
    assert torch.equal(sheet[:, -9:], plain[:, -9:])
    # black letters above the first picture, none above the second, and none between those of the last row
    assert sheet[:, first, :90].min() < 0.2
    assert (sheet[:, first, 90:] == 1).all()
    assert sheet[:, last, :50].min() < 0.2
    assert (sheet[:, last, 50 : 50 + GAP] == 1).all()
    assert sheet[:, last, 50 + GAP : 100 + GAP].min() < 0.2


@pytest.mark.parametrize("width", [1, 8, 64, 256, 2000])
def test_captions_are_legible_and_no_larger_than_the_picture_needs(width):
    (picture,) = pictures((5, width))
    shown = captioned(picture, "restored: 31.4 dB")
    assert shown.shape[-1] == width
    assert 9 <= shown.shape[-2] - 5 <= 27
    assert torch.equal(shown[:, -5:], picture)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(10, 16, (10, 32 + GAP)), (10, 17, (20 + GAP, 17)), (1, 1, (1, 2 + GAP)), (31, 5, (31, 10 + GAP))],
)
def test_before_and_after_stand_side_by_side_unless_they_are_wide(height, width, size):
    before, after = pictures((height, width), (height, width))
    sheet = before_after(before, after)
    assert sheet.shape == (3, *size)
    assert torch.equal(sheet[:, :height, :width], before)
    assert torch.equal(sheet[:, -height:, -width:], after)
    assert (sheet == 1).sum() == 3 * (sheet[0].numel() - 2 * height * width)


@pytest.mark.parametrize("value", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (32, 16), (64, 80)])
def test_the_zoom_finds_the_detail_whatever_the_brightness_around_it(top, left, value):
    reference = torch.full((3, 80, 96), value)
    reference[:, top : top + 16, left : left + 16] = (value - 0.05 * torch.rand(3, 16, 16)).abs()
    (zoomed,) = zoomed_crop([reference], reference, side=16)
    assert torch.equal(zoomed, enlarged(reference[:, top : top + 16, left : left + 16], 5))


def test_every_picture_is_cut_at_the_place_of_the_reference():
    reference = torch.zeros(3, 60, 90)
    reference[:, 30:50, 35:55] = torch.rand(3, 20, 20)
    places = torch.arange(5400.0).view(1, 60, 90).expand(3, -1, -1)
    zoomed, same = zoomed_crop([places, reference], reference, side=20)
    assert torch.equal(zoomed, enlarged(places[:, 30:50, 35:55], 3))
    assert torch.equal(same, enlarged(reference[:, 30:50, 35:55], 3))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (300, 7), (61, 67), (101, 97)])
def test_a_zoom_is_square_as_high_as_the_picture_and_invents_no_value(height, width):
    (picture,) = pictures((height, width))
    (zoomed,) = zoomed_crop([picture], picture)
    assert zoomed.shape == (3, height, height)
    colors = {tuple(color) for color in picture.flatten(1).T.tolist()}
    assert {tuple(color) for color in zoomed.flatten(1).T.tolist()} <= colors
