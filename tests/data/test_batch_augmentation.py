import math

import pytest
import torch
from torchvision.transforms.v2 import functional as vision

from passband.data.batch_augmentation import BatchAugmentation
from passband.ops.labels import IGNORED

STRONG = BatchAugmentation(
    rotation=180, zoom=(0.7, 1.4), shift=0.1, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05, blur=2, noise=0.1
)


def batch(count=4, size=(33, 48)):
    generator = torch.Generator().manual_seed(5)
    images = vision.gaussian_blur(torch.rand(count, 3, *size, generator=generator), [7, 7])
    return images, (images.mean(1) > 0.5).long()


def fixed(monkeypatch, value, **settings):
    """An augmentation whose random numbers are all one value."""
    monkeypatch.setattr(torch, "rand", lambda count, generator: torch.full((count,), value))
    return BatchAugmentation(**{"flip": False, **settings})


def test_nothing_changes_where_all_is_off():
    images, masks = batch()
    same, labels = BatchAugmentation(flip=False)(images, masks, [1, 2, 3, 4])
    assert torch.equal(same, images)
    assert torch.equal(labels, masks)


def test_a_sample_depends_on_its_seed_alone():
    images, masks = batch()
    together = STRONG(images, masks, [11, 12, 13, 14])
    alone = STRONG(images[2:3], masks[2:3], [13])
    for whole, one in zip(together, alone, strict=True):
        torch.testing.assert_close(whole[2:3], one)
    again = STRONG(images[2:3], masks[2:3], [14])
    assert not torch.allclose(again[0], alone[0], atol=1e-2)


def test_the_random_generator_of_the_process_keeps_its_state():
    images, masks = batch()
    before = torch.get_rng_state()
    STRONG(images, masks, [1, 2, 3, 4])
    assert torch.equal(torch.get_rng_state(), before)


def test_flips_are_exact_and_masks_follow_their_images():
    images, masks = batch(16)
    seen, labels = BatchAugmentation()(images, masks, range(16))
    kinds = set()
    for before, mask, after, label in zip(images, masks, seen, labels, strict=True):
        options = {dims: before.flip(dims) for dims in ((), (-1,), (-2,), (-2, -1))}
        kind = min(options, key=lambda dims: (options[dims] - after).abs().max().item())
        torch.testing.assert_close(options[kind], after, atol=1e-5, rtol=0)
        assert torch.equal(mask.flip(kind), label)
        kinds.add(kind)
    assert len(kinds) == 4


@pytest.mark.parametrize("size", [(32, 32), (31, 47)])
def test_a_rotation_is_that_of_torchvision(size, monkeypatch):
    images, masks = batch(size=size)
    seen, labels = fixed(monkeypatch, 0.75, rotation=60)(images, masks, [0] * 4)
    theirs = vision.rotate(images, 30, interpolation=vision.InterpolationMode.BILINEAR)
    torch.testing.assert_close(seen, theirs, atol=1e-5, rtol=0)
    agreement = labels == vision.rotate(masks, 30)
    assert agreement.float().mean() > 0.99  # a place between two pixels may be rounded to either


def test_a_zoom_enlarges_and_a_shift_moves(monkeypatch):
    images, masks = torch.zeros(1, 3, 40, 40), torch.zeros(1, 40, 40).long()
    masks[:, 15:25, 15:25] = 1
    _, zoomed = fixed(monkeypatch, 0.5, zoom=(1.0, 4.0))(images, masks, [0])
    assert zoomed.sum() == 400  # the factor in the middle of 1 and 4 is 2
    _, moved = fixed(monkeypatch, 1.0, shift=0.25)(images, masks, [0])
    assert moved[:, 5:15, 5:15].all()
    assert moved.sum() == 100


@pytest.mark.parametrize("change", [{"rotation": 60}, {"shift": 0.3}, {"zoom": (0.5, 0.7)}])
def test_pixels_from_outside_an_image_have_the_label_that_is_asked_for(change, monkeypatch):
    images, masks = torch.ones(2, 3, 33, 40), torch.full((2, 33, 40), 2)
    masks[:, 10:14] = IGNORED  # keep their label wherever they move to
    seen, ignored = fixed(monkeypatch, 0.75, outside=IGNORED, **change)(images, masks, [0, 1])
    _, background = fixed(monkeypatch, 0.75, **change)(images, masks, [0, 1])
    outside = background == 0
    assert outside.any()
    assert (seen.amax(1)[outside] < 0.6).all()  # the border is blended
    assert torch.equal(ignored, background.masked_fill(outside, IGNORED))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("brightness", lambda image: vision.adjust_brightness(image, 1.3)),
        ("contrast", lambda image: vision.adjust_contrast(image, 1.3)),
        ("saturation", lambda image: vision.adjust_saturation(image, 1.3)),
    ],
)
def test_changes_of_color_are_those_of_torchvision(name, function, monkeypatch):
    images, masks = batch()
    seen, _ = fixed(monkeypatch, 1.0, **{name: 0.3})(images, masks, [0] * 4)
    torch.testing.assert_close(seen, function(images), atol=2e-3, rtol=0)  # torchvision rounds its gray weights


def test_a_shift_of_the_hue_keeps_gray_and_luma(monkeypatch):
    images, masks = 0.4 + 0.2 * torch.rand(2, 3, 8, 8), torch.zeros(2, 8, 8).long()
    gray = torch.tensor([0.299, 0.587, 0.114])
    augmentation = fixed(monkeypatch, 1.0, hue=0.25)
    seen, _ = augmentation(images, masks, [0, 1])
    luma = torch.einsum("c,bchw->bhw", gray, images)
    torch.testing.assert_close(torch.einsum("c,bchw->bhw", gray, seen), luma, atol=1e-4, rtol=0)
    level = images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(augmentation(level, masks, [0, 1])[0], level, atol=1e-3, rtol=0)
    assert (seen - images).abs().max() > 0.05


def test_a_blur_is_that_of_torchvision_and_half_of_the_images_stay_sharp(monkeypatch):
    images, masks = batch(16)
    seen, _ = BatchAugmentation(flip=False, blur=2.0)(images, masks, range(16))
    sharp = (images - seen).abs().amax((1, 2, 3)) < 1e-6
    assert 4 <= sharp.sum() <= 12
    blurred, _ = fixed(monkeypatch, 1.0, blur=2.0)(images, masks, [0] * 16)
    torch.testing.assert_close(blurred, vision.gaussian_blur(images, [13, 13], [2.0, 2.0]), atol=1e-4, rtol=0)


def test_noise_has_its_standard_deviation(monkeypatch):
    images, masks = torch.full((2, 3, 64, 64), 0.5), torch.zeros(2, 64, 64).long()
    seen, _ = fixed(monkeypatch, 1.0, noise=0.1)(images, masks, [3, 4])
    assert (seen - images).std().item() == pytest.approx(0.1, rel=0.05)
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize(
    "settings", [{"rotation": 181}, {"zoom": (0, 1)}, {"zoom": (2, 1)}, {"hue": 0.6}, {"blur": -1}, {"noise": math.nan}]
)
def test_numbers_out_of_range_are_errors_that_name_the_setting(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
        BatchAugmentation(**settings)


def test_images_masks_and_seeds_of_different_batches_are_an_error():
    images, masks = batch()
    for wrong in ((images, masks[:3], range(4)), (images, masks[:, 1:], range(4)), (images, masks, range(3))):
        with pytest.raises(ValueError, match="a mask B H W of the size of the images, and a seed for each image"):
            STRONG(*wrong)
