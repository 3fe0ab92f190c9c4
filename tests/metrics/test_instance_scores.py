"""Scores of boxes and masks, against pycocotools; masks in the picture, against torchvision."""

import copy
import json
import sys
import weakref

import numpy as np
import pytest
import torch
from pycocotools import mask as reference_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchvision.models.detection.roi_heads import paste_masks_in_image

from passband.io.rle import decode_mask, encode_mask
from passband.metrics import instance_scores
from passband.metrics.instance_scores import (
    FIGURES,
    CocoScores,
    coco_results,
    instances_json,
    paper_columns,
    paste_masks,
)
from tests.coco_files import CATEGORIES, box_polygon, disc_polygon, quietly, runs

LABELS = {1: 3, 2: 17, 3: 90}
KINDS = {"box": "bbox", "mask": "segm"}


def blob(rng, height, width, x, y, across, down):
    """A mask within a box."""
    mask = np.zeros((height, width), bool)
    mask[round(y) : round(y + down), round(x) : round(x + across)] = True
    return mask & (rng.random((height, width)) < 0.9)


def generated(seed, pictures=12):
    """Ground truth with crowds, pictures without instances and all sizes; predictions near it, with ties."""
    rng = np.random.default_rng(seed)
    truth = {"images": [], "annotations": [], "categories": CATEGORIES}
    found = {}
    for number in range(1, pictures + 1):
        height, width = int(rng.integers(101, 260)), int(rng.integers(97, 240))
        truth["images"].append({"id": number, "height": height, "width": width, "file_name": f"{number}.jpg"})
        boxes, labels, masks = [], [], []
        for _ in range(int(rng.integers(0, 7)) if number % 5 else 0):
            size = float(rng.choice([9, 40, 97]))
            across, down = (float(np.round(size * rng.uniform(0.7, 1.1), 2)) for _ in range(2))
            x, y = float(rng.uniform(0, max(1, width - across))), float(rng.uniform(0, max(1, height - down)))
            label = int(rng.integers(1, 3))
            crowd = bool(rng.random() < 0.15)
            polygon = (
                box_polygon(x, y, across, down) if label == 2 else disc_polygon(x + across / 2, y + down / 2, size / 2)
            )
            segmentation = runs(blob(rng, height, width, x, y, across, down)) if crowd else [polygon]
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": LABELS[label],
                    "bbox": [x, y, across, down],
                    "area": across * down * 0.8,
                    "iscrowd": int(crowd),
                    "segmentation": segmentation,
                }
            )
            for _ in range(int(rng.integers(0, 3))):
                shift = rng.normal(0, size / 12, 4)
                left, top = max(0, x + shift[0]), max(0, y + shift[1])
                boxes.append([left, top, max(left + 1, x + across + shift[2]), max(top + 1, y + down + shift[3])])
                labels.append(label if rng.random() < 0.9 else 3)
                masks.append(blob(rng, height, width, left, top, across, down))
        if number % 4 == 3:
            boxes, labels, masks = [], [], []
        scores = np.round(rng.random(len(boxes)), 1)  # ties
        found[number] = (
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            torch.tensor(scores, dtype=torch.float32),
            torch.tensor(labels, dtype=torch.int64),
            masks,
        )
    return truth, found


def reference(truth, found, kind):
    """What pycocotools says, of results that are made here, without the other kind's field."""
    results = []
    for number, (boxes, scores, labels, masks) in found.items():
        for box, score, label, mask in zip(boxes.tolist(), scores.tolist(), labels.tolist(), masks, strict=True):
            result = {"image_id": number, "category_id": LABELS[label], "score": score}
            if kind == "bbox":
                result["bbox"] = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            else:
                with quietly():
                    result["segmentation"] = reference_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
            results.append(result)
    with quietly():
        expected = COCO()
        expected.dataset = copy.deepcopy(truth)
        expected.createIndex()
        evaluation = COCOeval(expected, expected.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def scored(truth, found, **options):
    scores = CocoScores(truth, LABELS, **options)
    for number, (boxes, values, labels, masks) in found.items():
        scores.add(number, boxes, values, labels, (encode_mask(torch.from_numpy(mask)) for mask in masks))
    return scores


@pytest.mark.parametrize("seed", range(4))
def test_all_figures_are_those_of_pycocotools(seed):
    truth, found = generated(seed)
    assert any(one["iscrowd"] for one in truth["annotations"])
    before = copy.deepcopy(truth)
    scores = scored(truth, found)
    for kind, name in KINDS.items():
        evaluation = reference(truth, found, name)
        figures = scores.figures()[kind]
        assert 0.05 < figures["AP"] < 0.95
        assert [figures[figure] for figure in FIGURES] == pytest.approx(evaluation.stats.tolist(), abs=1e-9)
        for place, category in enumerate(CATEGORIES):
            precision = evaluation.eval["precision"][:, :, place, 0, 2]
            own = precision[precision > -1].mean() if (precision > -1).any() else -1
            assert scores.category_figures()[kind][category["name"]] == pytest.approx(own, abs=1e-9)
    assert truth == before


def test_masks_are_sized_by_their_own_area_not_by_a_box():
    truth = {
        "images": [{"id": 1, "height": 200, "width": 200, "file_name": "1.jpg"}],
        "annotations": [],
        "categories": CATEGORIES,
    }
    mask = np.zeros((200, 200), bool)
    mask[10:20, 10:20] = mask[100:110, 100:110] = True  # small, in a large box
    truth["annotations"].append(
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [10, 10, 100, 100], "area": 200, "iscrowd": 0}
        | {"segmentation": runs(mask)}
    )
    wrong = np.roll(mask, 60, axis=1)
    found = {1: (torch.tensor([[70.0, 10, 170, 110]]), torch.tensor([0.9]), torch.tensor([1]), [wrong])}
    figures = scored(truth, found).figures()["mask"]
    assert [figures[name] for name in FIGURES] == pytest.approx(
        reference(truth, found, "segm").stats.tolist(), abs=1e-9
    )
    assert (figures["APs"], figures["APl"]) == (0, -1)


