"""A sweep over final ratios: a run for each, resumed where it was stopped, scored at the whole spectrum."""

import json
import shutil

import pytest
import torch
from PIL import Image

from passband.config import parse_recipe
from passband.evaluation import evaluate_segmenter
from passband.models import load_model
from passband.runs import RunError, RunLog, read_run
from passband.studies.ratio_sweep import sweep_ratios
from passband.training import train
from tests.segmenters import write_blobs

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.filterwarnings("ignore:the schedule ends at a frequency ratio:UserWarning"),
]
RATIOS = (0.75, 0.0)


def recipe(**curriculum):
    settings = {"mode": "mask", "start": 1.0, "shape": "linear", "hold": 0.0, "final_ratios": RATIOS}
    content = {
        "name": "tiny",
        "task": "segmentation",
        "checkpoint_every": 1,
        "model": {"arguments": {"width": 4, "depth": 2}},
        "data": {"size": 32, "batch": 2, "workers": 0},
        "optim": {"steps": 3},
        "curriculum": {**settings, **curriculum},
        "validation": {"every": 10},
    }
    return parse_recipe(content, "test")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("blobs")
    return {"data": write_blobs(root / "a", 4), "validation_data": write_blobs(root / "b", 3, seed=1), "device": "cpu"}


@pytest.fixture(scope="module")
def swept(folders, tmp_path_factory):
    """A sweep that went through, and its folder."""
    output = tmp_path_factory.mktemp("sweep") / "out"
    return sweep_ratios(recipe(), output, **folders), output


def test_each_ratio_has_a_run_that_comes_to_it(swept, folders, tmp_path):
    sweep, output = swept
    assert sweep.is_done
    for ratio, name in zip(RATIOS, ("final-0.75", "final-0"), strict=True):
        run = read_run(output / name)
        assert (run["status"], run["step"]) == ("finished", 3)
        assert (run["recipe"].curriculum.start, run["recipe"].curriculum.end) == (1.0, ratio)
    alone = recipe(final_ratios=(), end=0.0)
    train(alone, tmp_path, **folders)
    states = [load_model(run / "weights" / "last").state_dict() for run in (output / "final-0", tmp_path)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_runs_are_scored_by_lab_macro_on_whole_pictures(swept, folders, tmp_path):
    sweep, output = swept
    for row, name in zip(sweep.rows, ("final-0.75", "final-0"), strict=True):
        scored = evaluate_segmenter(output / name / "weights" / "last", folders["validation_data"], tmp_path)
        assert scored["protocol"] == "lab_macro"
        for figure, value in scored["mean"].items():
            assert row[figure] == pytest.approx(value)
        assert row["images"] == 3


def test_the_table_and_the_picture_hold_every_ratio(swept):
    sweep, output = swept
    table = (output / "table.md").read_text()
    for row in sweep.rows:
        figures = [f"{100 * row[name]:.2f}" for name in ("accuracy", "f1", "precision", "recall", "iou")]
        assert f"| {row['final_ratio']:g} | {' | '.join(figures)} |" in table
    assert "| all background | " in table
    written = json.loads((output / "table.json").read_text())
    assert written["rows"] == json.loads(json.dumps(sweep.rows))
    assert written["protocol"] == "lab_macro"
    with Image.open(output / "plot.png") as picture:
        assert len(picture.convert("RGB").getcolors(2**24)) > 10


def test_a_sweep_that_was_stopped_goes_on_to_the_same_table(swept, folders, tmp_path):
    def stop(ratio, step):
        if (ratio, step.step) == (0.0, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep_ratios(recipe(), tmp_path, report=stop, **folders)
    assert read_run(tmp_path)["status"] == "interrupted"
    trained = []
    sweep = sweep_ratios(
        recipe(), tmp_path, resume=True, report=lambda ratio, step: trained.append((ratio, step.step)), **folders
    )
    assert trained == [(0.0, 2), (0.0, 3)]
    without = [{key: value for key, value in row.items() if key != "seconds"} for row in sweep.rows]
    assert without == [{key: value for key, value in row.items() if key != "seconds"} for row in swept[0].rows]
    assert read_run(tmp_path)["status"] == "finished"
    for run in ("final-0.75", "final-0"):
        shutil.rmtree(tmp_path / run / "checkpoints")  # as somebody does who needs room
    assert sweep_ratios(recipe(), tmp_path, resume=True, report=pytest.fail, **folders).rows == sweep.rows


def test_a_sweep_stops_cleanly_when_its_time_is_up(folders, tmp_path):
    sweep = sweep_ratios(recipe(), tmp_path, max_minutes=0, **folders)
    assert (sweep.rows, sweep.is_done) == ((), False)
    assert read_run(tmp_path)["status"] == "stopped"
    assert sweep_ratios(recipe(final_ratios=RATIOS), tmp_path, resume=True, **folders).is_done


def test_what_is_held_out_is_scored_where_no_folder_is_given(folders, tmp_path):
    settings = recipe(final_ratios=(0.5,), fixed=True)
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"held_out": 0.25})})
    sweep = sweep_ratios(settings, tmp_path, data=folders["data"], device="cpu")
    assert sweep.rows[0]["images"] == 1
    assert "Scores over the ratio throughout the run" in (tmp_path / "table.md").read_text()


def test_a_folder_that_does_not_fit_is_refused(swept, folders, tmp_path):
    with pytest.raises(RunError, match="already holds a run: continue it with --resume"):
        sweep_ratios(recipe(), swept[1], **folders)
    with pytest.raises(RunError, match="was begun with another recipe"):
        sweep_ratios(recipe(start=0.9), swept[1], resume=True, **folders)
    with pytest.raises(RunError, match="nothing to resume in"):
        sweep_ratios(recipe(), tmp_path, resume=True, **folders)
    with pytest.raises(ValueError, match=r"a sweep needs curriculum\.final_ratios"):
        sweep_ratios(recipe(final_ratios=()), tmp_path, **folders)


def test_a_second_start_changes_nothing_of_a_sweep_in_training(folders, tmp_path):
    left = tmp_path / "sweep" / "final-0.75" / "log.csv"  # a run before its first checkpoint, which is begun anew
    left.parent.mkdir(parents=True)
    left.touch()
    with RunLog(tmp_path / "sweep", True):
        for resume in (False, True):
            with pytest.raises(RunError, match="another process is training the run in .*sweep: wait until it ends"):
                sweep_ratios(recipe(), tmp_path / "sweep", resume=resume, **folders)
    assert [path.name for path in (tmp_path / "sweep").rglob("*")] == ["final-0.75", "log.csv"]


def test_a_sweep_keeps_its_folder_only_while_it_trains(folders, tmp_path):
    def report(*_):
        with pytest.raises(RunError, match="another process is training"):
            RunLog(tmp_path, True)

    sweep_ratios(recipe(final_ratios=(0.5,)), tmp_path, report=report, **folders)
    RunLog(tmp_path, True).close()
