from itertools import pairwise

import pytest
import torch
from torch import nn

from passband.models import UNet, build_model, load_model, task_of
from passband.state_dicts import CheckpointError


def expected_parameters(width, depth, channels, classes, bilinear=False):
    """By the layers of the paper: two convolutions a level, with batch normalization (two numbers a channel)."""

    def double(coming, going, between=None):
        between = between or going
        return 9 * coming * between + 2 * between + 9 * between * going + 2 * going

    widths = [width * 2**level for level in range(depth + 1)]
    total = double(channels, width)
    total += width * classes + classes
    if not bilinear:
        for upper, lower in pairwise(widths):
            total += double(upper, lower)
            total += 4 * lower * upper + upper  # 2 x 2 transposed convolution
            total += double(2 * upper, upper)
        return total
    for level in range(depth):
        lower = widths[level + 1] // (2 if level == depth - 1 else 1)
        total += double(widths[level], lower)
        joined = 2 * widths[level]
        total += double(joined, widths[level] // 2 if level else width, joined // 2)
    return total


@pytest.mark.parametrize(
    ("width", "depth", "channels", "classes", "bilinear"),
    [(64, 4, 3, 1, False), (64, 4, 3, 1, True), (3, 2, 1, 5, False), (4, 3, 3, 2, True), (5, 1, 2, 1, False)],
)
def test_it_has_the_parameters_of_the_paper(width, depth, channels, classes, bilinear):
    with torch.device("meta"):
        model = UNet(width, depth, channels, classes, bilinear)
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == expected_parameters(width, depth, channels, classes, bilinear)
    if width == 64:
        assert round(found / 1e6, 1) == (17.3 if bilinear else 31.0)


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("depth", [1, 3])
def test_logits_have_the_size_of_the_picture(depth, bilinear):
    model = UNet(4, depth, 2, 3, bilinear)
    for height, width in ((2**depth, 3 * 2**depth), (5 * 2**depth, 7 * 2**depth)):
        assert model(torch.rand(2, 2, height, width)).shape == (2, 3, height, width)


def test_it_computes_the_published_steps():
    torch.manual_seed(0)
    model = UNet(4, 2, 3, 1).eval()
    x = torch.rand(1, 3, 12, 20)
    top = model.stem(x)
    middle = model.down[0](nn.functional.max_pool2d(top, 2))
    bottom = model.down[1](nn.functional.max_pool2d(middle, 2))
    middle = model.merge[0](torch.cat([middle, model.up[0](bottom)], 1))
    top = model.merge[1](torch.cat([top, model.up[1](middle)], 1))
    torch.testing.assert_close(model(x), model.head(top))
    assert [module.stride for module in model.up] == [(2, 2), (2, 2)]
    assert bottom.shape == (1, 16, 3, 5)


def test_every_parameter_learns_and_it_begins_undecided():
    torch.manual_seed(0)
    model = UNet(4, 2)
    logits = model(torch.rand(2, 3, 16, 24))
    assert logits.abs().max() < 1
    nn.functional.binary_cross_entropy_with_logits(logits, torch.rand_like(logits).round()).backward()
    still = [name for name, one in model.named_parameters() if one.grad is None or not one.grad.abs().sum() > 0]
    # batch normalization takes out what a bias before it adds; no convolution has one
    assert not still


def test_moving_a_picture_by_a_multiple_moves_the_answer():
    torch.manual_seed(0)
    model = UNet(4, 2).eval()
    x = torch.zeros(1, 3, 64, 64)
    x[..., 24:36, 20:33] = torch.rand(3, 12, 13)
    with torch.no_grad():
        here, there = model(x), model(x.roll(4, -1))
    torch.testing.assert_close(here.roll(4, -1)[..., 16:48, 16:48], there[..., 16:48, 16:48])


def test_weights_come_back_by_every_way(tmp_path):
    model = UNet(3, 2, classes=4, bilinear=True).eval()
    model.save_pretrained(tmp_path)
    x = torch.rand(1, 3, 8, 12)
    for loaded in (load_model(tmp_path), UNet.from_pretrained(tmp_path), build_model("unet", **model.arguments)):
        assert isinstance(loaded, UNet)
        assert loaded.arguments == model.arguments
    torch.testing.assert_close(load_model(tmp_path)(x), model(x))
    torch.testing.assert_close(UNet.from_pretrained(tmp_path)(x), model(x))
    assert task_of(tmp_path) == "segmentation" == UNet.task


def test_weights_of_another_network_are_refused(tmp_path):
    build_model("resnet18", width=4, classes=2).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="a UNet is needed, but .* holds a resnet18"):
        UNet.from_pretrained(tmp_path)


def test_what_does_not_fit_is_said_with_a_way_out():
    model = UNet(4, 3)
    assert model.multiple == 8
    with pytest.raises(ValueError, match=r"multiples of 8, got 16x20; use ops.tiling.pad_to_multiple"):
        model(torch.rand(1, 3, 16, 20))
    with pytest.raises(ValueError, match=r"takes 3 channels, got 1; build the network with in_channels=1"):
        model(torch.rand(1, 1, 16, 24))
    with pytest.raises(ValueError, match="at least 1; got 4, 0, 3 and 1"):
        UNet(4, 0)
    with pytest.raises(ValueError, match="unknown argument of unet 'widht'; did you mean 'width'"):
        build_model("unet", widht=4)
