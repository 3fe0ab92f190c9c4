import torch

from passband.data.pasting import DrawnShapes, PasteSettings, SetPlan, paste_mask_set
from passband.demos import small_training
from passband.demos.segmentation import RECIPE
from passband.demos.small_training import no_display, train_small


def test_a_time_becomes_steps_and_a_busy_machine_trains_the_least_number(tmp_path, monkeypatch):
    monkeypatch.setattr(small_training, "LEAST_STEPS", 3)
    paste_mask_set(DrawnShapes(("disc",)), tmp_path / "set", SetPlan((4, 2), PasteSettings((32, 32), (1, 1))))
    settings = {**RECIPE, "data": {**RECIPE["data"], "size": 32}}
    options = {"steps": None, "device": "cpu", "report": no_display}
    timed = []

    def time_steps(*_, **__):
        timed.append(torch.get_num_threads())
        return (1e9 if len(timed) == 1 else 1.0), 0.0

    monkeypatch.setattr(small_training, "time_steps", time_steps)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
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


def test_the_faster_number_of_threads_trains_and_the_former_number_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(small_training, "LEAST_STEPS", 2)
    paste_mask_set(DrawnShapes(("disc",)), tmp_path / "set", SetPlan((4, 2), PasteSettings((32, 32), (1, 1))))
    settings = {**RECIPE, "data": {**RECIPE["data"], "size": 32}}
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        monkeypatch.setattr(
            small_training, "time_steps", lambda *_, **__: ({1: 1e8, 2: 1e9}[torch.get_num_threads()], 0.0)
        )
        options = {"steps": None, "device": "cpu", "report": lambda step: seen.append(torch.get_num_threads())}
        train_small(settings, tmp_path / "set", tmp_path / "run", minutes=1.0, **options)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1]
