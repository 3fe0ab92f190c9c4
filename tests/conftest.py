"""Small pictures and weights that several tests need."""

import os
import random
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from skimage import data

from passband.io.arrays import from_array
from passband.models import SFNet
from tests.pictures import write_photographs

# how fast a machine is decides no test; and the same examples everywhere
hypothesis.settings.register_profile("passband", deadline=None, derandomize=True)
hypothesis.settings.load_profile("passband")

# One thread in each process, and in those that tests start: processes of pytest-xdist would fight for the cores, and
# so the sums of a network do not depend on the machine.
torch.set_num_threads(1)
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

HERE = Path(__file__).parent

MOST_PROCESSES = 8
"""Of `pytest -n auto`: each takes up to 2 GB of memory and 10 s to import everything."""


def pytest_xdist_auto_num_workers():
    """A process for each core that this one may use, up to `MOST_PROCESSES`."""
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


FAST = {"config", "drawing", "layers", "losses", "metrics", "ops", "test_naming.py"}
"""Folders and files below tests whose tests are marked `fast`."""
SLOW = {"test_frequency_distance.py", "test_protocols.py"}
"""Files in these folders whose tests take long."""


def pytest_collection_modifyitems(items):
    """Marks the tests of small parts."""
    for item in items:
        if (
            item.path.is_relative_to(HERE)
            and item.path.relative_to(HERE).parts[0] in FAST
            and item.path.name not in SLOW
        ):
            item.add_marker(pytest.mark.fast)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Seeds every generator before each test, so that no test depends on which ones ran before it in its process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def cache_folder_of_the_tests(tmp_path_factory):
    """Keeps what is cached between runs out of the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSBAND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def photograph():
    """A real photograph, 3 x 300 x 451 (the bundled cat)."""
    return from_array(data.chelsea())[0]


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """A folder with weights of a tiny network that changes a picture visibly but not much."""
    torch.manual_seed(0)
    model = SFNet(width=16, depth=1)
    folder = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def identity_weights(tmp_path_factory):
    """A folder with weights of a network that returns its input."""
    model = SFNet(width=16, depth=1)
    for head in model.head:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    folder = tmp_path_factory.mktemp("identity")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def close_folder(monkeypatch):
    """Makes a folder refuse to be read, as the system does; permissions do not bind root."""
    scan, closed = os.scandir, set()

    def refuse(path):
        if str(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return lambda folder: closed.add(str(folder))


@pytest.fixture
def photographs(tmp_path, photograph):
    """A folder with four small photographs."""
    return write_photographs(tmp_path / "photographs", photograph)


@pytest.fixture(scope="session")
def _int8():
    """Quantized networks of this process, by network and pictures."""
    return {}


@pytest.fixture
def quantized_once(monkeypatch, _int8):
    """Quantizes the same network on the same pictures once in a process; each time takes seconds."""
    from passband.export import quantize, write

    def once(model, pictures):
        key = (sfnet_graph(model).SerializeToString(), *(picture.numpy().tobytes() for picture in pictures))
        if key not in _int8:
            _int8[key] = real(model, pictures)
        return _int8[key]

    real, sfnet_graph = quantize.quantize, quantize.sfnet_graph
    for module in (quantize, write):
        monkeypatch.setattr(module, "quantize", once)


@pytest.fixture
def unchecked(monkeypatch):
    """Switches off the types that are checked while tests run, so that the library's own errors are seen."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
