from functools import cache
from weakref import WeakKeyDictionary

import psutil
import pytest
import torch
from torch import nn

from passband.inference.restoration import memory, planned
from passband.inference.restoration.memory import (
    LEAST_TILE,
    MemoryPlan,
    free_memory,
    independent_overlap,
    parse_memory,
    plan_memory,
)
from passband.inference.restoration.memory_probe import live_bytes_per_pixel
from passband.inference.restoration.planned import restore_planned, restore_within
from passband.layers import LocalAvgPool2d
from passband.models import SFNet
from passband.models.restoration.bands.statistics import OwnStatistics
from passband.models.restoration.tiles import restore_in_tiles
from passband.models.restoration.whole import restore_batch

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SFNet(width=16, depth=1).eval()


class Foreign(nn.Module):
    """A network that is no SFNet: it adds what it sees in a neighborhood."""

    multiple, minimum = 4, 8

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return [x + self.conv(x)]


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ("2GB", 2 * 10**9),
        ("1500 MB", 15 * 10**8),
        (" 1.5 gib ", 3 * 2**29),
        ("64k", 64_000),
        ("1e", None),
        ("5000000", 5_000_000),
        (2**31, 2**31),
    ],
)
def test_sizes_are_read_as_people_write_them(size, count):
    if count is None:
        with pytest.raises(ValueError, match="memory is a size"):
            parse_memory(size)
    else:
        assert parse_memory(size) == count


@pytest.mark.parametrize("size", ["two", "", "-1GB", "2 000", "GB", "0", 0, True, "2GB of it"])
def test_what_is_no_size_is_refused_with_an_example(size):
    with pytest.raises(ValueError, match="memory is a size such as '2GB' or '1500 MB', or a number of bytes; got"):
        parse_memory(size)


def test_a_cap_leaves_what_the_process_does_not_hold_and_none_most_of_what_is_free():
    held = psutil.Process().memory_info().rss
    assert abs(free_memory(CPU, held + 10**9) - 10**9) < 10**8
    assert free_memory(CPU, 1) < 0
    assert 0 < free_memory(CPU) < psutil.virtual_memory().total


def test_less_room_goes_from_whole_to_bands_to_ever_smaller_tiles(model, monkeypatch):
    monkeypatch.setattr(memory, "LARGE_MAP", 10**12)
    plans = [plan_memory(model, (1, 3, 3000, 4000), megabytes * 10**6) for megabytes in (9000, 2500, 1200, 700)]
    assert [chosen.mode for chosen in plans] == ["whole", "bands", "tiles", "tiles"]
    assert plans[2].side > plans[3].side >= LEAST_TILE
    assert all(chosen.side % 8 == 0 for chosen in plans)
    assert plans[0].bytes > plans[1].bytes > plans[2].bytes > plans[3].bytes
    assert plans[3].bytes <= 700 * 10**6
    assert str(plans[1]).startswith("bands, about")
    assert f"tiles of {plans[2].side} pixels" in str(plans[2])
    assert [chosen.how for chosen in plans[1:3]] == ["bands", f"tiles of {plans[2].side} pixels"]


def test_bands_come_first_on_a_processor_where_maps_are_large(model, monkeypatch):
    assert model.arguments["width"] == 16
    whole, bands = (plan_memory(model, (1, 3, 512, width), 10**10) for width in (1024, 1032))
    assert (whole.mode, bands.mode) == ("whole", "bands")
    assert plan_memory(model, (2, 3, 512, 1024), 10**10).mode == "bands"
    with torch.autocast("cpu", torch.bfloat16):
        assert plan_memory(model, (1, 3, 512, 1032), 10**10).mode == "whole"
    monkeypatch.setattr(memory, "_on_processor", lambda _: False)
    assert plan_memory(model, (1, 3, 512, 1032), 10**10).mode == "whole"


def test_a_network_that_is_no_sfnet_is_whole_or_in_tiles():
    assert plan_memory(Foreign(), (1, 3, 3000, 4000), 10**10).mode == "whole"
    assert plan_memory(Foreign(), (1, 3, 3000, 4000), 6 * 10**8).mode == "tiles"


def test_a_narrow_picture_is_cut_across_alone(model):
    chosen = plan_memory(model, (1, 3, 200, 90_000), 900 * 10**6)
    assert chosen.mode == "tiles"
    assert chosen.side > 1000


def test_a_picture_that_cannot_fit_is_refused_with_what_would(model):
    with pytest.raises(MemoryError, match=r"10000x10000 pixels need 1\.\d\d GB of memory .*Allow .* with --memory"):
        plan_memory(model, (1, 3, 10_000, 10_000), 8 * 10**8)
    with pytest.raises(MemoryError) as caught:
        plan_memory(model, (1, 3, 5000, 5000), 10**8)
    needed = float(str(caught.value).split("need ")[1].split(" GB")[0])
    assert plan_memory(model, (1, 3, 5000, 5000), int(needed * 1e9) + 10**7).mode == "tiles"


