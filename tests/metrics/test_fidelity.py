import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from passband.metrics import psnr, ssim

SIZES = [(11, 11), (11, 29), (37, 12), (64, 53)]


def photograph(name, height, width):
    return torch.from_numpy(getattr(data, name)()[80 : 80 + height, 90 : 90 + width].copy()).movedim(-1, 0) / 255


def noisy(image, strength, seed=0):
    noise = torch.from_numpy(np.random.default_rng(seed).normal(size=tuple(image.shape))).float()
    return (image + strength * noise).clamp(0, 1)


def batch_of(height, width):
    """A photograph with little noise, one with much, and one against another."""
    cat, coffee = photograph("chelsea", height, width), photograph("coffee", height, width)
    return torch.stack([noisy(cat, 0.02), noisy(coffee, 0.3), cat]), torch.stack([cat, coffee, coffee])


def by_scikit_image(figure, images, references, **options):
    pairs = zip(images.double().numpy(), references.double().numpy(), strict=True)
    return torch.tensor([figure(reference, image, data_range=1, **options) for image, reference in pairs]).double()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 7), *SIZES])
def test_psnr_of_each_picture_is_scikit_images(height, width):
    images, references = batch_of(height, width)
    expected = by_scikit_image(peak_signal_noise_ratio, images, references)
    torch.testing.assert_close(psnr(images, references), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_ssim_of_each_picture_is_scikit_images_where_the_window_fits(height, width, channels):
    images, references = (pictures[:, :channels] for pictures in batch_of(height, width))
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 0}
    # it leaves out the rim of 5 pixels, where the window does not fit, before it averages
    expected = by_scikit_image(structural_similarity, images, references, **wang)
    torch.testing.assert_close(ssim(images, references), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("figure", [psnr, ssim])
def test_a_batch_has_the_figures_of_its_pictures_and_not_of_their_pool(figure):
    images, references = batch_of(17, 23)
    alone = torch.cat([figure(images[n : n + 1], references[n : n + 1]) for n in range(3)])
    together = figure(images, references)
    assert together.shape == (3,)
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)
    pooled = figure(torch.cat(list(images), -1)[None], torch.cat(list(references), -1)[None])
    assert abs(together.mean() - pooled[0]) > 0.01


@pytest.mark.parametrize(("figure", "best"), [(psnr, torch.inf), (ssim, 1.0)])
def test_equal_pictures_have_the_best_figure_even_when_flat(figure, best):
    pictures = torch.stack([torch.rand(3, 13, 19), torch.zeros(3, 13, 19), torch.ones(3, 13, 19)])
    assert figure(pictures, pictures.clone()).tolist() == pytest.approx([best] * 3, abs=1e-12)


def test_psnr_knows_the_size_of_an_error_and_not_its_place():
    clean = photograph("coffee", 8, 9)[None] / 2
    assert psnr(clean + 0.1, clean).item() == pytest.approx(20, abs=1e-5)  # 0.1 in float32
    order = torch.randperm(72)
    shuffled = [x.flatten(-2)[..., order].view_as(x) for x in (noisy(clean, 0.1), clean)]
    torch.testing.assert_close(psnr(*shuffled), psnr(noisy(clean, 0.1), clean))


@pytest.mark.parametrize("figure", [psnr, ssim])
def test_both_figures_are_symmetric_fall_with_noise_and_are_double_precision(figure):
    clean = photograph("chelsea", 31, 20)[None]
    figures = [figure(noisy(clean, strength), clean).item() for strength in (0.01, 0.05, 0.2)]
    assert figures == sorted(figures, reverse=True)
    torch.testing.assert_close(figure(clean, noisy(clean, 0.1)), figure(noisy(clean, 0.1), clean))
    assert figure(clean.half(), clean).dtype == torch.float64


def test_a_picture_and_its_negative_are_dissimilar():
    cat = photograph("chelsea", 40, 40)[None]
    assert ssim(1 - cat, cat).item() < 0


@pytest.mark.parametrize(("height", "width"), [(10, 11), (11, 10), (1, 100)])
def test_a_picture_smaller_than_the_window_is_refused_with_its_size(height, width):
    small = torch.rand(1, 3, height, width)
    with pytest.raises(ValueError, match=rf"at least 11x11 pixels, got {height}x{width}"):
        ssim(small, small)
