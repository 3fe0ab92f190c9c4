"""The faults that work on many files survives, each with the test that injects it."""

import ast
import errno
import time
from pathlib import Path

import pytest
import torch

from passband.inference import Restorer, plan_jobs, restore_files
from passband.io.image import write_image
from tests.scale.test_schedule import Crew, Number, run

TESTS = Path(__file__).parents[1]
FAULTS = {
    "a file that cannot be read": "scale/test_local.py::test_processes_write_and_record_what_one_process_does",
    "a folder that cannot be read": (
        "inference/files/test_files.py::test_a_sub_folder_that_cannot_be_read_is_a_job_that_fails_by_name"
    ),
    "a file that changes between listing and reading": (
        "inference/files/test_jobs.py::test_a_source_that_changes_while_it_is_read_is_done_again"
    ),
    "a file of a store that changes while it is read": (
        "scale/test_addresses.py::test_a_file_that_changes_while_it_is_read_is_read_again"
    ),
    "a full disk": "inference/files/test_jobs.py::test_a_full_disk_fails_each_file_by_name_and_leaves_nothing_behind",
    "a full store": "scale/test_addresses.py::test_a_full_store_fails_each_file_and_leaves_nothing",
    "a full disk during a checkpoint": "test_checkpoints.py::test_a_full_disk_keeps_the_checkpoints_before_and_says_so",
    "a read-only output": "scale/test_faults.py::test_a_read_only_output_fails_each_file_by_name_and_is_tried_again",
    "a worker that dies": (
        "scale/test_local.py::test_a_worker_that_the_system_kills_twice_costs_its_file_and_no_other"
    ),
    "a store that answers 503 twice": "scale/test_addresses.py::test_a_store_that_refuses_twice_is_asked_again",
    "a store that never answers": "scale/test_addresses.py::test_a_store_that_never_answers_fails_the_file_by_name",
    "a read that hangs": "scale/test_local.py::test_a_read_that_hangs_meets_the_time_limit",
    "a clock that jumps back, for records": "io/test_records.py::test_a_clock_that_jumps_back_makes_nothing_new",
    "a clock that jumps back, for time limits": "scale/test_faults.py::test_a_clock_that_jumps_moves_no_time_limit",
    "a kill while a store is written": (
        "scale/test_addresses.py::test_a_run_that_is_killed_while_it_writes_is_continued"
    ),
    "a kill in the middle of a video": (
        "scale/test_video_parts.py::test_segments_of_an_earlier_run_are_not_restored_again"
    ),
}
"""The test of each fault."""


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_test(fault):
    file, name = FAULTS[fault].split("::")
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_a_read_only_output_fails_each_file_by_name_and_is_tried_again(identity_weights, tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "in" / name, torch.rand(3, 8, 8))
    restorer, jobs = Restorer(identity_weights, "cpu"), plan_jobs([tmp_path / "in"], tmp_path / "out")
    make = Path.mkdir

    def refused(path, *arguments, **options):
        if path == tmp_path / "out":
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        make(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refused)
        outcomes = list(restore_files(restorer, jobs))
    assert [one.status for one in outcomes] == ["failed", "failed"]
    for one in outcomes:
        assert f"cannot write {one.job.target}: Read-only file system" in one.reason
    assert not (tmp_path / "out").exists()
    assert [one.status for one in restore_files(restorer, jobs)] == ["restored", "restored"]


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_jumps_moves_no_time_limit(monkeypatch, jump):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    results, crew = run([Number(0), Number(1), Number(2, ("hangs",))], Crew(1), timeout=0.01)
    assert results[:2] == [0, 1]
    assert "2.png: no progress for 0.01 s" in results[2]
    assert [worker.is_dead for worker in crew.workers] == [True]
