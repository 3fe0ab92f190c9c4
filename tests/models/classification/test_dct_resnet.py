"""Networks of frequency channels against torchvision's with their first layers taken off by hand."""

import math

import pytest
import torch
import torchvision.models
from torch import nn

from passband.analysis.cost import macs
from passband.models import FrequencyResNet, dct_resnet18, dct_resnet50, resnet18, resnet50


def settle(model):
    """Give batch normalization statistics and weights that are not 0 and 1, the same for the same shapes."""
    generator = torch.Generator().manual_seed(0)
    for _, module in sorted(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight.data, module.running_var, module.bias.data, module.running_mean):
                value.uniform_(0.2, 0.6, generator=generator)
    return model.eval()


def first_block_of(layer, channels, stride):
    """Let torchvision's layer take a cube, at a stride."""
    block = layer[0]
    first, outgoing = block.conv1, (block.conv3 if hasattr(block, "conv3") else block.conv2).out_channels
    block.conv1 = nn.Conv2d(channels, first.out_channels, first.kernel_size, padding=first.padding, bias=False)
    block.downsample = nn.Sequential(nn.Conv2d(channels, outgoing, 1, bias=False), nn.BatchNorm2d(outgoing))
    set_stride(layer, stride)


def set_stride(layer, stride):
    block = layer[0]
    (block.conv2 if hasattr(block, "conv3") else block.conv1).stride = (stride, stride)
    block.downsample[0].stride = (stride, stride)


def without_stem(network, *layers):
    """What torchvision's network gives of a cube that enters these layers."""

    def run(cube):
        for layer in layers:
            cube = layer(cube)
        return network.fc(network.avgpool(cube).flatten(1))

    return run


@pytest.mark.parametrize(
    ("ours", "theirs"), [(resnet18, torchvision.models.resnet18), (resnet50, torchvision.models.resnet50)]
)
@torch.no_grad()
def test_with_its_stem_it_is_torchvisions_network(ours, theirs):
    reference = settle(theirs(num_classes=7))
    model = ours(classes=7).eval()
    assert list(model.state_dict()) == list(reference.state_dict())
    model.load_state_dict(reference.state_dict())
    picture = torch.rand(2, 3, 97, 71)
    torch.testing.assert_close(model(picture), reference(picture))


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_without_its_stem_it_is_torchvisions_blocks_at_the_stride_asked_for(depth, stride):
    reference = {18: torchvision.models.resnet18, 50: torchvision.models.resnet50}[depth](num_classes=5)
    first_block_of(reference.layer1, 11, stride=1)
    set_stride(reference.layer2, stride)
    settle(reference)
    model = FrequencyResNet(11, 5, depth, published_stride=stride == 1).eval()
    model.load_state_dict({k: v for k, v in reference.state_dict().items() if not k.startswith(("conv1.", "bn1."))})
    cube = torch.randn(2, 11, 19, 13)
    layers = (reference.layer1, reference.layer2, reference.layer3, reference.layer4)
    torch.testing.assert_close(model(cube), without_stem(reference, *layers)(cube))


@torch.no_grad()
def test_a_cube_of_28_positions_enters_layer2_which_keeps_its_resolution():
    reference = torchvision.models.resnet50(num_classes=5)
    first_block_of(reference.layer2, 192, stride=1)
    settle(reference)
    model = dct_resnet50(channels=192, classes=5, grid=28).eval()
    assert model.input_shape == (192, 28, 28)
    dropped = ("conv1.", "bn1.", "layer1.")
    model.load_state_dict({k: v for k, v in reference.state_dict().items() if not k.startswith(dropped)})
    cube = torch.randn(2, 192, 11, 13)
    layers = (reference.layer2, reference.layer3, reference.layer4)
    torch.testing.assert_close(model(cube), without_stem(reference, *layers)(cube))


def test_24_channels_cost_no_more_than_the_picture_and_the_published_stride_costs_three_times_as_much():
    # counted by hand from the shapes of the layers
    with torch.device("meta"):
        models = (resnet50(), dct_resnet50(), dct_resnet50(published_stride=True))
    picture, cube, published = (macs(model, model.input_shape) for model in models)
    assert (picture, cube, published) == (by_hand(3, 2, stem=True), by_hand(24, 2), by_hand(24, 1))
    assert cube <= picture
    assert [round(count / 1e9, 2) for count in (picture, cube, published)] == [4.09, 3.93, 13.53]


def by_hand(channels, stride, stem=False):
    """Multiply-accumulates of ResNet-50, from He et al.'s table of its layers."""
    total = 112**2 * 49 * channels * 64 if stem else 0
    incoming, side = (64 if stem else channels), 56
    for layer, blocks in enumerate((3, 4, 6, 3)):
        width = 64 * 2**layer
        for block in range(blocks):
            total += side**2 * incoming * width
            if block == 0:
                side //= (1, stride, 2, 2)[layer]
                total += side**2 * incoming * 4 * width
            total += side**2 * (9 * width * width + 4 * width * width)
            incoming = 4 * width
    return total + 2048 * 1000


def test_initial_weights_spread_as_torchvisions_and_the_shortcut_of_a_cube_is_always_a_convolution():
    torch.manual_seed(0)
    model = dct_resnet18(channels=64)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 10_000:
            expected = math.sqrt(2 / (module.out_channels * module.kernel_size[0] ** 2))
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05), name
    assert isinstance(model.get_submodule("layer1.0.downsample.0"), nn.Conv2d)


@pytest.mark.parametrize("model", [dct_resnet18(width=8), dct_resnet50(width=8, channels=192, grid=28)])
def test_every_parameter_and_every_channel_gets_a_gradient(model):
    torch.manual_seed(0)
    cube = torch.randn(3, model.channels, 9, 13, requires_grad=True)
    model.train()(cube).square().mean().backward()
    assert cube.grad.abs().sum((0, 2, 3)).min() > 0
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"depth": 34}, r"depth .* one of \(18, 50\); got 34"),
        ({"grid": 14}, r"grid .* one of \(28, 56\); got 14"),
        ({"channels": 0}, "at least 1; got 0"),
        ({"grid": 28, "stem": True}, "leave out published_stride and stem"),
    ],
)
def test_a_number_that_does_not_fit_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        FrequencyResNet(**numbers)


def test_a_cube_of_other_channels_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match="dct-resnet18 takes 24 channels, got 64; select 24 of them, or .*channels=64"):
        dct_resnet18(width=8)(torch.randn(1, 64, 7, 7))
