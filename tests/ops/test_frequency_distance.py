import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from passband.ops.color import rgb_to_ycbcr
from passband.ops.frequency_distance import (
    FREQUENCY_WEIGHTS,
    frequency_distances,
    frequency_weights,
    low_pass_weights,
    quantization_steps,
)


def pair(batch=2, channels=3, height=40, width=56, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, batch, channels, height, width, generator=generator, dtype=dtype).unbind(0)


def by_numpy(image, reference, weights, power):
    """The distance of images whose sides are multiples of the block, one block after the other."""
    block = weights.shape[-1]
    basis = np.array(
        [
            [
                math.sqrt((1 if u == 0 else 2) / block) * math.cos(math.pi * (2 * x + 1) * u / (2 * block))
                for x in range(block)
            ]
            for u in range(block)
        ]
    )
    total = 0.0
    for component in range(3):
        difference = image[component] - reference[component]
        for top in range(0, difference.shape[0], block):
            for left in range(0, difference.shape[1], block):
                cell = basis @ difference[top : top + block, left : left + block] @ basis.T
                total += (weights[component] * np.abs(cell) ** power).sum()
    return total / image.size


class TestAgainstLoops:
    @pytest.mark.parametrize("name", FREQUENCY_WEIGHTS)
    @pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
    def test_it_is_the_sum_over_blocks(self, name, power):
        image, reference = pair()
        weights = frequency_weights(name)
        found = frequency_distances(image, reference, name, power=power)
        for one, first, second in zip(found, rgb_to_ycbcr(image), rgb_to_ycbcr(reference), strict=True):
            assert one.item() == pytest.approx(
                by_numpy(first.numpy(), second.numpy(), weights.numpy(), power), rel=1e-9
            )

    def test_blocks_of_another_side_are_those_of_the_table(self):
        image, reference = pair(height=30, width=15)
        table = torch.rand(3, 5, 5, dtype=torch.float64)
        found = frequency_distances(image, reference, table)
        for one, first, second in zip(found, rgb_to_ycbcr(image), rgb_to_ycbcr(reference), strict=True):
            assert one.item() == pytest.approx(by_numpy(first.numpy(), second.numpy(), table.numpy(), 2), rel=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(8, 37), st.integers(8, 37), st.sampled_from([1, 2, 4, 8]))
def test_flat_weights_give_the_mean_squared_error_of_any_size_and_overlap(height, width, stride):
    image, reference = pair(height=height, width=width)
    error = (rgb_to_ycbcr(image) - rgb_to_ycbcr(reference)).square().mean((1, 2, 3))
    torch.testing.assert_close(frequency_distances(image, reference, "flat", stride=stride), error)


def test_gray_images_are_compared_as_luma():
    image, reference = pair(channels=1)
    found = frequency_distances(image, reference, "csf")
    colored = frequency_distances(image.expand(-1, 3, -1, -1), reference.expand(-1, 3, -1, -1), "csf")
    torch.testing.assert_close(found, 3 * colored)  # whose chroma has no difference, and counts as values


def test_steps_are_those_that_pillow_writes():
    from io import BytesIO

    from PIL import Image

    for quality in (1, 10, 49, 50, 51, 75, 90, 100):
        data = BytesIO()
        Image.new("RGB", (16, 16)).save(data, "JPEG", quality=quality)
        tables = Image.open(data).quantization
        steps = quantization_steps(quality)
        for component, number in ((0, 0), (1, 1), (2, 1)):
            assert sorted(steps[component].flatten().tolist()) == sorted(tables[number])


