from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, precision_score, recall_score
from torchmetrics.classification import BinaryJaccardIndex

from passband.metrics.mask_scores import (
    PROTOCOLS,
    SegmentationScores,
    all_background,
    class_counts,
    predicted_classes,
    resized_logits,
    stretched_levels,
    threshold_curves,
)
from passband.ops.labels import IGNORED
from tests.masks import CASES, ellipses, probability_map

GOLDEN = Path(__file__).parents[1] / "data" / "pysodmetrics.npz"
"""Of PySODMetrics 1.6.2, for maps stretched to their range and rounded to 8 bits, as it reads them from files: the
curves of FmeasureV2 with DICEHandler and IOUHandler, and MAE."""


def logits_of(name):
    return torch.from_numpy(probability_map(name, *CASES[name])).logit().float()[None]


def mask_of(name):
    return torch.from_numpy(ellipses(name, *CASES[name]).astype(np.int64))


def sklearn_figures(predicted, mask):
    """What the slides' scripts compute of a picture, without a word on labels."""
    truth, answer = mask.numpy().ravel(), predicted.numpy().ravel()
    options = {"average": "macro", "zero_division": 0}
    return {
        "iou": jaccard_score(truth, answer, **options),
        "f1": f1_score(truth, answer, **options),
        "precision": precision_score(truth, answer, **options),
        "recall": recall_score(truth, answer, **options),
        "accuracy": accuracy_score(truth, answer),
    }


