import errno
import os

import pytest
import torch

from passband.export import ExportError, export_model, restoration_graph, write
from passband.export.ncnn.runtime import NcnnRuntime
from passband.export.runtimes import OnnxRuntime, OpenVINORuntime, read_openvino
from passband.io.failures import WriteError
from passband.io.onnx_metadata import read_onnx_metadata
from passband.models import load_model


@pytest.mark.parametrize(
    ("to", "name", "runtime"),
    [("onnx", "a.onnx", OnnxRuntime), ("openvino", "a.xml", OpenVINORuntime), ("ncnn", "a.ncnn.param", NcnnRuntime)],
)
def test_a_file_is_compared_at_two_sizes_and_is_the_network(network_weights, tmp_path, to, name, runtime):
    exported = export_model(network_weights, tmp_path / "out" / name, to)
    assert [(parity.height, parity.width) for parity in exported.parities] == [(64, 80), (120, 104)]
    assert all(parity.largest_difference < 1e-4 and parity.psnr > 80 for parity in exported.parities)
    assert exported.psnr_torch is None
    image = torch.rand(1, 3, 40, 48)
    with torch.no_grad():
        reference = load_model(network_weights)(image)[-1]
    torch.testing.assert_close(runtime(exported.path)(image), reference, rtol=0, atol=1e-5)
    # nothing else is left
    assert {path.name.split(".")[0] for path in exported.path.parent.iterdir()} == {"a"}


@pytest.mark.parametrize(("to", "name"), [("onnx", "a.onnx"), ("openvino", "a.xml"), ("ncnn", "a.ncnn.param")])
def test_half_precision_halves_the_files(network_weights, tmp_path, to, name):
    sizes = {}
    for precision in ("float32", "float16"):
        exported = export_model(network_weights, tmp_path / precision / name, to, precision)
        # the graph itself, in the .xml or .param, does not shrink
        files = [path for path in exported.path.parent.iterdir() if path.suffix not in (".xml", ".param")]
        sizes[precision] = max(path.stat().st_size for path in files)
    assert min(parity.psnr for parity in exported.parities) > 60
    assert sizes["float16"] < 0.7 * sizes["float32"]


def test_int8_says_what_it_costs_against_clean_pictures(network_weights, photographs, quantized_once, tmp_path):
    exported = export_model(network_weights, tmp_path / "a.xml", "openvino", "int8", calibration=photographs)
    assert exported.psnr_torch is not None
    assert exported.psnr_exported is not None
    assert exported.psnr_exported == pytest.approx(exported.psnr_torch, abs=1)
    assert min(parity.psnr for parity in exported.parities) > 30


@pytest.mark.parametrize(("to", "name"), [("onnx", "a.onnx"), ("openvino", "a.xml"), ("ncnn", "a.ncnn.param")])
def test_a_disk_without_room_for_a_file_is_one_sentence_that_names_it(network_weights, tmp_path, monkeypatch, to, name):
    def full(*_, **__):
        monkeypatch.setattr("passband.io.failures.os.fsync", no_room)
        raise (RuntimeError("basic_ios::clear: iostream error") if to == "openvino" else no_room())

    def no_room(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = {"onnx": "_write", "openvino": "save_openvino", "ncnn": "write_ncnn"}[to]
    monkeypatch.setattr(f"passband.export.write.{writer}", full)
    with pytest.raises(WriteError) as caught:
        export_model(network_weights, tmp_path / "new" / name, to)
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'new' / name}: no space left in {tmp_path / 'new'}; free some space there, or "
        "choose another folder"
    )
    assert list((tmp_path / "new").iterdir()) == []