def test_where_tiles_are_no_choice_the_room_for_bands_is_named(model):
    exact = plan_memory(model, (1, 3, 3000, 4000), 2500 * 10**6)
    assert plan_memory(model, (1, 3, 3000, 4000), 2500 * 10**6, tiles=False) == exact
    with pytest.raises(
        MemoryError,
        match=rf"4000x3000 pixels need {exact.bytes / 1e9:.2f} GB .*smoothed over time cannot be cut into tiles, but "
        rf"1\.20 GB is left\. Allow {exact.bytes / 1e9 - 1.2:.2f} GB more",
    ):
        plan_memory(model, (1, 3, 3000, 4000), 12 * 10**8, tiles=False)


def test_planning_leaves_the_window_of_the_first_picture_to_the_first_picture():
    torch.manual_seed(0)
    windowed = SFNet(width=16, depth=1, pool_window=100, pool_mode="first").eval()
    live_bytes_per_pixel(windowed)
    image = torch.rand(1, 3, 40, 64)
    layers = [module for module in windowed.modules() if isinstance(module, LocalAvgPool2d) and module.window]
    with torch.no_grad():
        restored, _ = restore_within(windowed, image)
    # 40 and 64 pixels, at full size: of 128 x 128, on which memory is measured, windows are square
    assert (40 * 100 // 256, 64 * 100 // 256) in {layer.window_for(1000, 1000) for layer in layers}
    with torch.no_grad():
        torch.testing.assert_close(restored, restore_batch(windowed, image))


def test_more_channels_more_pictures_and_half_precision_change_what_is_needed(model):
    small = live_bytes_per_pixel(model)
    assert live_bytes_per_pixel(SFNet(width=32, depth=1).eval()) > 1.5 * small
    with torch.autocast("cpu", torch.bfloat16):
        assert live_bytes_per_pixel(model) < small
    assert plan_memory(model, (2, 3, 64, 64), 10**10).bytes > plan_memory(model, (1, 3, 64, 64), 10**10).bytes


def test_networks_of_one_architecture_share_what_is_found_and_others_do_not(monkeypatch):
    probed = []

    def probe(model, picture):
        probed.append(model)
        return restore_batch(model, picture)

    monkeypatch.setattr("passband.inference.restoration.memory_probe._PROBED", WeakKeyDictionary())
    monkeypatch.setattr("passband.inference.restoration.memory_probe.restore_batch", probe)
    first, second = SFNet(width=16, depth=1).eval(), SFNet(width=16, depth=1).eval()
    assert live_bytes_per_pixel(first) == live_bytes_per_pixel(second) > 0
    assert probed == [first]
    windowed, deep = SFNet(width=16, depth=1, pool_window=32).eval(), SFNet(width=16, depth=2).eval()
    exchanged, double = SFNet(width=16, depth=1).eval(), SFNet(width=16, depth=1).eval().double()
    exchanged.head[0] = nn.Sequential(exchanged.head[0])
    for other in (windowed, deep, exchanged):
        live_bytes_per_pixel(other)
    # the picture that is probed is float32, so an answer of another precision would hide this
    with pytest.raises(TypeError, match=r"weights of torch\.float64"):
        live_bytes_per_pixel(double)
    with torch.autocast("cpu", torch.bfloat16):
        live_bytes_per_pixel(first)
    assert probed == [first, windowed, deep, exchanged, double, first]


def test_live_bytes_of_a_chain_are_those_of_its_largest_neighbors():
    class Chain(Foreign):
        def forward(self, x):
            wide = x.repeat(1, 5, 1, 1)  # 60 bytes per pixel
            wide = wide + 1  # 60 more while the former is alive
            return [wide[:, :3] * 2]  # 12 more, after one of the two has gone

    assert live_bytes_per_pixel(Chain()) == 120


@pytest.mark.parametrize("size", [(1, 1), (33, 20)])
@torch.no_grad()
def test_every_plan_restores_pictures_of_any_size(model, size):
    image = torch.rand(2, 3, *size)
    whole = restore_batch(model, image)
    torch.testing.assert_close(restore_planned(model, image, MemoryPlan("whole", 0)), whole)
    torch.testing.assert_close(restore_planned(model, image, MemoryPlan("bands", 0)), whole, rtol=0, atol=1e-5)
    tiled = restore_planned(model, image, MemoryPlan("tiles", 0, side=LEAST_TILE))
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-2)


@torch.no_grad()
def test_tiles_of_a_network_that_sees_little_are_the_whole():
    foreign, image = Foreign(), torch.rand(1, 3, 40, 1100)
    torch.testing.assert_close(
        restore_planned(foreign, image, MemoryPlan("tiles", 0, side=512)), restore_batch(foreign, image)
    )


class Blur(Foreign):
    """Sees two positions far on a map of an eighth of the size, as networks with strides do."""

    multiple = 8

    def forward(self, x):
        small = nn.functional.avg_pool2d(x, 8)
        blurred = nn.functional.avg_pool2d(small, 5, 1, 2)
        return [x + nn.functional.interpolate(blurred, scale_factor=8.0)]


