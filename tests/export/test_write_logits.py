"""Exported classifiers and segmentation networks as files."""

import json

import onnx
import onnxruntime
import pytest
import torch

from passband.data.classifier_input import Preprocessing
from passband.export import ExportError, export_model, write_logits
from passband.models import build_model, load_model
from passband.state_dicts import CheckpointError
from passband.weights_io import load_config
from tests.classifiers import save_classifier
from tests.segmenters import save_segmenter

pytestmark = pytest.mark.usefixtures("unchecked")


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_an_exported_classifier_says_how_it_is_fed_and_what_it_answers(tmp_path):
    weights = save_classifier(tmp_path / "weights")
    exported = export_model(weights, tmp_path / "new" / "a.onnx")
    assert [parity.shape for parity in exported.parities] == [(2, 24, 8, 8), (2, 24, 11, 14)]
    assert all(parity.largest_difference < 1e-4 for parity in exported.parities)
    assert [path.name for path in exported.path.parent.iterdir()] == ["a.onnx"]
    session = onnxruntime.InferenceSession(exported.path)
    (input_,), (output,) = session.get_inputs(), session.get_outputs()
    assert (input_.name, input_.shape) == ("coefficients", ["batch", 24, "height", "width"])
    assert (output.name, output.shape) == ("logits", ["batch", 3])

    entries = metadata(exported.path)
    assert (entries["task"], entries["network"]) == ("classification", "dct-resnet18")
    assert json.loads(entries["classes"]) == ["coarse", "fine", "middle"]
    config = load_config(weights)
    assert Preprocessing.from_config(json.loads(entries["preprocessing"])).to_config() == config["preprocessing"]
    assert "DCT coefficients of Y, Cb and Cr, one cell for 8 x 8 pixels" in entries["input"]
    assert "the center of an image as a square of 64 pixels" in entries["input"]
    stored = load_config(exported.path)
    assert {name: stored[name] for name in config} == config

    view = torch.randn(1, 24, 8, 8)
    with torch.no_grad():
        expected = load_model(weights)(view)
    logits = torch.from_numpy(session.run(["logits"], {"coefficients": view.numpy()})[0])
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_an_exported_segmentation_network_says_how_it_is_fed_and_what_it_answers(tmp_path):
    weights = save_segmenter(tmp_path / "weights", classes=2, classes_named=["ground", "polyp"])
    exported = export_model(weights, tmp_path / "a.onnx", "onnx")
    assert [parity.shape for parity in exported.parities] == [(2, 3, 32, 32), (2, 3, 36, 40)]
    session = onnxruntime.InferenceSession(exported.path)
    assert (session.get_inputs()[0].name, session.get_outputs()[0].shape) == ("image", ["batch", 2, "height", "width"])
    entries = metadata(exported.path)
    assert (entries["task"], entries["network"], entries["multiple"]) == ("segmentation", "unet", "4")
    assert json.loads(entries["classes"]) == ["ground", "polyp"]
    assert json.loads(entries["preprocessing"])["size"] == 32
    assert "RGB in [0, 1]; sides are multiples of 4 pixels" in entries["input"]


def test_pixels_are_described_with_their_colors_and_weights_without_preprocessing_as_such(tmp_path):
    entries = metadata(export_model(save_classifier(tmp_path / "y", "resnet18", "ycbcr"), tmp_path / "y.onnx").path)
    assert entries["input"].startswith("image: batch, 3, height, width; float32. YCbCr (full range, as in JPEG) in [0")
    network = build_model("dct-vit", channels=4, classes=2, width=8, heads=2, depth=1)
    network.save_pretrained(tmp_path / "vit")
    exported = export_model(tmp_path / "vit", tmp_path / "vit.onnx")
    assert exported.parities[0].shape == (2, 4, 28, 28)
    entries = metadata(exported.path)
    assert entries["input"].endswith("The weights do not say how images are prepared.")
    assert json.loads(entries["classes"]) == ["0", "1"]
    assert "preprocessing" not in entries


def test_a_file_whose_logits_are_others_is_not_written(tmp_path, monkeypatch):
    weights = save_segmenter(tmp_path / "weights")
    graph = write_logits.logits_graph

    def wrong_graph(model, *arguments):
        torch.nn.init.constant_(model.head.bias, 7.0)
        proto = graph(model, *arguments)
        torch.nn.init.constant_(model.head.bias, 7.01)
        return proto

    monkeypatch.setattr(write_logits, "logits_graph", wrong_graph)
    with pytest.raises(
        ExportError, match=r"must differ from those of torch by at most 1e-04 .*, but 2 x 3 x 32 x 32: la"
    ):
        export_model(weights, tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_the_accepted_difference_grows_with_the_logits_above_1_and_is_no_nan():
    assert write_logits.LogitsParity((1, 3, 4, 4), 0.9e-4, 0.1).agrees
    assert not write_logits.LogitsParity((1, 3, 4, 4), 1.1e-4, 0.1).agrees
    assert write_logits.LogitsParity((1, 3, 4, 4), 1.1e-3, 20.0).agrees
    assert not write_logits.LogitsParity((1, 3, 4, 4), float("nan"), 1.0).agrees


@pytest.mark.parametrize(
    ("output", "options", "says"),
    [
        (
            "a.xml",
            {},
            "unet can be exported to ONNX only, got openvino; use --to onnx. OpenVINO reads this file itself.",
        ),
        ("a.ncnn.param", {"to": "ncnn"}, "unet can be exported to ONNX only, got ncnn; use --to onnx.$"),
        (
            "a.onnx",
            {"precision": "float16"},
            "unet can be exported in float32 only, got float16; leave out --precision",
        ),
        ("a.xml", {"provider": "CPUExecutionProvider"}, "--provider is for --to onnx; got openvino"),
        ("a.onnx", {"provider": "CPU"}, "--provider is one of .*CPUExecutionProvider.*; got 'CPU'"),
        ("a.bin", {}, "an output that ends in .onnx, .xml, .ncnn.param, .mlpackage; got .*a.bin"),
    ],
)
def test_formats_that_logits_do_not_have_are_refused_with_what_there_is(output, options, says, tmp_path):
    weights = save_segmenter(tmp_path / "weights")
    with pytest.raises(ExportError, match=says):
        export_model(weights, tmp_path / output, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (
            "detection",
            "cannot write any: it cuts a varying number of boxes .* Use passband segment, which runs it in torch",
        ),
        ("inspection", "cannot write any: it looks at several views of an image. Use passband inspect"),
        ("other", "cannot write any: it is of no task that export knows"),
    ],
)
def test_networks_of_other_tasks_are_refused_with_the_reason(task, says):
    network = torch.nn.Identity()
    network.name, network.task = "any", task
    with pytest.raises(ExportError, match=says):
        write_logits.check_logits_export(network, "onnx", "float32")


def test_weights_that_name_more_classes_than_they_have_are_refused(tmp_path):
    weights = save_segmenter(tmp_path / "weights", classes=3, classes_named=["a", "b"])
    with pytest.raises(CheckpointError, match=r"tells 3 classes apart, but its config.json names 2"):
        export_model(weights, tmp_path / "a.onnx")
