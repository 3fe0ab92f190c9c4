"""Real processes do real work; each test starts few of them, because a start takes seconds."""

import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress

import psutil
import pytest
import torch

from passband.inference import Restorer, plan_jobs, restore_files
from passband.io.image import write_image
from passband.io.records import RECORD_FILE
from passband.scale import LocalProcesses, choose_executor
from passband.scale.local import WAITING, LocalCrew, LocalWorker, Share
from passband.scale.schedule import WorkersError
from tests.pictures import names


@pytest.fixture(scope="module")
def restorer(tiny_weights):
    return Restorer(tiny_weights, "cpu")


@pytest.fixture
def pictures(tmp_path):
    """Four small pictures, each another."""
    folder = tmp_path / "in"
    for number in range(4):
        write_image(folder / f"{number}.png", torch.rand(3, 20, 20))
    return folder


def test_processes_write_and_record_what_one_process_does(restorer, pictures, tmp_path):
    alone = list(restore_files(restorer, plan_jobs([pictures], tmp_path / "alone")))
    (pictures / "bad.png").write_bytes(b"no image")
    jobs = plan_jobs([pictures], tmp_path / "out")
    outcomes = {one.job.source.name: one for one in restore_files(restorer, jobs, executor=LocalProcesses(2))}
    assert "bad.png" in outcomes.pop("bad.png").reason
    assert {one.status for one in outcomes.values()} == {"restored"}
    for one in alone:
        assert outcomes[one.job.source.name].notes == one.notes
        assert (tmp_path / "out" / one.job.target.name).read_bytes() == one.job.target.read_bytes()
    assert len((tmp_path / "out" / RECORD_FILE).read_text().splitlines()) == 4
    assert not multiprocessing.active_children()
    again = [one.status for one in restore_files(restorer, jobs)]
    assert again == ["skipped"] * 4 + ["failed"]


def test_a_run_that_finds_everything_done_starts_no_process(restorer, pictures, tmp_path, monkeypatch):
    jobs = plan_jobs([pictures], tmp_path / "out")
    list(restore_files(restorer, jobs))
    monkeypatch.setattr("passband.scale.local.LocalCrew.start", lambda *_: pytest.fail("a process is started"))
    assert [one.status for one in restore_files(restorer, jobs, executor=LocalProcesses(2))] == ["skipped"] * 4


def kill_the_reader(pipe, times):
    """Kill the only worker as soon as it waits for a pipe, some number of times."""
    for _ in range(times):
        while True:
            with suppress(OSError):  # nobody reads it yet
                writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
                break
            time.sleep(0.02)
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid, signal.SIGKILL)
        while psutil.pid_exists(worker.pid):  # its status belongs to the thread that restores
            time.sleep(0.02)
        os.close(writer)


def test_a_worker_that_the_system_kills_twice_costs_its_file_and_no_other(restorer, pictures, tmp_path):
    pipe = pictures / "1.png"
    jobs = plan_jobs([pictures / "0.png", pipe, pictures / "2.png"], tmp_path / "out")
    pipe.unlink()
    os.mkfifo(pipe)
    killer = threading.Thread(target=kill_the_reader, args=(pipe, 2), daemon=True)
    killer.start()
    outcomes = {one.job.source.name: one for one in restore_files(restorer, jobs, executor=LocalProcesses(1))}
    assert {name: one.status for name, one in outcomes.items()} == {
        "0.png": "restored",
        "1.png": "failed",
        "2.png": "restored",
    }
    assert "killed by the system, probably for lack of memory" in outcomes["1.png"].reason
    assert names(tmp_path / "out") == ["0.png", "2.png"]


def test_a_read_that_hangs_meets_the_time_limit(restorer, pictures, tmp_path):
    pipe = pictures / "1.png"
    jobs = plan_jobs([pipe, pictures / "0.png"], tmp_path / "out")
    pipe.unlink()
    os.mkfifo(pipe)
    hung, done = list(restore_files(restorer, jobs, executor=LocalProcesses(1, timeout=1, in_order=True)))
    assert done.status == "restored"
    assert f"{pipe}: no progress for 1 s" in hung.reason
    assert not multiprocessing.active_children()


def test_weights_that_are_gone_end_the_work_with_an_error(identity_weights, pictures, tmp_path):
    restorer = Restorer(identity_weights, "cpu")
    restorer.weights = str(tmp_path / "gone")
    with pytest.raises(WorkersError, match=r"a worker cannot start: .*gone"):
        list(restore_files(restorer, plan_jobs([pictures], tmp_path / "out"), executor=LocalProcesses(1)))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("policy", "threads"), [("passive", 3), ("active", 1), (None, 1)])
def test_a_process_takes_all_threads_only_if_they_sleep_while_they_wait(policy, threads, monkeypatch):
    taken = []
    monkeypatch.setattr("torch.set_num_threads", taken.append)
    monkeypatch.setattr("passband.inference.restoration.memory.share_memory", lambda *_: None)
    monkeypatch.delenv(WAITING, raising=False) if policy is None else monkeypatch.setenv(WAITING, policy)
    Share(0, 3, threads=1, most=3).take()
    Share(0, 3, threads=1).take()
    assert taken == [threads, 1]


def test_only_processes_that_may_take_all_threads_start_with_threads_that_sleep(monkeypatch):
    started = []

    class Watched(LocalWorker):
        def __init__(self, context, payload, share):
            started.append((os.environ.get(WAITING), share.most))

    monkeypatch.setattr("passband.scale.local.LocalWorker", Watched)
    monkeypatch.delenv(WAITING, raising=False)
    for is_idle in (True, False):
        crew = LocalCrew(2, is_idle=is_idle)
        crew.start(b"")
    assert started == [("passive", torch.get_num_threads()), (None, None)]
    assert WAITING not in os.environ


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="1 worker or more"):
        LocalProcesses(0)
    with pytest.raises(ValueError, match="above 0"):
        LocalProcesses(1, timeout=-1.0)
    with pytest.raises(ValueError, match="together with --workers"):
        choose_executor(0, timeout=5.0)
    with pytest.raises(ValueError, match=r"local, ray; got 'rya'. Did you mean 'ray'"):
        choose_executor(1, "rya")
    assert choose_executor(3, timeout=0.0) == LocalProcesses(3, timeout=None, video_timeout=None)
