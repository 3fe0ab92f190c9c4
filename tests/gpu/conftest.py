"""Prepares tests that need a CUDA GPU. They are chosen by `-m gpu` alone, see `tests/conftest.py`."""

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
