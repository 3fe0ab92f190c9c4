import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passband.ops.tiling import _spans, _weights, lay_tiles, map_tiles, pad_to_multiple, pad_to_size

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


@given(SIDES, SIDES, st.integers(0, 60), st.integers(0, 60))
def test_padding_to_a_size_reflects_as_often_as_needed(height, width, bottom, right):
    image = torch.randn(2, 3, height, width)
    padded = pad_to_size(image, height + bottom, width + right)
    reflected = np.pad(image.numpy(), ((0, 0), (0, 0), (0, bottom), (0, right)), mode="reflect")
    assert torch.equal(padded, torch.from_numpy(reflected))


@pytest.mark.usefixtures("unchecked")
def test_an_image_that_is_larger_than_the_size_is_not_padded():
    with pytest.raises(ValueError, match="needs an image of at most 48x32 pixels, got 40x33"):
        pad_to_size(torch.rand(1, 3, 33, 40), 32, 48)


@pytest.mark.parametrize(("height", "width"), [(7, 90), (53, 31), (64, 101)])
def test_tiles_may_be_wider_than_high(height, width):
    image, sizes = torch.rand(1, 2, height, width, dtype=torch.float64), []
    tiled = map_tiles(lambda tile: sizes.append(tile.shape[-2:]) or tile, image, (16, 40), 8)
    torch.testing.assert_close(tiled, image)
    assert set(sizes) == {(min(height, 16), min(width, 40))}


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


@pytest.mark.parametrize("multiple", [1, 2])
def test_tiles_share_at_least_the_overlap_and_are_as_few_as_that_allows(multiple):
    for length in range(11, 60):
        spans = _spans(length, 10, 4, multiple)
        padded = math.ceil(length / multiple) * multiple
        assert spans[0].start == 0
        assert spans[-1].end == padded
        assert all(before.end - after.start >= 4 for before, after in pairwise(spans))
        assert len(spans) == 1 + math.ceil((padded - 10) / 6)
        assert all(span.start % multiple == 0 and span.size == 10 for span in spans)


def test_own_parts_of_tiles_cover_the_picture_once():
    for side, overlap in ((16, 8), (24, 8), (32, 0)):
        counts = torch.zeros(56, 104)
        for tile in lay_tiles(51, 99, side, overlap, 8):
            rows, columns = tile.rows, tile.columns
            assert rows.start <= rows.own_start < rows.own_end <= rows.end
            counts[rows.own_start : rows.own_end, columns.own_start : columns.own_end] += 1
        assert (counts == 1).all()


@given(st.integers(17, 90), st.integers(8, 40), st.floats(0, 0.5), st.sampled_from([1, 2, 8]))
def test_weights_of_all_tiles_add_to_one_everywhere(length, side, part, multiple):
    side = max(side // multiple, 1) * multiple
    spans = _spans(length, side, int(part * side) // multiple * multiple, multiple)
    total = torch.zeros(spans[-1].end)
    for span, weights in zip(spans, _weights(spans), strict=True):
        assert (weights >= 0).all()
        total[span.start : span.end] += weights
    torch.testing.assert_close(total, torch.ones_like(total))


def test_what_two_tiles_disagree_on_changes_gradually_in_the_middle_of_what_they_share():
    image = torch.zeros(1, 1, 8, 40)
    values = iter([0.0, 1.0])
    blended = map_tiles(lambda tile: torch.full_like(tile, next(values)), image, 24, 8)
    torch.testing.assert_close(blended[0, 0, 0, :18], torch.zeros(18))
    torch.testing.assert_close(blended[0, 0, 0, 17:23].diff(), torch.tensor([0.125, 0.25, 0.25, 0.25, 0.125]))
    torch.testing.assert_close(blended[0, 0, 0, 22:], torch.ones(18))


def test_what_a_tile_sees_at_its_border_does_not_show():
    image = torch.rand(1, 1, 9, 60)

    def blur(tile):  # sees two pixels far, and zeros beyond a border
        return torch.nn.functional.avg_pool2d(tile, 5, 1, 2)

    torch.testing.assert_close(map_tiles(blur, image, 24, 8), blur(image))


@pytest.mark.parametrize("length", [81, 100, 128, 131])
def test_borders_lie_in_the_middle_of_an_overlap_also_where_tiles_begin_at_large_multiples(length):
    image = torch.rand(1, 1, 9, length)

    def blur(tile):  # sees four pixels far, a quarter of the overlap
        return torch.nn.functional.avg_pool2d(tile, 9, 1, 4)

    torch.testing.assert_close(map_tiles(blur, image, 64, 16, multiple=16), blur(image))


def test_a_picture_of_one_tile_is_passed_as_it_is():
    image = torch.rand(1, 3, 10, 12)
    seen = []
    map_tiles(lambda tile: seen.append(tile) or tile, image, 12, 4)
    assert len(seen) == 1
    assert torch.equal(seen[0], image)


@pytest.mark.parametrize(("side", "multiple"), [(0, 1), ((8, 0), 1), (8, 0), (8, -8)])
def test_tiles_and_multiples_have_at_least_one_pixel(side, multiple):
    with pytest.raises(ValueError, match="at least 1 pixel; got"):
        lay_tiles(20, 20, side, 0, multiple)
    if multiple < 1:
        with pytest.raises(ValueError, match="a multiple of at least 1 pixel; got"):
            pad_to_multiple(torch.rand(1, 3, 20, 20), multiple)
        with pytest.raises(ValueError, match="at least 1 pixel; got"):
            lay_tiles(20, 20, 8, 0, border_multiple=multiple)


def test_an_overlap_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="0 to half their side of 10 pixels; got 6"):
        map_tiles(lambda tile: tile, torch.rand(1, 3, 20, 20), 10, 6)
    with pytest.raises(ValueError, match="multiples of 8; got 20 and 8"):
        map_tiles(lambda tile: tile, torch.rand(1, 3, 40, 40), 20, 8, multiple=8)
