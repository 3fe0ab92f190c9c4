import pytest
import torch

from passband.data.pasting import DrawnShapes, PasteSettings, SetPlan, paste_set
from passband.demos import small_training
from passband.demos.segmentation import RECIPE
from passband.demos.small_training import LEAST_STEPS, new_folders, no_display, train_small
from passband.runs import Progress, RunError

SETTINGS = {
    **RECIPE,
    "data": {**RECIPE["data"], "size": 32},
    "model": {"name": "unet", "arguments": {"width": 4, "depth": 2}},
}
OPTIONS = {"steps": None, "device": "cpu", "report": no_display}


@pytest.fixture
def trained(monkeypatch):
    """The recipe and the number of threads of each training, which is not run."""
    runs = []

    def remember(recipe, *_, **__):
        runs.append((recipe, torch.get_num_threads()))
        return Progress()

    monkeypatch.setattr(small_training, "train", remember)
    return runs


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [(1e9, LEAST_STEPS), (0.01, 5400)],  # a busy machine trains the least number; else nine tenths of a minute
)
def test_a_time_becomes_steps(seconds, steps, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(small_training, "time_steps", lambda *_, **__: (seconds, 0.0))
    train_small(SETTINGS, tmp_path / "set", tmp_path / "run", minutes=1.0, validations=4, **OPTIONS)
    assert [(recipe.optim.steps, recipe.validation.every) for recipe, _ in trained] == [(steps, steps // 4)]


def test_steps_are_timed_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(small_training, "LEAST_STEPS", 3)
    paste_set(
        "segmentation", DrawnShapes(("disc",)), tmp_path / "set", SetPlan((4, 2), PasteSettings((32, 32), (1, 1)))
    )
    progress = train_small(SETTINGS, tmp_path / "set", tmp_path / "run", minutes=1e-6, **OPTIONS)
    assert progress.step == progress.steps == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(143)])
def test_an_interrupted_demonstration_removes_its_own_folders_alone(tmp_path, error):
    (tmp_path / "mine").mkdir()
    with pytest.raises((KeyboardInterrupt, SystemExit)), new_folders(tmp_path / "mine", tmp_path / "run"):
        (tmp_path / "run" / "weights").mkdir(parents=True)
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_failed_demonstration_keeps_what_tells_why(tmp_path):
    with pytest.raises(RunError), new_folders(tmp_path / "run"):
        (tmp_path / "run").mkdir()
        raise RunError("the loss is nan")
    assert (tmp_path / "run").is_dir()


def test_a_signal_ends_a_demonstration_and_the_timing_of_its_steps(tmp_path, monkeypatch):
    def stopped(*_, **__):
        return Progress(signal=15, is_stopped=True)

    monkeypatch.setattr(small_training, "train", stopped)
    monkeypatch.setattr("passband.run_length.train", stopped)
    for steps in (2, None):
        with pytest.raises(SystemExit) as ended:
            train_small(SETTINGS, tmp_path, tmp_path / "run", minutes=1.0, **{**OPTIONS, "steps": steps})
        assert ended.value.code == 143


def test_the_faster_number_of_threads_trains_and_the_former_number_comes_back(trained, tmp_path, monkeypatch):
    seconds = {1: 1e8, 2: 1e9}
    monkeypatch.setattr(small_training, "time_steps", lambda *_, **__: (seconds[torch.get_num_threads()], 0.0))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train_small(SETTINGS, tmp_path / "set", tmp_path / "run", minutes=1.0, **OPTIONS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert [threads for _, threads in trained] == [1]
