import pytest
import torch

from passband.inference.engines.precision import agreement, agrees, probe_images

CPU = torch.device("cpu")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache folder."""
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "cache"))


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
