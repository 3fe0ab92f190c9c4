import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from passband.losses import (
    focal_frequency_loss,
    frequency_loss,
    multiscale_loss,
    relative_multiscale_loss,
    ring_distances,
    spectral_l1,
)

SIZES = [(1, 1), (1, 7), (13, 8), (11, 17)]


def literal_spectral_l1(restored, clean):
    """Mean of absolute real and imaginary parts of the difference, by numpy in float64."""
    spectrum = np.fft.fft2(restored) - np.fft.fft2(clean)
    return (np.abs(spectrum.real).mean() + np.abs(spectrum.imag).mean()) / 2


def literal_bilinear(image, height, width):
    """Each pixel from the four neighbors of its center, by numpy in float64, without antialiasing."""
    for axis, new in ((-2, height), (-1, width)):
        old = image.shape[axis]
        center = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        before = np.floor(center).astype(int)
        after = np.minimum(before + 1, old - 1)
        share = (center - before).reshape([-1 if axis == dim else 1 for dim in (-2, -1)])
        image = np.take(image, before, axis) * (1 - share) + np.take(image, after, axis) * share
    return image


def random(*shape):
    return torch.from_numpy(np.random.default_rng(sum(shape)).random(shape, dtype=np.float32))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_spectral_l1_equals_a_literal_transform(height, width):
    restored, clean = random(2, 3, height, width), random(2, 3, height, width).flip(0, 1)
    expected = literal_spectral_l1(restored.double().numpy(), clean.double().numpy())
    assert spectral_l1(restored, clean).item() == pytest.approx(expected, rel=1e-5)  # float32 transforms


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_an_offset_costs_half_of_itself_and_a_point_about_half_whatever_the_size(height, width):
    clean = random(1, 3, height, width)
    # an offset is one frequency of height x width, with as large a real part, and no imaginary part
    assert spectral_l1(clean + 0.25, clean).item() == pytest.approx(0.125, rel=1e-4)  # float32 sums
    point = clean.clone()
    point[..., 0, 0] += 0.5  # the same real part at every frequency
    assert spectral_l1(point, clean).item() == pytest.approx(0.25, rel=1e-4)


def test_spectral_l1_is_a_distance():
    a, b, c = (random(1, 3, 9, 5 + n)[..., :5] for n in range(3))
    assert spectral_l1(a, a).item() == 0
    torch.testing.assert_close(spectral_l1(a, b), spectral_l1(b, a))
    torch.testing.assert_close(spectral_l1(3 * a, 3 * b), 3 * spectral_l1(a, b))
    assert spectral_l1(a, c) <= spectral_l1(a, b) + spectral_l1(b, c)


def test_a_circular_shift_of_both_by_half_changes_nothing():
    # at every frequency it multiplies by 1 or -1, so that real and imaginary parts keep their sizes
    a, b = random(2, 3, 6, 10), random(2, 3, 6, 11)[..., :10]
    torch.testing.assert_close(spectral_l1(a.roll((3, 5), (-2, -1)), b.roll((3, 5), (-2, -1))), spectral_l1(a, b))


def test_a_half_precision_prediction_is_transformed_in_single_precision():
    restored, clean = random(1, 3, 16, 12).bfloat16(), random(1, 3, 16, 13)[..., :12]
    for loss in (spectral_l1(restored, clean), multiscale_loss([restored], clean)):
        assert loss.dtype == torch.float32
    assert spectral_l1(restored, clean).item() == spectral_l1(restored.float(), clean).item()
    assert multiscale_loss([restored], clean).item() == multiscale_loss([restored.float()], clean).item()


@pytest.mark.parametrize("weight", [0.0, 0.1, 1.5])
@pytest.mark.parametrize(
    "sizes",
    [[(12, 20)], [(3, 5), (6, 10), (12, 20)], [(5, 8), (12, 20), (1, 1), (7, 11)]],
    ids=["one", "as SFNet", "any sizes of the same proportions"],
)
def test_multiscale_loss_equals_a_literal_sum_over_sizes(sizes, weight):
    clean = random(2, 3, 12, 20)
    predictions = [random(2, 3, *size) for size in sizes]
    expected = 0.0
    for predicted in predictions:
        target = literal_bilinear(clean.double().numpy(), *predicted.shape[-2:])
        restored = predicted.double().numpy()
        expected += np.abs(restored - target).mean() + weight * literal_spectral_l1(restored, target)
    loss = multiscale_loss(predictions, clean, weight)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-5)  # float32 transforms


def test_the_published_weight_is_a_tenth():
    clean, predictions = random(1, 3, 8, 8), [random(1, 3, 4, 4), random(1, 3, 8, 9)[..., :8]]
    assert multiscale_loss(predictions, clean).item() == multiscale_loss(predictions, clean, 0.1).item()


