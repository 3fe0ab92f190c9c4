import pytest
import torch
import torchvision.models
from torch import nn

from passband.analysis.cost import macs
from passband.models import FrequencyMobileNet, dct_mobilenet_v2, mobilenet_v2
from tests.models.classification.test_dct_resnet import settle


@torch.no_grad()
def test_with_its_stem_it_is_torchvisions_network():
    reference = settle(torchvision.models.mobilenet_v2(num_classes=7, width_mult=0.5))
    model = mobilenet_v2(classes=7, width=0.5).eval()
    model.load_state_dict(reference.state_dict())
    picture = torch.rand(2, 3, 97, 71)
    torch.testing.assert_close(model(picture), reference(picture))


@pytest.mark.parametrize("channels", [6, 24, 41])
@torch.no_grad()
def test_without_its_stem_the_first_block_takes_the_cube_and_the_rest_is_torchvisions(channels):
    reference = torchvision.models.mobilenet_v2(num_classes=5)
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    first = nn.Sequential(depthwise, nn.BatchNorm2d(channels), nn.ReLU6())
    reference.features[0] = nn.Identity()
    reference.features[1].conv[0] = first
    reference.features[1].conv[1] = nn.Conv2d(channels, 16, 1, bias=False)
    settle(reference)
    model = dct_mobilenet_v2(channels=channels, classes=5).eval()
    model.load_state_dict(reference.state_dict())
    cube = torch.randn(2, channels, 37, 23)
    torch.testing.assert_close(model(cube), reference(cube))


def test_any_number_of_channels_costs_less_than_the_picture():
    with torch.device("meta"):
        picture = macs(mobilenet_v2(), (3, 224, 224))
        counts = {channels: macs(dct_mobilenet_v2(channels=channels), (channels, 112, 112)) for channels in (6, 24, 32)}
    stem, block = 112**2 * 9 * 3 * 32, 112**2 * (9 + 16)
    assert counts == {channels: picture - stem - (32 - channels) * block for channels in (6, 24, 32)}
    assert [round(count / 1e9, 3) for count in (picture, *counts.values())] == [0.301, 0.282, 0.287, 0.290]


@pytest.mark.parametrize(
    ("numbers", "message"), [({"width": 0}, "above 0"), ({"stem": True}, "an image of 3 channels; got channels=24")]
)
def test_a_number_that_does_not_fit_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        FrequencyMobileNet(**numbers)


def test_a_cube_of_other_channels_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match="dct-mobilenet-v2 takes 24 channels, got 192"):
        dct_mobilenet_v2(width=0.1)(torch.randn(1, 192, 16, 16))
