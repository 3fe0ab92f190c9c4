"""Demonstrations that train, as a person types them; the trainings themselves are tested in tests/demos."""

import pytest

from passband.demos import detection, segmentation
from passband.training import StepReport


@pytest.fixture
def called(monkeypatch):
    """The arguments of each demonstration, which is not run."""
    calls = []

    def stand_in(output, *, report, **options):
        calls.append((output, options))
        report(StepReport(1, 1, 0.5, {}, 1.0, 0.0))
        return {"box_AP50": 0.9, "mask_AP50": 0.8, "f1": 0.7, "iou": 0.6}

    monkeypatch.setattr(detection, "demonstrate_detection", stand_in)
    monkeypatch.setattr(segmentation, "demonstrate_segmentation", stand_in)
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