def test_equal_pictures_cost_nothing_and_give_a_gradient_of_zero():
    clean = random(1, 3, 12, 20)
    predictions = [torch.nn.functional.avg_pool2d(clean, 2), clean.clone()]  # halving by bilinear means averaging fours
    for predicted in predictions:
        predicted.requires_grad_()
    loss = multiscale_loss(predictions[1:], clean)
    assert loss.item() == 0
    loss.backward()
    assert torch.count_nonzero(predictions[1].grad) == 0
    assert multiscale_loss(predictions, clean).item() == pytest.approx(0, abs=1e-6)  # two ways to average in float32


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_the_gradient_reaches_every_size_and_equals_the_adjoint_of_signs(weight):
    clean = random(2, 3, 12, 20)
    predictions = [random(2, 3, *size).requires_grad_() for size in ((3, 5), (6, 10), (7, 11), (12, 20))]
    gradients = torch.autograd.grad(multiscale_loss(predictions, clean, weight), predictions)
    for predicted, gradient in zip(predictions, gradients, strict=True):
        height, width = predicted.shape[-2:]
        difference = predicted.detach().double().numpy() - literal_bilinear(clean.double().numpy(), height, width)
        spectrum = np.fft.fft2(difference)
        signs = np.sign(spectrum.real) + 1j * np.sign(spectrum.imag)
        spectral = np.fft.ifft2(signs).real * height * width / 2
        expected = torch.from_numpy((np.sign(difference) + weight * spectral) / difference.size)
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-7)  # float32 transforms


def test_the_clean_picture_may_be_of_any_size_and_no_prediction_costs_nothing():
    clean = random(1, 3, 5, 7)
    assert multiscale_loss([], clean).item() == 0
    assert multiscale_loss([torch.full((1, 3, 2, 2), 0.5)], torch.full((1, 3, 5, 7), 0.5)).item() == 0


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_the_relative_loss_is_the_mean_logarithm_of_each_samples_own(weight):
    clean = random(3, 3, 12, 20)
    predictions = [random(3, 3, 6, 10), random(3, 3, 12, 21)[..., :20]]
    own = [multiscale_loss([p[i : i + 1] for p in predictions], clean[i : i + 1], weight).item() for i in range(3)]
    expected = np.log(np.array(own) + 0.02).mean()
    assert relative_multiscale_loss(predictions, clean, weight).item() == pytest.approx(expected, rel=1e-5)


def test_a_further_loss_is_added_to_each_samples_own_relative_loss():
    clean, prediction = random(3, 3, 12, 20), random(3, 3, 12, 20)

    def added(restored, target):
        return (restored - target).square().mean()

    samples = zip(prediction.split(1), clean.split(1), strict=True)
    own = [multiscale_loss([restored], target, added=added).item() for restored, target in samples]
    expected = np.log(np.array(own) + 0.02).mean()
    assert relative_multiscale_loss([prediction], clean, added=added).item() == pytest.approx(expected, rel=1e-5)


def test_a_larger_batch_starts_no_more_operations():
    """On a GPU, the time of a loss with small images is that of starting its operations."""

    class Counting(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.count += 1
            return func(*args, **(kwargs or {}))

    counts = []
    for batch in (1, 6):
        predictions = [random(batch, 3, side, side).requires_grad_() for side in (8, 16)]
        with Counting() as counting:
            relative_multiscale_loss(predictions, random(batch, 3, 16, 16)).backward()
        counts.append(counting.count)
    assert counts[0] == counts[1]


def test_halving_the_loss_of_any_sample_counts_the_same_however_large_it_is():
    clean = torch.zeros(2, 3, 8, 8)
    strong_and_weak = torch.tensor([0.5, 0.01])[:, None, None, None].expand(2, 3, 8, 8)

    def loss(scale):
        return relative_multiscale_loss([strong_and_weak * torch.tensor(scale).view(2, 1, 1, 1)], clean, floor=0.0)

    torch.testing.assert_close(loss([0.5, 1.0]), loss([1.0, 0.5]))
    torch.testing.assert_close(loss([1.0, 1.0]) - loss([0.5, 1.0]), torch.tensor(2.0).log() / 2)


def test_a_perfect_sample_has_a_finite_relative_loss_and_gradient():
    prediction = torch.zeros(1, 3, 8, 8, requires_grad=True)
    relative_multiscale_loss([prediction], torch.zeros(1, 3, 8, 8)).backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


@pytest.mark.parametrize(
    "loss",
    [
        spectral_l1,
        frequency_loss,
        ring_distances,
        lambda restored, clean: focal_frequency_loss(restored, clean, alpha=0),  # other weights are held constant
        lambda restored, clean: multiscale_loss([restored], clean),
        lambda restored, clean: multiscale_loss([restored, restored[..., ::2, ::2]], clean, added=spectral_l1),
        lambda restored, clean: relative_multiscale_loss([restored], clean, added=spectral_l1),
    ],
    ids=["spectral_l1", "frequency", "rings", "focal", "multiscale", "two sizes", "relative"],
)
def test_gradients_in_float64_are_differences_of_the_loss(loss):
    generator = torch.Generator().manual_seed(0)
    restored, clean = torch.rand(2, 2, 3, 9, 8, generator=generator, dtype=torch.float64)
    assert loss(restored, clean).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda image: loss(image, clean), restored.requires_grad_(), fast_mode=True)
