import math

import pytest
import torch

from passband.losses import SEGMENTATION_LOSSES, segmentation_loss
from passband.losses.mask_losses import (
    binary_cross_entropy,
    class_dice_loss,
    cross_entropy,
    dice_loss,
)
from passband.ops.labels import IGNORED

SIZE = (7, 11)


def binary_case(batch=3):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, 1, *SIZE, generator=generator, dtype=torch.float64) * 3
    return logits, torch.randint(2, (batch, *SIZE), generator=generator)


def class_case(classes=4, batch=2):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(batch, classes, *SIZE, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (batch, *SIZE), generator=generator)


def test_binary_cross_entropy_is_its_definition():
    logits, mask = binary_case()
    p = 1 / (1 + torch.exp(-logits[:, 0]))
    expected = -torch.where(mask == 1, p.log(), (1 - p).log()).mean()
    torch.testing.assert_close(binary_cross_entropy(logits, mask), expected)


def test_cross_entropy_is_its_definition():
    logits, mask = class_case()
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    expected = -p.gather(1, mask[:, None]).log().mean()
    torch.testing.assert_close(cross_entropy(logits, mask), expected)


def test_dice_loss_is_its_definition_picture_by_picture():
    logits, mask = binary_case()
    expected = []
    for one, truth in zip(logits[:, 0].tolist(), mask.tolist(), strict=True):
        p = [1 / (1 + math.exp(-value)) for row in one for value in row]
        t = [value for row in truth for value in row]
        common = sum(a * b for a, b in zip(p, t, strict=True))
        expected.append(1 - (2 * common + 1) / (sum(p) + sum(t) + 1))
    torch.testing.assert_close(dice_loss(logits, mask).item(), sum(expected) / len(expected))


def test_dice_loss_of_classes_is_the_mean_of_each_class_against_the_others():
    logits, mask = class_case()
    expected = []
    for number in range(4):
        others = torch.cat([logits[:, :number], logits[:, number + 1 :]], 1).logsumexp(1, keepdim=True)
        expected.append(dice_loss(logits[:, number : number + 1] - others, (mask == number).long()))
    torch.testing.assert_close(class_dice_loss(logits, mask), torch.stack(expected).mean())


def test_one_logit_and_its_complement_have_the_same_cross_entropy():
    logits, mask = binary_case()
    torch.testing.assert_close(
        binary_cross_entropy(logits, mask), cross_entropy(torch.cat([0 * logits, logits], 1), mask)
    )


@pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
@pytest.mark.parametrize("classes", [1, 4])
def test_right_and_sure_answers_cost_nothing_and_wrong_ones_much(name, classes):
    loss = segmentation_loss(name, classes)
    mask = binary_case()[1] if classes == 1 else class_case()[1]
    right = (mask * 2.0 - 1)[:, None] if classes == 1 else torch.nn.functional.one_hot(mask).movedim(-1, 1) * 1.0
    assert loss(right * 60, mask) < 1e-6
    assert loss(-right * 60, mask) > 0.5


@pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
@pytest.mark.parametrize("classes", [1, 4])
def test_gradients_are_the_slopes(name, classes):
    logits, mask = binary_case(1) if classes == 1 else class_case(batch=1)
    loss = segmentation_loss(name, classes)
    assert torch.autograd.gradcheck(lambda x: loss(x, mask), (logits.requires_grad_(),))


@pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
@pytest.mark.parametrize("classes", [1, 4])
def test_ignored_pixels_change_neither_the_loss_nor_the_gradient(name, classes):
    logits, mask = binary_case() if classes == 1 else class_case()
    loss = segmentation_loss(name, classes)
    mask[:, :, -4:] = IGNORED
    part = logits[..., :-4].clone().requires_grad_()
    other = logits.clone()
    other[..., -4:] += 5
    for whole in (logits.requires_grad_(), other.requires_grad_()):
        torch.testing.assert_close(loss(whole, mask), loss(part, mask[..., :-4]))
        (slope,) = torch.autograd.grad(loss(whole, mask), whole)
        torch.testing.assert_close(slope[..., :-4], *torch.autograd.grad(loss(part, mask[..., :-4]), part))
        assert not slope[..., -4:].any()


@pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
@pytest.mark.parametrize("classes", [1, 4])
def test_an_image_without_a_pixel_to_learn_from_costs_nothing(name, classes):
    logits, mask = binary_case(2) if classes == 1 else class_case(batch=2)
    loss = segmentation_loss(name, classes)
    mask[1] = IGNORED
    logits.requires_grad_()
    torch.testing.assert_close(loss(logits, mask), loss(logits[:1], mask[:1]) / 2)
    assert not torch.autograd.grad(loss(logits, mask), logits)[0][1].any()


@pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
def test_other_labels_than_those_of_classes_are_errors(name):
    logits, mask = class_case()
    for label in (-100, 4, 255):
        mask[0, 0, 0] = label
        with pytest.raises((IndexError, RuntimeError)):
            segmentation_loss(name, 4)(logits, mask)


@pytest.mark.parametrize("name", SEGMENTATION_LOSSES)
def test_bytes_are_not_ignored(name):
    logits, mask = binary_case()
    mask[:, 1] = 255
    loss = segmentation_loss(name, 1)
    torch.testing.assert_close(loss(logits, mask.byte()), loss(logits, mask))


def test_sums_are_sums():
    for classes, (logits, mask) in ((1, binary_case()), (4, class_case())):
        whole, one, other = (
            segmentation_loss(name, classes)(logits, mask) for name in ("cross_entropy+dice", "cross_entropy", "dice")
        )
        torch.testing.assert_close(whole, one + other)


def test_an_empty_mask_costs_nothing_for_an_empty_answer_and_nearly_1_for_another():
    nothing = torch.zeros(1, *SIZE, dtype=torch.int64)
    empty, full = torch.full((1, 1, *SIZE), -60.0), torch.full((1, 1, *SIZE), 60.0)
    assert dice_loss(empty, nothing).item() == pytest.approx(0, abs=1e-6)
    pixels = SIZE[0] * SIZE[1]
    assert dice_loss(full, nothing).item() == pytest.approx(pixels / (pixels + 1))
    logits = torch.full((1, 1, *SIZE), -3.0, requires_grad=True)
    dice_loss(logits, nothing).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (logits.grad > 0).all()


def test_shares_of_the_foreground_are_targets_too():
    share = torch.full((1, *SIZE), 0.3, dtype=torch.float64)
    at = [binary_cross_entropy(torch.full((1, 1, *SIZE), x, dtype=torch.float64), share) for x in (-1.2, -0.8473, -0.5)]
    assert at[1] < min(at[0], at[2])  # logit(.3) is -.8473
    assert dice_loss(torch.zeros(1, 1, *SIZE), share) > 0


def test_half_precision_is_computed_in_single():
    logits, mask = binary_case()
    for name in SEGMENTATION_LOSSES:
        loss = segmentation_loss(name, 1)(logits.half(), mask)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, segmentation_loss(name, 1)(logits.half().float(), mask))


def test_unknown_names_and_no_smoothing_are_refused():
    with pytest.raises(ValueError, match="unknown loss 'dise'; did you mean 'dice'"):
        segmentation_loss("dise", 1)
    with pytest.raises(ValueError, match="smooth must be above 0"):
        dice_loss(*binary_case(), smooth=0)
