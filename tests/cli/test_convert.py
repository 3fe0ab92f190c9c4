import json

import torch

from passband.models import ConvIR, load_model
from tests.cli.test_cli import one_sentence
from tests.models.restoration.test_foreign import dncnn


def test_a_network_of_another_project_is_not_converted(run, tmp_path):
    torch.save(dncnn().state_dict(), tmp_path / "denoiser.pth")
    status, _, err = run("convert", tmp_path / "denoiser.pth", tmp_path / "out")
    assert one_sentence(status, err, "convert needs weights of an SFNet, FSNet or ConvIR", "denoiser.pth is a ")
    assert not (tmp_path / "out").exists()


def test_a_published_convir_is_converted_with_its_size(run, tmp_path):
    state = ConvIR(width=8, depth=1, full_depth=2).state_dict()
    published = {"encoder.1.0.conv_in.weight": "Encoder.1.layers.0.main.0.main.0.weight"}
    torch.save({"model": {published.get(key, key): value for key, value in state.items()}}, tmp_path / "its.pkl")
    status, out, _ = run("convert", tmp_path / "its.pkl", tmp_path / "its")
    assert status == 0
    assert "its: ConvIR, " in out
    config = json.loads((tmp_path / "its" / "config.json").read_text())
    assert config == {"model": "convir", "width": 8, "depth": 1, "in_channels": 3, "full_depth": 2}
    restored = load_model(tmp_path / "its").state_dict()
    assert all(torch.equal(restored[key], value) for key, value in state.items())
