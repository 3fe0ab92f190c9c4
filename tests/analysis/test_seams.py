import pytest
import torch

from passband.analysis.seams import seam_figure, seam_ratio
from passband.ops.tiling import lay_tiles


def ramp(height, width):
    """A picture whose steps are 1 down and 2 across."""
    return (torch.arange(height)[:, None] + 2.0 * torch.arange(width)).expand(1, 3, -1, -1).clone()


def test_steps_that_are_the_same_everywhere_have_the_ratio_1():
    assert seam_ratio(ramp(53, 90), lay_tiles(53, 90, 32, 8, 8)) == pytest.approx(1)


def test_the_ratio_is_the_mean_of_the_steps_across_borders_over_those_elsewhere():
    tiles = lay_tiles(24, 90, 64, 16, 8)
    (border,) = {tile.columns.own_start for tile in tiles} - {0}
    image = ramp(24, 90)
    image[..., border:] += 3  # a step of 5 among steps of 2
    assert seam_ratio(image, tiles) == pytest.approx(2.5)
    image[..., border + 1 :] += 3  # beside the border it is content
    assert seam_ratio(image, tiles) == pytest.approx(5 / (2 + 3 / 88))


def test_an_edge_that_the_picture_has_itself_is_no_seam():
    tiles = lay_tiles(70, 24, 48, 16, 8)
    (border,) = {tile.rows.own_start for tile in tiles} - {0}
    whole = ramp(70, 24)
    whole[..., border:, :] += 7
    assert seam_ratio(whole, tiles) == pytest.approx(8)
    assert seam_figure(whole, whole, tiles) == 1
    tiled = whole.clone()
    tiled[..., border:, :] += 2
    assert seam_figure(tiled, whole, tiles) == pytest.approx(10 / 8)


def test_a_single_tile_has_no_seam_to_measure():
    with pytest.raises(ValueError, match="a seam needs two tiles at least"):
        seam_ratio(ramp(20, 30), lay_tiles(20, 30, 64, 16, 8))