def plain_dice_iou(predicted, mask):
    """Dice and IoU of two binary masks by their definitions, in float64."""
    common, either = np.sum(predicted & mask), np.sum(predicted | mask)
    both = np.sum(predicted) + np.sum(mask)
    return (2.0 * common / both, 1.0 * common / either) if both else (1.0, 1.0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("answer", ["map", "nothing", "everything"])
@pytest.mark.parametrize("truth", ["ellipses", "nothing", "everything"])
def test_lab_macro_is_what_scikit_learn_gives(name, answer, truth):
    logits, mask = logits_of(name), mask_of(name)
    logits = {"map": logits, "nothing": -logits.abs() - 1, "everything": logits.abs() + 1}[answer]
    mask = {"ellipses": mask, "nothing": mask * 0, "everything": mask * 0 + 1}[truth]
    scores = SegmentationScores("lab_macro", 1)
    figures = scores.add(logits, mask)
    expected = sklearn_figures((logits[0] > 0).long(), mask)
    assert {key: figures[key] for key in expected} == pytest.approx(expected, abs=1e-12)


def test_lab_macro_of_several_classes_is_the_mean_over_those_that_are_there():
    torch.manual_seed(0)
    logits, mask = torch.randn(5, 13, 17), torch.randint(4, (13, 17))
    logits[3] = -9.0
    figures = SegmentationScores("lab_macro", 5).add(logits, mask)
    expected = sklearn_figures(logits.argmax(0), mask)
    assert {key: figures[key] for key in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_pranet_curves_and_error_are_those_of_pysodmetrics(name):
    with np.load(GOLDEN) as golden:
        dice, iou, error = (golden[f"{name}/{part}"] for part in ("dice", "iou", "mae"))
    curves = threshold_curves(logits_of(name)[0].sigmoid(), mask_of(name))
    # its curves begin at the highest threshold
    np.testing.assert_allclose(curves[0].flip(0), dice, atol=1e-4)
    np.testing.assert_allclose(curves[1].flip(0), iou, atol=1e-4)
    figures = SegmentationScores("pranet", 1).add(logits_of(name), mask_of(name))
    assert figures["mean_dice"] == pytest.approx(dice.mean(), abs=1e-4)
    assert figures["mean_iou"] == pytest.approx(iou.mean(), abs=1e-4)
    assert figures["mae"] == pytest.approx(error, abs=1e-4)


def test_pranet_curves_are_those_of_a_loop_over_thresholds():
    rng = np.random.default_rng(0)
    for mask in (rng.random((19, 31)) < 0.3, np.zeros((19, 31), bool), np.ones((19, 31), bool)):
        levels = rng.integers(0, 256, mask.shape)
        levels[0, :2] = 0, 255
        dice, iou = threshold_curves(torch.from_numpy(levels / 255), torch.from_numpy(mask.astype(np.int64)))
        for threshold in range(256):
            found = levels >= threshold
            both = found.sum() + mask.sum()
            expected = (
                (2 * (found & mask).sum() / both, (found & mask).sum() / (found | mask).sum()) if both else (0, 0)
            )
            assert (dice[threshold], iou[threshold]) == pytest.approx(expected, abs=1e-12)


def test_stretching_is_the_same_after_any_rising_line_and_gives_0_for_a_constant_map():
    probability = torch.rand(7, 11, dtype=torch.float64)
    levels = stretched_levels(probability)
    assert (int(levels.min()), int(levels.max())) == (0, 255)
    assert (stretched_levels(0.2 + 0.5 * probability) - levels).abs().max() <= 1  # 0.5 may round either way
    assert not stretched_levels(torch.full((3, 4), 0.7)).any()
    constant = resized_logits(torch.full((1, 1, 3, 5), -0.7, dtype=torch.float64), (61, 47))[0, 0].sigmoid()
    assert not stretched_levels(constant).any()


@pytest.mark.parametrize("name", CASES)
def test_binary_is_dice_and_iou_by_their_definitions(name):
    logits, mask = logits_of(name), mask_of(name)
    figures = SegmentationScores("binary", 1).add(logits, mask)
    dice, iou = plain_dice_iou((logits[0] > 0).numpy(), mask.numpy().astype(bool))
    assert (figures["dice"], figures["iou"]) == pytest.approx((dice, iou), abs=1e-12)
    assert (figures["foreground_dice"], figures["foreground_iou"]) == pytest.approx((dice, iou), abs=1e-12)


def test_micro_is_of_all_pixels_together_and_the_others_are_means_of_pictures():
    pictures = [(logits_of(name), mask_of(name)) for name in CASES]
    scores = {protocol: SegmentationScores(protocol, 1) for protocol in PROTOCOLS}
    single = {name: [one.add(*picture) for picture in pictures] for name, one in scores.items()}
    found = np.concatenate([(logits[0] > 0).numpy().ravel() for logits, _ in pictures])
    truth = np.concatenate([mask.numpy().ravel().astype(bool) for _, mask in pictures])
    micro = scores["micro"].total()
    assert (micro["dice"], micro["iou"]) == pytest.approx(plain_dice_iou(found, truth), abs=1e-12)
    assert micro["precision"] == pytest.approx((found & truth).sum() / found.sum(), abs=1e-12)
    assert micro["recall"] == pytest.approx((found & truth).sum() / truth.sum(), abs=1e-12)
    assert micro["accuracy"] == pytest.approx((found == truth).mean(), abs=1e-12)
    ious = [plain_dice_iou(found, truth)[1], plain_dice_iou(~found, ~truth)[1]]
    assert micro["class_iou"] == pytest.approx(np.mean(ious), abs=1e-12)
    for name in ("lab_macro", "pranet", "binary"):
        for figure, value in scores[name].total().items():
            assert value == pytest.approx(np.mean([figures[figure] for figures in single[name]]), abs=1e-12)
    foregrounds = [one.total()["foreground_dice"] for one in scores.values()]
    assert foregrounds == pytest.approx([scores["binary"].total()["dice"]] * 4, abs=1e-12)


def test_micro_pools_the_foreground_of_several_classes():
    torch.manual_seed(1)
    scores, truth, answer = SegmentationScores("micro", 4), [], []
    for size in ((5, 7), (11, 3)):
        logits, mask = torch.randn(4, *size), torch.randint(4, size)
        scores.add(logits, mask)
        truth.append(mask.flatten())
        answer.append(logits.argmax(0).flatten())
    truth, answer = torch.cat(truth).numpy(), torch.cat(answer).numpy()
    options = {"labels": [1, 2, 3], "average": "micro"}
    figures = scores.total()
    assert figures["dice"] == pytest.approx(f1_score(truth, answer, **options), abs=1e-12)
    assert figures["iou"] == pytest.approx(jaccard_score(truth, answer, **options), abs=1e-12)
    assert figures["precision"] == pytest.approx(precision_score(truth, answer, **options), abs=1e-12)
    assert figures["recall"] == pytest.approx(recall_score(truth, answer, **options), abs=1e-12)
    assert figures["class_iou"] == pytest.approx(jaccard_score(truth, answer, average="macro"), abs=1e-12)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_gives_its_figures_in_its_order_and_the_foregrounds(protocol):
    scores = SegmentationScores(protocol, 1)
    figures = scores.add(logits_of("odd"), mask_of("odd"))
    assert tuple(figures) == (*PROTOCOLS[protocol].figures, "foreground_dice", "foreground_iou")
    assert {*scores.total()} == {*figures}
    assert all(0 <= value <= 1 for value in figures.values())
    assert PROTOCOLS[protocol].summary


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_perfect_answer_gets_all_points(protocol):
    mask = mask_of("long")
    figures = SegmentationScores(protocol, 1).add((mask * 2.0 - 1)[None] * 30, mask)
    # at threshold 0 every pixel of a map is foreground
    loss = (1 - 2 * mask.double().mean() / (1 + mask.double().mean())) / 256 if protocol == "pranet" else 0
    main = PROTOCOLS[protocol].figures[0]
    assert figures[main] == pytest.approx(1 - float(loss), abs=1e-9)
    assert figures["foreground_dice"] == 1


def test_an_empty_answer_has_nearly_half_of_the_points_by_lab_macro_and_none_by_the_others():
    masks = [mask_of(name) for name in CASES]
    background = np.mean([1 - float(mask.double().mean()) for mask in masks])
    assert all_background("lab_macro", masks)["iou"] == pytest.approx(background / 2, abs=1e-9)
    assert all_background("lab_macro", masks)["recall"] == 0.5
    assert all_background("binary", masks)["dice"] == all_background("micro", masks)["dice"] == 0
    whole = [float(mask.double().mean()) for mask in masks]
    # at threshold 0 the empty map is full
    expected = np.mean([2 * share / (1 + share) / 256 for share in whole])
    assert all_background("pranet", masks)["mean_dice"] == pytest.approx(expected, abs=1e-9)
    several = all_background("micro", [mask * 2 for mask in masks], classes=3)
    assert (several["dice"], several["accuracy"]) == (0, pytest.approx(several["class_iou"] * 2))


def test_nothing_found_where_nothing_is_is_right_but_for_pranet():
    nothing = torch.zeros(9, 13, dtype=torch.int64)
    for protocol in ("lab_macro", "binary", "micro"):
        figures = all_background(protocol, [nothing])
        assert figures[PROTOCOLS[protocol].figures[0]] == figures["foreground_dice"] == figures["foreground_iou"] == 1
    assert all_background("pranet", [nothing])["mean_dice"] == 0
    assert all_background("pranet", [nothing])["foreground_dice"] == 1


def test_logits_are_enlarged_bilinearly_before_anything_is_decided():
    logits, mask = torch.randn(1, 8, 6, generator=torch.Generator().manual_seed(3)), mask_of("odd")
    large = F.interpolate(logits[None].double(), mask.shape, mode="bilinear", align_corners=False)[0]
    for protocol in PROTOCOLS:
        assert SegmentationScores(protocol, 1).add(logits, mask) == SegmentationScores(protocol, 1).add(large, mask)
    assert resized_logits(logits[None], (8, 6)).data_ptr() == logits.data_ptr()


@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 2**31))
def test_counts_add_up_to_the_pixels_and_have_the_right_ones_on_the_diagonal(classes, pixels, seed):
    generator = torch.Generator().manual_seed(seed)
    predicted, mask = (torch.randint(classes, (pixels,), generator=generator) for _ in range(2))
    counts = class_counts(predicted, mask, classes)
    assert int(counts.sum()) == pixels
    assert int(counts.trace()) == int((predicted == mask).sum())
    assert torch.equal(counts.sum(1), torch.bincount(mask, minlength=classes))


