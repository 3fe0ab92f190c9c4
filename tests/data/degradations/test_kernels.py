"""Convolution with a kernel that varies over the picture."""

import numpy as np
import pytest

from passband.data.degradations.parts.kernels import aperture_kernel, convolve_varying, disc_kernel


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


def test_each_channel_may_have_its_own_kernel():
    planes = np.random.default_rng(1).random((3, 17, 33), dtype=np.float32)
    kernels = np.random.default_rng(2).random((3, 7, 7))
    got = convolve_varying(planes, lambda y, x: kernels, 2, 2)
    expected = [_direct(plane[None], kernel)[0] for plane, kernel in zip(planes, kernels, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


@pytest.mark.parametrize("radius", [0, 0.5, 0.7, 1.7, 5.5, 12])
def test_an_aperture_without_blades_is_a_disc(radius):
    np.testing.assert_allclose(aperture_kernel(radius), disc_kernel(radius), atol=1e-12)
    np.testing.assert_allclose(aperture_kernel(radius, blades=6, roundness=1), disc_kernel(radius), atol=1e-12)


@pytest.mark.parametrize("blades", [5, 6, 7, 9])
def test_an_aperture_of_blades_has_the_area_of_its_polygon(blades):
    kernel = aperture_kernel(30, blades=blades, angle=0.3)
    area = 0.5 * blades * 30**2 * np.sin(2 * np.pi / blades)
    assert kernel.sum() == pytest.approx(1)
    assert 1 / kernel.max() == pytest.approx(area, rel=0.05)  # the rim of one pixel


def test_a_rim_moves_light_to_the_edge_and_a_barrel_cuts_one_side_off():
    plain, ring, soft = (aperture_kernel(8, rim=rim) for rim in (0, 1, -0.8))
    assert ring[8, 1] > plain[8, 1] > soft[8, 1]
    assert ring[8, 8] < plain[8, 8] < soft[8, 8]
    eye = aperture_kernel(8, cut=(0, 0.8))
    assert eye.sum() == pytest.approx(1)
    assert eye[:, :6].sum() < 0.1 * eye[:, -6:].sum()
    np.testing.assert_allclose(eye, eye[::-1])
