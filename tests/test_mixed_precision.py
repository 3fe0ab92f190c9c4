"""Tests of what a training computes in bfloat16, what in float32, and in which layout."""

import copy

import pytest
import torch
from torch import nn

from passband.mixed_precision import fast_layers, memory_format

IMAGE = torch.linspace(0, 1, 2 * 8 * 12 * 12).sin().reshape(2, 8, 12, 12)


@pytest.fixture
def depthwise() -> nn.Conv2d:
    """A convolution with two filters for each of 8 channels."""
    torch.manual_seed(0)
    return nn.Conv2d(8, 16, 3, padding=1, groups=8)


@pytest.fixture
def joining() -> nn.Conv2d:
    """A convolution over all channels."""
    torch.manual_seed(0)
    return nn.Conv2d(8, 16, 3, padding=1)


def mixed(module: nn.Module, device_type: str = "cpu", precision: str = "bfloat16") -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16), fast_layers(device_type, precision):
        return module(IMAGE)


def test_a_depthwise_convolution_is_computed_in_float32_and_given_on_in_bfloat16(depthwise):
    assert torch.equal(mixed(depthwise), depthwise(IMAGE).bfloat16())
    assert not torch.equal(mixed(depthwise, "cuda"), depthwise(IMAGE).bfloat16())  # autocast alone rounds its input


def test_other_convolutions_are_computed_as_autocast_does(joining):
    single = nn.Conv2d(1, 8, 3)  # one channel in: nothing is depthwise about it
    assert torch.equal(mixed(joining), mixed(joining, precision="float32"))
    with torch.autocast("cpu", torch.bfloat16):
        expected = single(IMAGE[:, :1])
        with fast_layers("cpu", "bfloat16"):
            assert torch.equal(single(IMAGE[:, :1]), expected)


def test_the_gradients_of_a_depthwise_convolution_are_those_of_float32(depthwise):
    other = copy.deepcopy(depthwise)
    mixed(depthwise).float().sum().backward()
    other(IMAGE).sum().backward()
    torch.testing.assert_close(depthwise.weight.grad, other.weight.grad, rtol=1e-6, atol=1e-4)


def test_without_autocast_nothing_is_changed(depthwise):
    with fast_layers("cpu", "bfloat16"):
        assert depthwise(IMAGE).dtype == torch.float32
        assert depthwise.double()(IMAGE.double()).dtype == torch.float64


def test_maps_are_channels_last_on_a_gpu_and_in_bfloat16():
    formats = [memory_format(*case) for case in (("cuda", "float32"), ("cpu", "bfloat16"), ("cpu", "float32"))]
    assert formats == [torch.channels_last, torch.channels_last, torch.contiguous_format]
