from pathlib import Path

import pytest

from passband.curriculum import RatioSchedule

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


def test_the_function_in_the_documentation_keeps_or_resizes_the_masks():
    scope = block(2)
    assert scope["small"].shape == (2, 3, 192, 192)
    assert scope["same"] is scope["masks"]
    assert scope["small_masks"].shape == (2, 192, 192)


def test_the_callback_in_the_documentation_is_one_of_the_trainer():
    scope = block(3)
    assert scope["callback"] in scope["trainer"].callbacks
    assert scope["callback"].images == "image"
