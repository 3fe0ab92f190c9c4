import pytest

from passband.demos import detection
from passband.demos.detection import demonstrate_detection
from passband.io.image import read_image
from passband.runs import read_run


def test_a_detector_is_trained_and_its_instances_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(detection, "COUNTS", (6, 4))
    monkeypatch.setattr(detection, "DRAWN", 2)
    monkeypatch.setattr(detection, "SIDE", 96)
    network, data = (detection.RECIPE[table] for table in ("model", "data"))
    small = {"width": 8, "features": 16, "box_features": 32, "smallest_anchor": 8}
    monkeypatch.setitem(detection.RECIPE, "model", {**network, "arguments": {**network["arguments"], **small}})
    monkeypatch.setitem(detection.RECIPE, "data", {**data, "min_size": [64], "max_size": 64, "batch": 4})
    steps = []
    scores = demonstrate_detection(tmp_path, steps=2, device="cpu", report=steps.append)
    assert [step.step for step in steps] == [1, 2]
    assert {"box_AP50", "mask_AP50"} <= {*scores}
    assert read_run(tmp_path / "run")["network"]["classes_named"] == list(detection.SHAPES)
    # one row of two images, each with its truth beside it, enlarged to readable captions
    assert read_image(tmp_path / "detect.png").shape[-1] >= 4 * 96
    with pytest.raises(FileExistsError, match="must be a new or empty folder"):
        demonstrate_detection(tmp_path, steps=2, device="cpu")
