import pytest
import torch

from passband.analysis.overlay import class_color, overlay


def test_the_background_is_left_and_the_inside_is_mixed_with_the_color_of_its_class():
    image = torch.rand(3, 21, 34)
    mask = torch.zeros(21, 34, dtype=torch.int64)
    mask[3:12, 4:15] = 1
    mask[13:20, 20:33] = 2
    painted = overlay(image, mask, opacity=0.25, outline=2)
    assert torch.equal(painted[:, mask == 0], image[:, mask == 0])
    for number, (inside, edge) in {
        1: ((slice(5, 10), slice(6, 13)), (slice(3, 5), slice(4, 15))),
        2: ((slice(15, 18), slice(22, 31)), (slice(13, 20), slice(31, 33))),
    }.items():
        color = class_color(number)[:, None, None]
        torch.testing.assert_close(painted[:, *inside], 0.75 * image[:, *inside] + 0.25 * color)
        assert torch.equal(painted[:, *edge], color.expand_as(painted[:, *edge]))


def test_the_border_of_the_picture_is_no_outline():
    image, mask = torch.zeros(3, 9, 11), torch.ones(9, 11, dtype=torch.int64)
    painted = overlay(image, mask, opacity=0.5, outline=3)
    torch.testing.assert_close(painted, 0.5 * class_color(1)[:, None, None].expand(3, 9, 11))


def test_without_an_outline_all_is_translucent():
    image, mask = torch.rand(3, 8, 8), torch.eye(8, dtype=torch.int64)
    painted = overlay(image, mask, opacity=0.5, outline=0)
    torch.testing.assert_close(painted[:, 2, 2], (image[:, 2, 2] + class_color(1)) / 2)
    assert torch.equal(overlay(image, 0 * mask), image)


def test_neighboring_classes_have_colors_far_apart():
    colors = torch.stack([class_color(number) for number in range(1, 21)])
    assert (colors[1:] - colors[:-1]).norm(dim=1).min() > 0.7
    assert torch.cdist(colors, colors).add(10 * torch.eye(20)).min() > 0.1
    assert ((colors >= 0) & (colors <= 1)).all()


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"a picture of its size; got \(5, 4\) and \(4, 5\)"):
        overlay(torch.zeros(3, 4, 5), torch.zeros(5, 4, dtype=torch.int64))