def test_pictures_that_are_not_added_count_as_without_predictions():
    truth, found = generated(0)
    fewer = {number: some for number, some in found.items() if number not in (1, 2)}
    evaluation = reference(truth, fewer, "bbox")
    assert [*scored(truth, fewer).figures()["box"].values()] == pytest.approx(evaluation.stats.tolist(), abs=1e-9)


def test_nothing_found_scores_zero_and_nothing_to_find_scores_minus_one():
    truth, found = generated(1)
    empty = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), []
    figures = scored(truth, dict.fromkeys(found, empty)).figures()
    assert figures["box"]["AP"] == figures["mask"]["AR100"] == 0
    bare = {**truth, "annotations": []}
    figures = scored(bare, dict.fromkeys(found, empty)).figures()
    assert {*figures["box"].values(), *figures["mask"].values()} == {-1}


def test_boxes_alone_are_scored_without_masks():
    truth, found = generated(2)
    for one in truth["annotations"]:
        one["segmentation"] = None
    scores = CocoScores(truth, LABELS, masks=False)
    for number, (boxes, values, labels, _) in found.items():
        scores.add(number, boxes, values, labels)
    evaluation = reference(truth, found, "bbox")
    assert [*scores.figures()["box"].values()] == pytest.approx(evaluation.stats.tolist(), abs=1e-9)
    assert [*scores.figures()] == ["box"]


def test_instances_without_a_mask_count_among_boxes_alone():
    truth, found = generated(3)
    bare = copy.deepcopy(truth)
    extra = {"id": 999, "image_id": 1, "category_id": 3, "bbox": [1, 1, 30, 30], "area": 900, "iscrowd": 0}
    bare["annotations"].append({**extra, "segmentation": None})
    assert scored(bare, found).figures()["mask"] == scored(truth, found).figures()["mask"]
    boxed = copy.deepcopy(truth)
    boxed["annotations"].append({**extra, "segmentation": [box_polygon(1, 1, 30, 30)]})
    evaluation = reference(boxed, found, "bbox")
    assert [*scored(bare, found).figures()["box"].values()] == pytest.approx(evaluation.stats.tolist(), abs=1e-9)


def test_figures_follow_what_is_added_later():
    truth, found = generated(0)
    scores = CocoScores(truth, LABELS, masks=False)
    scores.add(1, *found[1][:3])
    few = scores.figures()["box"]["AR100"]
    for number in [*found][1:]:
        scores.add(number, *found[number][:3])
    assert scores.figures()["box"]["AR100"] > few


def test_instances_pictures_and_categories_numbered_from_0_are_scored_as_any_other():
    truth = {
        "images": [{"id": 0, "file_name": "a.png", "height": 40, "width": 50}],
        "categories": [{"id": 0, "name": "a"}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 0, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}],
    }
    scores = CocoScores(truth, {1: 0}, masks=False)
    scores.add(0, torch.tensor([[5.0, 5, 25, 25]]), torch.tensor([0.9]), torch.tensor([1]))
    assert scores.figures()["box"]["AP"] == pytest.approx(1)


@pytest.mark.parametrize("first", [-40, 2**53 + 1, 2**63, 2**80])
def test_ids_of_any_size_give_the_figures_of_small_ones(first):
    truth, found = generated(1)
    moved = copy.deepcopy(truth)
    for image in moved["images"]:
        image["id"] += first
    for category in moved["categories"]:
        category["id"] += first
    for one in moved["annotations"]:
        for key in ("id", "image_id", "category_id"):
            one[key] += first
    scores = CocoScores(moved, {label: number + first for label, number in LABELS.items()})
    for number, (boxes, values, labels, masks) in found.items():
        scores.add(number + first, boxes, values, labels, (encode_mask(torch.from_numpy(mask)) for mask in masks))
    expected = scored(truth, found)
    assert scores.figures() == expected.figures()
    assert scores.category_figures() == expected.category_figures()


