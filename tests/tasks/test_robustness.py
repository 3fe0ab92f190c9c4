"""Scores on noisy and on blurred copies of validation images."""

import torch
from scipy import ndimage

from passband.config import changed_recipe, load_recipe
from passband.tasks import Segmentation
from passband.tasks.robustness import blurred, noisy


def test_noise_depends_on_the_number_of_the_image_alone_and_has_its_strength():
    images = torch.full((2, 3, 40, 41), 0.5)
    both, alone = noisy(images, 0.1, [3, 7]), noisy(images[1:], 0.1, [7])
    assert torch.equal(both[1:], alone)
    assert abs((both - images).std().item() - 0.1) < 0.005
    assert both.min() >= 0
    assert both.max() <= 1


def test_blur_is_the_gaussian_of_scipy_inside_an_image():
    images = torch.rand(1, 3, 41, 43)
    expected = ndimage.gaussian_filter(images[0].numpy(), (0, 2, 2), truncate=3)
    torch.testing.assert_close(
        blurred(images, 2.0, [0])[0, :, 8:-8, 8:-8], torch.from_numpy(expected)[:, 8:-8, 8:-8], atol=1e-5, rtol=0
    )


def test_a_recipe_names_the_figures_that_it_asks_for():
    recipe = changed_recipe(load_recipe("segment-small"), {"validation.noise": 0.1, "validation.blur": 2.0})
    directions = Segmentation(recipe).directions({})
    assert {"foreground_dice_noise", "foreground_dice_blur"} <= set(directions)
    assert (next(iter(directions)), directions["loss"]) == ("foreground_dice", "minimize")
    assert "foreground_dice_noise" not in Segmentation(load_recipe("segment-small")).directions({})
