import sys
import types
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from passband.curriculum import RatioSchedule
from passband.ops.fourier import spectral_crop

PAGE = Path(__file__).parents[2] / "docs" / "curriculum.md"


def block(number: int) -> dict:
    """What is defined when a block of the page is executed."""
    scope: dict = {}
    exec(PAGE.read_text(encoding="utf-8").split("```python\n")[1 + number].split("```")[0], scope)
    return scope


def test_the_loop_in_the_documentation_runs_and_ends_at_the_whole_spectrum():
    scope = block(0)
    schedule = scope["schedule"]
    assert isinstance(schedule, RatioSchedule)
    assert (schedule(0), schedule(len(scope["batches"]) - 1)) == (0.3, 1.0)
    assert scope["loss"].isfinite()


def test_the_crops_in_the_documentation_are_of_the_sizes_and_the_share_that_it_says():
    scope = block(1)
    assert scope["small"].shape == (2, 3, 128, 128)
    assert scope["logits"].shape == scope["masks"].shape
    assert scope["share"] == pytest.approx(0.604, abs=0.005)


def test_the_callback_in_the_documentation_makes_batches_smaller_as_the_training_goes_on(monkeypatch):
    module = types.ModuleType("lightning.pytorch")
    module.Callback = object
    monkeypatch.setitem(sys.modules, "lightning", types.ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, "lightning.pytorch", module)
    curriculum = block(1)["curriculum"]
    callback = block(2)["CurriculumCallback"](curriculum)
    images = torch.rand(2, 3, 256, 256)
    for step, size in ((0, 128), (45, 192), (90, 256)):
        batch = {"image": images}
        trainer = SimpleNamespace(global_step=step, estimated_stepping_batches=100)
        callback.on_train_batch_start(trainer, None, batch, step)
        torch.testing.assert_close(batch["image"], spectral_crop(images, (size, size)), rtol=0, atol=1e-5)