def test_labels_that_the_data_set_has_not_are_left_out():
    results = coco_results(
        5, torch.tensor([[1.0, 2, 4, 8], [0, 0, 1, 1]]), torch.tensor([0.5, 0.25]), torch.tensor([2, 7]), LABELS
    )
    assert results == [{"image_id": 5, "category_id": 17, "bbox": [1, 2, 3, 6], "score": 0.5}]


def test_pictures_that_are_not_scored_or_scored_before_are_refused():
    truth, found = generated(0)
    scores = CocoScores(truth, LABELS, masks=False)
    scores.add(1, *found[1][:3])
    with pytest.raises(ValueError, match="image 1 was added before"):
        scores.add(1, *found[1][:3])
    with pytest.raises(ValueError, match="image 77 is not in the ground truth"):
        scores.add(77, *found[1][:3])
    with pytest.raises(ValueError, match="image 2 has none: add them, or score only boxes"):
        CocoScores(truth, LABELS).add(2, *found[2][:3])


def test_the_paper_s_columns_are_percentages_in_its_order():
    truth, found = generated(0)
    figures = scored(truth, found).figures()
    figures["mask"]["APl"] = -1.0
    columns = paper_columns(figures)
    names = ["AP", "AP50", "AP75", "S", "M", "L"]
    assert [*columns] == [f"{kind} {name}" for kind in ("box", "mask") for name in names]
    assert columns["box AP"] == 100 * figures["box"]["AP"]
    assert columns["box S"] == 100 * figures["box"]["APs"]
    assert columns["mask L"] is None


def test_results_that_are_written_are_what_pycocotools_reads(tmp_path):
    truth, found = generated(1)
    scores = scored(truth, found)
    instances_json(tmp_path / "instances.json", scores.results)
    content = json.loads((tmp_path / "instances.json").read_text())
    assert {*content[0]} == {"image_id", "category_id", "bbox", "score", "segmentation"}
    assert isinstance(content[0]["segmentation"]["counts"], str)
    with quietly():
        expected = COCO()
        expected.dataset = copy.deepcopy(truth)
        expected.createIndex()
        read = expected.loadRes(str(tmp_path / "instances.json"))
        evaluation = COCOeval(expected, read, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert [*scores.figures()["box"].values()] == pytest.approx(evaluation.stats.tolist(), abs=1e-9)


def test_without_the_package_scores_say_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ImportError, match=r"passband\[detection\]"):
        CocoScores({"images": [], "annotations": [], "categories": []}, {})


def predicted(count, height, width, seed, side=28):
    """Masks and boxes, some beyond the picture, some of no size."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-0.1, 0.9, (count, 2)) * [width, height]
    across = rng.uniform(0, 0.5, (count, 2)) * [width, height]
    boxes = np.concatenate([corner, corner + across], 1)
    boxes[0] = [3, 3, 3, 3]
    boxes[1] = [width + 40, height + 40, width + 60, height + 50]  # outside
    masks = torch.from_numpy(rng.random((count, 1, side, side))).float()
    return torch.nn.functional.avg_pool2d(masks, 5, 1, 2), torch.from_numpy(boxes).float()


@pytest.mark.parametrize(("height", "width", "side"), [(101, 67, 28), (37, 211, 14), (1, 1, 28), (64, 64, 7)])
def test_pasted_masks_are_those_of_torchvision_to_the_bit(height, width, side):
    masks, boxes = predicted(23, height, width, 5, side)
    inside = boxes.clone()
    inside[1] = torch.tensor([0.0, 0, width, height])  # torchvision takes boxes within the picture alone
    expected = paste_masks_in_image(masks, inside, (height, width))[:, 0] > 0.5
    pasted = list(paste_masks(masks, inside, (height, width)))
    assert len(pasted) == 23
    for code, mask in zip(pasted, expected, strict=True):
        assert torch.equal(decode_mask(code).bool(), mask)


def test_boxes_outside_the_picture_have_empty_masks():
    masks, boxes = predicted(3, 31, 47, 1)
    assert decode_mask(list(paste_masks(masks, boxes, (31, 47)))[1]).sum() == 0


def test_a_threshold_is_exceeded_not_met():
    masks = torch.full((1, 1, 28, 28), 0.5)
    boxes = torch.tensor([[5.0, 5, 25, 25]])
    assert decode_mask(next(paste_masks(masks, boxes, (40, 40)))).sum() == 0
    assert decode_mask(next(paste_masks(masks, boxes, (40, 40), threshold=0.4))).sum() > 300


def test_one_mask_of_the_picture_s_size_is_held_at_a_time(monkeypatch):
    masks, boxes = predicted(9, 61, 83, 2)
    held = []

    def watched(mask):
        held.append(weakref.ref(mask))
        return encode_mask(mask)

    monkeypatch.setattr(instance_scores, "encode_mask", watched)
    pasted = paste_masks(masks, boxes, (61, 83))
    for count in range(1, 10):
        next(pasted)
        assert len(held) == count
        assert sum(mask() is not None for mask in held) <= 1
    assert next(pasted, None) is None
    assert next(paste_masks(masks[:0], boxes[:0], (61, 83)), None) is None
