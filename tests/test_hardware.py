"""Tests of what this machine computes fast."""

import json
from types import SimpleNamespace

import pytest
import torch

from passband import hardware
from passband.hardware import (
    bfloat16_time_ratio,
    convolves_in_tf32,
    fast_precision,
    resolved_precision,
    restoration_precision,
    training_precision,
)

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


CUDA = torch.device("cuda")


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that pretends that this machine has a GPU, of a capability and of a size in GB."""

    def pretend(capability, gigabytes, hip=None):
        properties = SimpleNamespace(total_memory=int(gigabytes * 1e9))
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capability >= (8, 0))

    fast_precision.cache_clear()
    yield pretend
    fast_precision.cache_clear()


@pytest.mark.parametrize(
    ("capability", "gigabytes", "cap", "chosen"),
    [
        ((9, 0), 85, None, "float32"),
        ((8, 6), 17, None, "float32"),
        ((8, 6), 12, None, "bfloat16"),
        ((9, 0), 85, 8_000_000_000, "bfloat16"),
        ((9, 0), 85, 20_000_000_000, "float32"),
        ((8, 6), 12, 20_000_000_000, "bfloat16"),
        ((7, 5), 25, None, "float16"),
        ((6, 1), 25, None, "float32"),
    ],
)
def test_restoration_is_in_float32_on_a_gpu_with_tf32_and_room_for_large_images(
    gpu, capability, gigabytes, cap, chosen
):
    gpu(capability, gigabytes)
    assert restoration_precision(CUDA, 2, cap) == chosen
    trained = "bfloat16" if chosen == "bfloat16" else "float32"
    if cap is None:
        assert training_precision(CUDA) == resolved_precision("auto", CUDA, "restoration") == trained


def test_other_tasks_train_in_bfloat16_on_a_gpu_that_has_it(gpu):
    gpu((9, 0), 85)
    assert resolved_precision("auto", CUDA, "segmentation") == "bfloat16"
    assert resolved_precision("float32", CUDA, "segmentation") == "float32"


def test_restoration_is_in_bfloat16_where_torch_may_not_use_tf32(gpu):
    gpu((9, 0), 85)
    before = torch.backends.cudnn.allow_tf32
    try:
        for is_allowed in (False, True):
            torch.backends.cudnn.allow_tf32 = is_allowed
            assert convolves_in_tf32(CUDA) == is_allowed
            assert restoration_precision(CUDA, 2) == ("float32" if is_allowed else "bfloat16")
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_amd_gpus_have_no_tf32(gpu):
    gpu((9, 4), 192, hip="6.4")
    assert not convolves_in_tf32(CUDA)


@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_processor_restores_and_trains_in_its_fast_precision(cache, monkeypatch, share):
    monkeypatch.setattr(hardware, "bfloat16_time_ratio", lambda: share)
    chosen = "bfloat16" if share < 0.8 else "float32"
    threads = torch.get_num_threads()
    assert restoration_precision(CPU, threads) == training_precision(CPU) == fast_precision(CPU, threads) == chosen
