import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passband.drawing.charts.style import readable_on
from passband.drawing.instances import draw_instances, place_titles
from passband.drawing.lettering import font
from passband.drawing.overlay import class_color
from passband.io.rle import encode_mask


def test_instances_are_drawn_where_they_are_and_nowhere_else():
    image = torch.full((3, 61, 83), 102 / 255)
    mask = torch.zeros(61, 83, dtype=torch.bool)
    mask[20:40, 10:30] = True
    boxes = torch.tensor([[10.0, 20, 30, 40], [50.0, 30, 70, 50]])
    empty = torch.zeros(61, 83, dtype=torch.bool)
    drawn = draw_instances(image, boxes, ["", ""], [encode_mask(mask), encode_mask(empty)])
    changed = (drawn - image).abs().sum(0) > 1e-3
    assert changed[20:40, 10:30].all()
    assert changed[30, 50:71].all()  # the edges of the second box, without a mask
    assert not changed[32:49, 52:69].any()
    assert not changed[:19].any()
    assert not changed[52:].any()
    colors = drawn[:, 20, 20], drawn[:, 30, 60]
    assert not torch.allclose(*colors)


def test_titles_are_read_on_every_color_and_ground():
    def luminance(color):
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for number in range(1, 41):
        color = class_color(number).tolist()
        light, dark = sorted((luminance(color), {"black": 0.0, "white": 1.0}[readable_on(color)]), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.1, level AA


@given(st.lists(st.tuples(st.integers(0, 180), st.integers(0, 110), st.integers(1, 90)), min_size=1, max_size=20))
def test_titles_never_overlap_and_lie_within_the_picture(corners):
    boxes = torch.tensor(
        [[x, y, min(199, x + side), min(119, y + side)] for x, y, side in corners], dtype=torch.float32
    )
    titles = [f"thing {number} 0.{number:02}" for number in range(len(corners))]
    texts, places = place_titles(titles, boxes, (120, 200), font(11))
    assert texts == titles
    assert places[0] is not None
    shown = [place for place in places if place is not None]
    taken = torch.zeros(120, 200, dtype=torch.int64)
    for x1, y1, x2, y2 in shown:
        assert 0 <= x1 < x2 <= 200
        assert 0 <= y1 < y2 <= 120
        taken[y1:y2, x1:x2] += 1
    assert taken.max() == 1


def test_six_titles_of_one_place_are_all_shown():
    boxes = torch.tensor([[100.0, 100, 180, 180]]).expand(6, -1)
    _, places = place_titles(["cup 0.90"] * 6, boxes, (300, 300), font(11))
    assert all(place is not None for place in places)
    _, places = place_titles(["", "a" * 500], boxes[:2], (300, 300), font(11))
    assert places[0] is None
    assert places[1] is not None


@pytest.mark.parametrize("corner", [(0.0, 0.0), (60.0, 40.0)])
def test_titles_change_the_picture_near_their_box(corner):
    image = torch.ones(3, 61, 83)
    box = torch.tensor([[corner[0], corner[1], corner[0] + 20, corner[1] + 20]])
    titled = draw_instances(image, box, ["a long name 0.97"])
    plain = draw_instances(image, box, [""])
    assert titled.shape == image.shape
    assert int(((titled - plain).abs().sum(0) > 0.5).sum()) > 100


def test_nothing_found_is_said():
    image = torch.full((3, 90, 160), 0.5)
    said = draw_instances(image, torch.zeros(0, 4), [], [])
    assert (said - image).abs().max() > 0.4
    assert torch.equal(draw_instances(image, torch.zeros(0, 4), [], nothing=""), image)
    assert not torch.equal(said, draw_instances(image, torch.zeros(0, 4), [], nothing="nothing to find"))
