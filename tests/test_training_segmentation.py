"""Whole runs of segmentation, on blobs, by every kind of curriculum."""

import csv
import json
import re

import numpy as np
import pytest
import segmentation_models_pytorch
import torch
from PIL import Image
from segmentation_models_pytorch import encoders
from sklearn.metrics import jaccard_score

from passband.config import parse_recipe
from passband.data.masks import MaskFileError, find_mask_pairs, read_mask
from passband.evaluation import evaluate_segmenter
from passband.inference.segmenter import Segmenter
from passband.models import load_model
from passband.ops.labels import IGNORED
from passband.tasks.segmentation import Segmentation
from passband.training import train
from tests.segmenters import write_blobs

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.filterwarnings("ignore:the schedule ends at a frequency ratio:UserWarning"),
]

CURRICULA = {
    "none": {"mode": "none"},
    "mask": {"mode": "mask", "definition": "magnitude"},
    "crop": {"mode": "crop", "sizes": [16, 24]},
    "adaptive": {
        "mode": "mask",
        "schedule": "adaptive",
        "definition": "magnitude",
        "adaptive": {"shares": [0.0, 0.5], "radii": 3, "images": 2, "between": "linear"},
    },
}


def recipe(curriculum, **changes):
    content = {
        "name": "tiny",
        "task": "segmentation",
        "seed": 0,
        "checkpoint_every": 2,
        "model": {"arguments": {"width": 4, "depth": 2}},
        "data": {"size": 32, "batch": 4, "workers": 0, "scale": (0.7, 1.0)},
        "optim": {"steps": 6, "learning_rate": 1e-2, "final_learning_rate": 1e-4},
        "loss": {"name": "cross_entropy+dice"},
        "curriculum": curriculum,
        "validation": {"every": 3, "batch": 2},
    }
    for name, value in changes.items():
        content[name] = {**content.get(name, {}), **value} if isinstance(value, dict) else value
    return parse_recipe(content, "test")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder to learn from, and one of other blobs."""
    root = tmp_path_factory.mktemp("blobs")
    return write_blobs(root / "train", 10), write_blobs(root / "test", 4, seed=1)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["none", "mask", "crop"])
def test_blobs_are_found_after_every_curriculum(kind, folders, tmp_path):
    data, other = folders
    settings = recipe(CURRICULA[kind], optim={"steps": 40}, validation={"every": 100})
    progress = train(settings, tmp_path, data=data, validation_data=other, device="cpu")
    assert progress.figures["foreground_dice"] > 0.8
    steps = rows(tmp_path / "log.csv")
    if kind == "none":
        assert list(steps[0]) == ["step", "loss", "dice", "learning_rate"]
        return
    ratios = [float(step["ratio"]) for step in steps]
    assert ratios == sorted(ratios)
    assert (ratios[0], ratios[-1]) == (0.5, 1.0)
    sides = [float(step["side"]) for step in steps]
    assert sides == ([16] * 14 + [24] * 13 + [32] * 13 if kind == "crop" else [32] * 40)


def test_several_classes_are_told_apart(tmp_path):
    data = write_blobs(tmp_path / "data", 8, classes=3)
    settings = recipe(CURRICULA["crop"], data={"classes": 3}, optim={"steps": 40}, validation={"every": 100})
    progress = train(settings, tmp_path / "run", data=data, device="cpu")
    assert progress.figures["class_iou"] > 0.5  # a quarter without any foreground
    config = json.loads((tmp_path / "run" / "weights" / "best" / "config.json").read_text())
    assert (config["classes"], config["classes_named"]) == (3, ["0", "1", "2"])


@pytest.mark.parametrize("classes", [1, 3])
def test_a_run_on_masks_with_void_pixels_needs_their_label_and_scores_the_others_as_scikit_learn(classes, tmp_path):
    data = write_blobs(tmp_path / "data", 6, classes=classes)
    for path in (data / "masks").iterdir():
        labels = np.minimum(np.asarray(Image.open(path)), max(classes - 1, 1))
        labels[10:20, 10:30] = 255
        if path.stem == "4":
            labels[:] = 255  # adds nothing to the loss and the scores
        Image.fromarray(labels).save(path)
    changes = {"classes": classes, "batch_augmentation": {"rotation": 20}}
    with pytest.raises(
        MaskFileError, match="[56] of 6 masks cannot be used.* ignore_label to 255 if these pixels have no"
    ):
        train(recipe(CURRICULA["crop"], data=changes), tmp_path / "run", data=data, device="cpu")
    settings = recipe(CURRICULA["crop"], data={**changes, "ignore_label": 255}, validation={"noise": 0.1})
    progress = train(settings, tmp_path / "run", data=data, device="cpu")
    protocol, main = ("lab_macro", "iou") if classes == 1 else ("micro", "class_iou")
    last = tmp_path / "run" / "weights" / "last"
    result = evaluate_segmenter(last, data, tmp_path / "report", protocol=protocol, device="cpu")
    assert result["ignore_label"] == 255
    assert result["notes"][:2] == [
        "Pixels with the label 255 are not scored: 10.2 % of an image on average.",
        "1 image did not count, because all pixels of the mask have the label 255: 4.",
    ]
    network, answers = Segmenter(last, "cpu"), []
    for pair in find_mask_pairs(data):
        truth = read_mask(pair.mask, classes, 255)
        if pair.name == "4":
            continue
        answers.append((truth[truth != IGNORED], network(pair.image)[truth != IGNORED]))
    together = [tuple(map(torch.cat, zip(*answers, strict=True)))]
    expected = [jaccard_score(*one, average="macro") for one in (answers if classes == 1 else together)]
    assert result["mean"][main] == pytest.approx(np.mean(expected))
    assert {name: progress.figures[name] for name in result["mean"]} == pytest.approx(result["mean"])


@pytest.mark.parametrize("kind", ["mask", "crop", "adaptive"])
def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(kind, folders, tmp_path):
    data, other = folders

    def stop(done):
        if done.step == 5:
            raise KeyboardInterrupt

    places = {"data": data, "validation_data": other, "device": "cpu"}
    settings = recipe(CURRICULA[kind], optim={"steps": 8})
    train(settings, tmp_path / "whole", **places)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "parts", report=stop, **places)
    train(settings, tmp_path / "parts", resume=True, **places)
    for name in ("log.csv", "validation.csv"):
        assert rows(tmp_path / "parts" / name) == rows(tmp_path / "whole" / name)
    states = [load_model(tmp_path / run / "weights" / "last").state_dict() for run in ("whole", "parts")]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_what_was_searched_before_a_stop_is_not_searched_again(folders, tmp_path):
    data, other = folders

    def stop(done):
        if done.step == 5:
            raise KeyboardInterrupt

    places = {"data": data, "validation_data": other, "device": "cpu"}
    settings = recipe(CURRICULA["adaptive"], optim={"steps": 8})
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path, report=stop, **places)
    state = next(
        state
        for path in sorted((tmp_path / "checkpoints" / "step-000000004").glob("custom_checkpoint_*.pkl"))
        if "found" in (state := torch.load(path, weights_only=False))
    )
    assert list(state["found"]) == [0.0]
    train(settings, tmp_path, resume=True, **places)
    steps = rows(tmp_path / "log.csv")
    assert [float(step["ratio"]) for step in steps[:4]] == [state["found"][0.0]] * 4


def test_the_weights_that_an_encoder_starts_from_are_fetched_once(folders, tmp_path, monkeypatch):
    data, other = folders
    build, fetched = segmentation_models_pytorch.create_model, []

    def without_download(architecture, encoder, encoder_weights, **numbers):
        fetched.append(encoder_weights)
        return build(architecture, encoder, None, **numbers)

    def stop(done):
        if done.step == 3:
            raise KeyboardInterrupt

    known = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25]}
    monkeypatch.setattr(segmentation_models_pytorch, "create_model", without_download)
    monkeypatch.setattr(encoders, "get_preprocessing_params", lambda encoder, weights: known)
    numbers = {"architecture": "FPN", "encoder": "mobilenet_v2", "encoder_weights": "imagenet"}
    numbers["options"] = {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32}
    settings = recipe(
        CURRICULA["none"],
        model={"name": "smp", "arguments": numbers},
        optim={"steps": 3},
        validation={"every": 100},
    )
    places = {"data": data, "validation_data": other, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "first", report=stop, **places)
    assert train(settings, tmp_path / "first", resume=True, **places).step == 3
    train(settings, tmp_path / "second", weights=tmp_path / "first" / "weights" / "last", **places)
    assert fetched[0] == "imagenet"
    assert set(fetched[1:]) == {None}
    model = load_model(tmp_path / "second" / "weights" / "last")
    torch.testing.assert_close(model.mean.flatten(), torch.tensor(known["mean"]))  # as what it starts from was trained


def test_weights_are_trained_on_at_another_size(folders, tmp_path):
    data, other = folders
    places = {"data": data, "validation_data": other, "device": "cpu"}
    train(recipe(CURRICULA["none"]), tmp_path / "first", **places)
    further = recipe(CURRICULA["mask"], data={"size": 16}, optim={"steps": 1})
    train(further, tmp_path / "second", weights=tmp_path / "first" / "weights" / "last", **places)
    config = json.loads((tmp_path / "second" / "weights" / "last" / "config.json").read_text())
    assert config["preprocessing"]["size"] == 16
    assert config["preprocessing"]["profile"]["size"] == [16, 16]
    assert config["width"] == 4


def test_changes_on_the_device_are_made_in_training_and_not_in_validation(folders, tmp_path):
    data, other = folders
    strong = {"rotation": 180, "zoom": [0.8, 1.2], "brightness": 0.2, "blur": 1.0, "flip": True}
    plain = recipe(CURRICULA["crop"], optim={"steps": 1})
    changed = recipe(CURRICULA["crop"], optim={"steps": 1}, data={"batch_augmentation": strong})
    first = {
        name: train(settings, tmp_path / name, data=data, validation_data=other, device="cpu")
        for name, settings in (("plain", plain), ("changed", changed), ("again", changed))
    }
    losses = {name: [row["loss"] for row in rows(tmp_path / name / "log.csv")] for name in first}
    assert losses["changed"] == losses["again"] != losses["plain"]
    task = Segmentation(changed)
    network = task.network_config(data, None)
    scored = task.validation_data(data, other, network)[0]["image"]
    whole = Segmentation(plain).validation_data(data, other, network)[0]["image"]
    assert torch.equal(scored, whole)
    learned, lesson = task.training_data(data, network), task.lesson(data, network)
    alike = task.collate([learned[number] for number in range(4)])
    torch.manual_seed(0)
    model = load_model(tmp_path / "plain" / "weights" / "last").train()
    alone = [task.loss(model.eval(), task.collate([learned[number]]), 1.0, lesson)[0].item() for number in range(4)]
    together = task.loss(model, alike, 1.0, lesson)[0].item()
    assert together == pytest.approx(sum(alone) / 4, rel=1e-4)  # the other samples of a batch change nothing


def test_sizes_that_an_encoder_cannot_halve_are_refused_before_the_run(folders, tmp_path):
    data, _ = folders
    network = {"name": "smp", "arguments": {"encoder": "mobilenet_v2"}}
    for sizes, message in (
        (
            {"data": {"size": 64}, "curriculum": {"mode": "crop", "sizes": [40]}},
            r"curriculum\.sizes.*got 40: choose 32",
        ),
        ({"data": {"size": 72}, "curriculum": {"mode": "none"}}, r"data\.size.*got 72: choose 64"),
    ):
        settings = recipe(sizes["curriculum"], model=network, data=sizes["data"])
        with pytest.raises(ValueError, match="multiples of 32, because it halves them 5 times") as raised:
            train(settings, tmp_path / "run", data=data, device="cpu")
        assert re.search(message, str(raised.value))
        assert not (tmp_path / "run").exists()


def test_a_folder_to_score_on_takes_the_place_of_what_the_recipe_holds_out(folders, tmp_path):
    learned, others = folders
    settings = recipe({"mode": "none"}, data={"held_out": 0.5, "sequence": "frames"}, optim={"steps": 1})
    train(settings, tmp_path, data=learned, validation_data=others, device="cpu")
    run = json.loads((tmp_path / "run.json").read_text())
    assert (run["recipe"]["data"]["held_out"], run["validation_data"]) == (0.0, str(others))
