"""Operations, losses, metrics, layers and networks have the same values on a GPU as on the CPU."""

import pytest

from tests.device_calls import CALLS, on_device, tensors_from

pytestmark = pytest.mark.gpu
TOLERANCE = 1e-3
"""Largest difference as a share of the largest value: a GPU adds the products of float32 in another order."""


@pytest.mark.parametrize("name", CALLS)
def test_values_on_a_gpu_are_those_of_the_cpu(name):
    expected, found = (tensors_from(name, on_device(device)) for device in ("cpu", "cuda"))
    assert len(found) == len(expected) > 0
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.dtype == other.dtype
        scale = max(1.0, other.abs().double().max().item()) if other.numel() else 1.0
        difference = (one.detach().cpu().double() - other.detach().double()).abs()
        # a value that lies between two numbers of 8 bits may be rounded to either
        assert (difference > TOLERANCE * scale).sum() <= len(difference.flatten()) // 1000, place
