import pytest
import torch
import torch.nn.functional as F
from torch import nn

from passband.models.restoration.tiles import reach
from passband.models.restoration.tiles.reach import TOLERANCE, measure_reach


class Blur(nn.Module):
    """Averages over a square around each pixel, and adds a share of the mean of the whole image."""

    multiple, minimum = 4, 8

    def __init__(self, radius, share=0.0):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.radius, self.share, self.runs = radius, share, 0

    def forward(self, x):
        self.runs += 1
        y = F.avg_pool2d(x, 2 * self.radius + 1, 1, self.radius) if self.radius else x
        return [self.scale * (y + self.share * x.mean((2, 3), keepdim=True))]


@pytest.mark.parametrize("radius", [0, 1, 7, 40])
def test_the_reach_of_a_local_network_is_its_radius(radius):
    found = measure_reach(Blur(radius))
    assert found.pixels == radius
    assert found.floor == pytest.approx(0, abs=1e-7)
    assert found.is_local
    assert found.words == f"{radius} pixels"


def test_averages_over_the_whole_image_are_a_floor_and_hide_no_reach():
    found = measure_reach(Blur(7, share=0.5))
    assert found.floor > TOLERANCE
    assert not found.is_local
    assert 0 < found.pixels <= 7


def test_a_network_that_sees_further_than_the_probe_says_so(monkeypatch):
    monkeypatch.setattr(reach, "WIDTH", 128)
    found = measure_reach(Blur(60))
    assert not found.is_settled
    assert found.words == "more than 64 pixels"


def test_a_network_is_measured_once_for_each_precision():
    model = Blur(3)
    assert measure_reach(model) is measure_reach(model)
    assert model.runs == 2  # whole, and from the middle on
    with torch.autocast("cpu", torch.bfloat16):
        measure_reach(model)
    assert model.runs == 4


def test_networks_with_large_least_sides_and_half_weights_are_measured():
    model = Blur(2)
    model.minimum, model.multiple = 300, 20
    assert measure_reach(model).pixels == 2
    assert measure_reach(Blur(2).double()).pixels == 2
