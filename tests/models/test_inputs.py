"""What every network says of a batch that it cannot take."""

import numpy as np
import pytest
import torch

from passband.models import MODELS, build_model

pytestmark = pytest.mark.usefixtures("unchecked")

SMALL = {
    "sfnet": {"width": 16, "depth": 1},
    "sfnet-small": {"width": 16, "depth": 1},
    "fsnet": {"width": 16, "depth": 1},
    "fsnet-small": {"width": 16, "depth": 1},
    "convir": {"width": 8, "depth": 1},
    "convir-s": {"width": 8, "depth": 1},
    "convir-b": {"width": 8, "depth": 1},
    "convir-l": {"width": 8, "depth": 1},
    "convir-tiny": {"width": 8},
    "dct-resnet18": {"channels": 6, "width": 4},
    "dct-resnet50": {"channels": 6, "width": 4},
    "gated-dct-resnet18": {"channels": 6, "width": 4},
    "gated-dct-resnet50": {"channels": 6, "width": 4},
    "dct-mobilenet-v2": {"channels": 6, "width": 0.1},
    "dct-efficientnet-lite0": {"channels": 6},
    "efficientnet-lite0": {},
    "resnet18": {"width": 4},
    "resnet50": {"width": 4},
    "mobilenet-v2": {"width": 0.1},
    "dct-vit": {"channels": 6, "width": 12, "depth": 2},
    "unet": {"width": 4, "depth": 2},
    "smp": {"encoder": "resnet18"},
    "dct-mask-rcnn": {"channels": "rgb", "width": 4, "features": 8, "box_features": 8, "classes": 2},
    "dct-mask-rcnn-resnet18": {"channels": "rgb", "width": 4, "features": 8, "box_features": 8, "classes": 2},
    "dct-mask-rcnn-lite0": {"channels": "rgb", "features": 8, "box_features": 8, "classes": 2},
}


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {name: build_model(name, **numbers).eval() for name, numbers in SMALL.items()}


def call(model, batch):
    """A network of a batch, as a list of pictures where it takes one."""
    return model(list(batch) if model.__class__.__name__ == "FrequencyRCNN" else batch)


def test_every_network_is_tried_here():
    assert set(SMALL) == set(MODELS) - {"inspector"}  # which takes views of a picture, see test_inspector


@pytest.mark.parametrize("name", SMALL)
def test_integers_arrays_and_other_precisions_are_refused_with_what_to_do(networks, name):
    model = networks[name]
    channels = 6 if SMALL[name].get("channels") == 6 else 3
    shape = (1, channels, 32, 32)
    with pytest.raises(TypeError, match=r"got torch\.uint8\. Convert it with image\.float\(\) / 255"):
        call(model, torch.zeros(shape, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"weights of torch\.float32, but the batch is torch\.float64\. "):
        call(model, torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"on cpu, but the batch is on meta\. Move the batch with image\.to\('cpu'\)"):
        call(model, torch.zeros(shape, device="meta"))
    with pytest.raises(TypeError, match=r"got a numpy array of shape .* passband\.as_tensor.* use passband\.\w+, "):
        call(model, np.zeros(shape, np.float32))


@pytest.mark.parametrize("name", SMALL)
def test_other_channels_and_a_picture_without_its_batch_are_refused(networks, name):
    model = networks[name]
    channels = 6 if SMALL[name].get("channels") == 6 else 3
    with pytest.raises(ValueError, match=r"got .*4|4 x 32 x 32"):
        call(model, torch.zeros(1, 4, 32, 32))
    if "mask-rcnn" in name:
        with pytest.raises(TypeError, match=r"a list of images C H W, got a tensor .* Pass list\(images\)"):
            model(torch.zeros(2, 3, 32, 32))
        with pytest.raises(TypeError, match=r"a list of images C H W, got a tensor .* Pass \[image\]"):
            model(torch.zeros(3, 32, 32))
    else:
        with pytest.raises(ValueError, match=rf"got {channels} x 32 x 32\. Add the axis of the batch: image\[None\]"):
            model(torch.zeros(channels, 32, 32))
        with pytest.raises(ValueError, match="needs a tensor with values"):
            model(torch.zeros(0, channels, 32, 32))


def test_sfnet_says_how_alpha_and_channels_that_come_last_are_mended(networks):
    with pytest.raises(ValueError, match=r"SFNet .* B 3 H W, got 1 x 4 x 32 x 32\. Leave out the alpha channel"):
        networks["sfnet"](torch.zeros(1, 4, 32, 32))
    with pytest.raises(ValueError, match=r"got 1 x 32 x 48 x 3\. The channels come second: image\.movedim\(-1, 1\)"):
        networks["sfnet"](torch.zeros(1, 32, 48, 3))
    with pytest.raises(ValueError, match=r"got 1 x 1 x 32 x 32\. Repeat the gray channel"):
        networks["sfnet"](torch.zeros(1, 1, 32, 32))


@pytest.mark.parametrize("name", ["sfnet", "unet", "dct-resnet18"])
def test_autocast_may_have_another_precision_than_the_weights(networks, name):
    shape = (1, 6 if name == "dct-resnet18" else 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        call(networks[name], torch.zeros(shape, dtype=torch.bfloat16))