@torch.no_grad()
def test_independent_tiles_overlap_by_the_measured_reach_and_are_the_whole():
    model, image = Blur(), torch.rand(1, 3, 104, 1400)
    overlap = independent_overlap(model, 512)
    assert overlap == 64  # four times the 16 pixels over which a border shows
    plan = plan_memory(model, (1, 3, 3000, 4000), 6 * 10**8)
    assert (plan.mode, plan.overlap, plan.side % 64) == ("tiles", overlap, 0)
    tiled = restore_planned(model, image, MemoryPlan("tiles", 0, 512, overlap))
    torch.testing.assert_close(tiled, restore_batch(model, image))


def test_tiles_of_a_network_with_averages_overlap_by_as_much_as_before():
    class Mean(Foreign):
        def forward(self, x):
            return [x + 0.5 * x.mean((2, 3), keepdim=True)]

    assert independent_overlap(Mean(), 1024) == memory.OVERLAP
    assert independent_overlap(Mean(), 256) == 128


def test_a_network_that_pads_to_squares_needs_the_memory_of_a_square():
    model = Foreign()
    plain = plan_memory(model, (1, 3, 500, 4000), 10**10).bytes
    model.is_square = True
    assert plan_memory(model, (1, 3, 500, 4000), 10**10).bytes > 4 * plain - 4 * memory.CONSTANT


@pytest.fixture(scope="module")
def picture_in_tiles(model):
    """A picture of 300 x 350 pixels, how it is in tiles of a side, and what runs a plan, each made once."""
    image = torch.rand(1, 3, 300, 350)
    return (
        image,
        cache(lambda side: restore_in_tiles(model, image, side, 64)),
        cache(lambda plan: restore_planned(model, image, plan)),
    )


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory: 9")]
)
@torch.no_grad()
def test_where_memory_runs_out_half_the_room_is_tried(model, monkeypatch, picture_in_tiles, error):
    (image, in_tiles, run_once), tried = picture_in_tiles, []

    def failing(model, image, plan, statistics, report, run):
        tried.append(plan)
        if len(tried) < 3:
            raise error
        assert (statistics, report, run) == (None, None, None)
        return run_once(plan)

    monkeypatch.setattr(planned, "restore_planned", failing)
    monkeypatch.setattr(planned, "free_memory", lambda *_: 10**9)
    for name, value in {"CONSTANT": 10**6, "BAND_COPIES": 1, "LEAST_TILE": 128}.items():
        monkeypatch.setattr(memory, name, value)
    for module in (memory, planned):
        monkeypatch.setattr(module, "OVERLAP", 64)
    restored, made = restore_within(model, image)
    assert made == tried[2]
    assert [chosen.mode for chosen in tried] == ["whole", "bands", "tiles"]
    assert tried[0].bytes / 2 >= tried[1].bytes
    torch.testing.assert_close(restored, in_tiles(tried[2].side))


@torch.no_grad()
def test_bands_take_their_averages_from_where_they_are_told_and_tiles_are_then_no_choice(model, monkeypatch):
    class Watched(OwnStatistics):
        def __init__(self):
            self.asked = 0

        def average(self, pool, x):
            self.asked += 1
            return super().average(pool, x)

    image, watched = torch.rand(1, 3, 300, 350), Watched()
    bands = plan_memory(model, (1, 3, 300, 350), 2 * 10**8)
    assert bands.mode == "bands"
    monkeypatch.setattr(planned, "free_memory", lambda *_: bands.bytes)
    restored, made = restore_within(model, image, statistics=watched)
    assert made.mode == "bands"
    assert watched.asked > 10
    torch.testing.assert_close(restored, restore_batch(model, image), rtol=0, atol=1e-5)
    monkeypatch.setattr(planned, "free_memory", lambda *_: bands.bytes - 1)
    with pytest.raises(MemoryError, match="350x300 pixels need .* leave out the temporal smoothing"):
        restore_within(model, image, statistics=watched)


def test_memory_that_runs_out_again_and_again_ends_in_one_sentence_and_other_errors_pass(model, monkeypatch):
    def failing(*_):
        raise MemoryError

    monkeypatch.setattr(planned, "restore_planned", failing)
    monkeypatch.setattr(planned, "free_memory", lambda *_: 10**9)
    with pytest.raises(MemoryError, match=r"33x20 pixels need more memory than cpu has free; close other programs"):
        restore_within(model, torch.rand(1, 3, 20, 33))

    def broken(*_):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(planned, "restore_planned", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        restore_within(model, torch.rand(1, 3, 20, 33))


def test_processes_share_the_memory(monkeypatch):
    monkeypatch.setattr(memory, "_SHARE", memory._Share())
    device = torch.device("cpu")
    taken = -free_memory(device, 0)
    memory.share_memory(4, others=10**9)
    assert free_memory(device, 9 * 10**9) == pytest.approx(2 * 10**9 - taken, abs=5 * 10**7)
    alone = memory._Share()
    shared = free_memory(device)
    monkeypatch.setattr(memory, "_SHARE", alone)
    assert shared == pytest.approx(free_memory(device) / 4, rel=0.2)
