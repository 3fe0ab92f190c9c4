"""Exported classifiers and segmentation networks on the command line."""

import json

import pytest
from PIL import Image

from tests.classifiers import save_classifier, write_textures
from tests.segmenters import save_segmenter, write_blobs

pytestmark = pytest.mark.usefixtures("unchecked")


def test_an_exported_classifier_is_used_as_its_weights_are(run, tmp_path):
    weights, exported = save_classifier(tmp_path / "weights"), tmp_path / "exported.onnx"
    status, out, err = run("export", weights, "-o", exported)
    assert (status, err) == (0, "")
    first, second, path = out.splitlines()
    assert first.startswith("2 x 24 x 8 x 8: largest difference ")
    assert second.startswith("2 x 24 x 11 x 14: largest difference ")
    assert path == str(exported)

    data = write_textures(tmp_path / "data", count=1)
    options = ("--weights", exported, "--provider", "CPUExecutionProvider")
    assert run("classify", data, *options)[1] == run("classify", data, "--weights", weights)[1]
    status, out, _ = run("evaluate", exported, "--data", data, "-o", tmp_path / "report", *options[2:])
    assert status == 0
    report = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert (report["engine"], report["precision"], report["weights"]) == ("onnxruntime", "float32", str(exported))
    assert report["network"]["architecture"] == "dct-resnet18"
    assert len(report["images"]) == 3


def test_an_exported_segmentation_network_is_used_as_its_weights_are(run, tmp_path):
    weights, exported = save_segmenter(tmp_path / "weights"), tmp_path / "exported.onnx"
    assert run("export", weights, "-o", exported)[0] == 0
    image = write_blobs(tmp_path / "data", count=1) / "images" / "0.png"
    for source, name in ((weights, "torch.png"), (exported, "onnx.png")):
        assert run("segment", image, "--weights", source, "-o", tmp_path / name)[0] == 0
    masks = [Image.open(tmp_path / name).tobytes() for name in ("torch.png", "onnx.png")]
    assert masks[0] == masks[1]
    assert 0 < masks[0].count(255) < len(masks[0])
    report = ("--data", tmp_path / "data", "-o", tmp_path / "report", "--provider", "CPUExecutionProvider")
    assert run("evaluate", exported, *report)[0] == 0
    status, _, err = run("segment", image, "--weights", exported, "--provider", "CUDA", "-o", tmp_path / "a.png")
    assert status == 1
    assert "--provider is one of" in err
    status, _, err = run("segment", image, "--weights", weights, "--provider", "CPUExecutionProvider")
    assert status == 1
    assert "--provider is for exported files (.onnx), got the weights" in err


def test_a_provider_of_the_evaluation_of_a_restoration_needs_its_engine(run, tiny_weights, tmp_path):
    options = ("--data", tmp_path, "-o", tmp_path / "report", "--provider", "CPUExecutionProvider")
    status, _, err = run("evaluate", tiny_weights, *options)
    assert status == 1
    assert "--provider is for --engine onnxruntime, got the engine torch; leave it out" in err
