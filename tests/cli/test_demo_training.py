"""Demonstrations that train, as a person types them; the trainings themselves are tested in tests/demos."""

from inspect import signature

import pytest

from passband.demos import classification, curriculum, detection, segmentation
from passband.demos.classification import Answers
from passband.demos.curriculum import Trained
from passband.training import StepReport


@pytest.fixture
def called(monkeypatch):
    """The arguments of each demonstration, which is not run."""
    calls = []

    def replace(module, name, result, *shown):
        parameters = signature(getattr(module, name))

        def stand_in(output, *, report, **options):
            parameters.bind(output, report=report, **options)
            calls.append((output, options))
            report(StepReport(1, 1, 0.5, {}, 1.0, 0.0), *shown)
            return result

        monkeypatch.setattr(module, name, stand_in)

    replace(detection, "demonstrate_detection", {"box_AP50": 0.9, "mask_AP50": 0.8})
    replace(segmentation, "demonstrate_segmentation", {"f1": 0.7, "iou": 0.6})
    replace(classification, "demonstrate_classification", Answers(5, 6))
    results = {"whole images": Trained(40.0, 7, 0.5), "curriculum": Trained(30.0, 7, 0.625)}
    replace(curriculum, "demonstrate_curriculum", results, "whole images")
    return calls


def test_detect_says_what_to_type_for_ones_own_folder(run, called, tmp_path):
    status, out, err = run("demo", "detect", "-o", tmp_path, "--seed", 3, "--device", "cpu")
    assert status == 0
    assert called == [(tmp_path, {"seed": 3, "minutes": 1.0, "steps": None, "device": "cpu"})]
    assert "for a minute" in out
    assert "box AP50 90 %, mask AP50 80 %" in out
    assert str(tmp_path / "detect.png") in out
    assert "passband train detection-small --data FOLDER" in out
    assert "passband paste SET --objects CUTOUTS --photos PHOTOS" in out
    assert "step 1 of 1" in err


def test_segment_says_what_to_type_for_ones_own_folder(run, called, tmp_path):
    status, out, _ = run("demo", "segment", "-o", tmp_path, "--steps", 7)
    assert status == 0
    assert called == [(tmp_path, {"seed": 0, "minutes": 1.0, "steps": 7, "device": "auto"})]
    assert "for 7 steps" in out
    assert "F1 0.70, IoU 0.60" in out
    assert str(tmp_path / "segment.png") in out
    assert "passband train segment-small --data FOLDER" in out


def test_classify_says_the_score_the_pictures_and_what_to_type_next(run, called, tmp_path):
    status, out, _ = run("demo", "classify", "-o", tmp_path, "--minutes", 0.5)
    assert status == 0
    assert called == [(tmp_path, {"seed": 0, "minutes": 0.5, "steps": None, "device": "auto"})]
    assert "trains a network for 0.5 minutes" in out
    assert "5 of 6 are classified correctly" in out
    assert f"passband classify IMAGES --weights {tmp_path / 'run'}" in out
    assert "passband train dct-small --data FOLDER" in out


def test_curriculum_says_both_times_the_chart_and_what_to_type_next(run, called, tmp_path):
    status, out, err = run("demo", "curriculum", "-o", tmp_path, "--steps", 7)
    assert status == 0
    assert called == [(tmp_path, {"seed": 0, "minutes": 1.0, "steps": 7, "device": "auto"})]
    assert "trains a network twice, for 7 steps each" in out
    assert "Dice of new images 0.625" in out
    assert "the same steps took 0.75 of the time" in out
    assert str(tmp_path / "curriculum.png") in out
    assert "passband train segment-small --data FOLDER -o runs/mine" in out
    assert "whole images" in err
