import os
import sys
import warnings

import pytest
import torch
from safetensors.torch import save_file
from spandrel import Architecture, ArchRegistry, ArchSupport, MaskedImageModelDescriptor
from spandrel.architectures.Compact import Compact
from spandrel.architectures.DnCNN import DnCNN
from torch import nn

from passband.data.degradations import degrade_files
from passband.evaluation import evaluate
from passband.inference import Restorer
from passband.models import load_model
from passband.models.restoration.foreign import Foreign
from passband.models.restoration.whole import restore_batch
from passband.state_dicts import CheckpointError


def dncnn(channels=3):
    """A denoiser of eight small layers: picture minus what they predict."""
    torch.manual_seed(1)
    return DnCNN(in_nc=channels, out_nc=channels, nc=4, nb=8, act_mode="R").eval()


@pytest.fixture
def denoiser(tmp_path):
    """A network and the file it lies in, as its authors would save it."""
    model = dncnn()
    torch.save(model.state_dict(), tmp_path / "denoiser.pth")
    return model, tmp_path / "denoiser.pth"


def test_a_file_of_another_project_restores_as_its_own_network_does(denoiser):
    network, path = denoiser
    loaded = load_model(path)
    assert isinstance(loaded, Foreign)
    assert not loaded.training
    degraded = torch.rand(2, 3, 17, 31)
    with torch.no_grad():
        expected = network(degraded).clamp(0, 1)
        torch.testing.assert_close(restore_batch(loaded, degraded), expected)
    torch.testing.assert_close(Restorer(path, device="cpu", precision="float32").restore(degraded), expected)
    assert not torch.equal(expected, degraded)


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", None])
def test_the_ways_that_others_save_are_read(tmp_path, wrapper):
    state = dncnn().state_dict()
    torch.save({wrapper: state} if wrapper else state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        loaded = load_model(tmp_path / name).state_dict()
        assert all(torch.equal(loaded[f"network.{key}"], value) for key, value in state.items())


def test_averaged_weights_go_before_the_others_in_one_file(tmp_path):
    state = dncnn().state_dict()
    torch.save({"params": {key: value + 1 for key, value in state.items()}, "params_ema": state}, tmp_path / "a.pth")
    loaded = load_model(tmp_path / "a.pth").state_dict()
    assert all(torch.equal(loaded[f"network.{key}"], value) for key, value in state.items())


@pytest.mark.usefixtures("without_charts")
def test_it_is_scored_as_ours_are(tmp_path, photographs, denoiser):
    list(degrade_files(photographs, tmp_path / "pairs", "rain"))
    result = evaluate(denoiser[1], tmp_path / "pairs", tmp_path / "report", device="cpu")
    assert len(result["images"]) == 4
    assert result["mean"]["psnr"] != result["mean"]["psnr_degraded"]


class Payload:
    """Runs code when unpickled by a careless loader."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_code_beside_the_weights_of_another_project_is_refused_and_does_not_run(tmp_path):
    torch.save({"params": dncnn().state_dict(), "note": Payload(tmp_path / "code-ran")}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"evil\.pth was refused, and nothing in it was run"):
        load_model(tmp_path / "evil.pth")
    assert not (tmp_path / "code-ran").exists()


def test_a_scripted_program_is_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer torch discourages what others have done
        torch.jit.save(torch.jit.script(nn.Conv2d(3, 3, 1)), str(tmp_path / "script.pt"))
    with pytest.raises(
        CheckpointError, match=r"script\.pt was refused, and nothing in it was run: it is a TorchScript"
    ):
        load_model(tmp_path / "script.pt")


def test_networks_that_enlarge_or_take_gray_are_refused_with_the_reason(tmp_path):
    torch.save(Compact(num_feat=4, num_conv=1, upscale=2).state_dict(), tmp_path / "twice.pth")
    with pytest.raises(
        CheckpointError,
        match=r"a network that keeps the size is needed, but .*twice\.pth is a .* that enlarges 2 times",
    ):
        load_model(tmp_path / "twice.pth")
    torch.save(dncnn(channels=1).state_dict(), tmp_path / "gray.pth")
    with pytest.raises(
        CheckpointError, match=r"for RGB images is needed, but .*gray\.pth is a DnCNN of 1 channels in and 1 out"
    ):
        load_model(tmp_path / "gray.pth")


class Inpainting(Architecture):
    """Fills masks."""

    def __init__(self):
        super().__init__(id="Inpainting", detect=lambda state: True)

    def load(self, state_dict):
        return MaskedImageModelDescriptor(
            nn.Conv2d(4, 3, 1),
            state_dict,
            self,
            "Inpainting",
            tags=[],
            supports_half=False,
            supports_bfloat16=False,
            input_channels=3,
            output_channels=3,
        )


def test_a_network_that_needs_a_mask_is_refused(tmp_path, monkeypatch):
    registry = ArchRegistry()
    registry.add(ArchSupport.from_architecture(Inpainting()))
    monkeypatch.setattr("spandrel.MAIN_REGISTRY", registry)
    torch.save(nn.Conv2d(4, 3, 1).state_dict(), tmp_path / "fill.pth")
    with pytest.raises(CheckpointError, match=r"fill\.pth is an Inpainting, which fills masks"):
        load_model(tmp_path / "fill.pth")


def test_an_override_and_broken_weights_are_refused(tmp_path, denoiser):
    with pytest.raises(CheckpointError, match=r"is a DnCNN, which has no pool_window: leave it out"):
        load_model(denoiser[1], pool_window=80)
    state = dncnn().state_dict()
    torch.save({**state, "model.4.bias": state["model.4.bias"] * torch.nan}, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match=r"1 entry holds NaN or infinity: model\.4\.bias"):
        load_model(tmp_path / "nan.pth")
    torch.save({**state, "model.4.bias": torch.zeros(9)}, tmp_path / "shape.pth")
    with pytest.raises(CheckpointError, match=r"shape\.pth: spandrel knows the architecture, but not these weights: "):
        load_model(tmp_path / "shape.pth")


def test_without_spandrel_it_says_what_to_install(denoiser, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(CheckpointError, match=r"need spandrel: pip install 'passband\[spandrel\]'"):
        load_model(denoiser[1])


def test_weights_that_nobody_knows_say_what_can_be_done_with_them(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(
        CheckpointError,
        match=r"neither passband nor spandrel knows .* these entries: weight\. passband\.compare scores",
    ):
        load_model(tmp_path / "other.pth")
    torch.save({"weight": torch.zeros(2), "stem.0.weight": torch.zeros(2)}, tmp_path / "cut.pth")
    with pytest.raises(CheckpointError, match="not for this SFNet. Entries: .* 1 unknown: weight"):
        load_model(tmp_path / "cut.pth")
