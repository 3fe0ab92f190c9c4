import pytest

from passband.demos import segmentation
from passband.demos.segmentation import demonstrate_segmentation
from passband.io.image import read_image
from passband.runs import read_run


def test_a_network_is_trained_and_its_masks_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(segmentation, "COUNTS", (8, 4))
    monkeypatch.setattr(segmentation, "SIDE", 64)
    monkeypatch.setitem(segmentation.RECIPE, "data", {**segmentation.RECIPE["data"], "size": 32})
    monkeypatch.setitem(segmentation.RECIPE, "model", {"name": "unet", "arguments": {"width": 4, "depth": 2}})
    monkeypatch.setattr(segmentation, "DRAWN", 2)
    steps = []
    scores = demonstrate_segmentation(tmp_path, steps=2, device="cpu", report=steps.append)
    assert [step.step for step in steps] == [1, 2]
    assert {"f1", "iou"} <= {*scores}
    assert read_run(tmp_path / "run")["network"]["classes_named"] == ["background", "shape"]
    assert read_image(tmp_path / "segment.png").shape[-1] >= 6 * 64
    with pytest.raises(FileExistsError, match="must be a new or empty folder"):
        demonstrate_segmentation(tmp_path, steps=2, device="cpu")
