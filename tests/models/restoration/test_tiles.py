from itertools import pairwise

import pytest
import torch

from passband.analysis.seams import seam_figure
from passband.layers.pooling import local_average
from passband.models.restoration.tiles import restore_in_tiles
from passband.models.restoration.tiles.grid import Grid, cell_edges
from passband.models.restoration.whole import restore_batch
from passband.ops.tiling import lay_tiles
from tests.models.restoration.test_bands import network


def uneven(height, width):
    """A picture whose parts have other averages than the whole."""
    torch.manual_seed(1)
    return torch.rand(1, 3, height, width) * 0.3 + torch.linspace(0, 0.6, height)[:, None]


@pytest.mark.parametrize(("pool_window", "pool_mode"), [(None, "fraction"), (100, "fraction"), (60, "tlc")])
@torch.no_grad()
def test_tiles_with_the_pictures_statistics_are_nearly_the_whole_where_plain_tiles_are_not(pool_window, pool_mode):
    model = network(pool_window, pool_mode, depth=1)
    image = uneven(149, 221)
    whole = restore_batch(model, image)
    errors = [(restore_in_tiles(model, image, 128, 64, passes=passes) - whole).square().mean() for passes in (0, 2)]
    assert errors[1] < errors[0] / 100


@torch.no_grad()
def test_as_many_passes_as_places_give_the_whole_but_for_what_the_overlap_cuts_off():
    model = network(depth=1)
    image = uneven(72, 264)
    whole = restore_batch(model, image)
    # an overlap of which a quarter is beyond what the network's convolutions see
    tiled = restore_in_tiles(model, image, 256, 128, passes=40)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-4)


@torch.no_grad()
def test_pictures_of_a_batch_do_not_share_their_statistics():
    model = network(depth=1)
    images = torch.cat([uneven(40, 160), 1 - uneven(40, 160)])
    together = restore_in_tiles(model, images, 64, 32)
    alone = torch.cat([restore_in_tiles(model, image[None], 64, 32) for image in images])
    torch.testing.assert_close(together, alone)


@torch.no_grad()
def test_a_picture_of_one_tile_is_restored_as_a_whole():
    model, image = network(depth=1), torch.rand(1, 3, 37, 45)
    torch.testing.assert_close(restore_in_tiles(model, image, 64, 32), restore_batch(model, image), rtol=0, atol=1e-5)


@torch.no_grad()
def test_tiles_leave_no_seams():
    model = network()
    rows, columns = torch.arange(120)[:, None] / 23, torch.arange(300) / 31
    image = (0.5 + 0.3 * rows.sin() * columns.cos()).expand(1, 3, -1, -1).contiguous()  # in noise no seam would show
    tiles = lay_tiles(120, 300, 128, 64, 8)
    restored = restore_in_tiles(model, image, 128, 64)
    whole = restore_batch(model, image)
    assert abs(seam_figure(restored, whole, tiles) - 1) < 0.002
    unblended = whole.clone()
    border = max(tile.columns.own_start for tile in tiles)
    unblended[..., border:] += 2 / 255
    assert seam_figure(unblended, whole, tiles) > 1.01  # what an eye hardly sees would be found


@pytest.mark.parametrize("window", [(6, 10), (13, 4), (1, 1)])
def test_a_grid_of_single_positions_gives_every_local_average_of_a_map_that_came_in_parts(window):
    x = torch.randn(1, 3, 20, 30)
    grid = Grid(3, torch.arange(21).double(), torch.arange(31).double())
    for top, left, rows, columns in ((0, 0, (0, 12), (0, 17)), (8, 0, (4, 12), (0, 17)), (0, 10, (0, 20), (7, 20))):
        part = x[..., top : top + 12 if left == 0 else 20, left : left + 20]
        grid.add(part, (top, left), rows, columns)
    assert (grid.counts == 1).all()
    pooled = grid.pooled(x[..., 5:, 7:], window, (0, 20), (0, 30), (5, 7))
    torch.testing.assert_close(pooled.rows(2, 9), local_average(x, window)[..., 7:14, 7:], rtol=0, atol=1e-5)
    mean = grid.pooled(x, None, (0, 10), (15, 30), (0, 0)).rows(0, 1)
    torch.testing.assert_close(mean, x[..., :10, 15:].mean((-2, -1), keepdim=True), rtol=0, atol=1e-5)


def test_cells_cover_a_map_of_any_length_without_empty_ones():
    for length in (1, 63, 64, 65, 1000):
        edges = cell_edges(length, local=True)
        assert edges[0] == 0
        assert edges[-1] == length
        assert (edges.diff() >= 1).all()


@torch.no_grad()
def test_tiles_with_blended_windows_are_nearly_the_whole_where_plain_tiles_are_not():
    model = network(depth=1, blend_windows=True)
    image = uneven(149, 221)
    whole = restore_batch(model, image)
    errors = [(restore_in_tiles(model, image, 128, 64, passes=passes) - whole).square().mean() for passes in (0, 2)]
    assert errors[1] < errors[0] / 100
    exact = restore_in_tiles(model, uneven(72, 264), 256, 128, passes=40)
    torch.testing.assert_close(exact, restore_batch(model, uneven(72, 264)), rtol=0, atol=1e-4)


@torch.no_grad()
def test_tiles_tell_what_share_of_the_work_is_done_also_while_they_gather_statistics():
    seen = []
    restore_in_tiles(network(), torch.rand(2, 3, 56, 88), 48, 16, report=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert max(after - before for before, after in pairwise(seen)) < 0.05
