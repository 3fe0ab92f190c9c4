"""Small images and weights that several tests need."""

import gc
import logging
import os
import random
import signal
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

# Imports make a million objects that stay. Looking through them again and again takes 7 % of the time of all tests.
gc.disable()

HERE = Path(__file__).parent

MOST_PROCESSES = 8
"""Of `pytest -n auto`: each takes up to 2 GB of memory and 10 s to import everything."""


def pytest_configure():
    """Handle signals as a program of a terminal does, because programs in the background ignore Ctrl-C."""
    terminal = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL, "SIGTERM": signal.SIG_DFL}
    for name, handler in terminal.items():
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_xdist_auto_num_workers():
    """Return the number of cores of this process, and at most `MOST_PROCESSES`."""
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


FAST = {"config", "drawing", "layers", "losses", "metrics", "ops", "test_naming.py"}
"""Folders and files below tests whose tests are marked `fast`."""
SLOW = {"test_frequency_distance.py", "test_restoration_protocols.py"}
"""Files in these folders whose tests take long."""


def pytest_collection_modifyitems(config, items):
    """Mark the tests of small parts, and leave out the tests that need a GPU, unless `-m` names `gpu`."""
    if "gpu" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("gpu")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker("gpu")]
    for item in items:
        if (
            item.path.is_relative_to(HERE)
            and item.path.relative_to(HERE).parts[0] in FAST
            and item.path.name not in SLOW
        ):
            item.add_marker(pytest.mark.fast)


@hypothesis.given(hypothesis.strategies.none())
def first_example(nothing):
    """Let Hypothesis make its generator. It looks for references to it, which `gc.freeze` hides from Python 3.14 on."""


def pytest_collection_finish():
    """Collect garbage again from here on, without the objects that stay to the end."""
    first_example()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Seed every random generator and let messages through, so that no test depends on earlier tests."""
    for handler in logging.root.handlers:  # nncf sets those that it finds to errors only, also those of pytest
        handler.setLevel(logging.NOTSET)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def cache_folder_of_the_tests(tmp_path_factory):
    """Use a temporary cache folder instead of the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSBAND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def photograph():
    """Return a real photo, 3 x 300 x 451 (the bundled cat)."""
    return from_array(data.chelsea())[0]


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """Return a folder with weights of a tiny network that changes an image slightly but visibly."""
    torch.manual_seed(0)
    model = SFNet(width=16, depth=1)
    folder = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def identity_weights(tmp_path_factory):
    """Return a folder with weights of a network that returns its input."""
    model = SFNet(width=16, depth=1)
    for head in model.head:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    folder = tmp_path_factory.mktemp("identity")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def close_folder(monkeypatch):
    """Return a function that makes a folder unreadable. Permissions would not restrict root."""
    scan, closed = os.scandir, set()

    def refuse(path):
        if str(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return lambda folder: closed.add(str(folder))


@pytest.fixture(scope="module")
def browser():
    """Start Chromium."""
    from tests.chromium import running_chromium

    with running_chromium() as started:
        yield started


@pytest.fixture(scope="module")
def server():
    """Start a server with the interface of S3; its address, and the failures that it will have."""
    from tests.buckets import s3_server

    with s3_server() as started:
        yield started


@pytest.fixture
def bucket(server, monkeypatch, request):
    """Make a bucket, and return the client to look at it."""
    from tests.buckets import s3_bucket

    with s3_bucket(server, monkeypatch, request.node.name) as client:
        yield client


@pytest.fixture
def photographs(tmp_path, photograph):
    """Return a folder with four small photos."""
    return write_photographs(tmp_path / "photographs", photograph)


@pytest.fixture(scope="session")
def _int8():
    """Return the quantized networks of this process, by network and images."""
    return {}


@pytest.fixture
def quantized_once(monkeypatch, _int8):
    """Quantize the same network on the same images only once per process, because it takes seconds."""
    from passband.export import quantize, write

    def once(model, pictures):
        key = (restoration_graph(model).SerializeToString(), *(picture.numpy().tobytes() for picture in pictures))
        if key not in _int8:
            _int8[key] = real(model, pictures)
        return _int8[key]

    real, restoration_graph = quantize.quantize, quantize.restoration_graph
    for module in (quantize, write):
        monkeypatch.setattr(module, "quantize", once)


@pytest.fixture
def without_charts(monkeypatch):
    """Let charts be made as ever, and write an empty file in place of each, because matplotlib draws for a second.

    The tests of drawing, analysis and reports draw every kind of chart.
    """
    monkeypatch.setattr("matplotlib.layout_engine.ConstrainedLayoutEngine.execute", lambda engine, figure: None)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path, **_: Path(path).touch())


@pytest.fixture
def unchecked(monkeypatch):
    """Switch off the checks of types during a test, so that errors of the library itself appear."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
