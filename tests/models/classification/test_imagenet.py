"""Weights of RGB networks in networks of frequency channels; random ones of torchvision stand in for the published."""

import pytest
import torch
import torch.nn.functional as F
import torchvision.models
from torch import nn

from passband.models import (
    dct_efficientnet_lite0,
    dct_mobilenet_v2,
    dct_resnet18,
    dct_resnet50,
    efficientnet_lite0,
    fit_first_block,
    load_imagenet,
    resnet18,
)
from tests.models.classification.test_dct_resnet import settle


@pytest.fixture(scope="module")
def rgb50():
    torch.manual_seed(0)
    return settle(torchvision.models.resnet50())


@torch.no_grad()
def test_all_but_the_first_block_is_copied_and_that_is_sliced(rgb50):
    model = dct_resnet50().eval()
    mapped = load_imagenet(model, rgb50.state_dict())
    assert mapped.sliced == ["layer1.0.conv1.weight", "layer1.0.downsample.0.weight"]
    assert mapped.fresh == []
    assert sorted(mapped.copied + mapped.sliced) == sorted(model.state_dict())
    # of 64 channels, the first 24 are fed and the others silent: then both networks are one
    maps = torch.randn(2, 64, 9, 11)
    maps[:, 24:] = 0
    x = maps
    for layer in (rgb50.layer1, rgb50.layer2, rgb50.layer3, rgb50.layer4):
        x = layer(x)
    torch.testing.assert_close(model(maps[:, :24]), rgb50.fc(rgb50.avgpool(x).flatten(1)))


def test_more_channels_than_the_first_block_had_and_other_classes_stay_fresh(rgb50):
    model = dct_resnet50(channels=192, classes=10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mapped = load_imagenet(model, rgb50.state_dict())
    assert mapped.sliced == []
    assert mapped.fresh == ["layer1.0.conv1.weight", "layer1.0.downsample.0.weight", "fc.weight", "fc.bias"]
    for name in mapped.fresh:
        assert torch.equal(model.state_dict()[name], before[name]), name
    for name in mapped.copied:
        assert torch.equal(model.state_dict()[name], rgb50.state_dict()[name]), name


def test_a_shortcut_that_the_picture_network_lacks_stays_fresh():
    mapped = load_imagenet(dct_resnet18(), torchvision.models.resnet18().state_dict())
    assert mapped.sliced == ["layer1.0.conv1.weight"]
    assert {name.rsplit(".", 1)[0] for name in mapped.fresh} == {"layer1.0.downsample.0", "layer1.0.downsample.1"}


def test_the_mobile_network_keeps_the_first_channels_of_its_first_block():
    state = torchvision.models.mobilenet_v2().state_dict()
    model = dct_mobilenet_v2(channels=6)
    mapped = load_imagenet(model, state)
    assert mapped.fresh == []
    assert len(mapped.sliced) == 6  # the depthwise filter, four vectors of its normalization, the projection
    assert torch.equal(model.features[1].conv[1].weight, state["features.1.conv.1.weight"][:, :6])


def test_weights_of_another_width_are_refused_and_nothing_is_changed():
    model = dct_resnet18(width=32)
    before = model.fc.weight.clone()
    with pytest.raises(ValueError, match="do not fit these weights.*of resnet18 in its published width"):
        load_imagenet(model, torchvision.models.resnet18().state_dict())
    assert torch.equal(model.fc.weight, before)


def test_without_weights_the_counterparts_first_published_ones_are_fetched(monkeypatch):
    expected, asked = torchvision.models.resnet18().state_dict(), []

    def fetch(weights, **options):
        asked.append((weights, options["check_hash"]))
        return expected

    monkeypatch.setattr("torchvision.models.WeightsEnum.get_state_dict", fetch)
    model = resnet18()
    assert load_imagenet(model).sliced == []
    assert asked == [(torchvision.models.ResNet18_Weights.IMAGENET1K_V1, True)]
    assert torch.equal(model.fc.weight, expected["fc.weight"])


def test_the_first_block_learns_the_map_of_the_network_for_images_and_nothing_else_changes():
    torch.manual_seed(0)
    rgb, model = efficientnet_lite0(classes=3).train(), dct_efficientnet_lite0(channels=48, classes=3).eval()
    for module in rgb.modules():  # the map of fresh weights with fresh statistics varies little
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    images = F.interpolate(torch.randn(4, 3, 6, 6), 48, mode="bilinear")
    with torch.no_grad():
        rgb(images)
    before = [{name: value.clone() for name, value in one.state_dict().items()} for one in (rgb, model)]

    def batches():
        for _ in range(25):
            yield F.pixel_unshuffle(images, 4), images  # all pixels of a cell, which is a cube of another basis

    assert fit_first_block(model, rgb, batches(), 25) > 0.2  # a block that gives the mean explains nothing
    assert (rgb.training, model.training) == (True, False)
    assert all(torch.equal(value, before[0][name]) for name, value in rgb.state_dict().items())
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[1][name])}
    assert changed
    assert all(name.startswith("layer1.0.") for name in changed)


def test_fitting_the_first_block_needs_both_kinds_and_a_batch_for_each_step():
    rgb, model = efficientnet_lite0(classes=3), dct_efficientnet_lite0(channels=6, classes=3)
    with pytest.raises(ValueError, match="frequency channels first, then a network of RGB images"):
        fit_first_block(rgb, model, [], 1)
    pair = torch.randn(2, 6, 8, 8), torch.randn(2, 3, 32, 32)
    with pytest.raises(ValueError, match="a batch for each of its 3 steps; got 2"):
        fit_first_block(model, rgb, [pair, pair], 3)
