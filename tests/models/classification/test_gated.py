import pytest
import torch

from passband.layers.gate import ChannelGate
from passband.models import FrequencyResNet, GatedClassifier, dct_resnet18, gated_dct_resnet18, resnet18


def tiny(**numbers):
    torch.manual_seed(0)
    return gated_dct_resnet18(**{"width": 4, "classes": 3, "channels": 12, **numbers})


@torch.no_grad()
def test_the_network_gets_what_the_gate_lets_through():
    model = tiny().eval()
    model.gate.pair.bias.view(12, 2)[::3] = torch.tensor([2.0, 0.1])  # every third channel closed
    cube = torch.randn(5, 12, 7, 9)
    out = model(cube)
    through = cube.clone()
    through[:, ::3] = 0
    torch.testing.assert_close(out.logits, model.network(through))
    assert out.open.tolist() == [[0, 1, 1] * 4] * 5


def test_a_closed_channel_changes_nothing():
    model = tiny().eval()
    with torch.no_grad():
        model.gate.squeeze.weight.zero_()
        model.gate.pair.bias.view(12, 2)[5] = torch.tensor([2.0, 0.1])
        cube = torch.randn(2, 12, 7, 9)
        other = cube.clone()
        other[:, 5] *= -100
        torch.testing.assert_close(model(cube).logits, model(other).logits, rtol=0, atol=0)


def test_a_cost_on_open_gates_reaches_every_gate():
    model = tiny().train()
    model(torch.randn(4, 12, 7, 9)).open.mean().backward()
    assert (model.gate.pair.bias.grad.view(12, 2)[:, 1] > 0).all()
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_the_builders_are_of_all_192_channels_and_say_what_they_are_built_of():
    model = gated_dct_resnet18(width=4, pool="signed")
    assert (model.name, model.channels, model.input_shape) == ("gated-dct-resnet18", 192, (192, 56, 56))
    assert (model.gate.pool, model.network.arguments["depth"], model.task) == ("signed", 18, "classification")
    again = GatedClassifier.from_arguments(**model.arguments)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


def test_parts_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="same channels; got 192 and 24"):
        GatedClassifier(ChannelGate(192), dct_resnet18(width=4))
    with pytest.raises(ValueError, match="which resnet18 does not take"):
        GatedClassifier(ChannelGate(3), resnet18(width=4))
    with pytest.raises(ValueError, match="gated-dct-resnet18 takes 12 channels, got 24"):
        tiny()(torch.randn(1, 24, 7, 7))
    assert isinstance(GatedClassifier(ChannelGate(8), FrequencyResNet(8, width=4)).network, FrequencyResNet)
