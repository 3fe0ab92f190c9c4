import os
import subprocess
import sys
from multiprocessing import get_all_start_methods

import pytest

from passband.checkpoints import latest_checkpoint
from passband.processes import worker_context
from passband.processes.signals import STOPPING
from tests.documents import ROOT

SCRIPT = """
import multiprocessing
multiprocessing.set_start_method("forkserver")
import passband.data.datasets.segmentation
from passband.processes import worker_context
with worker_context(1).Pool(1) as pool:
    print(pool.apply(eval, ("'passband.data.datasets.segmentation' in __import__('sys').modules",)))
"""


def test_a_worker_of_the_server_finds_the_modules_of_data_sets_imported():
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"
    assert ran.stderr == ""


def test_a_loader_without_processes_gets_no_context():
    assert worker_context(0) is None


TRAINING = """
import multiprocessing, sys
multiprocessing.set_start_method(sys.argv[1])
from passband.training import train
from tests.tiny_runs import recipe
endless = recipe(data={"workers": 1}, optim={"steps": 10**6, "warmup_steps": 1}, validation={"every": 10**6})
progress = train(endless, "run", data=sys.argv[2], device="cpu", report=lambda done: print(done.step, flush=True))
print(progress.is_stopped, progress.signal)
"""


@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("method", get_all_start_methods())
def test_a_training_stops_cleanly_if_all_its_processes_get_a_signal(photographs, tmp_path, method, number):
    run = subprocess.Popen(
        [sys.executable, "-c", TRAINING, method, photographs],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while run.stdout.readline() != "3\n":
        assert run.poll() is None
    os.killpg(run.pid, number)
    out, err = run.communicate()
    assert out.splitlines()[-1] == f"True {int(number)}", err
    assert run.returncode == 0
    assert latest_checkpoint(tmp_path / "run") is not None
