"""Masks and their codes, against pycocotools."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as reference

from passband.io.rle import MaskError, compress, decode_mask, encode_mask, mask_area, mask_functions
from tests.coco_files import disc_polygon, quietly, runs

MASKS = st.tuples(st.integers(1, 13), st.integers(1, 17), st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.5, 1.0]))


def made(height, width, seed, share):
    return np.random.default_rng(seed).random((height, width)) < share


def reference_code(mask):
    with quietly():
        code = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": code["size"], "counts": code["counts"].decode()}


@given(MASKS)
def test_codes_are_those_of_pycocotools_up_to_a_first_run_of_nothing(kind):
    mask = made(*kind)
    code = encode_mask(torch.from_numpy(mask))
    with quietly():
        assert np.array_equal(reference.decode(code), mask)
    assert torch.equal(decode_mask(reference_code(mask)), torch.from_numpy(mask).byte())
    assert mask_area(code) == mask.sum()


@given(MASKS)
def test_decoding_undoes_encoding(kind):
    mask = torch.from_numpy(made(*kind))
    assert torch.equal(decode_mask(encode_mask(mask)), mask.byte())
    assert torch.equal(decode_mask(encode_mask(7 * mask.byte())), mask.byte())


@given(MASKS)
def test_uncompressed_counts_say_the_same(kind):
    mask = made(*kind)
    assert torch.equal(decode_mask(compress(runs(mask), *mask.shape)), torch.from_numpy(mask).byte())


def test_long_runs_and_their_differences_survive():
    mask = np.zeros((1031, 977), bool)
    mask[3:, 100:700] = True
    mask[::7, 800:] = True
    assert torch.equal(decode_mask(reference_code(mask)), torch.from_numpy(mask).byte())


@pytest.mark.parametrize(
    "polygons",
    [
        [disc_polygon(20.3, 15.7, 9.2)],
        [disc_polygon(20.3, 15.7, 9.2), disc_polygon(25, 18, 6)],
        [disc_polygon(2, 36, 11)],  # beyond the corner
        [[-5.5, -3.0, 60.0, 8.25, 12.0, 50.0]],
        [[3, 3, 20, 3, 20, 30]],
    ],
)
def test_polygons_have_the_pixels_of_pycocotools(polygons):
    with quietly():
        expected = reference.decode(reference.merge(reference.frPyObjects(polygons, 37, 41)))
    assert expected.any()
    code = compress([np.array(polygon) for polygon in polygons], 37, 41)
    assert np.array_equal(decode_mask(code).numpy(), expected)


def test_a_compressed_code_is_taken_as_it_is():
    code = reference_code(made(11, 7, 0, 0.5))
    assert compress({"size": [11, 7], "counts": code["counts"].encode()}, 11, 7) == code


def test_a_polygon_of_two_points_is_refused_rather_than_taken_for_a_box():
    with pytest.raises(MaskError, match="at least 3 points"):
        compress([[1.0, 1.0, 5.0, 5.0]], 9, 9)


def test_a_code_of_another_size_is_refused():
    with pytest.raises(MaskError, match=r"9 x 8; got \[8, 9\]"):
        compress({"size": [8, 9], "counts": [72]}, 9, 8)


@pytest.mark.parametrize("counts", [[5, 10, 200], [5, -3, 70], [5, "x"]])
def test_counts_that_are_no_runs_of_the_picture_are_refused(counts):
    with pytest.raises(MaskError, match="not runs for 9 x 8"):
        compress({"size": [9, 8], "counts": counts}, 9, 8)


@pytest.mark.parametrize("counts", ["", "zzz", "\x01", "d0", "P" * 9 + "0", "a"])
def test_damaged_text_is_refused(counts):
    for read in (decode_mask, mask_area):
        with pytest.raises(MaskError, match="run-length code"):
            read({"size": [9, 8], "counts": counts})


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    mask_functions.cache_clear()
    monkeypatch.setitem(sys.modules, "faster_coco_eval.core", None)
    with pytest.raises(ImportError, match=r"passband\[detection\]"):
        encode_mask(torch.zeros(3, 4, dtype=torch.bool))
    monkeypatch.undo()
    assert mask_area(encode_mask(torch.ones(3, 4, dtype=torch.bool))) == 12
