"""Tests of what this machine computes fast."""

import json

import pytest
import torch

from passband import hardware
from passband.hardware import bfloat16_time_ratio, fast_precision

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
    monkeypatch.setattr(hardware, "_conv_seconds", probe)
    assert fast_precision(CPU, 2) == chosen


def test_a_machine_is_probed_once_and_another_number_of_threads_is_another_machine(cache, monkeypatch):
    monkeypatch.setattr(hardware, "bfloat16_time_ratio", lambda: 0.4)
    assert fast_precision(CPU, 2) == "bfloat16"
    fast_precision.cache_clear()  # as a new process
    monkeypatch.setattr(hardware, "bfloat16_time_ratio", lambda: 9.0)
    assert fast_precision(CPU, 2) == "bfloat16"
    assert fast_precision(CPU, 3) == "float32"
    assert sorted(json.loads(cache.read_text()).values()) == ["bfloat16", "float32"]


@pytest.mark.parametrize("content", ["", "[1]", '{"', "\x00"])
def test_a_damaged_record_is_made_again(cache, monkeypatch, content):
    cache.parent.mkdir()
    cache.write_text(content)
    monkeypatch.setattr(hardware, "bfloat16_time_ratio", lambda: 0.4)
    assert fast_precision(CPU, 2) == "bfloat16"
    assert list(json.loads(cache.read_text()).values()) == ["bfloat16"]


def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "file" / "folder"))
    monkeypatch.setattr(hardware, "bfloat16_time_ratio", lambda: 0.4)
    fast_precision.cache_clear()
    assert fast_precision(CPU, 2) == "bfloat16"
    fast_precision.cache_clear()


def test_emulated_bfloat16_is_given_up_after_one_small_convolution(monkeypatch):
    probe, calls = seconds({torch.float32: 1e-7, torch.bfloat16: 1e-4})
    monkeypatch.setattr(hardware, "_conv_seconds", probe)
    assert bfloat16_time_ratio() == pytest.approx(1000)
    assert calls == [(torch.float32, 16), (torch.bfloat16, 16)]


def test_the_probe_itself_measures_this_machine():
    assert 0 < bfloat16_time_ratio(0.01) < float("inf")
