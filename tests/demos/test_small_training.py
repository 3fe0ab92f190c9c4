from passband.data.pasting import DrawnShapes, PasteSettings, SetPlan, paste_mask_set
from passband.demos import small_training
from passband.demos.segmentation import RECIPE
from passband.demos.small_training import no_display, train_small


def test_a_time_becomes_steps_and_a_busy_machine_trains_the_least_number(tmp_path, monkeypatch):
    monkeypatch.setattr(small_training, "LEAST_STEPS", 3)
    paste_mask_set(DrawnShapes(("disc",)), tmp_path / "set", SetPlan((4, 2), PasteSettings((32, 32), (1, 1))))
    settings = {**RECIPE, "data": {**RECIPE["data"], "size": 32}}
    options = {"steps": None, "device": "cpu", "report": no_display}
    seconds = iter((1e9, 1.0))
    monkeypatch.setattr(small_training, "time_steps", lambda *_, **__: (next(seconds), 0.0))
    busy = train_small(settings, tmp_path / "set", tmp_path / "busy", minutes=1.0, **options)
    assert busy.step == busy.steps == 3
    quick = train_small(settings, tmp_path / "set", tmp_path / "quick", minutes=0.1, **options)
    assert quick.step == 5  # nine tenths of six seconds


def test_steps_are_timed_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(small_training, "LEAST_STEPS", 3)
    paste_mask_set(DrawnShapes(("disc",)), tmp_path / "set", SetPlan((4, 2), PasteSettings((32, 32), (1, 1))))
    settings = {**RECIPE, "data": {**RECIPE["data"], "size": 32}}
    options = {"steps": None, "device": "cpu", "report": no_display}
    progress = train_small(settings, tmp_path / "set", tmp_path / "run", minutes=1e-6, **options)
    assert progress.step == 3
