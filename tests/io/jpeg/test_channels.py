import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import idctn

from passband.io.jpeg import (
    JpegError,
    JpegHeader,
    dequantize,
    read_channels,
    read_channels_batch,
    read_coefficients,
    read_header,
)
from passband.io.jpeg.info import Request
from tests.io.jpeg.jpeg_files import ENGINES, all_kinds, encoded, photograph

CHANNELS = ((0, 1, 2, 8, 9, 63, 7), (9, 0, 3), (0, 1))
KINDS = all_kinds()
LARGE = {kind: data for kind, data in KINDS.items() if kind not in ("one pixel", "4:2:0 narrower than an MCU")}


def unfused(data, channels, crop=None, flip=False, mean=None, std=None):
    """Read whole, then cropped, mirrored, chosen and normalized, in numpy and one step after the other."""
    coefficients = read_coefficients(data)
    header = coefficients.header
    factors = header.sampling if len(header.sampling) > 1 else ((1, 1),)
    widest = max(across for across, _ in factors)
    planes, first = [], 0
    for (across, down), values, wanted in zip(factors, dequantize(coefficients), channels, strict=False):
        values = values.numpy()
        if crop is not None:
            top, left, height, width = crop
            values = values[:, top * down : (top + height) * down, left * across : (left + width) * across]
        elif flip:
            values = values[:, :, : header.width // (8 * widest) * across]
        if flip:
            signs = np.array([(-1.0) ** (channel % 8) for channel in range(64)], np.float32)
            values = values[:, :, ::-1] * signs[:, None, None]
        values = values[list(wanted)]
        if mean is not None:
            here = slice(first, first + len(wanted))
            values = (values - np.float32(mean[here])[:, None, None]) / np.float32(std[here])[:, None, None]
        first += len(wanted)
        planes.append(torch.from_numpy(np.ascontiguousarray(values)))
    return planes


def equal(planes, others) -> bool:
    return len(planes) == len(others) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(planes, others, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_channels_are_those_of_the_whole_file(kind, engine):
    assert equal(read_channels(KINDS[kind], CHANNELS), unfused(KINDS[kind], CHANNELS))


@pytest.mark.parametrize("kind", LARGE)
def test_mirrored_channels_are_the_whole_file_mirrored(kind, engine):
    planes = read_channels(KINDS[kind], CHANNELS, flip=True)
    assert equal(planes, unfused(KINDS[kind], CHANNELS, flip=True))


@given(kind=st.sampled_from(sorted(LARGE)), choice=st.data(), flip=st.booleans(), normalize=st.booleans())
def test_reading_at_once_is_reading_then_cropping_flipping_choosing_and_normalizing(kind, choice, flip, normalize):
    header = read_header(KINDS[kind])
    rows, columns = header.whole_mcus
    top, left = choice.draw(st.integers(0, rows - 1)), choice.draw(st.integers(0, columns - 1))
    crop = (top, left, choice.draw(st.integers(1, rows - top)), choice.draw(st.integers(1, columns - left)))
    channels = tuple(tuple(choice.draw(st.lists(st.integers(0, 63), max_size=5))) for _ in range(3))
    count = sum(map(len, channels))
    mean = [float(np.float32(0.3 * k - 1)) for k in range(count)] if normalize else None
    std = [float(np.float32(0.7 + 0.1 * k)) for k in range(count)] if normalize else None
    wanted = unfused(KINDS[kind], channels, crop, flip, mean, std)
    results = [
        module.read_channels((KINDS[kind],), 1, 10**9, True, _wanted(channels, crop, flip, mean, std))[0]
        for module in ENGINES.values()
    ]
    assert all(equal(result, wanted) for result in results)
    assert equal(read_channels(KINDS[kind], channels, crop=crop, flip=flip, mean=mean, std=std), wanted)


def _wanted(channels, crop, flip, mean, std):
    statistics = [None if values is None else torch.tensor(values) for values in (mean, std)]
    return Request(channels, *statistics, (crop,), (flip,))


@pytest.mark.parametrize("kind", ["gray", "4:4:4", "4:2:0", "4:4:0"])
def test_mirrored_coefficients_are_those_of_the_mirrored_samples(kind, engine):
    everything = (range(64),) * 3
    crop = (0, 1, *(side - 1 for side in read_header(KINDS[kind]).whole_mcus))
    sides = []
    for flip in (False, True):
        planes = read_channels(KINDS[kind], everything, crop=crop, flip=flip)
        sides.append([samples(plane) for plane in planes])
    for plain, mirrored in zip(*sides, strict=True):
        np.testing.assert_allclose(mirrored, plain[:, ::-1], atol=1e-10)
        assert np.abs(mirrored - plain).max() > 1


def samples(plane: torch.Tensor) -> np.ndarray:
    """The inverse transform in float64."""
    _, rows, columns = plane.shape
    blocks = plane.double().numpy().reshape(8, 8, rows, columns)
    return idctn(blocks, axes=(0, 1), norm="ortho").transpose(2, 0, 3, 1).reshape(8 * rows, 8 * columns)


def test_a_crop_is_the_file_that_would_be_written_of_the_cropped_picture(engine):
    picture = photograph(96, 112)
    data = encoded(picture, subsampling="4:4:4", quality=95)
    part = encoded(picture.crop((24, 16, 24 + 40, 16 + 32)), subsampling="4:4:4", quality=95)
    assert equal(read_channels(data, CHANNELS, crop=(2, 3, 4, 5)), read_channels(part, CHANNELS))


def test_each_file_of_a_batch_has_its_own_crop_and_flip(engine):
    sources = [KINDS["4:2:0"], KINDS["4:4:4"], KINDS["gray"]]
    crops, flips = [(1, 2, 2, 3), None, (3, 1, 2, 1)], [True, True, False]
    mean, std = torch.linspace(-2, 2, 12), torch.linspace(1, 3, 12)
    batch = read_channels_batch(sources, CHANNELS, crops=crops, flips=flips, mean=mean, std=std, threads=3)
    for got, source, crop, flip in zip(batch, sources, crops, flips, strict=True):
        assert equal(got, unfused(source, CHANNELS, crop, flip, mean.numpy(), std.numpy()))


def test_mean_alone_and_std_alone_are_taken_with_the_others_default(engine):
    plain = read_channels(KINDS["gray"], [[0, 9]])[0]
    (shifted,) = read_channels(KINDS["gray"], [[0, 9]], mean=[3, 4])
    (scaled,) = read_channels(KINDS["gray"], [[0, 9]], std=[2, 8])
    assert torch.equal(shifted, plain - torch.tensor([3.0, 4.0])[:, None, None])
    assert torch.equal(scaled, plain / torch.tensor([2.0, 8.0])[:, None, None])


def test_a_gray_file_takes_its_part_of_statistics_meant_for_color(engine):
    mean, std = torch.arange(12.0), torch.arange(1.0, 13.0)
    (plane,) = read_channels(KINDS["gray"], CHANNELS, mean=mean, std=std)
    (alone,) = read_channels(KINDS["gray"], CHANNELS[:1], mean=mean[:7], std=std[:7])
    assert torch.equal(plane, alone)


@pytest.mark.parametrize(("kind", "rows", "columns", "whole"), [("4:2:0", 4, 6, 6), ("4:4:4", 9, 13, 12)])
def test_crops_reach_as_far_as_stored_blocks_and_mirrored_ones_as_far_as_the_picture(
    kind, rows, columns, whole, engine
):
    assert read_header(KINDS[kind]).whole_mcus[1] == whole
    data = KINDS[kind]
    assert read_channels(data, [[0]] * 3, crop=(0, 0, rows, columns))[1].shape == (1, rows, columns)
    assert read_channels(data, [[0]] * 3, crop=(0, 0, rows, whole), flip=True)[1].shape == (1, rows, whole)
    for crop, flip in [
        ((0, 0, rows + 1, 1), False),
        ((0, 0, 1, columns + 1), False),
        ((0, columns, 1, 1), False),
        ((-1, 0, 1, 1), False),
        ((0, -1, 1, 2), False),
        ((0, 0, 0, 1), False),
        ((0, 0, 1, 0), False),
        ((2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1), False),
        ((0, 0, rows, whole + 1), True),
        ((0, whole, 1, 1), True),
    ]:
        reach = whole if flip else columns
        with pytest.raises(JpegError, match=rf"{rows} rows and {reach} columns of (whole )?MCUs of .* \(.*\) does not"):
            read_channels(data, [[0]] * 3, crop=crop, flip=flip)


def test_a_picture_narrower_than_an_mcu_cannot_be_mirrored(engine):
    with pytest.raises(JpegError, match="1 rows and 0 columns of whole MCUs of 16x16 pixels; a flip does not lie"):
        read_channels(KINDS["4:2:0 narrower than an MCU"], [[0]] * 3, flip=True)


def test_wrong_wishes_are_refused_before_anything_is_read(tmp_path):
    missing = tmp_path / "missing.jpg"
    for channels in ([[0], [0]], [[64], [], []], [[-1]], [[*range(64), 0]]):
        with pytest.raises(ValueError, match="channels must be one or three lists of at most 64 raster indices"):
            read_channels(missing, channels)
    for statistics in ({"mean": [1.0]}, {"std": [1.0, 0.0]}, {"mean": [1.0, 1.0], "std": [1.0] * 3}):
        with pytest.raises(ValueError, match="one number for each of the 2 channels, and std must not contain zero"):
            read_channels(missing, [[0, 1]], **statistics)
    with pytest.raises(ValueError, match="counted in MCUs"):
        read_channels(missing, [[0]], crop=(0, 0, 2**40, 1))
    with pytest.raises(ValueError, match="for each of the 2 files, got 1 and 2"):
        read_channels_batch([missing, missing], [[0]], crops=[None])


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]))
def test_a_header_alone_says_what_will_be_read(height, width, subsampling):
    data = encoded(photograph(height, width), subsampling=subsampling)
    header = read_header(data)
    planes = read_channels(data, [[0]] * 3)
    assert header.grids == tuple(plane.shape[1:] for plane in planes)
    assert header.mcu == {"4:4:4": (8, 8), "4:2:2": (8, 16), "4:2:0": (16, 16)}[subsampling]
    assert header.whole_mcus == (height // header.mcu[0], width // header.mcu[1])
    assert header == JpegHeader(height, width, header.sampling)
