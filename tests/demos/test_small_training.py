from passband.demos import segmentation
from passband.demos.segmentation import demonstrate_segmentation
from passband.run_length import LEAST_STEPS


def test_a_machine_that_is_too_slow_for_the_time_trains_the_least_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(segmentation, "COUNTS", (8, 2))
    monkeypatch.setattr(segmentation, "SIDE", 32)
    monkeypatch.setattr(
        segmentation, "RECIPE", {**segmentation.RECIPE, "data": {**segmentation.RECIPE["data"], "size": 16}}
    )
    steps = []
    demonstrate_segmentation(tmp_path, minutes=1e-6, device="cpu", report=steps.append)
    assert len(steps) == LEAST_STEPS
