"""Runs a study: plans its trials, and trains them in one or several processes of this machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from passband.io.files import results_folder
from passband.studies.plan import read_plan
from passband.studies.planning import plan_study
from passband.studies.records import read_study
from passband.studies.settings import StudyError, StudySettings
from passband.studies.trials import StudyRecord
from passband.studies.worker import StudyReport, Worker


def study(
    source: str | Path | StudySettings,
    output: str | Path,
    *,
    data: str | Path | None = None,
    validation_data: str | Path | None = None,
    workers: int = 1,
    max_minutes: float | None = None,
    device: str = "auto",
    report: Callable[[StudyReport], None] = lambda report: None,
) -> StudyRecord:
    """Train every combination of scientific values with the same nuisance values and seeds, or continue a study.

    The folder `output` receives settings.json (the plan), study.db (the trials, a database of Optuna), and the runs of
    all trials in trials/. The same call continues a study that was stopped or killed. Several processes may run one
    study: each of them takes the next trial.

    Args:
        source: name of a shipped study, path of a TOML file, or settings.
        output: folder of the study.
        data: folder to train on, see `training.train`. None uses the folder of a study that was begun.
        validation_data: folder to score on, see `training.train`.
        workers: number of processes that train trials at the same time; they share the threads of torch.
        max_minutes: time in minutes after which the study stops; None runs all trials.
        device: device to train on, see `models.pick_device`.
        report: function that is called after every step of the trials of this process.

    Returns:
        Record of the study. Trials that diverged or failed are part of it.

    Raises:
        StudyError: if the settings do not fit each other, the recipe or the data, if `output` holds another study, or
            if another process plans trials in it for longer than two minutes.
        RecipeError: if the recipe does not exist or cannot be used.
        ImportError: if Optuna is not installed.
        OSError: if the data cannot be read, or the folder cannot be written to.
    """
    output = results_folder(output)
    if workers < 1:
        raise StudyError(f"workers must be at least 1; got {workers}")
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    plan = plan_study(source, output, data=data, validation_data=validation_data, device=device)
    with _threads(workers), _helpers(workers - 1, output, device, max_minutes):
        Worker(output, plan, device, deadline, report, workers).run()
    return read_study(output)


@contextmanager
def _threads(workers: int) -> Iterator[None]:
    """Divide the threads of torch among processes, until the end of the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _helpers(count: int, folder: Path, device: str, max_minutes: float | None) -> Iterator[None]:
    """Train trials in further processes, until the end of the block. An error in the block ends the processes."""
    threads = torch.get_num_threads()
    context = get_context("spawn")
    processes: list[BaseProcess] = []
    try:
        for _ in range(count):
            process = context.Process(target=_help, args=(folder, device, max_minutes, threads))
            process.start()
            processes.append(process)
        yield
    except BaseException:
        for process in processes:
            process.terminate()  # their trials continue the next time
        raise
    finally:
        for process in processes:
            process.join()


def _help(folder: Path, device: str, max_minutes: float | None, threads: int) -> None:
    """Train trials of a study that another process began."""
    torch.set_num_threads(threads)
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    first = parent_process()

    def stop_with_first(_: StudyReport) -> None:
        if first is not None and not first.is_alive():
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):  # the first process prints that the study was interrupted
        Worker(folder, read_plan(folder), device, deadline, stop_with_first).run()
