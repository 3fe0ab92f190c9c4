"""Objects on backgrounds: masks of what is visible, and places where enough is visible."""

import numpy as np
import pytest
import torch
from PIL import Image

from passband.data.pasting import DrawnShapes, PasteSettings, paste_scene
from passband.data.pasting.scenes import LEAST_PIXELS
from passband.data.pasting.shapes import OUTLINES

COLORS = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]


class Squares:
    """Opaque squares of one color per class, on black."""

    classes = ("red", "green", "blue")

    def cutout(self, label, part, rng):
        return Image.new("RGBA", (30, 30), (*COLORS[label], 255))

    def background(self, part, size, rng):
        return Image.new("RGB", (size[1], size[0]))


@pytest.mark.parametrize("size", [(64, 64), (47, 90)])
def test_masks_are_the_visible_pixels_of_each_object(size):
    settings = PasteSettings(size, scale=(0.3, 0.9), light=0.0)
    for seed in range(20):
        scene = paste_scene(Squares(), [0, 1, 2, 0, 1], "train", settings, np.random.default_rng(seed))
        assert scene.image.shape == (3, *size)
        assert scene.objects
        together = torch.stack([one.mask for one in scene.objects]).sum(0)
        assert together.max() == 1
        for one in scene.objects:
            seen = scene.image[:, one.mask]
            # edges of turned squares are blended with what lies behind them
            assert (seen[one.label] > 0.4).all()
            assert one.mask.sum() >= LEAST_PIXELS
            left, top, width, height = one.box
            assert one.mask[top : top + height, left : left + width].sum() == one.mask.sum()
        assert torch.equal(scene.labels() > 0, together.bool())


def test_no_object_is_hidden_or_cut_by_more_than_the_settings_allow():
    settings = PasteSettings((80, 80), scale=(0.4, 0.4), turn=0.0, light=0.0, visible=0.6)
    for seed in range(20):
        scene = paste_scene(Squares(), [0, 1, 2, 0, 1, 2], "train", settings, np.random.default_rng(seed))
        # later tries shrink an object, so its size is only known to be at most that of the first try
        for one in scene.objects:
            _, _, width, height = one.box
            assert max(width, height) <= 32
            assert one.mask.sum() >= 0.6 * 0.8 * width * height or min(width, height) < 32


@pytest.mark.parametrize(("size", "scale"), [((32, 32), (0.15, 0.55)), ((40, 33), (0.02, 0.05))])
def test_an_object_of_too_few_pixels_is_enlarged_until_it_counts(size, scale):
    settings = PasteSettings(size, scale=scale)
    for seed in range(60):
        (one,) = paste_scene(DrawnShapes(), [seed % 6], "train", settings, np.random.default_rng(seed)).objects
        assert one.mask.sum() >= LEAST_PIXELS


def test_the_seed_decides_the_scene():
    first, second, third = (
        paste_scene(DrawnShapes(), [0, 3], "train", PasteSettings((50, 70)), np.random.default_rng(seed))
        for seed in (5, 5, 6)
    )
    assert torch.equal(first.image, second.image)
    assert not torch.equal(first.image, third.image)


def test_every_drawn_shape_fills_its_picture_and_differs_from_the_others():
    shapes = DrawnShapes()
    rng = np.random.default_rng(0)
    masks = {}
    for label, name in enumerate(shapes.classes):
        view = shapes.cutout(label, "train", rng)
        assert view.mode == "RGBA"
        masks[name] = np.asarray(view.resize((64, 64)))[..., 3] > 127
    assert list(masks) == list(OUTLINES)
    overlaps = [(masks[a] & masks[b]).sum() / (masks[a] | masks[b]).sum() for a in masks for b in masks if a < b]
    assert max(overlaps) < 0.85


def test_tinted_classes_have_hues_of_their_own():
    shapes, rng = DrawnShapes(("disc", "star", "cross"), tinted=True), np.random.default_rng(0)
    for label in range(3):
        view = shapes.cutout(label, "train", rng)
        hues = np.asarray(view.convert("RGB").convert("HSV"))[np.asarray(view)[..., 3] == 255][:, 0] / 255
        assert label / 3 - 0.02 < np.median(hues) < (label + 0.4) / 3 + 0.02


def test_settings_out_of_range_and_unknown_shapes_are_refused():
    with pytest.raises(ValueError, match="sides of at least 32 pixels; got 31 x 64"):
        PasteSettings((31, 64))
    with pytest.raises(ValueError, match="smallest and the largest number of objects, from 1"):
        PasteSettings(count=(0, 3))
    with pytest.raises(ValueError, match="0 < smallest <= largest <= 1"):
        PasteSettings(scale=(0.5, 0.2))
    with pytest.raises(ValueError, match="visible is above 0"):
        PasteSettings(visible=0.0)
    with pytest.raises(ValueError, match="classes of drawn shapes are some of disc"):
        DrawnShapes(("disk",))
