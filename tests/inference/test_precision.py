import json

import pytest
import torch

from passband.inference import precision
from passband.inference.precision import agreement, agrees, bfloat16_time_ratio, fast_precision, probe_images

CPU = torch.device("cpu")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache folder, and a process that has probed nothing yet."""
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "cache"))
    fast_precision.cache_clear()
    yield tmp_path / "cache" / "precision.json"
    fast_precision.cache_clear()


def seconds(per_pixel):
    """A machine of that speed: dtype to seconds per pixel of a convolution."""
    calls = []

    def conv_seconds(dtype, side):
        calls.append((dtype, side))
        return per_pixel[dtype] * side**2

    return conv_seconds, calls


@pytest.mark.parametrize(("share", "chosen"), [(0.4, "bfloat16"), (0.79, "bfloat16"), (0.9, "float32"), (3, "float32")])
def test_a_precision_is_chosen_where_it_is_clearly_faster(cache, monkeypatch, share, chosen):
    probe, _ = seconds({torch.float32: 1e-5, torch.bfloat16: share * 1e-5})
    monkeypatch.setattr(precision, "_conv_seconds", probe)
    assert fast_precision(CPU, 2) == chosen


def test_a_machine_is_probed_once_and_another_number_of_threads_is_another_machine(cache, monkeypatch):
    monkeypatch.setattr(precision, "bfloat16_time_ratio", lambda: 0.4)
    assert fast_precision(CPU, 2) == "bfloat16"
    fast_precision.cache_clear()  # as a new process
    monkeypatch.setattr(precision, "bfloat16_time_ratio", lambda: 9.0)
    assert fast_precision(CPU, 2) == "bfloat16"
    assert fast_precision(CPU, 3) == "float32"
    assert sorted(json.loads(cache.read_text()).values()) == ["bfloat16", "float32"]


@pytest.mark.parametrize("content", ["", "[1]", '{"', "\x00"])
def test_a_damaged_record_is_made_again(cache, monkeypatch, content):
    cache.parent.mkdir()
    cache.write_text(content)
    monkeypatch.setattr(precision, "bfloat16_time_ratio", lambda: 0.4)
    assert fast_precision(CPU, 2) == "bfloat16"
    assert list(json.loads(cache.read_text()).values()) == ["bfloat16"]


def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "file" / "folder"))
    monkeypatch.setattr(precision, "bfloat16_time_ratio", lambda: 0.4)
    fast_precision.cache_clear()
    assert fast_precision(CPU, 2) == "bfloat16"
    fast_precision.cache_clear()


def test_emulated_bfloat16_is_given_up_after_one_small_convolution(monkeypatch):
    probe, calls = seconds({torch.float32: 1e-7, torch.bfloat16: 1e-4})
    monkeypatch.setattr(precision, "_conv_seconds", probe)
    assert bfloat16_time_ratio() == pytest.approx(1000)
    assert calls == [(torch.float32, 16), (torch.bfloat16, 16)]


def test_the_probe_itself_measures_this_machine():
    assert 0 < bfloat16_time_ratio(0.01) < float("inf")


def test_agreement_is_the_psnr_of_the_worse_picture():
    def spoiled(pictures):
        return pictures + torch.tensor([0.1, 0.001])[:, None, None, None]

    assert agreement(lambda x: x, spoiled, 8, 16) == pytest.approx(20, abs=1e-4)
    assert agreement(spoiled, spoiled, 8, 16) == float("inf")
    assert agreement(lambda x: x, lambda x: x * float("nan"), 8, 16) == float("-inf")


@pytest.mark.parametrize(("multiple", "minimum", "shape"), [(8, 16, (2, 6, 80, 96)), (64, 128, (2, 6, 128, 128))])
def test_probe_images_have_a_size_and_channels_that_the_network_takes(multiple, minimum, shape):
    assert probe_images(multiple, minimum, views=2).shape == shape


def test_the_agreement_of_a_network_is_measured_once_on_a_machine(cache):
    def network(fill):
        model = torch.nn.Conv2d(1, 1, 1, bias=False)
        torch.nn.init.constant_(model.weight, fill)
        model.arguments = {"width": 1}
        return model

    calls = []

    def measure(value):
        return lambda: calls.append(value) or value

    assert agrees(network(1.0), "bfloat16", CPU, measure(61.0))
    assert agrees(network(1.0), "bfloat16", CPU, measure(1.0))
    assert not agrees(network(2.0), "bfloat16", CPU, measure(2.0))
    assert not agrees(network(1.0), "float16", CPU, measure(3.0))
    assert not agrees(torch.nn.Conv2d(1, 1, 1), "bfloat16", CPU, measure(4.0))
    assert not agrees(torch.nn.Conv2d(1, 1, 1), "bfloat16", CPU, measure(5.0))
    assert calls == [61.0, 2.0, 3.0, 4.0, 5.0]
