"""`passband segment` and `passband evaluate` of a detector, as a person types them."""

import json

import pytest

from tests.classifiers import save_classifier
from tests.detectors import CLASSES, save_detector, write_shapes


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), count=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_detector(tmp_path_factory.mktemp("weights"))


def test_instances_of_pictures_are_written_with_overlays(run, shapes, weights, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    arguments = ["segment", shapes / "train2017", bad, "--weights", weights, "--overlay", "--score", 0.2]
    status, out, err = run(*arguments, "-o", tmp_path / "found", "--device", "cpu")
    assert status == 1
    assert len(out.splitlines()) == 2
    assert all(any(name in line for name in CLASSES) for line in out.splitlines())
    assert "failed: " in err
    assert "bad.jpg" in err
    assert err.splitlines()[-1].startswith("2 segmented, 1 failed; instances in ")
    content = json.loads((tmp_path / "found" / "instances.json").read_text())
    assert {category["name"] for category in content["categories"]} == set(CLASSES)
    assert min(one["score"] for one in content["annotations"]) >= 0.2
    assert len(list((tmp_path / "found" / "overlays").glob("*.png"))) == 2
    status, _, err = run(*arguments, "-o", tmp_path / "found", "--device", "cpu")
    assert status == 1
    assert "--overwrite" in err


def test_scores_are_of_detectors(run, shapes, tmp_path):
    classifier = save_classifier(tmp_path / "classifier")
    status, _, err = run("segment", shapes / "train2017", "--weights", classifier, "-o", tmp_path / "found")
    assert status == 1
    assert "passband train segment-small" in err


def test_a_detector_is_scored_with_published_figures_beside(run, shapes, weights, tmp_path):
    arguments = ["evaluate", weights, "--data", shapes, "-o", tmp_path / "report", "--device", "cpu"]
    status, out, _ = run(*arguments, "--benchmark", "coco")
    assert status == 0
    assert "| box AP | box AP50 |" in out
    assert "DCT-48S, 20 epochs" in out
    assert (tmp_path / "report" / "report.md").exists()
    status, _, err = run(*arguments, "--save")
    assert status == 1
    assert "--save" in err
