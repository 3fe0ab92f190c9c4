"""Starts and ends the page in unusual ways: signals, scripts that never close it, and workers that cannot start."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from passband.app.files.uploads import remove_abandoned
from passband.app.server import Server
from passband.app.settings import STOPPING, on_stop
from passband.app.work.jobs import FAILED_STARTS, Jobs
from passband.app.work.restoration import InspectRequest
from passband.cli import app as commands
from passband.scale.local import LocalCrew, LocalWorker
from tests.app.test_jobs import wait_until


@pytest.fixture
def handlers():
    """Restore the handlers of signals after a test."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.usefixtures("handlers")
def test_a_signal_ends_a_page_that_still_starts_with_its_number(number, monkeypatch):
    def launch(*_, **__):
        os.kill(os.getpid(), number)
        pytest.fail("the signal did not interrupt the start")

    monkeypatch.setattr("passband.app.launch", launch)
    assert CliRunner().invoke(commands, ["app"]).exit_code == 128 + number


@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.usefixtures("handlers")
def test_a_signal_ends_a_page_that_serves_with_its_number(number, monkeypatch):
    class Served(Server):
        url, share_url, closed = "http://127.0.0.1/", None, 0

        def __init__(self):
            pass

        def close(self):
            Served.closed += 1

    def interrupted(handler):
        on_stop(handler)
        os.kill(os.getpid(), number)

    monkeypatch.setattr("passband.app.server.on_stop", interrupted)
    monkeypatch.setattr("passband.app.launch", lambda *_, **__: Served())
    assert CliRunner().invoke(commands, ["app"]).exit_code == 128 + number
    assert Served.closed == 1


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_nohup_ignores_stays_ignored(monkeypatch):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr("passband.app.launch", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
    CliRunner().invoke(commands, ["app"])
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_the_files_of_a_page_that_nobody_closes_go_with_its_program():
    lines = ("from passband.app import Limits", "from passband.app.files.uploads import Storage")
    script = "\n".join((*lines, "root = Storage(Limits()).root", "assert root.is_dir()", "print(root)"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()


def test_the_files_of_a_page_that_was_killed_go_when_the_next_one_starts(tmp_path):
    lines = ("from passband.app import Limits", "from passband.app.files.uploads import Storage")
    script = "\n".join((*lines, "print(Storage(Limits()).root, flush=True)", "input()"))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        root = Path(other.stdout.readline().strip())
        assert root.parent == tmp_path
        remove_abandoned(tmp_path)
        assert root.is_dir()
        other.kill()
    assert root.is_dir()
    remove_abandoned(tmp_path)
    assert not root.exists()


def test_a_worker_that_imports_a_script_without_a_guard_says_so(monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(RuntimeError, match='Put its work below `if __name__ == "__main__":`'):
        LocalCrew(1)


def test_no_worker_starts_without_a_job_after_several_could_not_start(monkeypatch, tmp_path):
    started, rounds = [], []
    start, serve = LocalCrew.start, Jobs._serve_once
    monkeypatch.setattr(Jobs, "_serve_once", lambda self: (serve(self), rounds.append(self._failed_starts)))
    monkeypatch.setattr(LocalCrew, "start", lambda crew, _: (started.append(1), start(crew, b"no pickle"))[1])
    jobs = Jobs(1, 600, 5)
    try:
        wait_until(lambda: rounds.count(FAILED_STARTS) > 2)
        assert len(started) == FAILED_STARTS
        job = jobs.submit("a", InspectRequest(tmp_path / "one.png"))
        wait_until(lambda: job.is_over)
        assert "No worker can start (a worker cannot start" in job.error
        assert len(started) == FAILED_STARTS + 1
    finally:
        jobs.close()


def test_workers_start_while_ctrl_c_is_blocked_and_only_then(monkeypatch):
    masks = []

    class Watched(LocalWorker):
        def __init__(self, *_):
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    monkeypatch.setattr("passband.scale.local.LocalWorker", Watched)
    LocalCrew(1).start(b"")
    assert signal.SIGINT in masks[0]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
