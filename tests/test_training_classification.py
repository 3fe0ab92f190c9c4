"""Whole runs of classification, on textures that differ in their frequencies."""

import json
import logging

import pytest
import torch

from passband.config import parse_recipe
from passband.data.classifier_input import Preprocessing
from passband.evaluation import evaluate_classifier
from passband.inference import Classifier
from passband.io.image import ImageError
from passband.models import load_model
from passband.training import train
from tests.classifiers import write_textures
from tests.tiny_runs import rows

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
CLASSES = ("coarse", "fine")


def recipe(**changes):
    content = {
        "name": "tiny",
        "task": "classification",
        "seed": 2,
        "checkpoint_every": 2,
        "model": {"name": "dct-resnet18", "arguments": {"width": 8}},
        "data": {"channels": "24S", "size": 64, "scale": (0.25, 1.0), "batch": 6, "workers": 0},
        "optim": {"steps": 6, "optimizer": "adamw", "learning_rate": 3e-3, "final_learning_rate": 1e-4, "ema": 0.5},
        "validation": {"every": 3},
    }
    for name, value in changes.items():
        content[name] = {**content.get(name, {}), **value} if isinstance(value, dict) else value
    return parse_recipe(content, "test")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder to learn from, and one of other pictures."""
    root = tmp_path_factory.mktemp("classes")
    write_textures(root / "all", classes=CLASSES, count=14)
    for name in CLASSES:
        (root / "test" / name).mkdir(parents=True)
        for number in range(9, 14):
            (root / "all" / name / f"{number}.jpg").rename(root / "test" / name / f"{number}.jpg")
    return root / "all", root / "test"


INPUTS = {
    "coefficients": {"data": {"input": "coefficients"}, "optim": {"steps": 40}},
    "published": {"data": {"input": "published", "size": 112, "scale": (0.5, 1.0)}, "optim": {"steps": 60}},
    "rgb": {"data": {"input": "rgb", "size": 48}, "model": {"name": "resnet18"}, "optim": {"steps": 40}},
    "blocks": {
        "data": {"input": "coefficients", "stride": 8},
        "model": {"name": "dct-vit", "arguments": {"width": 24, "depth": 2, "heads": 2}},
        "optim": {"steps": 60},
    },
}


@pytest.mark.usefixtures("without_charts")
@pytest.mark.parametrize("kind", INPUTS)
def test_frequencies_are_learned_from_every_input(kind, folders, tmp_path):
    data, other = folders
    settings = recipe(**INPUTS[kind], validation={"every": 100})
    progress = train(settings, tmp_path, data=data, validation_data=other, device="cpu")
    assert progress.figures["top1"] >= 0.9  # half would be right by chance
    config = json.loads((tmp_path / "weights" / "best" / "config.json").read_text())
    assert config["classes_named"] == list(CLASSES)
    prepared = Preprocessing.from_config(config["preprocessing"])
    assert prepared.input == INPUTS[kind]["data"]["input"]
    model = load_model(tmp_path / "weights" / "best")
    views = torch.stack([prepared.prepare(path) for path in sorted(other.glob("*/*.jpg"))])
    with torch.no_grad():
        right = model(views).argmax(1) == torch.tensor([0] * 5 + [1] * 5)
    assert right.double().mean().item() == progress.best_score
    scored = evaluate_classifier(tmp_path / "weights" / "best", other, tmp_path / "report", device="cpu")
    assert scored["mean"]["top1"] == progress.best_score
    answers = Classifier(tmp_path, "cpu").classify(sorted(other.glob("*/*.jpg")), top=1)
    assert [answer.guesses[0].name == answer.source.parent.name for answer in answers] == right.tolist()
    assert (tmp_path / "validation").is_dir()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "model": {"name": "gated-dct-resnet18"},
            "data": {"channels": "192", "stride": 8, "input": "coefficients"},
            "gate": {"weight": 0.5},
        },
    ],
    ids=["plain", "gated"],
)
def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(changes, folders, tmp_path):
    data, other = folders

    def stop(done):
        if done.step == 3:
            raise KeyboardInterrupt

    places = {"data": data, "validation_data": other, "device": "cpu"}
    train(recipe(**changes), tmp_path / "whole", **places)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(**changes), tmp_path / "parts", report=stop, **places)
    train(recipe(**changes), tmp_path / "parts", resume=True, **places)
    for name in ("log.csv", "validation.csv"):
        assert rows(tmp_path / "parts" / name) == rows(tmp_path / "whole" / name)
    states = [load_model(tmp_path / run / "weights" / "last").state_dict() for run in ("whole", "parts")]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    columns = ["step", "loss", "top1", *(["open"] if changes else []), "learning_rate"]
    assert rows(tmp_path / "whole" / "log.csv")[0] == columns


def test_a_bad_file_ends_a_run_with_its_name_and_skip_bad_goes_on(folders, tmp_path, caplog):
    data = write_textures(tmp_path / "data", classes=CLASSES, count=4)
    bad = data / "fine" / "2.jpg"
    bad.write_bytes(bad.read_bytes()[:700])
    imagenet = {"statistics": "imagenet", "workers": 1}
    with pytest.raises(ImageError, match=r"2\.jpg is a JPEG file that is incomplete.*data\.skip_bad = true"):
        train(recipe(data=imagenet), tmp_path / "stopped", data=data, validation_data=folders[1], device="cpu")
    assert json.loads((tmp_path / "stopped" / "run.json").read_text())["status"] == "failed"
    with caplog.at_level(logging.WARNING):
        settings = recipe(data={**imagenet, "skip_bad": True})
        assert train(settings, tmp_path / "on", data=data, device="cpu").step == 6
    assert caplog.text.count("2.jpg is a JPEG file that is incomplete") == 1


def test_training_goes_on_from_weights_with_their_statistics(folders, tmp_path):
    data, other = folders
    first = train(recipe(), tmp_path / "first", data=data, validation_data=other, device="cpu")
    train(
        recipe(optim={"steps": 1, "learning_rate": 1e-6, "final_learning_rate": 0.0}),
        tmp_path / "second",
        data=other,
        validation_data=other,
        weights=tmp_path / "first" / "weights" / "last",
        device="cpu",
    )
    configs = [
        json.loads((tmp_path / run / "weights" / "last" / "config.json").read_text()) for run in ("first", "second")
    ]
    assert configs[0] == configs[1]
    start = rows(tmp_path / "second" / "validation.csv")[1]
    assert float(start[1]) == first.figures["top1"]
    assert float(start[2]) == pytest.approx(first.figures["loss"], rel=1e-6)
