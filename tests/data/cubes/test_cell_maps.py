from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from passband.data.cubes.cell_maps import cell_map
from passband.ops.dct_geometry import downscale_by_two, split_blocks


def every(stride, mean=0.0, std=1.0):
    count = stride * stride
    return tuple(range(count)), (mean,) * count, (std,) * count


def literal_line(samples, ratio, stride, axis):
    """Frequencies of the cells along one axis, from samples: means where they are small, a low part where large."""
    samples = np.moveaxis(samples, axis, -1)
    if ratio < 1:
        samples = samples.reshape(*samples.shape[:-1], -1, int(1 / ratio)).mean(-1)
        ratio = 1
    inside = int(stride / ratio)
    cells = samples.reshape(*samples.shape[:-1], -1, inside)
    low = dctn(cells, axes=[-1], norm="ortho") * float(ratio) ** 0.5
    whole = np.pad(low, [(0, 0)] * (low.ndim - 1) + [(0, stride - inside)])
    return np.moveaxis(whole, (-2, -1), (axis, -1))


RATIOS = [Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(2), Fraction(4)]


@pytest.mark.parametrize("stride", [8, 4])
@pytest.mark.parametrize("down", RATIOS)
@pytest.mark.parametrize("across", RATIOS)
def test_a_map_is_the_dct_of_the_component_brought_to_the_cells(stride, down, across):
    rows, columns = (8 * max(1, int(stride / (8 * ratio))) for ratio in (down, across))  # twice and three times this
    blocks = torch.randn(64, 2 * rows // 8, 3 * columns // 8, dtype=torch.float64)
    grid = blocks.view(8, 8, *blocks.shape[1:]).permute(2, 3, 0, 1).numpy()
    samples = idctn(grid, axes=[2, 3], norm="ortho").transpose(0, 2, 1, 3).reshape(2 * rows, 3 * columns)
    lines = literal_line(literal_line(samples, down, stride, 0), across, stride, 1)  # h w v u
    expected = torch.from_numpy(lines).permute(2, 3, 0, 1).flatten(0, 1)
    made = cell_map((down, across), stride, *every(stride))
    cells = made(blocks[list(made.inputs)].float())
    torch.testing.assert_close(cells, expected.float(), atol=2e-5, rtol=1e-5)  # sums of up to 1024 float32 products


def test_halving_and_splitting_are_those_of_the_geometry():
    blocks = torch.randn(1, 64, 4, 12, dtype=torch.float64)
    half = downscale_by_two(downscale_by_two(blocks))
    for stride, expected in ((8, half), (4, split_blocks(half))):
        made = cell_map((Fraction(1, 4), Fraction(1, 4)), stride, *every(stride))
        torch.testing.assert_close(made(blocks[0, list(made.inputs)].float()), expected[0].float())


def test_only_the_frequencies_that_matter_are_asked_for():
    assert cell_map((Fraction(1, 8), Fraction(1, 8)), 8, *every(8)).inputs == (0,)
    half = cell_map((Fraction(1, 2), Fraction(1, 2)), 8, *every(8))
    # pairs of samples have no part of the middle frequency
    assert half.inputs == tuple(8 * v + u for v in range(8) for u in range(8) if 4 not in (v, u))


def test_some_channels_are_those_of_all_and_normalized():
    blocks = torch.randn(64, 5, 7)
    for ratio, stride in (((Fraction(1), Fraction(1)), 8), ((Fraction(1), Fraction(1)), 4), ((Fraction(2),) * 2, 4)):
        wanted, mean, std = (0, 1, 5), (0.5, -1.0, 2.0), (2.0, 3.0, 0.25)
        whole = cell_map(ratio, stride, *every(stride))
        part = cell_map(ratio, stride, wanted, mean, std)
        expected = (whole(blocks[list(whole.inputs)])[list(wanted)] - torch.tensor(mean)[:, None, None]) / torch.tensor(
            std
        )[:, None, None]
        torch.testing.assert_close(part(blocks[list(part.inputs)]), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("ratio", "stride"), [(Fraction(8), 4), (Fraction(3), 8), (Fraction(1, 16), 8)])
def test_ratios_without_a_map_are_refused(ratio, stride):
    with pytest.raises(ValueError, match="pixel"):
        cell_map((ratio, Fraction(1)), stride, *every(stride))
