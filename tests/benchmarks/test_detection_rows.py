"""The table of the comparison of detectors; the trainings are those of `passband train`."""

import argparse
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "detection"))
import detection_rows
import detection_tables

from passband.metrics.instance_scores import FIGURES

OPTIONS = argparse.Namespace(
    objects=Path("cutouts"),
    images=[40, 8],
    size=96,
    start="imagenet",
    batch=4,
    fit_steps=3,
    output=Path("rows"),
    features=16,
    workers=0,
    learning_rate=1e-3,
    precision="float32",
)


def row(name, seed, ap):
    figures = {kind: {**dict.fromkeys(FIGURES, ap), "APl": -1.0} for kind in ("box", "mask")}
    costs = {"backbone_macs": 9e8, "parameters": 5_000_000, "train_seconds": 10.0, "steps": 7}
    return {"row": name, "seed": seed, "figures": figures, **costs}


def test_the_table_has_means_intervals_and_paired_differences():
    found = [row("rgb", seed, 0.4 + 0.01 * seed) for seed in range(3)]
    found += [row("dct-24s", seed, 0.42 + 0.01 * seed) for seed in range(3)]
    text = detection_tables.table(found, OPTIONS)
    # 4.303 standard errors of 0.577 points
    assert "| rgb | 3 | 7 | 41.0 ± 2.5 |" in text
    assert "dct-24s minus rgb, same seeds: box AP 2.0 ± 0.0, mask AP 2.0 ± 0.0." in text
    assert text.count("| row | AP | AP50 | AP75 |") == 2
    assert "| - |" in text  # nothing is large


def test_a_single_seed_has_no_interval():
    text = detection_tables.table([row("rgb", 0, 0.4)], OPTIONS)
    assert "| rgb | 1 | 7 | 40.0 | 40.0 |" in text


@pytest.mark.parametrize("name", detection_rows.ROWS)
def test_rows_differ_in_the_input_alone(name):
    recipe = detection_rows.recipe_of(name, 1, OPTIONS, 20)
    reference = detection_rows.recipe_of("rgb", 1, OPTIONS, 20)
    assert recipe.optim == reference.optim
    assert recipe.model.arguments == reference.model.arguments
    assert recipe.model.backbone_weights == ("imagenet" if name == "rgb" else str(Path("rows") / "start"))
    changed = {
        key for key in type(recipe.data).model_fields if getattr(recipe.data, key) != getattr(reference.data, key)
    }
    assert changed <= {"channels", "input"}


def test_a_time_for_runs_that_are_not_all_started_is_refused_before_the_set_is_made(tmp_path):
    options = argparse.Namespace(
        steps=None, seconds=9.0, seeds=[0], rows=["rgb", "dct-24s"], at_once=1, output=tmp_path
    )
    with pytest.raises(SystemExit, match="2 are left and --at-once is 1: set --at-once 2 or 0, or give --steps"):
        detection_rows.run_all(options)
    assert not list(tmp_path.iterdir())


def test_runs_in_turn_that_were_stopped_go_on_with_their_number_of_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(detection_rows, "seconds_per_step", lambda *_: 0.01)
    steps = []
    monkeypatch.setattr(detection_rows, "run", lambda row, seed, options: steps.append(options.steps))
    for seconds in (9.0, 90.0):
        options = argparse.Namespace(steps=None, seconds=seconds, threads=1, least_steps=2, output=tmp_path)
        detection_rows.run_in_turn([("rgb", 0), ("rgb", 1)], detection_rows.time.monotonic(), options)
    assert len(set(steps)) == 1
