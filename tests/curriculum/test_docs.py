from pathlib import Path

from passband.curriculum import RatioSchedule


def test_the_loop_in_the_documentation_runs_and_ends_at_the_whole_spectrum():
    page = (Path(__file__).parents[2] / "docs" / "curriculum.md").read_text(encoding="utf-8")
    scope: dict = {}
    exec(page.split("```python\n")[1].split("```")[0], scope)
    schedule = scope["schedule"]
    assert isinstance(schedule, RatioSchedule)
    assert (schedule(0), schedule(len(scope["batches"]) - 1)) == (0.3, 1.0)
    assert scope["loss"].isfinite()
