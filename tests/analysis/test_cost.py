import pytest
import torch
from torch import nn

from passband.analysis.cost import cost, macs, normalized_input_size
from passband.layers.gate import ChannelGate
from passband.models import sfnet
from passband.models.restoration.foreign import Foreign


class Recorded(nn.Module):
    """A small network of every kind that is counted."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, (3, 5), stride=2, padding=1, bias=False)
        self.grouped = nn.Conv2d(8, 12, 3, groups=4)
        self.norm = nn.BatchNorm2d(12)
        self.grow = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.fc = nn.Linear(6, 10)

    def forward(self, x):
        x = self.norm(self.grouped(self.conv(x)))
        return self.fc(self.grow(x).mean((2, 3)))


def by_hooks(model, shape):
    """Multiply-accumulates from the shapes that really run through the layers."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, nn.Linear):
            total += module.weight.numel() * inputs[0].shape[0]
        else:
            positions = (inputs[0] if isinstance(module, nn.ConvTranspose2d) else output)[0, 0].numel()
            total += module.weight.numel() * positions

    handles = [
        m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)
    ]
    with torch.no_grad():
        model.eval()(torch.rand(1, *shape))
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize("shape", [(3, 17, 31), (3, 24, 20)])
def test_the_count_is_what_the_shapes_of_the_layers_give(shape):
    assert macs(Recorded(), shape) == by_hooks(Recorded(), shape) > 0


def test_sfnet_costs_what_its_docs_say():
    with torch.device("meta"):
        model = sfnet()
    assert round(macs(model, (3, 256, 256)) / 1e9) == 121


def test_counting_computes_nothing_and_changes_nothing():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    macs(module, (3, 30_000, 30_000))  # whose maps would not fit any memory
    assert module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_gate_counts_no_picture_of_a_count_and_evaluates():
    gate = ChannelGate(12).train()
    macs(nn.Sequential(gate), (12, 8, 8))
    assert int(gate.seen) == 0
    assert gate.training


def test_a_layer_that_is_used_in_several_places_is_counted_at_each():
    activation = nn.PReLU()
    shared = nn.Conv2d(3, 3, 3, padding=1)
    assert macs(nn.Sequential(shared, activation, shared, activation), (3, 8, 9)) == 2 * macs(shared, (3, 8, 9))


def test_a_network_of_another_project_is_counted_too():
    from tests.models.restoration.test_foreign import dncnn

    class Descriptor:
        model = dncnn()
        architecture = type("A", (), {"name": "DnCNN"})
        size_requirements = type("S", (), {"multiple_of": 1, "minimum": 0})

        def __call__(self, picture):
            return self.model(picture)

    assert macs(Foreign(Descriptor()), (3, 17, 13)) == by_hooks(dncnn(), (3, 17, 13))


def test_input_is_measured_against_a_picture_of_224_pixels():
    # the paper's table 1: RGB, 24, 48 and 64 channels of 56 x 56, all 192 of 28 x 28 and of 56 x 56
    shapes = [(3, 224, 224), (24, 56, 56), (48, 56, 56), (64, 56, 56), (192, 28, 28), (192, 56, 56)]
    assert [round(normalized_input_size(shape), 1) for shape in shapes] == [1.0, 0.5, 1.0, 1.3, 1.0, 4.0]


def test_all_figures_come_together():
    found = cost(Recorded(), (3, 17, 31))
    assert found.input_shape == (3, 17, 31)
    assert found.parameters == sum(p.numel() for p in Recorded().parameters())
    assert found.macs == macs(Recorded(), (3, 17, 31))
    assert found.normalized_input_size == pytest.approx(3 * 17 * 31 / 150_528)


def test_an_input_that_does_not_fit_is_refused_with_its_size():
    with pytest.raises(ValueError, match="Recorded does not take an input of 4 x 17 x 31: .*channel"):
        macs(Recorded(), (4, 17, 31))
    with pytest.raises(ValueError, match="pad_to_multiple"):
        macs(sfnet(depth=1, width=16), (3, 20, 24))
