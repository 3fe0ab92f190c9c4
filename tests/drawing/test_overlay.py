import pytest
import torch

from passband.drawing.overlay import FIRST_COLORS, class_color, note, overlay
from passband.ops.color import linear_to_srgb, srgb_to_linear


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
    assert (colors[1:] - colors[:-1]).norm(dim=1).min() > 0.6
    assert torch.cdist(colors, colors).add(10 * torch.eye(20)).min() > 0.1
    assert ((colors >= 0) & (colors <= 1)).all()


def test_ignored_pixels_are_not_drawn():
    image, mask = torch.rand(3, 6, 9), torch.zeros(6, 9, dtype=torch.int64)
    mask[2:4] = -1
    assert torch.equal(overlay(image, mask), image)
    assert not torch.equal(
        overlay(torch.ones(3, 60, 90), torch.full((60, 90), -1), nothing="none"), torch.ones(3, 60, 90)
    )


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"same size; got a mask of \(5, 4\) and an image of \(4, 5\)"):
        overlay(torch.zeros(3, 4, 5), torch.zeros(5, 4, dtype=torch.int64))


@pytest.mark.parametrize(
    "seen",
    [  # Machado, Oliveira and Fernandes, 2009: what people without red and without green cones see, of linear light
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ],
    ids=["protanopia", "deuteranopia"],
)
def test_color_blind_readers_tell_the_first_classes_apart(seen):
    colors = torch.stack([class_color(number) for number in range(1, len(FIRST_COLORS) + 1)])
    light = srgb_to_linear(colors.T[:, :, None])[..., 0]
    shown = linear_to_srgb((torch.tensor(seen) @ light).clamp(0, 1)[..., None])[..., 0].T
    assert torch.cdist(shown, shown).add(10 * torch.eye(len(colors))).min() > 0.15


def test_nothing_found_is_said_where_that_is_asked_for_and_only_where_all_is_background():
    image, mask = torch.full((3, 90, 160), 0.5), torch.zeros(90, 160, dtype=torch.int64)
    assert torch.equal(overlay(image, mask), image)
    said = overlay(image, mask, nothing="nothing found")
    assert (said[:, :30, :120] - image[:, :30, :120]).abs().max() == 0.5
    assert torch.equal(said[:, 40:].mul(255).round(), image[:, 40:].mul(255).round())
    mask[50, 60] = 1
    assert torch.equal(overlay(image, mask, nothing="nothing found"), overlay(image, mask))


def test_a_note_is_white_on_black_and_fits_into_every_picture():
    for size in ((1, 1), (5, 200), (200, 20), (300, 400)):
        image = torch.rand(3, *size)
        assert note(image, "nothing found").shape == image.shape
    shown = note(torch.full((3, 300, 400), 0.5), "nothing found")
    assert {0.0, 1.0} <= set(shown.unique().tolist())
