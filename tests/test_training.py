import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from passband import training
from passband.checkpoints import latest_checkpoint
from passband.config import RecipeError, load_recipe, recipe_on
from passband.data.degradations import degrade_files
from passband.io.failures import WriteError, naming_file
from passband.models import SFNet, load_model
from passband.run_length import recipe_within, time_steps
from passband.runs import DivergedError, RunError, RunLog, events, read_run
from passband.state_dicts import CheckpointError
from passband.tasks.restoration import Restoration, Validation
from passband.training import train
from tests.pictures import write_photographs
from tests.tiny_runs import recipe, rows, stop_after


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, photograph):
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    write_photographs(folder / "photographs", photograph)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="tensorboard")
        train(recipe(), folder / "run", data=folder / "photographs", device="cpu")
    return folder / "run"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
class TestRun:
    def test_a_function_that_sees_the_validations_can_end_the_run(self, tmp_path, photographs):
        seen = []

        def validated(step, figures):
            seen.append((step, sorted(figures)))
            return "the score is good enough"

        progress = train(recipe(), tmp_path / "run", data=photographs, device="cpu", validated=validated)
        assert [step for step, _ in seen] == [4]
        assert "psnr" in seen[0][1]
        assert (progress.step, progress.reason) == (4, "the score is good enough")
        assert latest_checkpoint(tmp_path / "run") is not None
        assert read_run(tmp_path / "run")["reason"] == "the score is good enough"

    def test_a_run_leaves_its_record_and_weights_that_load(self, tmp_path, photographs):
        seen = []
        progress = train(recipe(), tmp_path / "run", data=photographs, device="cpu", report=seen.append)
        assert [report.step for report in seen] == list(range(1, 9))
        assert all(report.steps == 8 and report.images_per_second > 0 for report in seen)
        assert seen[-1].seconds_left == 0

        log = rows(tmp_path / "run" / "log.csv")
        assert log[0] == ["step", "loss", "psnr", "learning_rate"]
        assert [row[0] for row in log[1:]] == [str(step) for step in range(1, 9)]
        assert [float(row[1]) for row in log[1:]] == [report.loss for report in seen]
        assert [row[0] for row in rows(tmp_path / "run" / "validation.csv")[1:]] == ["4", "8"]

        run = json.loads((tmp_path / "run" / "run.json").read_text())
        assert run["status"] == "finished"
        assert run["seed"] == 3
        assert run["figures"] == progress.figures
        assert run["versions"]["torch"] == torch.__version__
        assert run["recipe"]["optim"]["steps"] == 8
        assert set(run) >= {"commit", "data", "best_score", "seconds"}
        assert read_run(tmp_path / "run")["recipe"] == recipe()

        for name in ("best", "last"):
            model = load_model(tmp_path / "run" / "weights" / name)
            assert isinstance(model, SFNet)
        assert (tmp_path / "run" / "validation" / "step-000000008.png").stat().st_size > 0
        assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
        kept = ["step-000000006", "step-000000008"]
        assert [path.name for path in sorted((tmp_path / "run" / "checkpoints").iterdir())] == kept

    def test_without_tensorboard_runs_say_so_once_and_leave_all_else(self, tmp_path, photographs, monkeypatch, caplog):
        monkeypatch.setitem(sys.modules, "tensorboard", None)
        for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
            monkeypatch.delitem(sys.modules, name)
        events._warn_without_tensorboard.cache_clear()
        short = recipe(optim={"steps": 1, "warmup_steps": 0})
        for folder in ("first", "second"):
            train(short, tmp_path / folder, data=photographs, device="cpu")
            assert len(rows(tmp_path / folder / "log.csv")) == 2
            assert (tmp_path / folder / "validation" / "step-000000001.png").stat().st_size > 0
            assert not (tmp_path / folder / "tensorboard").exists()
        said = [record.getMessage() for record in caplog.records if record.name == "passband.runs.events"]
        assert len(said) == 1
        assert "pip install 'passband[tensorboard]'" in said[0]

    @pytest.mark.parametrize("interrupted", [3, 4, 7])
    def test_an_interrupted_run_goes_on_to_the_same_bits(self, tmp_path, photographs, whole_run, interrupted):
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), tmp_path / "cut", data=photographs, device="cpu", report=stop_after(interrupted))
        train(recipe(), tmp_path / "cut", data=photographs, device="cpu", resume=True)
        for name in ("log.csv", "validation.csv"):
            assert rows(tmp_path / "cut" / name) == rows(whole_run / name)
        for name in ("best", "last"):
            whole, cut = (load_model(run / "weights" / name).state_dict() for run in (whole_run, tmp_path / "cut"))
            assert all(torch.equal(whole[key], cut[key]) for key in whole)

    def test_it_stops_after_its_minutes_and_goes_on(self, tmp_path, photographs, whole_run, monkeypatch):
        seconds = count()
        monkeypatch.setattr("passband.training.time.monotonic", lambda: next(seconds))  # one more at every look
        stopped = train(recipe(), tmp_path / "run", data=photographs, device="cpu", max_minutes=10 / 60)
        monkeypatch.undo()
        assert 1 <= stopped.step < 8
        assert (stopped.steps, stopped.reason, stopped.is_stopped) == (8, "after 0.166667 minutes", True)
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped"
        ended = train(recipe(), str(tmp_path / "run"), data=str(photographs), device="cpu", resume=True)
        assert (ended.step, ended.reason, ended.is_stopped) == (8, None, False)
        assert rows(tmp_path / "run" / "log.csv") == rows(whole_run / "log.csv")

    def test_recipes_and_folders_may_be_text_and_a_recipe_a_name(self, tmp_path, photographs):
        text = 'name = "a"\nmodel = {name = "sfnet", arguments = {width = 16, depth = 1}}\noptim = {steps = 1}\n'
        text += "data = {crop = 16, batch = 2, workers = 0}\nvalidation = {count = 1, crop = 16}\n"
        (tmp_path / "a.toml").write_text(text)
        folders = {"data": str(photographs), "validation_data": str(photographs)}
        progress = train(str(tmp_path / "a.toml"), str(tmp_path / "run"), **folders, device="cpu")
        assert (progress.step, read_run(tmp_path / "run")["recipe"].name) == (1, "a")
        with pytest.raises(RecipeError, match=r"no recipe 'genral'"):
            train("genral", tmp_path / "other", data=photographs)

    def test_a_warm_up_longer_than_the_run_is_refused_in_mixed_units_before_anything_is_written(
        self, tmp_path, photographs
    ):
        settings = recipe(optim={"steps": None, "epochs": 2, "warmup_steps": 5})
        with pytest.raises(ValueError, match="warm-up of 5 steps is longer than the run of 4 steps"):
            train(settings, tmp_path / "run", data=photographs, device="cpu")
        assert not (tmp_path / "run" / "run.json").exists()

    def test_runs_of_two_precisions_follow_each_other_in_one_process(self, tmp_path, photographs):
        for number, precision in enumerate(("float32", "bfloat16", "float32")):
            settings = recipe(precision=precision, optim={"steps": 1, "warmup_steps": 0})
            assert train(settings, tmp_path / str(number), data=photographs, device="cpu").step == 1

    @pytest.mark.parametrize("fast", ["float32", "bfloat16"])
    def test_the_precision_auto_is_the_fast_one_of_the_device_and_is_recorded(
        self, tmp_path, photographs, monkeypatch, fast
    ):
        monkeypatch.setattr("passband.hardware.fast_precision", lambda device, threads: fast)
        settings = recipe(precision="auto", optim={"steps": 1, "warmup_steps": 0})
        train(settings, tmp_path / "run", data=photographs, device="cpu")
        assert read_run(tmp_path / "run")["recipe"].precision == fast

    def test_minutes_that_are_over_at_once_leave_the_run_where_it_was(self, tmp_path, photographs):
        stopped = train(recipe(), tmp_path / "run", data=photographs, device="cpu", max_minutes=0)
        assert stopped.step == 0
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped"

    def test_fine_tuning_starts_from_the_weights(self, tmp_path, photographs, tiny_weights):
        settings = recipe(optim={"steps": 1, "warmup_steps": 0, "learning_rate": 1e-12, "ema": 0.0})
        train(settings, tmp_path / "run", data=photographs, weights=tiny_weights, device="cpu")
        before, after = load_model(tiny_weights).state_dict(), load_model(tmp_path / "run/weights/last").state_dict()
        for key, value in before.items():
            if "running_" not in key and "num_batches" not in key:
                torch.testing.assert_close(after[key], value, rtol=0, atol=1e-9)

    def test_it_trains_on_a_folder_of_pairs(self, tmp_path, photographs):
        list(degrade_files(photographs, tmp_path / "pairs", "haze"))
        settings = recipe(data={"source": "pairs"}, optim={"steps": None, "epochs": 2, "warmup_steps": 0})
        progress = train(settings, tmp_path / "run", data=tmp_path / "pairs", device="cpu")
        assert progress.step == 4
        assert set(progress.figures) == {"psnr", "gain/pair"}

    def test_it_learns(self, tmp_path, photographs):
        settings = recipe(
            data={"degradations": {"haze": 1.0}},
            optim={"steps": 30, "learning_rate": 2e-3, "warmup_steps": 5, "ema": 0.9},
            validation={"every": 30, "count": 4},
            checkpoint_every=30,
        )
        progress = train(settings, tmp_path / "run", data=photographs, device="cpu")
        assert progress.figures["gain/haze"] > 1

    def test_a_folder_that_holds_a_run_is_not_overwritten(self, tmp_path, photographs):
        train(recipe(optim={"steps": 1, "warmup_steps": 0}), tmp_path / "run", data=photographs, device="cpu")
        with pytest.raises(RunError, match=r"already holds a run: continue it with --resume"):
            train(recipe(), tmp_path / "run", data=photographs, device="cpu")
        with pytest.raises(RunError, match="nothing to resume"):
            train(recipe(), tmp_path / "other", data=photographs, device="cpu", resume=True)

    def test_a_second_start_reads_and_changes_nothing_of_a_run_in_training(self, tmp_path, photographs):
        run = tmp_path / "run"
        broken = run / "checkpoints" / "step-000000099"
        broken.mkdir(parents=True)
        with RunLog(run, True):
            for resume in (True, False):
                with pytest.raises(RunError, match="another process is training the run in"):
                    train(recipe(), run, data=photographs, device="cpu", resume=resume)
        assert [path.name for path in broken.parent.iterdir()] == [broken.name]
        with pytest.raises(RunError, match="nothing to resume"):
            train(recipe(), run, data=photographs, device="cpu", resume=True)
        assert [path.name for path in broken.parent.iterdir()] == ["damaged-step-000000099"]

    def test_arguments_that_cannot_be_meant_are_refused_before_anything_is_written(self, tmp_path, photographs):
        run = tmp_path / "run"
        for options, error, message in (
            ({"data": ""}, ValueError, "the folder of data must be a path, got an empty text"),
            ({"validation_data": ""}, ValueError, "the folder of data must be a path, got an empty text"),
            ({"data": tmp_path / "none"}, FileNotFoundError, "no folder .*none"),
            ({"data": photographs / "0.png"}, NotADirectoryError, "a folder of images is needed, but .* is a file"),
            ({"max_minutes": -1.0}, ValueError, "max_minutes is a number of minutes from 0, or None; got -1"),
            ({"max_minutes": float("nan")}, ValueError, "max_minutes is a number of minutes from 0, or None; got nan"),
            ({"weights": "inspector"}, CheckpointError, r"'inspector' says what is wrong .*; it cannot restore"),
        ):
            with pytest.raises(error, match=message):
                train(recipe(), run, **{"data": photographs, "device": "cpu", **options})
            assert not run.exists()
        with pytest.raises(ValueError, match="the folder for results must be a path, got an empty text"):
            train(recipe(), "", data=photographs, device="cpu")
        with pytest.raises(ValueError, match="a recipe must be a path, got an empty text"):
            train("", run, data=photographs, device="cpu")

    def test_a_run_that_is_refused_leaves_no_folder_and_no_lock(self, tmp_path, photographs):
        run = tmp_path / "runs" / "first"
        for _ in range(2):
            with pytest.raises(RunError, match="nothing to resume"):
                train(recipe(), run, data=photographs, device="cpu", resume=True)
            assert list(tmp_path.iterdir()) == [photographs]

    def test_a_loss_that_is_not_finite_stops_the_run(self, tmp_path, photographs, monkeypatch):
        def broken(self, model, batch, done, lesson):
            return model(batch["degraded"])[-1].mean() * torch.nan, {}

        monkeypatch.setattr("passband.tasks.restoration.Restoration.loss", broken)
        with pytest.raises(RunError, match="the loss is nan at step 1: lower optim.learning_rate"):
            train(recipe(), tmp_path / "run", data=photographs, device="cpu")

    def test_a_run_is_said_to_go_on_only_if_it_has_a_checkpoint(self, tmp_path, photographs, monkeypatch):
        loss = Restoration.loss

        def broken_at(step):
            def broken(self, model, batch, done, lesson):
                value, figures = loss(self, model, batch, done, lesson)
                return value * (torch.nan if done * 8 >= step - 1 else 1), figures

            monkeypatch.setattr(Restoration, "loss", broken)

        early, late = tmp_path / "early", tmp_path / "late"
        broken_at(2)  # the first checkpoint is that of step 2
        with pytest.raises(DivergedError, match=f"and start again in another folder, because {early} holds no check"):
            train(recipe(), early, data=photographs, device="cpu")
        with pytest.raises(RunError, match="it has no checkpoint to resume from, so choose another folder"):
            train(recipe(), early, data=photographs, device="cpu")
        broken_at(4)
        newest = late / "checkpoints" / "step-000000002"
        with pytest.raises(DivergedError, match=f"and resume from the last checkpoint, {newest}$"):
            train(recipe(), late, data=photographs, device="cpu")
        with pytest.raises(RunError, match="already holds a run: continue it with --resume"):
            train(recipe(), late, data=photographs, device="cpu")

    @pytest.mark.parametrize("name", ["log.csv", "validation.csv", "step-000000004.png", "model.safetensors"])
    def test_a_full_disk_ends_the_run_with_a_sentence_and_it_goes_on_to_the_same_bits(
        self, tmp_path, photographs, whole_run, monkeypatch, name
    ):
        run, opened = tmp_path / "run", naming_file
        is_full = True

        @contextmanager
        def full(path):
            with opened(path):
                yield
                if is_full and path.name == name and latest_checkpoint(run) is not None:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        for module in ("io.files", "runs.tables"):
            monkeypatch.setattr(f"passband.{module}.naming_file", full)
        with pytest.raises(WriteError) as caught:
            train(recipe(), run, data=photographs, device="cpu")
        sentence = rf"cannot write {run}/\S*{name}: no space left in \S+; free some space there, or choose another"
        assert re.fullmatch(rf"{sentence} folder", str(caught.value))
        assert read_run(run)["reason"] == str(caught.value)
        is_full = False
        train(recipe(), run, data=photographs, device="cpu", resume=True)
        assert rows(run / "log.csv") == rows(whole_run / "log.csv")
        for weights in ("best", "last"):
            path = Path("weights") / weights / "model.safetensors"
            assert (run / path).read_bytes() == (whole_run / path).read_bytes()

    def test_weights_that_the_last_step_breaks_are_neither_scored_nor_kept(self, tmp_path, photographs, monkeypatch):
        def with_infinite_slope(self, model, batch, done, lesson):
            restored = model(batch["degraded"])[-1]
            return (restored - restored.detach()).abs().sqrt().mean(), {}

        def refused(what, **optim):
            short = recipe(optim={"steps": 1, "warmup_steps": 0, **optim})
            with pytest.raises(DivergedError, match=f"the {what} not finite at step 1: lower optim.learning_rate"):
                train(short, tmp_path / what, data=photographs, device="cpu")
            assert latest_checkpoint(tmp_path / what) is None
            assert not (tmp_path / what / "weights").exists()
            assert read_run(tmp_path / what)["status"] == "failed"

        # the loss of a step is that of the weights before it, so it is finite
        refused("outputs of the network are", learning_rate=1e25)
        monkeypatch.setattr("passband.tasks.restoration.Restoration.loss", with_infinite_slope)
        refused("weights are")

    def test_the_folder_of_the_data_is_refused_as_that_of_the_run(self, tmp_path, photographs):
        for data in ({"data": photographs}, {"data": tmp_path, "validation_data": photographs}):
            with pytest.raises(RunError, match="holds the data of this run: choose another folder"):
                train(recipe(), photographs.parent / "x" / ".." / photographs.name, **data, device="cpu")
        assert not (photographs / "run.json").exists()

    def test_a_run_that_fails_says_so_and_why(self, tmp_path, photographs, monkeypatch):
        def broken(self, model, batch, done, lesson):
            return model(batch["degraded"])[-1].mean() * torch.nan, {}

        monkeypatch.setattr("passband.tasks.restoration.Restoration.loss", broken)
        with pytest.raises(RunError):
            train(recipe(), tmp_path / "nan", data=photographs, device="cpu")
        run = read_run(tmp_path / "nan")
        assert run["status"] == "failed"
        assert "the loss is nan at step 1" in run["reason"]
        monkeypatch.undo()
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), tmp_path / "cut", data=photographs, device="cpu", report=stop_after(1))
        assert read_run(tmp_path / "cut")["status"] == "interrupted"

    def test_the_weights_to_start_from_count_as_the_best_until_a_validation_is_better(
        self, tmp_path, photographs, tiny_weights
    ):
        settings = recipe(optim={"steps": 2, "warmup_steps": 0, "learning_rate": 0.5, "ema": 0.0})
        progress = train(settings, tmp_path / "run", data=photographs, weights=tiny_weights, device="cpu")
        validations = rows(tmp_path / "run" / "validation.csv")
        assert [row[0] for row in validations[1:]] == ["0", "2"]
        assert progress.best_score == float(validations[1][1]) > float(validations[2][1])
        before, best = (load_model(path).state_dict() for path in (tiny_weights, tmp_path / "run" / "weights" / "best"))
        assert all(torch.equal(before[key], best[key]) for key in before)

    def test_a_run_without_better_validations_ends_and_stays_ended(self, tmp_path, photographs, monkeypatch):
        scores = iter([20.0, 21.0, 20.5, 21.0, 22.0])
        validate = Restoration.validate

        def scripted(self, model, batches, scored):
            return replace(validate(self, model, batches, scored), score=next(scores))

        monkeypatch.setattr("passband.tasks.restoration.Restoration.validate", scripted)
        settings = recipe(validation={"every": 1, "patience": 2}, checkpoint_every=100)
        progress = train(settings, tmp_path / "run", data=photographs, device="cpu")
        assert progress.step == 4
        assert progress.best_score == 21.0
        run = read_run(tmp_path / "run")
        assert run["status"] == "finished"
        assert run["reason"] == "the last 2 validations did not improve the score"
        assert train(settings, tmp_path / "run", data=photographs, device="cpu", resume=True).step == 4

    def test_patience_counts_through_an_interruption(self, tmp_path, photographs, monkeypatch):
        constant = Validation(20.0, {"psnr": 20.0}, torch.zeros(3, 8, 8))
        monkeypatch.setattr("passband.tasks.restoration.Restoration.validate", lambda *_: constant)
        settings = recipe(validation={"every": 1, "patience": 4}, checkpoint_every=1)
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "run", data=photographs, device="cpu", report=stop_after(4))
        assert train(settings, tmp_path / "run", data=photographs, device="cpu", resume=True).step == 5

    def test_a_resumed_run_still_names_the_weights_that_it_started_from(self, tmp_path, photographs, tiny_weights):
        short, run = recipe(checkpoint_every=1, optim={"steps": 2}), tmp_path / "run"
        with pytest.raises(KeyboardInterrupt):
            train(short, run, data=photographs, weights=tiny_weights, device="cpu", report=stop_after(2))
        train(short, run, data=photographs, device="cpu", resume=True)
        assert read_run(tmp_path / "run")["weights"] == str(tiny_weights)

    def test_pairs_that_are_held_out_are_scored_and_not_learned_from(self, tmp_path, photographs, monkeypatch):
        list(degrade_files(photographs, tmp_path / "pairs", "haze"))
        settings = recipe(data={"source": "pairs", "held_out": 0.25})
        task = Restoration(settings)
        learned, scored = task.training_data(tmp_path / "pairs", {}), task.validation_data(tmp_path / "pairs", None, {})
        names = [{data[number]["name"] for number in range(len(data))} for data in (learned, scored)]
        assert names[0] | names[1] == {"0", "1", "2", "3"}
        assert not names[0] & names[1]
        assert len(names[1]) == 1
        # a folder takes the place of pairs that are held out
        assert (
            len(task.validation_data(tmp_path / "pairs", tmp_path / "pairs", {})) == 2
        )  # as many as the recipe counts
        with pytest.raises(RecipeError, match="held_out is a share of pairs"):
            recipe(data={"held_out": 0.25})

    @pytest.mark.parametrize("kept", [True, False])
    def test_statistics_of_normalization_are_kept_where_the_recipe_says_so(
        self, tmp_path, photographs, tiny_weights, kept
    ):
        settings = recipe(optim={"steps": 1, "warmup_steps": 0, "keep_statistics": kept})
        train(settings, tmp_path / "run", data=photographs, weights=tiny_weights, device="cpu")
        before, after = (
            load_model(path).state_dict() for path in (tiny_weights, tmp_path / "run" / "weights" / "last")
        )
        running = [key for key in before if key.endswith(("running_mean", "running_var"))]
        assert running
        assert all(torch.equal(before[key], after[key]) == kept for key in running)

    def test_weights_that_do_not_load_leave_no_run(self, tmp_path, photographs):
        with pytest.raises(CheckpointError, match="No weights named"):
            train(recipe(), tmp_path / "run", data=photographs, weights="nothing", device="cpu")
        assert not (tmp_path / "run").exists()

    def test_a_killed_run_resumes_to_the_losses_of_one_that_was_not(self, tmp_path, photographs):
        settings = tmp_path / "tiny.toml"
        settings.write_text(
            'name = "tiny"\ncheckpoint_every = 2\n[model]\nname = "sfnet"\narguments = {width = 16, depth = 1}\n'
            "[data]\ncrop = 32\nbatch = 1\nworkers = 0\n[optim]\nsteps = 16\nwarmup_steps = 2\n"
            "[validation]\nevery = 100\ncount = 1\ncrop = 32\n"
        )
        command = [
            sys.executable,
            "-m",
            "passband",
            "train",
            str(settings),
            "--data",
            str(photographs),
            "--device",
            "cpu",
        ]
        train(load_recipe(settings), tmp_path / "whole", data=photographs, device="cpu")
        killed = subprocess.Popen(
            [*command, "-o", str(tmp_path / "killed")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while latest_checkpoint(tmp_path / "killed") is None and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert len(rows(tmp_path / "killed" / "log.csv")) < 17, "the run ended before it could be killed"
        train(load_recipe(settings), tmp_path / "killed", data=photographs, device="cpu", resume=True)
        assert rows(tmp_path / "killed" / "log.csv") == rows(tmp_path / "whole" / "log.csv")


def test_a_folder_without_a_run_is_said_so(tmp_path):
    with pytest.raises(RunError, match=r"holds no run: there is no run\.json"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        read_run(tmp_path)


class TestLengthInMinutes:
    def test_the_length_is_what_fits_beside_validations_and_a_spare(self, photographs, monkeypatch):
        timed = []

        def time_steps(probe, **given):
            timed.append((probe.optim.steps, probe.validation.every, given["skip"]))
            return 0.5, 6.0

        monkeypatch.setattr("passband.run_length.time_steps", time_steps)
        fitted = recipe_within(recipe(), 2, data=photographs, device="cpu")
        assert timed == [(9, 9, 3)]
        assert fitted.optim.steps == pytest.approx((0.95 * 120 - 4 * 6) / 0.5, abs=1)
        assert fitted.validation.every * 4 >= fitted.optim.steps > fitted.validation.every * 3
        assert fitted.optim.warmup_steps == 2
        with pytest.raises(RunError, match=r"20 steps are needed, and 3 fit into 0.45 minutes.* Use --minutes 1"):
            recipe_within(recipe(), 0.45, data=photographs, device="cpu")

    def test_steps_and_validations_are_timed_in_a_run_that_is_thrown_away(self, photographs):
        short = recipe(optim={"steps": 3, "warmup_steps": 0}, validation={"every": 3})
        step, validation = time_steps(short, data=photographs, device="cpu")
        assert 0 < step < 60
        assert 0 < validation < 60


class TestDevices:
    CUDA = recipe(cuda={"data.batch": 64, "precision": "bfloat16"})

    def test_settings_for_cuda_replace_others_there_alone(self):
        assert recipe_on(self.CUDA, "cpu") is self.CUDA
        there = recipe_on(self.CUDA, "cuda")
        assert (there.data.batch, there.precision, there.cuda) == (64, "bfloat16", {})
        assert there.data.crop == self.CUDA.data.crop
        assert recipe_on(there, "cuda") is there  # as a run records it, and goes on with it

    def test_a_run_follows_the_settings_for_its_device(self, tmp_path, photographs, monkeypatch):
        monkeypatch.setattr("passband.training.recipe_on", lambda given, device: recipe_on(given, "cuda"))
        changed = recipe(cuda={"data.batch": 1, "optim.steps": 2, "optim.warmup_steps": 0})
        train(changed, tmp_path / "run", data=photographs, device="cpu")
        begun = read_run(tmp_path / "run")["recipe"]
        assert (begun.data.batch, begun.optim.steps, begun.cuda) == (1, 2, {})

    def test_settings_that_do_not_fit_are_refused_when_the_recipe_is_read(self):
        with pytest.raises(RecipeError, match=r"in its table cuda: .*data\.bacth; did you mean data\.batch"):
            recipe(cuda={"data.bacth": 64})

    @pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
    def test_a_device_that_is_not_here_is_refused_before_anything_is_written(self, tmp_path, photographs):
        with pytest.raises(ValueError, match="device 'cuda' cannot be used here"):
            train(recipe(), tmp_path / "run", data=photographs, device="cuda")
        assert not (tmp_path / "run").exists()


def test_a_run_with_the_layout_of_a_gpu_has_the_same_losses_and_resumes(whole_run, photograph, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "memory_format", lambda device_type, precision: torch.channels_last)
    folder = write_photographs(tmp_path / "photographs", photograph)
    run = tmp_path / "run"
    stop_early = stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), run, data=folder, report=stop_early)
    train(recipe(), run, data=folder, resume=True)
    expected, found = ([float(row[1]) for row in rows(path / "log.csv")[1:]] for path in (whole_run, run))
    assert found == pytest.approx(expected, rel=1e-4)
