"""Runs of several processes. Their start takes seconds, so one test checks the trainings and scores of all tasks."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "scale"))
from small_runs import RECIPES, small_recipe

from passband.models import load_model
from passband.processes.launch import launch
from passband.runs import read_run
from passband.training import train
from tests.parallel_runs import scored, trained, write_all
from tests.tiny_runs import rows

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")


def test_two_processes_have_the_losses_and_scores_of_one_and_resume_after_a_signal_to_the_same_bits(tmp_path):
    data, folder = write_all(tmp_path / "data"), tmp_path / "together"
    folder.mkdir()
    assert launch([sys.executable, "-m", "tests.parallel_runs", str(folder), str(data)], 2, threads=1) == 0
    trained(tmp_path / "alone", data)
    for task in RECIPES:
        one, two = (rows(run / task / "log.csv") for run in (tmp_path / "alone", folder / "whole"))
        assert one[0] == two[0]
        losses = [torch.tensor([float(row[1]) for row in table[1:]], dtype=torch.float64) for table in (one, two)]
        # sums of two halves are rounded otherwise than the sum of the whole
        torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5, msg=lambda text, task=task: f"{task}: {text}")
        assert read_run(folder / "whole" / task)["processes"] == 2

        for name in ("log.csv", "validation.csv"):
            assert rows(folder / "parts" / task / name) == rows(folder / "whole" / task / name), task
        states = [load_model(folder / run / task / "weights" / "last").state_dict() for run in ("whole", "parts")]
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items()), task

    expected = scored(data)  # to the last digit
    assert [json.loads((folder / f"scores-{number}.json").read_text()) for number in range(2)] == [expected] * 2

    # one process resumes what two began
    run = folder / "whole" / "classification"
    train(small_recipe("classification", 6), run, data=data / "classification", device="cpu", resume=True)
    assert [int(row[0]) for row in rows(run / "log.csv")[1:]] == [1, 2, 3, 4, 5, 6]