def test_the_table_of_psnr_hvs_has_these_digits():
    # the first row that Egiazarian et al. published
    published = [1.608443, 2.339554, 2.573509, 1.608443, 1.072295, 0.643377, 0.504610, 0.421887]
    torch.testing.assert_close(
        frequency_weights("csf")[0, 0].sqrt(), torch.tensor(published, dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_a_low_pass_sees_no_high_frequency():
    image, _ = pair(channels=1, height=16, width=16)
    checkers = torch.ones(16, 16, dtype=torch.float64)
    checkers[::2, 1::2] = checkers[1::2, ::2] = -1
    assert frequency_distances(image, image + 0.1 * checkers, "low-pass").max() < 1e-3
    assert frequency_distances(image, image + 0.1, "low-pass").min() == pytest.approx(0.01)
    assert low_pass_weights(1.0).eq(1).all()
    assert low_pass_weights(0.01).sum() == 3


def test_texture_hides_a_difference_and_a_smooth_area_does_not():
    generator = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(1, 1, 64, 64, generator=generator)
    smooth, texture = torch.full((1, 1, 64, 64), 0.5), torch.rand(1, 1, 64, 64, generator=generator)
    plain, masked = (frequency_distances(smooth, smooth + noise, "csf", masking=on) for on in (False, True))
    assert masked / plain > 0.6  # noise hides a part of itself
    plain, masked = (frequency_distances(texture, texture + noise, "csf", masking=on) for on in (False, True))
    assert masked / plain < 0.5


@pytest.mark.parametrize("masking", [False, True])
@pytest.mark.parametrize("stride", [None, 4])
def test_gradients_are_those_of_finite_differences(masking, stride):
    # the threshold of masking counts as a constant, so that it is taken from the reference alone here
    image, reference = pair(1, 3, 8, 9, seed=3)
    image = reference * 0.2 + image * 0.1 if masking else image
    if masking:
        torch.manual_seed(0)
        reference = reference + 3 * torch.randn_like(reference)  # its thresholds are the larger ones

    def distance(candidate):
        return frequency_distances(candidate, reference, "csf", masking=masking, stride=stride)

    assert torch.autograd.gradcheck(distance, image.clone().requires_grad_(), atol=1e-7)


@pytest.mark.parametrize("options", [{}, {"masking": True, "stride": 4}, {"power": 1.0, "weights": "jpeg"}])
def test_autocast_changes_neither_values_nor_gradients(options):
    generator = torch.Generator().manual_seed(3)
    image, reference = torch.rand(2, 3, 17, 24, generator=generator), torch.rand(2, 3, 17, 24, generator=generator)
    found = []
    for enabled in (False, True):
        leaf = image.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            distance = frequency_distances(leaf, reference, **options)
        distance.sum().backward()
        found.append((distance, leaf.grad))
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("value", [0.0, 1.0, 6e4])
@pytest.mark.parametrize("masking", [False, True])
def test_half_precision_gives_no_nan(dtype, value, masking):
    flat = torch.full((1, 3, 16, 24), value, dtype=dtype).requires_grad_()
    other = torch.rand(1, 3, 16, 24).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        for image, reference in ((flat, flat.detach()), (flat, other), (other.clone().requires_grad_(), flat.detach())):
            found = frequency_distances(image, reference, "csf", masking=masking)
            assert found.dtype == torch.float32
            assert found.isfinite().all()
            found.sum().backward()
            assert image.grad.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "cfs"}, "Frequency weights are one of flat, jpeg, csf, low-pass, got 'cfs'"),
        ({"weights": torch.ones(3, 8, 9)}, "weights need the shape 3 x block x block, got 3 x 8 x 9"),
        ({"weights": -torch.ones(3, 8, 8)}, "values of at least 0"),
        ({"weights": torch.full((3, 8, 8), float("nan"))}, "values of at least 0"),
        ({"stride": 3}, "a divisor of the block's side of 8, got 3"),
        ({"power": 0.5}, "power needs a value of at least 1, got 0.5"),
        ({"weights": torch.ones(3, 4, 4), "masking": True}, "masking needs blocks of 8 pixels"),
        ({"image": torch.rand(1, 3, 7, 9), "reference": torch.rand(1, 3, 7, 9)}, "at least 8 x 8 pixels, got 7 x 9"),
        ({"image": torch.rand(1, 2, 8, 9), "reference": torch.rand(1, 2, 8, 9)}, r"3 channels \(RGB\) or 1 \(gray\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    image, reference = pair()
    arguments = {"image": image, "reference": reference, "weights": "csf", **change}
    with pytest.raises(ValueError, match=message):
        frequency_distances(**arguments)


def test_quality_and_cutoff_have_a_range():
    with pytest.raises(ValueError, match="from 1 to 100, got 0"):
        frequency_weights("jpeg", quality=0)
    with pytest.raises(ValueError, match="above 0 and up to 1, got 1.5"):
        frequency_weights("low-pass", cutoff=1.5)
