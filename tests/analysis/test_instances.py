import pytest
import torch

from passband.analysis.instances import draw_instances
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


@pytest.mark.parametrize("corner", [(0.0, 0.0), (60.0, 40.0)])
def test_titles_stay_within_the_picture(corner):
    image = torch.ones(3, 61, 83)
    box = torch.tensor([[corner[0], corner[1], corner[0] + 20, corner[1] + 20]])
    titled = draw_instances(image, box, ["a long name 0.97"])
    plain = draw_instances(image, box, [""])
    assert titled.shape == image.shape
    dark = ((titled - plain).abs().sum(0) > 0.5).nonzero()
    assert len(dark) > 100


def test_nothing_found_leaves_the_picture():
    image = torch.randint(0, 256, (3, 17, 23)) / 255
    assert torch.equal(draw_instances(image, torch.zeros(0, 4), [], []), image)