def test_logits_that_are_no_numbers_are_background():
    logits = torch.tensor([[[torch.nan, torch.inf, -torch.inf, 0.0, 1e-6]]])
    assert predicted_classes(logits).tolist() == [[0, 1, 0, 0, 1]]
    assert predicted_classes(torch.cat([logits * 0, torch.full_like(logits, torch.nan)])).max() == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_broken_network_scores_as_one_that_finds_nothing(protocol):
    mask = torch.tensor([[0, 1, 1], [0, 0, 1]])
    found = SegmentationScores(protocol, 1).add(torch.full((1, 2, 3), torch.nan), mask)
    assert found == SegmentationScores(protocol, 1).add(torch.full((1, 2, 3), -1.0), mask)
    partly = SegmentationScores(protocol, 1).add(torch.tensor([[[torch.nan, 2, 2], [-2, -2, torch.nan]]]), mask)
    assert all(0 <= value <= 1 for value in partly.values())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ignored_pixels_have_no_part_in_any_figure(protocol):
    logits, mask = logits_of("odd"), mask_of("odd").clone()
    part = SegmentationScores(protocol, 1)
    part.add(logits[..., :-6], mask[:, :-6])
    mask[:, -6:] = IGNORED
    whole = SegmentationScores(protocol, 1)
    whole.add(logits, mask)
    assert whole.total() == part.total()
    assert torch.equal(whole.counts, part.counts)


