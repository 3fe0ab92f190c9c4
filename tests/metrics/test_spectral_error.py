import pytest
import torch
from scipy.fft import dctn

from passband.metrics.spectral_error import PARTS, SpectralErrors, band_edges, band_numbers, spectral_errors
from passband.ops.fourier import low_pass

SIZES = [(8, 8), (9, 31), (64, 512), (67, 530), (130, 41)]


def images(height, width, dtype=torch.float32, count=2):
    """Degraded, restored and clean images: smooth content with noise of three strengths."""
    random = torch.Generator().manual_seed(height)
    clean = low_pass(torch.rand(count, 3, height, width, generator=random, dtype=dtype), 3, softness=1).clamp(0, 1)
    noise = torch.randn(2, *clean.shape, generator=random, dtype=dtype)
    return (clean + 0.1 * noise[0]).clamp(0, 1), (clean + 0.02 * noise[1]).clamp(0, 1), clean


def squared(first, second):
    """Mean squared error of each image, in float64."""
    return (first.double() - second.double()).square().mean((1, 2, 3))


@pytest.mark.parametrize("block", [8, 32])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_all_frequencies_together_are_the_mean_squared_errors_and_their_change(height, width, block):
    if min(height, width) < block:
        height, width = height + block, width + block
    degraded, restored, clean = images(height, width)
    errors = spectral_errors(restored, clean, degraded, block=block)
    for frequencies in (errors, errors.in_bands()):
        before, after, *parts = (getattr(frequencies, name).flatten(1).sum(1) for name in PARTS)
        torch.testing.assert_close(before, squared(degraded, clean), rtol=1e-6, atol=0)
        torch.testing.assert_close(after, squared(restored, clean), rtol=1e-6, atol=0)
        change = squared(degraded, clean) - squared(restored, clean)
        torch.testing.assert_close(parts[0] - parts[1] - parts[2], change, rtol=1e-6, atol=0)
    assert all(bool((getattr(errors, name) >= 0).all()) for name in PARTS)
    torch.testing.assert_close(errors.restored - errors.lost - errors.invented, errors.change, rtol=0, atol=1e-15)


def test_each_coefficient_is_sorted_as_the_definition_says():
    degraded, restored, clean = images(24, 40, torch.float64, count=1)
    expected = dict.fromkeys(PARTS, 0.0)
    for y in range(0, 24, 8):
        for x in range(0, 40, 8):
            for channel in range(3):
                d, r, c = (
                    torch.from_numpy(dctn(image[0, channel, y : y + 8, x : x + 8].numpy(), norm="ortho"))
                    for image in (degraded, restored, clean)
                )
                change = (d - c).square() - (r - c).square()
                expected["before"] += (d - c).square()
                expected["after"] += (r - c).square()
                expected["restored"] += change.clamp(min=0)
                expected["lost"] += torch.where(r.abs() <= c.abs(), -change, 0).clamp(min=0)
                expected["invented"] += torch.where(r.abs() > c.abs(), -change, 0).clamp(min=0)
    errors = spectral_errors(restored, clean, degraded)
    for name in PARTS:
        torch.testing.assert_close(getattr(errors, name)[0], expected[name] / clean.numel())


def test_blur_loses_and_noise_invents():
    _, _, clean = images(64, 96)
    clean = (clean + 0.2 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    blurred = spectral_errors(low_pass(clean, 8), clean)
    assert float(blurred.lost.sum() / blurred.after.sum()) > 0.9
    smooth = low_pass(clean, 4)
    noisy = smooth + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    invented = spectral_errors(noisy, smooth)
    assert float(invented.invented[:, 4:, 4:].sum() / invented.after[:, 4:, 4:].sum()) > 0.99
    assert float(blurred.restored.sum()) == 0


def test_a_perfect_restoration_restores_everything_and_no_restoration_nothing():
    degraded, _, clean = images(33, 47)
    perfect = spectral_errors(clean, clean, degraded)
    torch.testing.assert_close(perfect.restored, perfect.before, rtol=1e-12, atol=0)
    assert not float((perfect.after + perfect.lost + perfect.invented).sum())
    unchanged = spectral_errors(degraded, clean, degraded)
    parts = unchanged.restored + unchanged.lost + unchanged.invented
    assert float(parts.sum()) < 1e-6 * float(unchanged.before.sum())  # squares are rounded to single precision


def test_an_error_of_one_frequency_lies_in_its_cell_and_band():
    v, u = 3, 5
    position = torch.arange(8, dtype=torch.float64) + 0.5
    wave = torch.outer((position * v * torch.pi / 8).cos(), (position * u * torch.pi / 8).cos())
    clean = torch.full((1, 3, 16, 24), 0.5, dtype=torch.float64)
    errors = spectral_errors(clean + 0.01 * wave.repeat(2, 3), clean)
    assert float(errors.after[0, v, u] / errors.after.sum()) == pytest.approx(1)
    number = int(band_numbers()[v, u])
    assert number == 5
    assert band_edges()[number] == (5 / 8, 6 / 8)
    assert float(errors.in_bands().after[0, number] / errors.after.sum()) == pytest.approx(1)


def test_images_of_a_batch_and_pieces_of_a_folder_are_measured_by_themselves():
    degraded, restored, clean = images(40, 56)
    together = spectral_errors(restored, clean, degraded)
    alone = [spectral_errors(restored[n : n + 1], clean[n : n + 1], degraded[n : n + 1]) for n in (0, 1)]
    joined = SpectralErrors.of_images(alone)
    assert len(joined) == 2
    for name in PARTS:
        torch.testing.assert_close(getattr(joined, name), getattr(together, name))
    with pytest.raises(ValueError, match="at least one image, got none"):
        SpectralErrors.of_images([])


def test_the_last_band_holds_the_corner_of_the_spectrum():
    for block in (8, 32):
        numbers, edges = band_numbers(block), band_edges(block)
        assert len(edges) == block + 1 == int(numbers.max()) + 1
        radius = torch.hypot(*torch.meshgrid(torch.arange(float(block)), torch.arange(float(block)), indexing="ij"))
        for number, (low, high) in enumerate(edges):
            inside = radius[numbers == number] / block
            assert bool(((inside >= low - 1e-6) & (inside < high)).all())


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 3, 7, 20), {}, "at least 8 x 8 pixels, got 7 x 20"),
        ((1, 3, 30, 40), {"block": 32}, "at least 32 x 32 pixels, got 30 x 40"),
        ((1, 3, 30, 40), {"block": 33}, "a block of 2 to 32 pixels, got 33"),
    ],
)
def test_images_that_cannot_be_measured_are_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        spectral_errors(torch.rand(shape), torch.rand(shape), **options)
