from unittest.mock import Mock

import pytest
import torch

from passband.export import ExportError, quantize
from passband.export.quantize import calibration_images, quantized
from passband.export.runtimes import OpenVINORuntime
from passband.io.image import write_image


@pytest.fixture
def few_pictures(monkeypatch, photographs):
    """Four small pictures to calibrate on."""
    pictures = calibration_images(photographs)
    monkeypatch.setattr(quantize, "calibration_images", lambda folder=None, views=1: pictures)
    return pictures


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("error", [PermissionError("Permission denied"), RuntimeError("iostream error")])
def test_a_cache_that_cannot_be_written_stops_nothing(network, cache, monkeypatch, error):
    made = object()
    monkeypatch.setattr(quantize, "quantize", lambda *_: made)
    monkeypatch.setattr(quantize, "calibration_images", lambda views: [])
    monkeypatch.setattr("openvino.save_model", Mock(side_effect=error))
    assert quantized(network) is made
    assert list(cache.iterdir()) == []


def test_int8_agrees_keeps_dynamic_filters_in_float_and_is_made_once(
    network, few_pictures, quantized_once, cache, photograph, monkeypatch
):
    made = quantized(network)
    rounded = [node for node in made.get_ops() if node.get_type_name() == "FakeQuantize"]
    takers = [taker.get_node() for node in rounded for taker in node.output(0).get_target_inputs()]
    assert {taker.get_type_name() for taker in takers} == {"Convolution", "ConvolutionBackpropData"}
    names = [taker.get_friendly_name() for taker in takers]
    assert sum(".conv_in" in name or ".conv_out" in name for name in names) == 6
    # of depth 1, so its encoders are first blocks alone
    floats = ("filters", "shallow", "stem.0", "head", "encoder", "fuse", "merge")
    assert not any(part in name for name in names for part in floats)
    image = photograph[None, :, 40:80, 60:108]
    with torch.no_grad():
        restored = network(image)[-1]
    error = (OpenVINORuntime(made, "int8")(image) - restored).square().mean()
    assert 0 < error < 1e-3  # 30 dB of a random network, and something was rounded

    written = sorted(cache.iterdir())
    assert [path.suffix for path in written] == [".bin", ".xml"]
    with monkeypatch.context() as patch:
        patch.setattr(quantize, "quantize", lambda *_: pytest.fail("made again"))
        again = quantized(network)
    first, second = (OpenVINORuntime(model, "int8")(image) for model in (made, again))
    torch.testing.assert_close(second, first, rtol=0, atol=2e-3)  # the file may fold constants

    written[1].write_text("cut off")
    monkeypatch.setattr(quantize, "quantize", lambda *_: made)
    assert quantized(network) is made
    assert "cut off" not in written[1].read_text()


def test_calibration_covers_all_degradations_in_as_many_views(photographs, tmp_path):
    pictures = calibration_images()
    assert len(pictures) == 15
    assert all(picture.shape[0] == 3 and picture.min() >= 0 and picture.max() <= 1 for picture in pictures)
    (six, *_) = calibration_images(photographs, views=2)
    assert torch.equal(six[:3], six[3:])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExportError, match="needs a folder of degraded images, and .*empty holds none"):
        calibration_images(tmp_path / "empty")


def test_a_large_calibration_folder_is_thinned_out_evenly(tmp_path):
    for number in range(130):
        write_image(tmp_path / f"{number:03}.png", torch.full((3, 2, 2), number / 255))
    levels = [round(picture[0, 0, 0].item() * 255) for picture in calibration_images(tmp_path)]
    assert levels == list(range(0, 130, 3))


def test_pictures_with_other_channels_are_refused(network):
    with pytest.raises(ExportError, match="take 3 channels, and a calibration image has 6"):
        quantize.quantize(network, [torch.rand(6, 20, 20)])
