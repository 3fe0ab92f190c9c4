"""Prepares tests that need a CUDA GPU. They are chosen by `-m gpu` alone, see `tests/conftest.py`."""

import warnings
from contextlib import contextmanager

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def gpu():
    """Return the GPU, or fail."""
    if not torch.cuda.is_available():
        pytest.fail(
            "tests marked gpu need a CUDA GPU that torch can use, and this machine has none; leave out -m gpu",
            pytrace=False,
        )
    return torch.device("cuda")


@pytest.fixture(autouse=True)
def exact_float32():
    """Compute float32 without TF32, which rounds the inputs of convolutions to 10 bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def waiting_refused():
    """Return a context in which torch raises an error where the processor would wait for the GPU."""

    @contextmanager
    def refused():
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype", UserWarning)
                torch.cuda.set_sync_debug_mode("error")  # switches on the mode even if its warning is an error
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return refused