def test_a_file_that_is_not_the_network_any_more_is_not_written(network_weights, tmp_path, monkeypatch):
    other = load_model(network_weights)
    torch.nn.init.constant_(other.head[0].bias, 0.5)
    monkeypatch.setattr(write, "restoration_graph", lambda _, half=False, size=None: restoration_graph(other, half))
    with pytest.raises(ExportError, match=r"float32 has a difference of \d.*at most 1e-04 is needed, so nothing"):
        export_model(network_weights, tmp_path / "a.onnx", "onnx")
    with pytest.raises(ExportError, match=r"float16 has a PSNR of \d+\.\d dB.*at least 60 dB is needed, so nothing"):
        export_model(network_weights, tmp_path / "a.onnx", "onnx", "float16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "to", "precision", "calibration", "says"),
    [
        ("a.onnx", "tensorrt", "float32", None, "writes onnx, openvino, ncnn, coreml; got --to tensorrt"),
        ("a.xml", "onnx", "float32", None, "--to onnx needs an output that ends in .onnx; got .*a.xml"),
        ("a", "openvino", "float32", None, "--to openvino needs an output that ends in .xml"),
        ("a.param", "ncnn", "float32", None, "--to ncnn needs an output that ends in .ncnn.param; got .*a.param"),
        ("a.ncnn.param", "ncnn", "int8", None, "int8 is for OpenVINO; use --to openvino"),
        ("a.onnx", "onnx", "int8", None, "int8 is for OpenVINO; use --to openvino"),
        ("a.xml", "openvino", "bfloat16", None, "choose bfloat16 when the file runs"),
        ("a.mlpackage", "coreml", "int8", None, "int8 is for OpenVINO; use --to openvino"),
        ("a.xml", "openvino", "float32", ".", "--calibration is for --precision int8; got float32"),
    ],
)
def test_what_does_not_fit_together_is_said_before_anything_is_loaded(
    output, to, precision, calibration, says, tmp_path
):
    with pytest.raises(ExportError, match=says):
        export_model("no such weights", tmp_path / output, to, precision, calibration and tmp_path)


@pytest.mark.parametrize(("name", "runtime"), [("a.onnx", OnnxRuntime), ("a.xml", OpenVINORuntime)])
def test_a_file_of_one_size_says_its_size_and_takes_no_other(network_weights, tmp_path, name, runtime):
    exported = export_model(network_weights, tmp_path / name, size=(32, 48))
    assert [(parity.height, parity.width) for parity in exported.parities] == [(32, 48)]
    engine = runtime(exported.path)
    assert (engine.size, engine.sizes.multiple, engine.sizes.minimum) == ((32, 48), 8, 16)
    image = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(engine(image), load_model(network_weights)(image)[-1], rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="takes images of 48x32 pixels only, got 32x48; use .*, or export it without"):
        engine(image.mT)
    if runtime is OnnxRuntime:
        assert read_onnx_metadata(exported.path)["size"] == "48x32"
        openvino = OpenVINORuntime(exported.path)
        assert openvino.size == (32, 48)
        torch.testing.assert_close(openvino(image), engine(image), rtol=0, atol=1e-5)
    else:
        assert read_openvino(exported.path).get_rt_info(["passband", "size"]).astype(str) == "48x32"


def test_int8_of_one_size_is_compared_at_this_size(network_weights, photographs, quantized_once, tmp_path):
    exported = export_model(network_weights, tmp_path / "a.xml", "openvino", "int8", photographs, size=(32, 48))
    assert [(parity.height, parity.width) for parity in exported.parities] == [(32, 48)]
    assert exported.psnr_exported == pytest.approx(exported.psnr_torch, abs=1)


@pytest.mark.parametrize("name", ["a.onnx", "a.xml"])
def test_a_size_that_the_network_does_not_take_is_refused_with_the_next_one(network_weights, tmp_path, name):
    with pytest.raises(ExportError, match="divisible by 8 and at least 16 pixels, got 50x8; use --size 56x16 and pad"):
        export_model(network_weights, tmp_path / name, size=(8, 50))
    assert list(tmp_path.iterdir()) == []


def test_files_of_ncnn_have_no_size(tmp_path):
    with pytest.raises(ExportError, match="for --to onnx, openvino and coreml; a file of ncnn takes"):
        export_model("no such weights", tmp_path / "a.ncnn.param", "ncnn", size=(64, 64))
