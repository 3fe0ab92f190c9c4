"""Types are checked in all other tests; these tests call functions of the library with wrong types."""

from collections.abc import Iterator

import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from passband.metrics import psnr
from passband.naming import shortened

REFUSALS = (BeartypeCallHintViolation, TypeCheckError)


@jaxtyped(typechecker=beartype)
def first(images: Float[Tensor, "b c h w"], masks: Float[Tensor, "b h w"]) -> Float[Tensor, "c h w"]:
    return images[0] if masks.any() else images


@jaxtyped(typechecker=beartype)
def drawn(count: int, side: int) -> Iterator[Float[Tensor, "side side"]]:
    yield from (torch.rand(side, side) for _ in range(count))


def test_functions_of_the_library_refuse_other_types_and_shapes():
    with pytest.raises(REFUSALS):
        shortened(3)
    with pytest.raises(REFUSALS):
        psnr(torch.rand(1, 3, 9, 9), torch.rand(1, 3, 9, 8))
    with pytest.raises(REFUSALS):
        psnr(torch.zeros(1, 3, 9, 9, dtype=torch.uint8), torch.rand(1, 3, 9, 9))


def test_axes_of_one_name_have_one_size_in_all_arguments_and_in_the_result():
    images, masks = torch.rand(2, 3, 5, 4), torch.ones(2, 5, 4)
    assert first(images, masks).shape == (3, 5, 4)
    with pytest.raises(REFUSALS):
        first(images, masks[:1])
    with pytest.raises(REFUSALS):
        first(images, 0 * masks)  # the result has four axes
    assert first(images[:1], masks[:1, :, :]).shape == (3, 5, 4), "a call forgets the sizes of the call before"


def test_functions_that_yield_check_their_arguments_when_they_are_called():
    with pytest.raises(REFUSALS):
        drawn(2, "3")
    assert len(list(drawn(2, 3))) == 2


def test_nothing_is_checked_in_a_test_of_errors_of_the_library_itself(unchecked):
    assert first(torch.rand(2, 3, 5, 4), torch.zeros(2, 1, 1)).shape == (2, 3, 5, 4)
    with pytest.raises(TypeError, match="object of type 'int' has no len"):
        shortened(3)
