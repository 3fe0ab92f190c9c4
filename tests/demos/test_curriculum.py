import pytest
import torch

from passband.demos import curriculum
from passband.demos.curriculum import CURRICULA, demonstrate_curriculum
from passband.io.image import read_image
from passband.runs import read_run


def test_both_trainings_have_the_same_steps_and_only_one_has_a_curriculum(tmp_path, monkeypatch):
    monkeypatch.setattr(curriculum, "COUNTS", (8, 2))
    monkeypatch.setattr(curriculum, "SIDE", 32)
    monkeypatch.setitem(CURRICULA, "curriculum", {**CURRICULA["curriculum"], "sizes": [16, 24]})
    monkeypatch.setitem(curriculum.RECIPE, "model", {"name": "unet", "arguments": {"width": 4, "depth": 2}})
    monkeypatch.setattr(curriculum, "fitting_length", lambda *_, **__: (3, 2))
    steps, threads = [], []
    results = demonstrate_curriculum(
        tmp_path,
        device="cpu",
        report=lambda step, name: (steps.append((name, step.step)), threads.append(torch.get_num_threads())),
    )
    assert threads == [2] * 6  # times of different numbers of threads cannot be compared
    assert steps == [(name, step) for name in CURRICULA for step in (1, 2, 3)]
    assert [(one.steps, 0 <= one.dice <= 1) for one in results.values()] == [(3, True)] * 2
    recipes = [read_run(tmp_path / folder)["recipe"] for folder in ("whole-images", "curriculum")]
    assert [recipe.curriculum.mode for recipe in recipes] == ["none", "crop"]
    assert recipes[0].optim == recipes[1].optim
    assert recipes[0].seed == recipes[1].seed
    assert min(read_image(tmp_path / "curriculum.png").shape[-2:]) > 300
    assert (tmp_path / "curriculum.svg").exists()
    with pytest.raises(FileExistsError, match="must be a new or empty folder"):
        demonstrate_curriculum(tmp_path, steps=2, device="cpu")
