"""`passband export` as a person types it."""

import pytest
import torch

from passband.export import Exported
from passband.export.runtimes import OnnxRuntime
from passband.models import load_model
from tests.cli.test_cli import one_sentence
from tests.export.conftest import make_network


@pytest.fixture
def export(run):
    """Runs `passband export ARGUMENTS`."""
    return lambda *arguments: run("export", *arguments)


def test_export_says_how_near_the_file_is(export, tiny_weights, tmp_path):
    status, out, err = export(tiny_weights, "--to", "onnx", "-o", tmp_path / "tiny.onnx")
    assert (status, err) == (0, "")
    first, second, path = out.splitlines()
    assert first.startswith("80x64: ")
    assert second.startswith("104x120: ")
    assert "dB against torch, largest difference" in second
    assert path == str(tmp_path / "tiny.onnx")
    image = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        torch.testing.assert_close(
            OnnxRuntime(tmp_path / "tiny.onnx")(image), load_model(tiny_weights)(image)[-1], rtol=0, atol=1e-5
        )


def test_int8_says_its_cost(export, photographs, quantized_once, tmp_path):
    make_network().save_pretrained(tmp_path / "network")
    arguments = ("--to", "openvino", "-o", tmp_path / "tiny.xml", "--precision", "int8", "--calibration", photographs)
    status, out, _ = export(tmp_path / "network", *arguments)
    assert status == 0
    assert len(out.splitlines()) == 4  # its progress is elsewhere
    assert "PSNR against a clean photo:" in out
    assert "; int8 costs " in out


def test_a_mistake_is_one_sentence(export, tiny_weights, tmp_path):
    status, out, err = export(tiny_weights, "--to", "onnx", "-o", tmp_path / "tiny.xml")
    assert (status, out) == (1, "")
    assert err.startswith("Error: --to onnx needs an output that ends in .onnx")
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_size_is_width_by_height(export, monkeypatch, tmp_path):
    sizes = []
    monkeypatch.setattr(
        "passband.export.export_model",
        lambda *arguments, **_: sizes.append(arguments[-1]) or Exported(tmp_path, "float32"),
    )
    arguments = ("general", "--to", "coreml", "-o", tmp_path / "a.mlpackage")
    assert export(*arguments, "--size", "640x480")[0] == 0
    assert export(*arguments)[0] == 0
    assert sizes == [(480, 640), None]
    assert export(*arguments, "--size", "512")[0] == 0
    assert sizes[-1] == (512, 512)
    status, _, err = export(*arguments, "--size", "640x")
    assert one_sentence(status, err, "WIDTHxHEIGHT", "got '640x'")
