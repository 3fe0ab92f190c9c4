"""Convolution with a kernel that varies over the picture."""

import numpy as np
import pytest

from passband.data.degradations.kernels import convolve_varying


def _direct(planes: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    half = len(kernel) // 2
    padded = np.pad(planes, ((0, 0), (half, half), (half, half)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape, axis=(1, 2))
    return np.einsum("chwij,ij->chw", windows, kernel[::-1, ::-1])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 9), (13, 8), (31, 64)])
@pytest.mark.parametrize("side", [1, 3, 11])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (5, 4)])
def test_one_kernel_everywhere_gives_the_direct_sum_over_a_reflected_border(height, width, side, rows, columns):
    rng = np.random.default_rng(0)
    planes = rng.random((4, height, width), dtype=np.float32)
    kernel = rng.random((side, side))
    kernel /= kernel.sum()
    got = convolve_varying(planes, lambda y, x: kernel, rows, columns)
    np.testing.assert_allclose(got, _direct(planes, kernel), atol=1e-5)  # FFT in float32


def test_between_nodes_the_result_is_the_bilinear_mix_of_its_neighbors():
    planes = np.random.default_rng(1).random((3, 17, 33), dtype=np.float32)
    sharp, soft = np.ones((1, 1)), np.full((5, 5), 1 / 25)
    got = convolve_varying(planes, lambda y, x: sharp if x == 0 else soft, 1, 2)
    share = np.linspace(0, 1, 33)
    np.testing.assert_allclose(got, (1 - share) * planes + share * _direct(planes, soft), atol=1e-5)  # as above
