"""Studies end with the same trials and figures, whatever stopped them in between."""

import csv
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing

import psutil
import pytest
import torch

from passband.io.failures import WriteError
from passband.runs import read_run
from passband.studies import worker
from passband.studies.database import Database, opened
from passband.studies.folders import run_folder, study_lock, trial_lock
from passband.studies.plan import read_plan
from passband.studies.planning import plan_study
from passband.studies.records import read_study
from passband.studies.running import study
from passband.studies.settings import StudyError, parse_study
from passband.studies.trials import ENDED
from passband.training import train
from tests.segmenters import write_blobs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")

RECIPE = """
name = "tiny"
task = "segmentation"
checkpoint_every = 1
model = {arguments = {width = 4, depth = 2}}
data = {size = 16, batch = 1, workers = 0}
optim = {steps = 2}
validation = {every = 1}
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("blobs")
    (root / "tiny.toml").write_text(RECIPE)
    data = write_blobs(root / "a", 2, size=(18, 21))
    return {"data": data, "validation_data": write_blobs(root / "b", 2, seed=1, size=(18, 21)), "device": "cpu"}


@pytest.fixture(scope="module")
def settings(folders):
    """Return a function that makes settings of a study of two cells, two points and one seed."""

    def make(**changes):
        content = {
            "recipe": str(folders["data"].parent / "tiny.toml"),
            "figure": "iou",
            "trials": 2,
            "seeds": [1],
            "scientific": {"loss.name": ["dice", "cross_entropy"]},
            "nuisance": {"optim.learning_rate": {"log": [1e-4, 1e-2]}},
        }
        return parse_study({**content, **changes}, "test")

    return make


@pytest.fixture(scope="module")
def whole(folders, settings, tmp_path_factory):
    """The record of a study that nothing interrupted."""
    return study(settings(retrain=1), tmp_path_factory.mktemp("whole") / "study", **folders)


def stop_at(count, how=KeyboardInterrupt):
    """A report that ends a process at a step of the study, counted from 1."""
    steps = iter(range(1, count + 1))

    def report(_):
        if next(steps) == count:
            raise how

    return report


def facts(record):
    """Everything about the trials of a record that an interruption must not change."""
    return [
        (one.number, one.cell, one.point, one.seed, one.changes, one.state, one.reason, one.figures, one.best_figures)
        for one in record.trials + record.retrained
    ]


def logs(record):
    return [(trial.run / "log.csv").read_text().splitlines() for trial in record.trials + record.retrained]


def test_every_cell_is_trained_at_the_same_points_in_a_paired_order(whole, folders, tmp_path):
    order = [(trial.point, trial.seed, trial.cell) for trial in whole.trials]
    assert order == [(point, 1, cell) for point in (0, 1) for cell in (0, 1)]
    assert [trial.number for trial in whole.trials] == [0, 1, 2, 3]
    assert {trial.state for trial in whole.trials} == {"finished"}
    for first, second in zip(whole.trials[::2], whole.trials[1::2], strict=True):
        assert first.changes["optim.learning_rate"] == second.changes["optim.learning_rate"]
        assert first.changes["optim.learning_rate"] == whole.points[first.point]["optim.learning_rate"]
        assert (first.changes["loss.name"], second.changes["loss.name"]) == ("dice", "cross_entropy")
    assert (whole.figure, whole.settings.direction, whole.is_done) == ("iou", "maximize", True)

    trial = whole.trials[3]
    alone = train(read_run(trial.run)["recipe"], tmp_path / "alone", **folders)
    assert trial.figures == alone.figures
    assert set(alone.figures) == set(whole.directions)
    rows = list(csv.DictReader((trial.run / "validation.csv").read_text().splitlines()))
    assert trial.best_figures["loss"] == min(float(row["loss"]) for row in rows)
    assert trial.best_figures["iou"] == max(float(row["iou"]) for row in rows)


def test_the_best_two_cells_are_trained_again_with_the_same_new_seeds(whole):
    best = whole.best_points()
    assert best[0][2] >= best[1][2]
    assert [(one.cell, one.point, one.seed) for one in whole.retrained] == [(cell, point, 2) for cell, point, _ in best]


def test_checkpoints_and_weights_that_are_not_the_best_of_a_cell_are_removed(whole):
    assert not list(whole.folder.glob("*/*/checkpoints"))
    kept = {int(path.parent.name) for path in whole.folder.glob("trials/*/weights")}
    assert kept == {
        max((one for one in whole.trials if one.cell == cell), key=lambda one: (one.figures["iou"], -one.number)).number
        for cell in (0, 1)
    }


def test_a_study_that_was_interrupted_anywhere_ends_with_the_same_record(whole, folders, settings, tmp_path):
    for count in (1, 2, 4, 3):
        with pytest.raises(KeyboardInterrupt):
            study(settings(retrain=1), tmp_path / "cut", **folders, report=stop_at(count))
    cut = study(settings(retrain=1), tmp_path / "cut", **folders)
    assert facts(cut) == facts(whole)
    assert logs(cut) == logs(whole)


def test_a_killed_process_leaves_a_trial_that_goes_on_under_its_number(whole, folders, settings, tmp_path):
    script = f"""
