import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from passband.data.masks import find_mask_pairs, read_mask
from passband.evaluation import evaluate, evaluate_segmenter
from passband.inference.segmenter import Segmenter
from passband.metrics.mask_scores import PROTOCOLS, all_background
from passband.state_dicts import CheckpointError
from tests.segmenters import save_segmenter, write_blobs


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """Pictures of two sizes with masks, one of which is empty."""
    folder = write_blobs(tmp_path_factory.mktemp("blobs"), 7)
    for number, size in enumerate([(29, 41), (64, 31)]):
        part = write_blobs(folder / "part", 1, seed=5 + number, size=size)
        for name in ("images", "masks"):
            (part / name / "0.png").rename(folder / name / f"other{number}.png")
    Image.fromarray(np.zeros((37, 53), np.uint8)).save(folder / "masks" / "6.png")
    for name in ("images", "masks"):
        (folder / "part" / name).rmdir()
    (folder / "part").rmdir()
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_segmenter(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def scored(blobs, weights, tmp_path_factory):
    """What was returned, the report's folder and what was reported."""
    output, shown = tmp_path_factory.mktemp("report"), []
    result = evaluate_segmenter(
        weights, blobs, output, batch=4, device="cpu", report=lambda row, count: shown.append((row, count))
    )
    return result, output, shown


def test_figures_are_scikit_learns_of_the_masks_that_the_segmenter_gives(blobs, weights, scored):
    result, _, shown = scored
    segmenter = Segmenter(weights, "cpu")
    for pair, row in zip(find_mask_pairs(blobs), result["images"], strict=True):
        truth, found = read_mask(pair.mask, 1).flatten(), segmenter(pair.image).flatten()
        assert row["name"] == pair.name
        assert row["accuracy"] == pytest.approx(accuracy_score(truth, found))
        assert row["iou"] == pytest.approx(jaccard_score(truth, found, average="macro", zero_division=0))
        assert row["f1"] == pytest.approx(f1_score(truth, found, average="macro", zero_division=0))
        assert row["foreground"] == pytest.approx(truth.double().mean().item())
        assert row["predicted"] == pytest.approx(found.double().mean().item())
    for name in result["figures"]:
        assert result["mean"][name] == pytest.approx(np.mean([row[name] for row in result["images"]]))
    assert all(0 < row["foreground_iou"] < 1 for row in result["images"] if row["foreground"])
    assert shown == [(row, 9) for row in result["images"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_answer_stands_beside_the_figures_of_every_protocol(protocol, blobs, weights, tmp_path):
    result = evaluate(weights, blobs, tmp_path, protocol=protocol, device="cpu")
    masks = [read_mask(pair.mask, 1) for pair in find_mask_pairs(blobs)]
    assert result["background"] == pytest.approx(all_background(protocol, masks))
    assert result["background"]["foreground_dice"] == pytest.approx(1 / 9)  # of the one empty mask
    assert result["figures"] == [*PROTOCOLS[protocol].figures, "foreground_dice", "foreground_iou"]
    report = (tmp_path / "report.md").read_text()
    assert f"| network ({protocol}) | " in report
    for part in ("mean", "background"):
        for name in result["figures"]:
            assert f"{100 * result[part][name]:.2f}" in report


def test_the_report_holds_it_all_and_its_picture(scored):
    result, output, _ = scored
    written = json.loads((output / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert written == json.loads(json.dumps(result))
    assert set(written) >= {"versions", "commit", "weights_sha256", "size", "images_per_second", "protocol_summary"}
    with (output / "evaluation.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == [row["name"] for row in result["images"]]
    assert float(lines[2]["foreground_dice"]) == result["images"][2]["foreground_dice"]
    dice = {row["name"]: row["foreground_dice"] for row in result["images"]}
    order = sorted(dice.values())
    assert [dice[name] for name in result["worst"]] == order[:3]
    assert [dice[name] for name in result["best"]] == order[:-4:-1]
    with Image.open(output / "worst_best.png") as picture:
        assert picture.width >= 3 * 53
        assert picture.height >= 6 * 29
    assert "1 mask is empty, such as that of 6" in result["notes"][0]


def test_classes_are_scored_over_all_pixels(tmp_path):
    data = write_blobs(tmp_path / "data", 4, classes=3)
    weights = save_segmenter(tmp_path / "weights", classes=4, classes_named=["none", "red", "green", "blue"])
    result = evaluate_segmenter(weights, data, tmp_path / "report", protocol="micro", device="cpu")
    segmenter = Segmenter(weights, "cpu")
    pairs = find_mask_pairs(data)
    truth = torch.cat([read_mask(pair.mask, 4).flatten() for pair in pairs])
    found = torch.cat([segmenter(pair.image).flatten() for pair in pairs])
    assert [row["name"] for row in result["classes"]] == ["none", "red", "green", "blue"]
    for number, row in enumerate(result["classes"]):
        assert row["share"] == pytest.approx((truth == number).double().mean().item())
        if row["iou"] is not None:
            iou = jaccard_score(truth == number, found == number)
            assert (row["iou"], row["dice"]) == pytest.approx((iou, 2 * iou / (1 + iou)))
    with pytest.raises(ValueError, match="protocol pranet is for binary masks, and there are 4 classes: use lab_macro"):
        evaluate_segmenter(weights, data, tmp_path / "no", protocol="pranet", device="cpu")


def test_only_the_pairs_that_are_given_are_scored(blobs, weights, tmp_path, scored):
    pairs = find_mask_pairs(blobs)[2:4]
    result = evaluate_segmenter(weights, blobs, tmp_path, pairs=pairs, device="cpu")
    for row, before in zip(result["images"], scored[0]["images"][2:4], strict=True):
        assert {**row, "name": 0} == pytest.approx({**before, "name": 0})
    assert (len(result["worst"]), len(result["best"])) == (2, 0)


def test_bad_files_are_named_and_not_counted(weights, tmp_path):
    data = write_blobs(tmp_path / "data", 3)
    path = data / "images" / "1.png"
    path.write_bytes(path.read_bytes()[:-200])
    result = evaluate_segmenter(weights, data, tmp_path / "report", device="cpu")
    assert [row["name"] for row in result["images"]] == ["0", "2"]
    assert "1.png" in result["failed"][0]["reason"]
    assert "1 file could not be used" in result["notes"][0]
    assert "## Not scored (1)" in (tmp_path / "report" / "report.md").read_text()
    for other in (data / "images").iterdir():
        other.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"holds no image that can be used; the first of 3: .*png"):
        evaluate_segmenter(weights, data, tmp_path / "none", device="cpu")


def test_an_unknown_protocol_and_weights_of_another_kind_are_refused(blobs, weights, tiny_weights, tmp_path):
    with pytest.raises(ValueError, match=r"unknown protocol 'pranett'; did you mean 'pranet'\?"):
        evaluate_segmenter(weights, blobs, tmp_path, protocol="pranett")
    with pytest.raises(CheckpointError, match="it cannot segment"):
        evaluate_segmenter(tiny_weights, blobs, tmp_path)
