"""FSNet and ConvIR in bands and tiles against the whole image."""

import pytest
import torch

from passband.inference.restoration import memory
from passband.inference.restoration.memory import MemoryPlan, plan_memory
from passband.inference.restoration.memory_probe import _Follow, live_bytes_per_pixel
from passband.inference.restoration.planned import restore_planned
from passband.models import ConvIR, FSNet
from passband.models.restoration.bands import restore_in_bands
from passband.models.restoration.tiles import restore_in_tiles
from passband.models.restoration.tiles.grid import Lines
from passband.models.restoration.whole import restore_batch

NEAR = (1, 1, 1)
"""Dilations with which ConvIR takes images from 64 pixels."""


def randomized(model):
    """Return a network in which every branch matters: fresh modulations and filters change nothing."""
    torch.manual_seed(0)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
        for parameter in module.parameters(recurse=False):
            if parameter.ndim in (1, 3):
                torch.nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=0.3)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def uneven(height, width):
    """An image whose parts have other averages than the whole."""
    torch.manual_seed(1)
    return torch.rand(1, 3, height, width) * 0.3 + torch.linspace(0, 0.6, height)[:, None]


@pytest.mark.parametrize(
    ("model", "size", "rows"),
    [
        (FSNet(width=16, depth=1), (48, 72), 4),
        (FSNet(width=16, depth=2, full_depth=5), (104, 40), 10),
        (FSNet(width=16, depth=1, pool_window=80), (40, 56), 6),
        (FSNet(width=16, depth=1, pool_window=40, pool_mode="tlc"), (56, 24), None),
        (FSNet(width=16, depth=1, blend_windows=True), (56, 24), 10),
        (ConvIR(width=8, depth=2, dilations=NEAR), (64, 96), 4),
        (ConvIR(width=8, depth=1, full_depth=2, dilations=(2, 4, 8)), (96, 160), 10),
        (ConvIR(width=8, depth=1), (256, 288), None),
    ],
)
@torch.no_grad()
def test_bands_give_what_the_whole_image_gives(model, size, rows):
    randomized(model)
    images, seen = torch.rand(2, 3, *size), []
    banded, whole = restore_in_bands(model, images, rows=rows, report=seen.append), model(images)[-1]
    assert (whole - images).abs().max() > 0.1
    torch.testing.assert_close(banded, whole, rtol=0, atol=1e-5)
    # all loops over bands are counted, the first image is half of the work, and the last band is its end
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
    assert any(share == pytest.approx(0.5) for share in seen)


@pytest.mark.parametrize(
    ("model", "size", "side", "overlap", "passes"),
    [
        (FSNet(width=16, depth=1), (13, 261), 192, 64, 8),
        # the dilations of 1 reach 100 pixels at quarter size alone
        (ConvIR(width=8, depth=1, dilations=NEAR), (61, 620), 512, 256, 2),
    ],
    ids=["FSNet", "ConvIR"],
)
@torch.no_grad()
def test_tiles_with_the_statistics_of_the_image_are_the_whole_image_where_plain_tiles_are_not(
    model, size, side, overlap, passes
):
    randomized(model)
    image = uneven(*size)
    tiled, plain = (restore_in_tiles(model, image, side, overlap, passes=number) for number in (passes, 0))
    whole = restore_batch(model, image)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)
    assert (plain - whole).abs().max() > 10 * (tiled - whole).abs().max()


def test_tiles_below_the_least_side_are_refused():
    with pytest.raises(ValueError, match="ConvIR needs tiles of at least 256 pixels, got 224"):
        restore_in_tiles(ConvIR(width=8, depth=1).eval(), uneven(300, 700), 224, 96)


def test_lines_are_averaged_over_all_tiles():
    x = torch.randn(1, 3, 20, 30)
    for dim, axis in ((-1, 0), (-2, 1)):
        lines = Lines(3, x.shape[2 + axis], dim)
        for part, start in (
            (x[..., :12, :17], (0, 0)),
            (x[..., 12:, :17], (12, 0)),
            (x[..., :, 17:], (0, 17)),
        ):
            lines.add(part, start[axis])
        corner = (5, 7)
        expected = x.mean(dim, keepdim=True)
        expected = expected[..., 5:, :] if dim == -1 else expected[..., 7:]
        torch.testing.assert_close(lines.means(x[..., 5:, 7:], corner[axis]), expected)


@pytest.mark.parametrize("model", [FSNet(width=16, depth=1), ConvIR(width=16, depth=1, dilations=NEAR)])
@torch.no_grad()
def test_bands_hold_no_more_maps_than_the_plan_counts(model):
    model, image = randomized(model), torch.rand(1, 3, 256, 64)
    with _Follow() as followed:
        restore_in_bands(model, image, rows=8)
    maps = memory._live_maps(model) * memory._map_bytes(model) * image[0, 0].numel()
    # the other maps are a band high: eight rows, and those around that the dilated filters read
    assert 0.8 * maps < followed.peak < 1.4 * maps


@pytest.mark.parametrize("model", [FSNet(width=16, depth=1), ConvIR(width=16, depth=1)])
def test_less_room_goes_from_whole_to_bands_to_tiles_of_sides_that_fit(model, monkeypatch):
    monkeypatch.setattr(memory, "LARGE_MAP", 10**12)
    plans = [plan_memory(model.eval(), (1, 3, 3000, 4000), megabytes * 10**6) for megabytes in (12000, 3200, 1200)]
    assert [plan.mode for plan in plans] == ["whole", "bands", "tiles"]
    assert plans[2].side % model.multiple == 0


@torch.no_grad()
def test_a_small_image_is_padded_to_the_least_side_in_every_way():
    model, image = randomized(ConvIR(width=8, depth=1)), torch.rand(1, 3, 37, 61)
    whole = restore_batch(model, image)
    for plan in (MemoryPlan("bands", 0), MemoryPlan("tiles", 0, 512)):
        torch.testing.assert_close(restore_planned(model, image, plan), whole, rtol=0, atol=1e-5)
    # memory per pixel is that of a whole image, not of one that is mostly padding
    assert live_bytes_per_pixel(model) == pytest.approx(
        live_bytes_per_pixel(ConvIR(width=8, depth=1, dilations=NEAR)), rel=0.1
    )
