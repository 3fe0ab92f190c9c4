"""Whole runs of detection, on discs and boxes."""

import json
import logging

import pytest
import torch

from passband.config import parse_recipe
from passband.inference import InstanceFinder
from passband.models import load_model
from passband.training import train
from tests.detectors import CLASSES, IDS, write_shapes
from tests.models.detection.detectors import TINY
from tests.tiny_runs import rows

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
NUMBERS = {name: value for name, value in TINY.items() if name not in ("classes", "backbone")} | {"norm": "group"}


def recipe(data=None, numbers=None, every=2, **optim):
    return parse_recipe(
        {
            "name": "tiny",
            "task": "detection",
            "seed": 2,
            "checkpoint_every": 2,
            "model": {"name": "dct-mask-rcnn-resnet18", "arguments": NUMBERS | (numbers or {})},
            "data": {"min_size": [48, 64], "max_size": 90, "batch": 2, "workers": 0, **(data or {})},
            "optim": {"steps": 4, "optimizer": "adamw", "learning_rate": 2e-3, "milestones": [], "ema": 0.5, **optim},
            "validation": {"every": every, "batch": 2},
        },
        "test",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"))


@pytest.mark.parametrize("data", [{}, {"input": "coefficients"}], ids=["A", "B"])
def test_instances_are_learned_from_pixels_and_from_coefficients(data, folder, tmp_path):
    larger = {"width": 8, "features": 16, "box_features": 32}
    data = {"min_size": [48], "flip": False, **data}
    settings = recipe(data, larger, every=100, steps=40, warmup_steps=5, learning_rate=5e-3)
    train(settings, tmp_path, data=folder, device="cpu")
    losses = [float(row[1]) for row in rows(tmp_path / "log.csv")[1:]]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    header = rows(tmp_path / "validation.csv")[0]
    assert header == ["step", "box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "mask_AP75"]
    assert (tmp_path / "validation" / "step-000000040.png").exists()
    trained = InstanceFinder(tmp_path / "weights" / "best", "cpu")
    assert trained.classes == tuple(CLASSES)
    assert trained.category_ids == tuple(IDS)
    assert len(trained.find_in(next(folder.glob("train2017/*.jpg")))) > 0


@pytest.mark.parametrize("input", ["pixels", "coefficients"])
def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(input, folder, tmp_path):
    def stop(done):
        if done.step == 3:
            raise KeyboardInterrupt

    settings = recipe({"input": input, "min_size": [40, 48, 64]})
    places = {"data": folder, "device": "cpu"}
    train(settings, tmp_path / "whole", **places)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "parts", report=stop, **places)
    train(settings, tmp_path / "parts", resume=True, **places)
    for name in ("log.csv", "validation.csv"):
        assert rows(tmp_path / "parts" / name) == rows(tmp_path / "whole" / name)
    states = [load_model(tmp_path / run / "weights" / "last").state_dict() for run in ("whole", "parts")]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    assert rows(tmp_path / "whole" / "log.csv")[0] == [
        "step", "loss", "classifier", "box_reg", "mask", "objectness", "rpn_box_reg", "learning_rate"
    ]  # fmt: skip


def test_weights_trained_one_way_go_on_the_other(folder, tmp_path):
    train(recipe(steps=2), tmp_path / "first", data=folder, device="cpu")
    train(
        recipe({"input": "coefficients"}, steps=1),
        tmp_path / "second",
        data=folder,
        weights=tmp_path / "first" / "weights" / "last",
        device="cpu",
    )
    configs = [
        json.loads((tmp_path / run / "weights" / "last" / "config.json").read_text()) for run in ("first", "second")
    ]
    assert configs[1] == {**configs[0], "input": "coefficients"}
    assert load_model(tmp_path / "second" / "weights" / "last").input == "coefficients"


def test_a_picture_without_instances_and_a_bad_file_are_left_out_where_that_is_asked(tmp_path, caplog):
    folder = write_shapes(tmp_path / "shapes", count=3)
    annotations = folder / "annotations" / "instances_train2017.json"
    content = json.loads(annotations.read_text())
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 1]
    annotations.write_text(json.dumps(content))
    (folder / "train2017" / "000000000002.jpg").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        progress = train(recipe({"skip_bad": True}), tmp_path / "run", data=folder, device="cpu")
    assert progress.step == 4
    assert "1 x picture without instances" in caplog.text
    assert "000000000002.jpg" in caplog.text


def test_a_box_without_area_fails_no_batch(tmp_path, caplog):
    folder = write_shapes(tmp_path / "shapes", count=3)
    annotations = folder / "annotations" / "instances_train2017.json"
    content = json.loads(annotations.read_text())
    size = content["images"][0]["width"]
    for number, bbox in enumerate(([20.3, 10, 1e-6, 20], [size - 1e-8, 3, 9, 9])):
        polygon = [[20.3, 10, 22, 10, 22, 30]]
        content["annotations"].append(
            {**content["annotations"][0], "id": 900 + number, "bbox": bbox, "segmentation": polygon}
        )
    annotations.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        assert train(recipe(), tmp_path / "run", data=folder, device="cpu").step == 4
    assert "2 x box without area in the picture" in caplog.text


def test_half_precision_keeps_boxes_in_single(folder, tmp_path):
    settings = recipe(steps=2)
    settings = settings.model_copy(update={"precision": "bfloat16"})
    assert train(settings, tmp_path, data=folder, device="cpu").step == 2
