import csv
import json
from pathlib import Path

import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from passband.data.coco import CocoError, CocoImage
from passband.drawing.comparison import GAP, MARGIN
from passband.evaluation import evaluate, evaluate_detector
from passband.evaluation.detection import _overlay_name
from passband.inference import InstanceFinder
from passband.io.image import read_image
from passband.state_dicts import CheckpointError
from tests.classifiers import save_classifier
from tests.coco_files import quietly
from tests.detectors import CLASSES, save_detector, write_shapes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def scored(folder, tmp_path_factory):
    """Weights, what was returned, the report's folder and what was reported."""
    weights = save_detector(tmp_path_factory.mktemp("weights"))
    output, shown = tmp_path_factory.mktemp("report"), []
    result = evaluate_detector(
        weights, folder, output, benchmark="coco", score=0.2, device="cpu",
        report=lambda row, count: shown.append((row, count)),
    )  # fmt: skip
    return weights, result, output, shown


def test_figures_are_those_of_coco_s_own_tool_on_what_was_written(folder, scored):
    _, result, output, _ = scored
    with quietly():
        truth = COCO(str(folder / "annotations" / "instances_train2017.json"))
        for kind, name in (("bbox", "box"), ("segm", "mask")):
            results = json.loads((output / "instances.json").read_text())
            left_out = "segmentation" if kind == "bbox" else "bbox"
            results = [{key: value for key, value in one.items() if key != left_out} for one in results]
            evaluation = COCOeval(truth, truth.loadRes(results), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            assert list(result["figures"][name].values()) == pytest.approx(evaluation.stats.tolist(), abs=1e-9)
    assert len(results) > 4 * 20
    assert result["notes"][0].startswith(
        "These scores cannot be compared with coco: its val2017 has 5000 images and 80 categories"
    )


def test_rows_are_what_is_found_in_each_picture(folder, scored):
    weights, result, output, shown = scored
    finder = InstanceFinder(weights, "cpu")
    paths = sorted(folder.glob("train2017/*.jpg"))
    assert [row["name"] for row in result["images"]] == [path.name for path in paths]
    assert [row["found"] for row in result["images"]] == [len(finder(path, score=0.2)) for path in paths]
    assert [row["instances"] for row in result["images"]] == [2, 1, 2, 1]
    assert shown == [(row, 4) for row in result["images"]]
    with (output / "evaluation.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [path.name for path in paths]


def test_the_report_shows_columns_pictures_and_published_figures(scored):
    _, result, output, _ = scored
    text = (output / "report.md").read_text()
    assert "| box AP | box AP50 | box AP75 | box S | box M | box L | mask AP |" in text
    assert "DCT-24S, 20 epochs" in text
    assert "37.7" in text
    assert f"| ours | {result['columns']['box AP']:.1f} |" in text
    for row in result["images"]:
        assert f"](<{row['file']}>)" in text
        height, width = read_image(output / row["file"]).shape[-2:]
        assert width == 2 * 4 * 64 + GAP + 2 * MARGIN  # four times as large
        assert height > 4 * 48 + 2 * MARGIN  # a caption above
    assert json.loads((output / "evaluation.json").read_text())["figures"] == result["figures"]
    assert {row["name"] for row in result["categories"]} == set(CLASSES)
    assert result["peak_memory_bytes"] > 0
    assert result["scored_by"].startswith("faster-coco-eval ")


def test_boxes_alone_and_coefficients_are_scored_as_well(folder, tmp_path):
    weights = save_detector(tmp_path / "weights", masks=False, input="coefficients")
    result = evaluate(weights, folder, tmp_path / "report", device="cpu")
    assert set(result["figures"]) == {"box"}
    assert "mask_AP" not in result["categories"][0]
    assert "segmentation" not in json.loads((tmp_path / "report" / "instances.json").read_text())[0]


def test_a_picture_that_cannot_be_read_counts_as_one_in_which_nothing_was_found(tmp_path):
    folder = write_shapes(tmp_path / "shapes", count=3)
    (folder / "train2017" / "000000000002.jpg").write_bytes(b"no picture")
    weights = save_detector(tmp_path / "weights")
    result = evaluate_detector(weights, folder, tmp_path / "report", device="cpu")
    assert [row["name"] for row in result["failed"]] == ["000000000002.jpg"]
    assert len(result["images"]) == 2
    assert "counted as empty" in result["notes"][0]
    for path in folder.glob("train2017/*.jpg"):
        path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="no image that can be used"):
        evaluate_detector(weights, folder, tmp_path / "again", device="cpu")


def test_what_does_not_fit_is_refused(folder, tmp_path):
    weights = save_detector(tmp_path / "weights")
    annotations = json.loads((folder / "annotations" / "instances_train2017.json").read_text())
    annotations["categories"][0]["name"] = "dics"
    (tmp_path / "other.json").write_text(json.dumps(annotations))
    with pytest.raises(CocoError, match="'disc'"):
        evaluate_detector(weights, tmp_path / "other.json", tmp_path / "report", device="cpu")
    with pytest.raises(ValueError, match="'coco'"):
        evaluate_detector(weights, folder, tmp_path / "report", benchmark="cocoa", device="cpu")
    with pytest.raises(CheckpointError, match="cannot find instances"):
        evaluate_detector(save_classifier(tmp_path / "classifier"), folder, tmp_path / "report", device="cpu")
    assert not (tmp_path / "report").exists()


def test_figures_do_not_depend_on_the_threads_of_a_loader(folder, scored, tmp_path):
    weights, result, _, _ = scored
    again = evaluate_detector(weights, folder, tmp_path, workers=1, device="cpu")
    assert again["figures"] == result["figures"]
    assert torch.tensor(again["figures"]["box"]["AP"]) >= 0


def test_images_of_two_folders_with_one_name_are_drawn_into_two_files():
    images = [CocoImage(number, Path(folder, "0001.jpg"), 8, 8, ()) for number, folder in ((1, "left"), (2, "right"))]
    assert len({_overlay_name(image) for image in images}) == 2