import os, signal
from passband.studies.running import study
steps = iter(range(100))
def report(_):
    if next(steps) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
study({str(tmp_path / "plan.toml")!r}, {str(tmp_path / "cut")!r}, data={str(folders["data"])!r},
      validation_data={str(folders["validation_data"])!r}, device="cpu", report=report)
"""
    text = f'recipe = "{folders["data"].parent.as_posix()}/tiny.toml"\nfigure = "iou"\ntrials = 2\nseeds = [1]\n'
    text += 'retrain = 1\nscientific = {"loss.name" = ["dice", "cross_entropy"]}\n'
    (tmp_path / "plan.toml").write_text(text + 'nuisance = {"optim.learning_rate" = {log = [1e-4, 1e-2]}}\n')
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr
    states = [trial.state for trial in read_study(tmp_path / "cut").trials]
    assert states == ["finished", "running", "waiting", "waiting"]
    cut = study(tmp_path / "plan.toml", tmp_path / "cut", **folders)
    assert facts(cut) == facts(whole)
    assert logs(cut) == logs(whole)
    assert (tmp_path / "cut" / "study.toml").read_text() == (tmp_path / "plan.toml").read_text()


def test_a_trial_of_another_process_is_left_alone_until_that_process_ends(whole, folders, settings, tmp_path):
    order = []
    with ExitStack() as other:
        assert other.enter_context(trial_lock(tmp_path, "trials", 0))

        def report(done):
            order.append(done.trial)
            if len(order) == 3:
                other.close()  # as the system does for a process that ends

        shared = study(settings(retrain=1), tmp_path, **folders, report=report)
    assert list(dict.fromkeys(order))[:4] == [f"trial {number} of 4" for number in (2, 3, 4, 1)]
    assert facts(shared) == facts(whole)


def test_two_processes_share_a_study_without_doing_a_trial_twice(whole, folders, settings, tmp_path):
    shared = study(settings(retrain=1), tmp_path, **folders, workers=2)
    assert facts(shared) == facts(whole)
    assert logs(shared) == logs(whole)


def test_a_study_stops_after_its_minutes_and_goes_on(whole, folders, settings, tmp_path):
    stopped = study(settings(retrain=1), tmp_path, **folders, max_minutes=0)
    assert [trial.state for trial in stopped.trials] == ["waiting"] * 4
    assert not stopped.is_done
    assert facts(study(settings(retrain=1), tmp_path, **folders)) == facts(whole)


def test_diverged_and_failed_trials_are_recorded_and_the_study_goes_on(folders, settings, tmp_path, monkeypatch):
    def fail(recipe, run, **options):
        if recipe.loss.name == "dice":
            raise torch.OutOfMemoryError("no memory\nleft")
        return train(recipe, run, **options)

    monkeypatch.setattr(worker, "train", fail)
    nuisance = {"optim.learning_rate": {"choice": [1e-3, 1e30]}}
    record = study(settings(nuisance=nuisance, sampling_seed=1), tmp_path, **folders)
    assert {trial.state for trial in record.trials if trial.cell == 0} == {"failed"}
    assert record.trials[0].reason == "OutOfMemoryError: no memory left"
    diverged = [trial for trial in record.trials if trial.cell == 1 and trial.changes["optim.learning_rate"] == 1e30]
    assert [trial.state for trial in diverged] == ["diverged"]
    assert diverged[0].reason.startswith("DivergedError: the outputs of the network are not finite at step 1: lower")
    assert (diverged[0].figures, record.is_done) == ({}, True)
    assert [cell for cell, _, _ in record.best_points()] == [1]


def test_a_full_disk_stops_the_study_and_its_trial_goes_on(whole, folders, settings, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(worker, "train", fail)
    with pytest.raises(OSError, match="No space left"):
        study(settings(retrain=1), tmp_path, **folders)
    monkeypatch.undo()
    assert facts(study(settings(retrain=1), tmp_path, **folders)) == facts(whole)


def test_a_database_without_room_stops_the_study_in_a_sentence_and_marks_no_trial_as_failed(
    folders, settings, tmp_path, monkeypatch
):
    def without_room(storage, *_):
        with storage.engine.connect() as connection:  # SQLite then says that the disk is full
            for statement in (
                "PRAGMA max_page_count = 1",
                "CREATE TABLE room (a)",
                "INSERT INTO room VALUES (zeroblob(1000000))",
            ):
                connection.exec_driver_sql(statement)

    monkeypatch.setattr("optuna.storages.RDBStorage.set_trial_intermediate_value", without_room)
    with pytest.raises(WriteError, match=rf"the database {tmp_path / 'study.db'} cannot be written: .*full; free some"):
        study(settings(prune=True), tmp_path, **folders)
    monkeypatch.undo()
    record = study(settings(prune=True), tmp_path, **folders)
    assert record.is_done
    assert {trial.state for trial in record.trials} == {"finished"}


@pytest.mark.parametrize("held", ["database", "lock"])
def test_a_study_that_another_program_keeps_says_what_to_do_and_loses_nothing(
    folders, settings, tmp_path, monkeypatch, held
):
    plan_study(settings(retrain=1), tmp_path, **folders)
    monkeypatch.setattr("passband.studies.folders.PATIENCE", 0.1)
    monkeypatch.setattr("passband.studies.database.PATIENCE", 0.1)
    message = {
        "database": f"the database {tmp_path / 'study.db'} cannot be written: database is locked; another program "
        "keeps it. Close that program, or wait until it ends, and run the command again",
        "lock": f"another process has planned trials in {tmp_path} for more than 0.1 s: wait until it ends",
    }[held]
    with ExitStack() as other:
        if held == "lock":
            other.enter_context(study_lock(tmp_path))
        else:
            browser = other.enter_context(closing(sqlite3.connect(tmp_path / "study.db")))
            browser.execute("BEGIN EXCLUSIVE")
        with pytest.raises((WriteError, StudyError), match=re.escape(message)):
            study(settings(retrain=1), tmp_path, **folders)
    assert str(tmp_path / "study.db") not in {file.path for file in psutil.Process().open_files()}
    assert [trial.state for trial in read_study(tmp_path).trials] == ["waiting"] * 4


def test_a_pruned_trial_ends_early_and_stays_pruned_if_it_is_killed_then(folders, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(Database, "validated", lambda self, group, trial, step, value: trial.number == 1)
    end = Database.end

    def killed(self, trial, *rest):
        if trial.number == 1:
            raise KeyboardInterrupt
        end(self, trial, *rest)

    monkeypatch.setattr(Database, "end", killed)
    with pytest.raises(KeyboardInterrupt):
        study(settings(prune=True), tmp_path, **folders)
    monkeypatch.setattr(Database, "end", end)
    record = study(settings(prune=True), tmp_path, **folders)
    assert [trial.state for trial in record.trials] == ["finished", "pruned", "finished", "finished"]
    assert "at step 1 is worse than the median" in record.trials[1].reason
    assert len((record.trials[1].run / "log.csv").read_text().splitlines()) == 2


class TestTheSameFolderAgain:
    def test_more_trials_seeds_and_trainings_are_added_to_those_that_are_there(self, folders, settings, tmp_path):
        first = study(settings(trials=1), tmp_path, **folders)
        grown = study(settings(trials=2, seeds=[1, 5], retrain=0), tmp_path, **folders)
        assert facts(grown)[:2] == facts(first)
        assert grown.points[:1] == first.points
        assert sorted((one.cell, one.point, one.seed) for one in grown.trials) == [
            (cell, point, seed) for cell in (0, 1) for point in (0, 1) for seed in (1, 5)
        ]
        assert {trial.state for trial in grown.trials} == {"finished"}

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"scientific": {"loss.name": ["dice", "cross_entropy+dice"]}}, r"scientific\.loss\.name was \['dice', 'c"),
            ({"nuisance": {"optim.learning_rate": {"log": [1e-4, 1e-1]}}}, r"nuisance\.optim\.learning_rate\.log was"),
            ({"trials": 1}, "trials was 2 and is 1"),
            ({"seeds": [2]}, r"seeds was \[1\] and is \[2\]"),
            ({"figure": "f1"}, "figure was 'iou' and is 'f1'"),
            ({"fixed": {"optim.steps": 3}}, r"fixed\.optim\.steps was None and is 3"),
            ({"recipe": "segment-small"}, r"recipe: name was 'tiny' and is 'segment-small'"),
        ],
    )
    def test_other_settings_are_refused_with_what_changed(self, whole, folders, settings, changes, message):
        with pytest.raises(StudyError, match=f"holds a study with other settings: .*{message}.*may grow"):
            study(settings(**{"retrain": 1, **changes}), whole.folder, **folders)

    def test_other_data_are_refused(self, whole, folders, settings):
        other = {**folders, "data": folders["validation_data"]}
        with pytest.raises(StudyError, match=r"--data was .* and is "):
            study(settings(retrain=1), whole.folder, **other)

    def test_a_finished_study_needs_no_data_and_trains_nothing(self, whole, settings, monkeypatch):
        monkeypatch.setattr(worker, "train", None)
        assert facts(study(settings(retrain=1, question="Why?"), whole.folder, device="cpu")) == facts(whole)


class TestBeforeAnyTraining:
    def test_a_figure_that_the_task_does_not_report_names_those_that_it_reports(self, folders, settings, tmp_path):
        message = r"segmentation does not report the figure 'dise'.* It reports foreground_dice, iou, .*loss"
        with pytest.raises(StudyError, match=message):
            study(settings(figure="dise"), tmp_path / "a", **folders)
        assert not (tmp_path / "a").exists()

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("model.name", "unett", "cell model.name = unett cannot be trained: .*unett"),
            ("model.arguments.width", "wide", "cell model.arguments.width = wide cannot be trained"),
        ],
    )
    def test_a_network_that_cannot_be_built_is_found(self, folders, settings, tmp_path, key, value, message):
        good = {"model.name": "unet", "model.arguments.width": 4}[key]
        with pytest.raises(StudyError, match=message):
            study(settings(scientific={key: [good, value]}), tmp_path / "a", **folders)
        assert not (tmp_path / "a").exists()

    def test_missing_data_are_found(self, folders, settings, tmp_path):
        with pytest.raises(StudyError, match="--data is needed"):
            study(settings(), tmp_path / "a", device="cpu")
        with pytest.raises(StudyError, match=r"cannot be trained: .*nowhere"):
            study(settings(), tmp_path / "a", data=tmp_path / "nowhere", device="cpu")
        with pytest.raises(StudyError, match="workers must be at least 1"):
            study(settings(), tmp_path / "a", **folders, workers=0)

    def test_without_optuna_the_package_to_install_is_named(self, folders, settings, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "optuna", None)
        with pytest.raises(ImportError, match=r"pip install 'passband\[studies\]'"):
            study(settings(), tmp_path, **folders)
        assert not list(tmp_path.glob("trials/*"))


def test_a_folder_without_a_study_is_said_so(tmp_path):
    with pytest.raises(StudyError, match=r"holds no study: there is no settings\.json"):
        read_study(tmp_path)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(StudyError, match=r"settings\.json is damaged"):
        read_study(tmp_path)


def test_the_database_is_one_that_optuna_reads(whole):
    import optuna

    with opened(whole.folder, read_plan(whole.folder)) as database:
        frozen = database.frozen("trials")
    assert [trial.value for trial in frozen] == [trial.figures["iou"] for trial in whole.trials]
    assert {trial.params["cell"] for trial in frozen} == {cell.label for cell in whole.cells}
    assert all(trial.state is optuna.trial.TrialState.COMPLETE for trial in frozen)
    assert all(one.state in ENDED and one.run == run_folder(whole.folder, "trials", one.number) for one in whole.trials)


def test_a_trial_ends_early_if_it_is_worse_than_the_median_of_five_others(folders, settings, tmp_path):
    plan = plan_study(settings(trials=4), tmp_path, **folders)
    with opened(tmp_path, plan) as database:
        for number, value in enumerate((0.1, 0.2, 0.3, 0.4, 0.5)):  # IoU, of which higher is better
            trial = database.frozen("trials")[number]
            database.begin(trial)
            assert not database.validated("trials", trial, 1, value), "five trials are needed for a median"
            database.end(database.frozen("trials")[number], "finished", "", value, {})
        worse, better = database.frozen("trials")[5:7]
        for trial in (worse, better):
            database.begin(trial)
        assert database.validated("trials", worse, 1, 0.29)
        assert not database.validated("trials", better, 1, 0.31)
