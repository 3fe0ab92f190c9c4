import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passband.ops.tiling import _tile_spans, map_tiles, pad_to_multiple

SIDES = st.integers(1, 23)


def padded_by_numpy(image, bottom, right):
    """The same with numpy's two modes, one side after the other."""
    for padding, axis in ((bottom, -2), (right, -1)):
        widths = [(0, 0)] * image.ndim
        widths[axis] = (0, padding)
        image = np.pad(image, widths, mode="reflect" if padding < image.shape[axis] else "edge")
    return image


@given(SIDES, SIDES, st.integers(1, 17), st.integers(0, 40))
def test_padding_equals_numpy_and_crops_back_to_the_picture(height, width, multiple, minimum):
    image = torch.randn(2, 3, height, width)
    padded, size = pad_to_multiple(image, multiple, minimum)
    bottom, right = padded.shape[-2] - height, padded.shape[-1] - width
    assert size == (height, width)
    assert torch.equal(padded, torch.from_numpy(padded_by_numpy(image.numpy(), bottom, right)))
    assert torch.equal(padded[..., : size[0], : size[1]], image)


@given(SIDES, SIDES, st.integers(1, 17), st.integers(0, 40))
def test_sides_become_the_least_multiples_that_hold_the_picture_and_the_minimum(height, width, multiple, minimum):
    padded, _ = pad_to_multiple(torch.zeros(1, 1, height, width), multiple, minimum)
    for side, needed in zip(padded.shape[-2:], (max(height, minimum), max(width, minimum)), strict=True):
        assert side % multiple == 0
        assert needed <= side < needed + multiple
    assert pad_to_multiple(padded, multiple, minimum)[0].shape == padded.shape


def test_a_picture_that_fits_is_not_touched():
    image = torch.rand(1, 3, 24, 16)
    assert pad_to_multiple(image, 8, 16)[0] is image


def test_a_reflection_leaves_out_the_edge_and_a_repetition_is_only_of_the_edge():
    column = torch.arange(5.0).view(1, 1, 5, 1)
    assert pad_to_multiple(column, 9)[0][0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1, 0]
    assert pad_to_multiple(column, 10)[0][0, 0, :, 0].tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4]


def test_the_gradient_of_padding_counts_how_often_a_pixel_was_used():
    image = torch.zeros(1, 1, 3, 2, requires_grad=True)
    padded, _ = pad_to_multiple(image, 5, 0)
    padded.sum().backward()
    # rows 0 1 2 become 0 1 2 1 0; columns 0 1 become 0 1 1 1 1
    assert image.grad[0, 0].tolist() == [[2, 8], [2, 8], [1, 4]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_precision_of_the_picture_stays(dtype):
    image = torch.rand(1, 3, 5, 1).to(dtype)
    padded, _ = pad_to_multiple(image, 4)
    assert padded.dtype == dtype
    assert torch.equal(padded[..., 5, :], image[..., 3, :].expand(-1, -1, 4))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(8, 40), st.floats(0, 0.5))
def test_tiles_of_the_identity_are_the_picture(height, width, side, part):
    image = torch.rand(1, 2, height, width, dtype=torch.float64)
    sizes = []

    def identity(tile):
        sizes.append(tile.shape[-2:])
        return tile

    torch.testing.assert_close(map_tiles(identity, image, side, int(part * side)), image)
    assert set(sizes) == {(min(height, side), min(width, side))}


def test_tiles_share_at_least_the_overlap_and_are_as_few_as_that_allows():
    for length in range(11, 60):
        spans = _tile_spans(length, 10, 4)
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(before[1] - after[0] >= 4 for before, after in pairwise(spans))
        assert len(spans) == 1 + math.ceil((length - 10) / 6)


def test_what_two_tiles_disagree_on_changes_gradually():
    image = torch.zeros(1, 1, 8, 40)
    values = iter([0.0, 1.0])
    blended = map_tiles(lambda tile: torch.full_like(tile, next(values)), image, 24, 8)
    steps = blended[0, 0, 0].diff()
    torch.testing.assert_close(blended[0, 0, 0, :16], torch.zeros(16))
    torch.testing.assert_close(blended[0, 0, 0, 24:], torch.ones(16))
    assert (steps >= 0).all()
    assert steps.max() <= 1 / 8 + 1e-6


def test_a_picture_of_one_tile_is_passed_as_it_is():
    image = torch.rand(1, 3, 10, 12)
    assert map_tiles(lambda tile: tile, image, 12, 4) is image


def test_an_overlap_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="0 to half their side of 10 pixels; got 6"):
        map_tiles(lambda tile: tile, torch.rand(1, 3, 20, 20), 10, 6)
