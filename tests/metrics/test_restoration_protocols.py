"""Each protocol against a literal one in float64 that shares no code with it."""

import math

import numpy as np
import pytest
import torch
from skimage import data
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from passband.metrics import PROTOCOLS

SIZES = [(11, 11), (16, 24), (37, 60), (376, 380), (120, 401)]


def pictures(height, width, noise=0.05):
    """A photograph and a noisy one, B 3 H W in [0, 1], neither of them of 8 bits."""
    photograph = torch.from_numpy(np.pad(data.coffee(), ((0, 200), (0, 0), (0, 0)), mode="reflect").copy())
    clean = photograph[:height, :width].movedim(-1, 0)[None].double() / 255
    rng = np.random.default_rng(height)
    degraded = (clean + noise * torch.from_numpy(rng.normal(size=clean.shape))).clamp(0, 1)
    return degraded.float(), (0.98 * clean + 0.003).float()


def planes(image):
    """H W C in float64."""
    return image[0].movedim(0, -1).double().numpy()


def literal_psnr(x, y):
    return 10 * math.log10(1 / np.mean((x - y) ** 2))


def literal_ssim(x, y):
    """Wang's index, written out: a two-dimensional window of weights at every place where it fits."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    x, y = (np.lib.stride_tricks.sliding_window_view(z, (11, 11), axis=(0, 1)) for z in (x, y))

    def mean(z):
        return np.einsum("hwcij,ij->hwc", z, window)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    index = ((2 * mx * my + 1e-4) * (2 * vxy + 9e-4)) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    return index.mean()


def literal_pool(x, height, width):
    """Means over the bins of adaptive pooling: from floor(i H / h) to ceil((i + 1) H / h)."""
    rows = [slice(i * x.shape[0] // height, -(-(i + 1) * x.shape[0] // height)) for i in range(height)]
    columns = [slice(j * x.shape[1] // width, -(-(j + 1) * x.shape[1] // width)) for j in range(width)]
    return np.array([[x[row, column].mean((0, 1)) for column in columns] for row in rows])


def by_rgb(x, y):
    return literal_psnr(x, y), literal_ssim(x, y)


def by_rgb8(x, y):
    return by_rgb(np.rint(x * 255) / 255, np.rint(y * 255) / 255)


def by_sfnet(x, y, multiple=8):
    padded = [(side + multiple) // multiple * multiple for side in x.shape[:2]]
    ratio = max(1, round(min(padded) / 256))
    pooled = [literal_pool(z, int(padded[0] / ratio), int(padded[1] / ratio)) for z in (x, y)]
    return literal_psnr(x, y), literal_ssim(*pooled)


def by_convir(x, y):
    return by_sfnet(x, y, 32)


def by_basicsr(x, y):
    return by_rgb(*((z @ [65.481, 128.553, 24.966] + 16)[..., None] / 255 for z in (x, y)))


def by_matlab(x, y):
    def luma(z):
        levels = np.rint(z * 255).astype(int)
        scaled = levels @ [65481, 128553, 24966]
        return 16 + (2 * scaled + 255_000) // (2 * 255_000)  # halves upwards, in whole numbers

    return by_rgb(luma(x)[..., None] / 255, luma(y)[..., None] / 255)


LITERAL = {
    "rgb": by_rgb,
    "rgb8": by_rgb8,
    "sfnet": by_sfnet,
    "convir": by_convir,
    "y-basicsr": by_basicsr,
    "y-matlab": by_matlab,
}


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_the_literal_one(name, height, width):
    image, reference = pictures(height, width)
    psnr, ssim = PROTOCOLS[name](image, reference)
    expected = LITERAL[name](planes(image), planes(reference))
    assert psnr.item() == pytest.approx(expected[0], abs=1e-6)
    assert ssim.item() == pytest.approx(expected[1], abs=1e-6)


@pytest.mark.parametrize("name", ["rgb", "y-basicsr"])
def test_floats_are_scored_as_scikit_image_scores_them(name):
    image, reference = pictures(37, 60)
    x, y = planes(image), planes(reference)
    if name == "y-basicsr":
        x, y = (rgb2ycbcr(z)[..., :1] / 255 for z in (x, y))
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
    _, index = structural_similarity(y, x, data_range=1, full=True, **wang)
    psnr, ssim = PROTOCOLS[name](image, reference)
    assert psnr.item() == pytest.approx(peak_signal_noise_ratio(y, x, data_range=1), abs=1e-6)
    assert ssim.item() == pytest.approx(index[5:-5, 5:-5].mean(), abs=1e-6)


def test_pictures_of_8_bits_have_one_figure_rounded_or_not():
    image, reference = (x.mul(255).round() / 255 for x in pictures(37, 60))
    for first, second in zip(PROTOCOLS["rgb"](image, reference), PROTOCOLS["rgb8"](image, reference), strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


def test_protocols_are_different_quantities():
    image, reference = pictures(400, 600, noise=0.03)
    figures = {name: [one.item() for one in score(image, reference)] for name, score in PROTOCOLS.items()}
    assert figures["sfnet"][0] == figures["rgb"][0]
    assert figures["sfnet"][1] > figures["rgb"][1] + 0.05  # pooling hides the noise
    assert figures["y-basicsr"][0] > figures["rgb"][0] + 1  # luma averages the channels' noise and has less range
    assert figures["y-matlab"] != figures["y-basicsr"]


def test_a_batch_has_the_figures_of_its_pictures():
    pairs = [pictures(24, 31, noise) for noise in (0.02, 0.2)]
    image, reference = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    for score in PROTOCOLS.values():
        together = torch.stack(score(image, reference))
        alone = torch.cat([torch.stack(score(*pair)) for pair in pairs], dim=1)
        torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)
