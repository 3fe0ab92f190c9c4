import numpy as np
import pytest
import torch

from passband.drawing.comparison import GAP, MARGIN, NARROWEST, comparison_rows, restoration_captions
from passband.drawing.lettering import CUT, fitted, font, line_height, printable, text_strip


def pictures(*sizes):
    return [torch.rand(3, height, width) * 0.9 for height, width in sizes]


def dark(part):
    """Whether there are letters."""
    return bool(part.min() < 0.3)


def test_columns_begin_at_the_same_place_in_every_row_on_white():
    rows = [pictures((5, 7), (5, 7), (5, 7)), pictures((3, 11)), pictures((8, 8), (8, 8))]
    sheet = comparison_rows(rows)
    widths = (11, 8, 7)
    expected = np.ones((3, 5 + 3 + 8 + 2 * GAP, sum(widths) + 2 * GAP), np.float32)
    top = 0
    for row in rows:
        left = 0
        for picture, column in zip(row, widths, strict=False):
            height, width = picture.shape[-2:]
            expected[:, top : top + height, left : left + width] = picture
            left += column + GAP
        top += max(picture.shape[-2] for picture in row) + GAP
    assert np.array_equal(sheet.numpy(), expected)


def test_one_picture_alone_is_itself():
    (picture,) = pictures((5, 3))
    assert torch.equal(comparison_rows([[picture]]), picture)


def test_a_caption_stands_above_its_picture_and_changes_none_of_it():
    rows = [pictures((20, 240), (20, 240)), pictures((30, 230)), pictures((9, 250), (9, 250))]
    sheet = comparison_rows(rows, [("rain: 20.1 dB", ""), (), ("a name that is much too long " * 9, "clean")])
    strip = line_height(12)
    inside = sheet[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert (sheet[:, :MARGIN] == 1).all()
    first, second = slice(0, 250), slice(250 + GAP, 500 + GAP)
    assert dark(inside[:, :strip, first])
    assert (inside[:, :strip, second] == 1).all()
    top = strip
    assert torch.equal(inside[:, top : top + 20, :240], rows[0][0])
    assert torch.equal(inside[:, top : top + 20, 250 + GAP : 490 + GAP], rows[0][1])
    top += 20 + GAP
    assert torch.equal(inside[:, top : top + 30, :230], rows[1][0])
    top += 30 + GAP
    assert dark(inside[:, top : top + strip, first])
    assert (inside[:, top : top + strip, 250 : 250 + GAP] == 1).all()  # what is too long does not run on
    assert dark(inside[:, top : top + strip, second])
    assert torch.equal(inside[:, -9:, :250], rows[2][0])


def test_titles_stand_above_captions_and_rows_without_one_belong_to_the_row_above():
    rows = [pictures((20, 240)), pictures((10, 240)), pictures((20, 240))]
    sheet = comparison_rows(rows, [("degraded",), (), ("degraded",)], ["Worst: a", "", "Best: b"])
    inside, strip = sheet[:, MARGIN:-MARGIN, MARGIN:-MARGIN], line_height(12)
    assert inside.shape[-2] == 2 * (2 * strip + 20) + 10 + GAP + 3 * GAP
    assert torch.equal(inside[:, 2 * strip + 20 + GAP : 2 * strip + 30 + GAP], rows[1][0])
    assert torch.equal(inside[:, -20:], rows[2][0])


def test_small_pictures_with_captions_are_enlarged_by_repeating_pixels():
    (picture,) = pictures((9, 64))
    sheet = comparison_rows([[picture]], [["clean"]])
    times = -(-NARROWEST // 64)
    shown = sheet[:, -MARGIN - 9 * times : -MARGIN, MARGIN:-MARGIN]
    assert torch.equal(shown, picture.repeat_interleave(times, 1).repeat_interleave(times, 2))


@pytest.mark.parametrize("sizes", [[(9, 64), (700, 900)], [(20, 240), (20, 3000)]])
def test_all_letters_of_a_sheet_have_one_size(sizes):
    rows = [[picture] for picture in pictures(*sizes)]
    sheet = comparison_rows(rows, [["H"], ["H"]])
    heights = []
    tops = [MARGIN, MARGIN + sheet.shape[-2] - 2 * MARGIN - rows[1][0].shape[-2] * max(1, -(-NARROWEST // sizes[1][1]))]
    for top in (tops[0], tops[1] - line_height(20)):
        rows_with_ink = (sheet[:, top : top + line_height(20), MARGIN : MARGIN + 20].amin((0, 2)) < 0.5).sum()
        heights.append(int(rows_with_ink))
    assert heights[0] == heights[1] > 5


def test_captions_say_what_pictures_are():
    assert restoration_captions(17.26, 25.0) == ("degraded: 17.3 dB", "restored: 25.0 dB", "clean")
    assert restoration_captions(17.26, 25.0, "rain")[0] == "degraded (rain): 17.3 dB"


def test_a_text_that_is_too_long_keeps_its_beginning_and_its_end():
    letters = font(14)
    text = fitted("a name of a picture that is long: 17.3 dB", 120, letters)
    assert letters.getlength(text) <= 120
    assert text.startswith("a na")
    assert CUT in text
    assert text.endswith("3 dB")
    assert fitted("clean", 500, letters) == "clean"
    assert fitted("clean", 1, letters) == ""


@pytest.mark.parametrize("name", ["caf\udce9.png", "two\nlines", "\x00\x1b[31m", "日本語 🙂", "$x^2$", ""])
def test_every_name_can_be_drawn(name):
    assert printable(name).isprintable()
    assert text_strip(name, 100, 14).shape == (3, line_height(14), 100)
