import math

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from scipy.stats import median_abs_deviation
from torch import nn

from passband.curriculum import saliency
from passband.curriculum.objective import TERMS, BandTerms, output_score
from passband.ops.fourier import band_split, spectral_pad
from tests.curriculum.networks import Linear, Quadratic, noisy_pictures, small_network, waves

SIZES = [(17, 20), (16, 16), (13, 11), (12, 19)]


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_saliency_is_captums_joined_over_the_channels(size, classes):
    model, images = small_network(classes=classes), noisy_pictures(size=size)
    found = saliency(model, images)
    attribution = Saliency(lambda x: output_score(model(x)))
    model.eval()
    expected = attribution.attribute(images.clone().requires_grad_(), abs=True)
    torch.testing.assert_close(found, expected.square().sum(1).sqrt(), rtol=1e-6, atol=1e-6)
    model.train()
    mixed = attribution.attribute(images.clone().requires_grad_(), abs=True)
    assert not torch.allclose(mixed.norm(dim=1), found)  # by batch statistics


def test_saliency_of_a_classifier_is_of_its_predicted_class():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
    images = noisy_pictures(5)
    predicted = model(images).argmax(1)
    expected = Saliency(model).attribute(images.clone().requires_grad_(), target=predicted, abs=True)
    torch.testing.assert_close(saliency(model, images), expected.norm(dim=1), rtol=1e-6, atol=1e-6)


def test_saliency_is_the_slope_of_finite_differences():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3)).double()
    image = noisy_pictures(1, (5, 7), 2, torch.float64)
    slopes, step = torch.zeros_like(image), 1e-5
    for place in np.ndindex(*image.shape):
        more, less = image.clone(), image.clone()
        more[place] += step
        less[place] -= step
        slopes[place] = ((model(more).sum() - model(less).sum()) / (2 * step)).item()
    # central differences are off by step^2 and rounding over step
    torch.testing.assert_close(saliency(model, image), slopes.norm(dim=1), rtol=1e-7, atol=1e-8)


def test_the_foreground_of_several_classes_is_all_but_the_first():
    logits = noisy_pictures(2, (5, 4), 3)
    torch.testing.assert_close(output_score(logits), logits[:, 1].sum((1, 2)) + logits[:, 2].sum((1, 2)))
    torch.testing.assert_close(output_score(logits[:, :1]), logits[:, 0].sum((1, 2)))
    assert output_score(torch.tensor([[1.0, 3.0, 2.0], [0.0, -1.0, -2.0]])).tolist() == [3, 0]
    with pytest.raises(
        ValueError, match=r"B classes of a classifier; got \(2, 3, 5\): pass your own function as score"
    ):
        output_score(logits[..., 0])


def test_a_score_of_ones_own_is_taken_and_must_be_one_number_for_each_picture():
    model, images = small_network(), noisy_pictures()
    corner = saliency(model, images, lambda output: output[:, 0, 0, 0])
    assert corner[:, :3, :3].gt(0).any()
    assert corner[:, 4:].eq(0).all()  # two convolutions of 3 x 3 do not reach farther
    with pytest.raises(ValueError, match=r"one number for each of 3 images; got \(3, 17, 20\)"):
        saliency(model, images, lambda output: output[:, 0])


def test_the_network_is_left_as_it_was():
    model, images = small_network(), noisy_pictures()
    model[0].eval()  # a frozen part stays frozen
    model(images).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [value.grad.clone() for value in model.parameters()]
    state = torch.get_rng_state()
    with torch.no_grad():
        saliency(model, images)
    with pytest.raises(IndexError):
        saliency(model, images, lambda output: output[:, 5, 0, 0])
    assert [module.training for module in model] == [False, True, True, True]
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value.grad, old) for value, old in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert not images.requires_grad


def test_a_linear_networks_saliency_is_its_weights_in_every_band():
    images = noisy_pictures(2, (9, 12), 3, torch.float64)
    model = Linear((3, 9, 12))
    expected = 2 * model.weight.detach().norm(dim=0).mean()
    terms = BandTerms(model, images)
    for radius in (0.0, 2.0, 4.5, 20.0):
        found, _ = terms.at(radius, torch.ones(2))
        torch.testing.assert_close(found, expected.expand(2))


