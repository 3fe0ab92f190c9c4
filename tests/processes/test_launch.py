import sys

import pytest

from passband.processes import start
from passband.processes.launch import LaunchError, launch
from passband.processes.start import ProcessError, check_shares


def python(text):
    return [sys.executable, "-c", f"import os, signal, sys, time; rank = int(os.environ['RANK']); {text}"]


def test_each_process_knows_its_number_and_where_the_others_are(tmp_path):
    names = "('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT', 'OMP_NUM_THREADS')"
    write = f"open({str(tmp_path)!r} + f'/{{rank}}', 'w').write(' '.join(os.environ[name] for name in {names}))"
    assert launch(python(write), 2, threads=3) == 0
    found = [(tmp_path / str(number)).read_text().split() for number in range(2)]
    assert [one[:4] for one in found] == [["0", "0", "2", "127.0.0.1"], ["1", "1", "2", "127.0.0.1"]]
    assert found[0][5] == found[1][5] == "3"


def test_a_process_that_is_killed_is_named_and_the_others_are_stopped(monkeypatch):
    monkeypatch.setattr("passband.processes.launch.PATIENCE", 0.2)
    kill = "os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else time.sleep(60)"
    with pytest.raises(LaunchError, match="process 2 of 2 was ended by the signal SIGKILL, so the others were stopped"):
        launch(python(kill), 2)


def test_the_error_of_the_process_that_failed_first_is_told_and_not_that_of_those_that_lost_it():
    fail = (
        "from pathlib import Path; "
        "time.sleep(0 if rank == 0 else 0.3); "
        "Path(os.environ['PASSBAND_ERROR_FILE']).write_text('' if rank == 0 else 'a.png is cut short'); sys.exit(1)"
    )
    with pytest.raises(LaunchError, match=r"^process 2 of 2: a\.png is cut short$"):
        launch(python(fail), 2)


def test_a_status_that_all_processes_share_after_a_signal_is_returned():
    assert launch(python("sys.exit(143)"), 2) == 143
    with pytest.raises(LaunchError, match=r"process [12] of 2 ended with the status 3"):
        launch(python("sys.exit(3)"), 2)


def test_a_batch_that_cannot_be_shared_names_the_numbers_that_divide_it():
    check_shares(8, 4)
    with pytest.raises(ProcessError, match=r"data\.batch = 6 .* by 4 processes: start 2, 3, 6 .*--set data\.batch=8"):
        check_shares(6, 4)
    with pytest.raises(ProcessError, match=r"by 2 processes: set a multiple of 2, such as --set data\.batch=2"):
        check_shares(1, 2)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(start.torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ProcessError, match="this machine has 1: start fewer processes, or use --device cpu"):
        start.join(start.torch.device("cuda"))