def test_ignored_pixels_of_several_classes_are_left_out_as_scikit_learn_leaves_them_out():
    generator = torch.Generator().manual_seed(4)
    logits, mask = torch.randn(4, 9, 13, generator=generator), torch.randint(-1, 4, (9, 13), generator=generator)
    scores = SegmentationScores("micro", 4)
    scores.add(logits, mask)
    truth, answer = (values[mask != IGNORED].numpy() for values in (mask, logits.argmax(0)))
    figure = scores.total()["class_iou"]
    assert figure == pytest.approx(jaccard_score(truth, answer, average="macro"), abs=1e-12)
    assert scores.counts.sum() == len(truth) < mask.numel()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_image_without_pixels_to_score_adds_nothing_as_in_torchmetrics(protocol):
    generator = torch.Generator().manual_seed(5)
    logits, mask = torch.randn(2, 1, 9, 13, generator=generator), torch.randint(0, 2, (2, 9, 13), generator=generator)
    mask[1] = IGNORED
    alone, both = SegmentationScores(protocol, 1), SegmentationScores(protocol, 1)
    alone.add(logits[0], mask[0])
    for one, truth in zip(logits, mask, strict=True):
        figures = both.add(one, truth)
    assert figures == {}
    assert both.total() == alone.total()
    theirs = BinaryJaccardIndex(ignore_index=IGNORED)
    theirs.update(logits[:, 0].sigmoid(), mask)
    only = BinaryJaccardIndex(ignore_index=IGNORED)
    only.update(logits[:1, 0].sigmoid(), mask[:1])
    assert theirs.compute() == only.compute()


def test_what_does_not_fit_is_refused_with_a_reason():
    mask = mask_of("odd")
    with pytest.raises(ValueError, match="unknown protocol 'lab-macro'; did you mean 'lab_macro'"):
        SegmentationScores("lab-macro", 1)
    with pytest.raises(ValueError, match=r"pranet is for binary masks, and there are 3 classes: use lab_macro, micro"):
        SegmentationScores("pranet", 3)
    for classes in (0, -1):
        with pytest.raises(ValueError, match=f"or the number of classes; got {classes}"):
            SegmentationScores("micro", classes)
    with pytest.raises(ValueError, match="1 maps of logits are needed, one per class; got 2"):
        SegmentationScores("micro", 1).add(torch.zeros(2, 3, 3), mask)
    with pytest.raises(ValueError, match="classes 0 to 1"):
        SegmentationScores("micro", 1).add(torch.zeros(1, 3, 3), mask * 2)
    with pytest.raises(ValueError, match="classes 0 to 1, or -1 for pixels that are not scored"):
        SegmentationScores("micro", 1).add(torch.zeros(1, 3, 3), torch.full_like(mask, IGNORED - 1))
    with pytest.raises(ValueError, match="at least one image must be scored"):
        SegmentationScores("micro", 1).total()