def test_a_quadratic_networks_saliency_is_the_bands_themselves():
    # literal split: a full transform and a loop over its frequencies
    images = waves({1: 0.4, 3: 1.0, 7: 0.3}, side=21, count=1) + noisy_pictures(1, (21, 21), 1, torch.float64)
    spectrum = np.fft.fft2(images[0, 0].numpy())
    for radius in (0, 2, 5):
        low = spectrum.copy()
        for v, u in np.ndindex(21, 21):
            if math.hypot(min(v, 21 - v), min(u, 21 - u)) > radius:
                low[v, u] = 0
        low = np.fft.ifft2(low).real
        expected = np.abs(low).mean() + np.abs(images[0, 0].numpy() - low).mean()
        found, _ = BandTerms(Quadratic(), images).at(float(radius), torch.ones(1))
        assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("softness", [0.0, 0.7])
@pytest.mark.parametrize("size", SIZES)
def test_terms_are_those_of_band_split_however_pictures_are_batched(size, softness):
    model, images = small_network(), noisy_pictures(size=size)
    ratios = torch.tensor([0.2, 0.5, 0.9])
    low, high = band_split(images, 3.5, softness=softness)
    expected = (saliency(model, low) + saliency(model, high)).double().mean((1, 2))
    for term in TERMS:
        second = TERMS[term](low, high, ratios).double()
        for batch in (None, 1, 2):
            seen, found = BandTerms(model, images, term, batch=batch).at(3.5, ratios, softness)
            torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-6)  # float32, in another order
            torch.testing.assert_close(found, second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_by_parseval_the_variances_of_both_bands_add_up_to_the_pictures_for_every_radius(size):
    images = noisy_pictures(size=size, dtype=torch.float64)
    own = images.flatten(2).var(-1, correction=0).sum(1)
    for radius in np.linspace(0, max(size), 15):
        low, high = band_split(images, float(radius))
        torch.testing.assert_close(TERMS["variance"](low, high, own), own, rtol=1e-12, atol=0)
        single = TERMS["variance"](low.float(), high.float(), own)
        torch.testing.assert_close(single, own.float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("size", SIZES)
def test_total_variation_is_least_where_nothing_is_split(size):
    images = noisy_pictures(size=size, dtype=torch.float64)
    ratios = torch.ones(3)

    def at(radius):
        return TERMS["total-variation"](*band_split(images, float(radius)), ratios)

    picture = images.numpy()
    literal = np.abs(np.diff(picture, axis=-1)).mean((1, 2, 3)) + np.abs(np.diff(picture, axis=-2)).mean((1, 2, 3))
    ends = [at(0), at(max(size))]
    for end in ends:
        torch.testing.assert_close(end, torch.from_numpy(literal), rtol=1e-12, atol=0)
    for radius in range(1, min(size) // 2):
        assert (at(radius) > ends[0] * (1 + 1e-9)).all()
    assert TERMS["total-variation"](images[..., :1, :1], images[..., :1, :1], ratios).tolist() == [0, 0, 0]


def test_noise_is_scipys_median_absolute_deviation_of_what_is_removed():
    images = noisy_pictures(size=(13, 11), dtype=torch.float64)  # of an odd number of pixels the median is one of them
    low, high = band_split(images, 3.0)
    expected = median_abs_deviation(high.flatten(2).numpy(), axis=-1, scale="normal").mean(1)
    torch.testing.assert_close(
        TERMS["noise"](low, high, torch.ones(3)),
        torch.from_numpy(expected),
        rtol=1e-4,
        atol=0,  # 1.4826 has 5 digits
    )
    assert TERMS["noise"](images, torch.zeros_like(images), torch.ones(3)).tolist() == [0, 0, 0]


def test_noise_finds_the_noise_of_a_picture_whose_content_is_kept():
    generator = torch.Generator().manual_seed(0)
    smooth = spectral_pad(torch.rand(1, 1, 5, 5, generator=generator, dtype=torch.float64), (101, 101))
    noisy = smooth + 0.1 * torch.randn(1, 1, 101, 101, generator=generator, dtype=torch.float64)
    low, high = band_split(noisy, 4.0)
    assert TERMS["noise"](low, high, torch.ones(1)).item() == pytest.approx(0.1, rel=0.03)  # 1/sqrt(2 pixels), 4 times


def test_cost_is_the_square_of_the_ratio():
    images = noisy_pictures()
    assert TERMS["cost"](images, images, torch.tensor([0.0, 0.5, 1.0])).tolist() == [0, 0.25, 1]


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(ValueError, match="unknown term of the objective 'varience'; did you mean 'variance'"):
        BandTerms(small_network(), noisy_pictures(), "varience")
    model = small_network()
    nn.init.constant_(model[0].weight, math.nan)
    with pytest.raises(ValueError, match="gradient for image 0, split at a radius of 2, is not finite"):
        BandTerms(model, noisy_pictures()).at(2.0, torch.ones(3))
