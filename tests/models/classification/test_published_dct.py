"""Checkpoints as the authors of "Learning in the Frequency Domain" save them."""

import pytest
import torch
import torchvision.models
from torch import nn

from passband.layers.gate import ChannelGate
from passband.models import FrequencyResNet, GatedClassifier, from_published
from passband.state_dicts import CheckpointError, read_state
from tests.models.classification.test_dct_resnet import first_block_of, set_stride, settle


class Published(nn.Module):
    """The released class in outline: four layers and the pooling under `model`, then `fc`; the gate, if any, first."""

    def __init__(self, channels, gate=False):
        super().__init__()
        network = torchvision.models.resnet50(num_classes=5)
        first_block_of(network.layer1, channels, stride=1)
        set_stride(network.layer2, 1)
        self.model = nn.Sequential(*list(network.children())[4:-1])
        self.fc = network.fc
        if gate:
            self.inp_GM = nn.Module()
            self.inp_GM.inp_gate = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU())
            self.inp_GM.inp_gate_l = nn.Conv2d(channels, 2 * channels, 1, groups=channels)

    def forward(self, cube):
        return self.fc(self.model(cube).flatten(1))


@torch.no_grad()
def test_a_published_checkpoint_gives_the_published_logits(tmp_path):
    published = settle(Published(24))
    torch.save({"epoch": 210, "state_dict": nn.DataParallel(published).state_dict()}, tmp_path / "model_best.pth")
    model = from_published(read_state(tmp_path / "model_best.pth"))
    assert isinstance(model, FrequencyResNet)
    assert not model.training
    assert {name: model.arguments[name] for name in ("channels", "classes", "depth", "published_stride")} == {
        "channels": 24,
        "classes": 5,
        "depth": 50,
        "published_stride": True,
    }
    cube = torch.randn(2, 24, 9, 13)
    torch.testing.assert_close(model(cube), published(cube))


@torch.no_grad()
def test_a_published_gate_decides_by_signed_means_as_it_did():
    torch.manual_seed(0)
    published = settle(Published(12, gate=True))
    model = from_published(published.state_dict())
    assert isinstance(model, GatedClassifier)
    assert model.gate.pool == "signed"
    cube = torch.randn(4, 12, 5, 7) + torch.randn(4, 12, 1, 1)
    gate = published.inp_GM
    off, on = gate.inp_gate_l(gate.inp_gate(cube.mean((2, 3), keepdim=True))).view(4, 12, 2).unbind(-1)
    out = model(cube)
    assert torch.equal(out.open, (on > off).float())
    assert 0 < out.open.mean() < 1
    torch.testing.assert_close(out.logits, published(cube * out.open[:, :, None, None]))


def test_other_weights_are_refused():
    with pytest.raises(
        CheckpointError, match=r"published ResNet-50 .*model\.0\.0\.conv1\.weight.*; other\.pth does not"
    ):
        from_published(ChannelGate(4).state_dict(), "other.pth")
    state = Published(24).state_dict()
    del state["model.2.3.bn1.bias"]
    with pytest.raises(CheckpointError, match=r"1 missing: layer3\.3\.bn1\.bias"):
        from_published(state, "other.pth")
