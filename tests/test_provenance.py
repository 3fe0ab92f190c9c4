import psutil
import pytest
import torch
from PIL import features

from passband.models import SFNet, load_model
from passband.provenance import environment, jpeg_decoder, peak_memory, reset_peak_memory, weights_checksum
from passband.weights_io import save_weights


def test_the_decoder_is_named_with_pillows_version_of_it(monkeypatch):
    name, version = jpeg_decoder().split()
    assert version == features.version("libjpeg_turbo" if name == "libjpeg-turbo" else "jpg")
    assert environment()["jpeg_decoder"] == jpeg_decoder()
    monkeypatch.setattr(features, "check_feature", lambda name: False)
    assert jpeg_decoder() == f"libjpeg {features.version('jpg')}"


def test_a_checksum_is_of_the_weights_and_not_of_their_file(tiny_weights, tmp_path):
    model = load_model(tiny_weights)
    checksum = weights_checksum(model)
    assert len(checksum) == 64
    save_weights(model, tmp_path / "again", {"model": "sfnet", **model.arguments})
    assert weights_checksum(load_model(tmp_path / "again", pool_window=80)) == checksum
    state = {name: value for name, value in model.state_dict().items() if "num_batches_tracked" not in name}
    torch.save({"model": state}, tmp_path / "pickle.pkl")
    assert weights_checksum(load_model(tmp_path / "pickle.pkl", width=16, depth=1)) == checksum


@pytest.mark.parametrize("entry", ["head.0.bias", "encoder.0.0.filters.0.norm.running_var"])
def test_one_value_less_its_last_bit_has_another_checksum(entry):
    torch.manual_seed(0)
    model = SFNet(width=16, depth=1)
    before = weights_checksum(model)
    values = model.state_dict()[entry]
    values[-1] = torch.nextafter(values[-1], torch.tensor(9.0))
    assert weights_checksum(model) != before


def test_peak_memory_is_in_bytes_and_at_least_what_is_held():
    held = torch.ones(10_000_000)
    resident = psutil.Process().memory_info().rss
    assert held.nbytes < resident
    assert resident <= peak_memory(torch.device("cpu")) + 4096 < 100 * resident


def test_a_reset_peak_forgets_memory_that_was_freed():
    cpu = torch.device("cpu")
    held = torch.ones(100_000_000)  # 400 MB, far more than other memory moves in between
    before = peak_memory(cpu)
    del held
    if reset_peak_memory(cpu):  # Linux can
        assert peak_memory(cpu) < before - 100e6
    else:
        assert peak_memory(cpu) >= before
