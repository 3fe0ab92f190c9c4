import warnings

import pytest
import skimage.data
import torch
import torch.nn.functional as F

from passband.metrics import psnr, psnr_hvs, psnr_hvs_m
from passband.ops.color import rgb_to_ycbcr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from psnr_hvsm import psnr_hvs_hvsm


def photos():
    for name in ("astronaut", "chelsea", "coffee"):
        yield torch.tensor(getattr(skimage.data, name)()).permute(2, 0, 1)[None, :, :296, :400] / 255


def noisy(image):
    return (image + 0.05 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def blurred(image):
    return F.avg_pool2d(image, 3, 1, 1)


def darker(image):
    return 0.9 * image


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
@pytest.mark.parametrize("distort", [noisy, blurred, darker])
def test_both_are_those_of_an_independent_program(distort):
    for image in photos():
        worse = distort(image)
        first, second = (rgb_to_ycbcr(side.double())[0, 0].numpy() for side in (image, worse))
        expected = psnr_hvs_hvsm(first, second)
        found = psnr_hvs(worse, image).item(), psnr_hvs_m(worse, image).item()
        assert found == pytest.approx([value.item() for value in expected], abs=1e-3)  # its tables have six digits


def test_equal_images_are_infinitely_good_and_batches_are_compared_one_by_one():
    image = next(photos())
    batch, worse = torch.cat([image, image]), torch.cat([image, noisy(image)])
    for metric in (psnr_hvs, psnr_hvs_m):
        found = metric(worse, batch)
        assert found[0] == float("inf")
        assert found[1] == metric(worse[1:], image).item()
        assert found.dtype == torch.float64


def test_what_is_beyond_the_last_whole_block_is_not_compared():
    image = next(photos())[..., :40, :64]
    for metric in (psnr_hvs, psnr_hvs_m):
        larger = F.pad(image, (0, 5, 0, 3), value=1.0), F.pad(noisy(image), (0, 5, 0, 3))
        assert metric(larger[1], larger[0]).item() == metric(noisy(image), image).item()


def test_a_high_frequency_is_seen_less_than_psnr_says():
    flat = torch.full((1, 1, 32, 32), 0.5)
    checkers = torch.ones(32, 32)
    checkers[::2, 1::2] = checkers[1::2, ::2] = -1
    assert psnr_hvs(flat + 0.02 * checkers, flat).item() > psnr(flat + 0.02 * checkers, flat).item() + 10


@pytest.mark.parametrize("metric", [psnr_hvs, psnr_hvs_m])
def test_images_smaller_than_a_block_are_refused(metric):
    with pytest.raises(ValueError, match=rf"{metric.__name__} needs images of at least 8 x 8 pixels, got 7 x 90"):
        metric(torch.rand(1, 3, 7, 90), torch.rand(1, 3, 7, 90))
