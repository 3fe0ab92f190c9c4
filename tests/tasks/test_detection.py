import json
import logging

import pytest
import torch

from passband.config import RecipeError, parse_recipe
from passband.data.coco import CocoError
from passband.drawing.comparison import GAP, MARGIN
from passband.io.image import ImageError
from passband.models import build_from, build_model, task_of
from passband.state_dicts import CheckpointError
from passband.tasks import TASKS
from passband.tasks.instances import Instances
from passband.weights_io import load_config, save_weights
from tests.detectors import write_shapes
from tests.models.detection.detectors import TINY

NUMBERS = {name: value for name, value in TINY.items() if name not in ("classes", "backbone")}


def recipe(data=None, **changes):
    content = {
        "name": "tiny",
        "task": "detection",
        "model": {"name": "dct-mask-rcnn-resnet18", "arguments": NUMBERS},
        "data": {"min_size": [48], "max_size": 80, "batch": 2, "workers": 0, **(data or {})},
        "optim": {"steps": 4, "milestones": []},
        **changes,
    }
    return parse_recipe(content, "test")


def task(data=None, **changes):
    return TASKS["detection"](recipe(data, **changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"))


def first_batch(job, folder, network, count=2):
    data = job.training_data(folder, network)
    return job.collate([data[number] for number in range(count)])


class TestNetwork:
    def test_data_decide_classes_and_their_numbers(self, folder):
        network = task().network_config(folder, None)
        assert network["classes_named"] == ["disc", "box", "crowd of boxes"]
        assert network["preprocessing"]["category_ids"] == [3, 17, 90]
        assert network["classes"] == 3
        model = build_from(json.loads(json.dumps(network)))
        assert (model.task, model.input, model.channels) == ("detection", "pixels", 24)
        assert model.roi_heads.box_predictor.cls_score.out_features == 4

    @pytest.mark.parametrize(
        "data", [{}, {"input": "coefficients"}, {"channels": "48S", "chroma_ratio": 1, "doubled": True}]
    )
    def test_fitted_statistics_normalize_what_the_network_gets(self, folder, data):
        job = task({"statistics": "fit", **data})
        network = job.network_config(folder, None)
        model = build_from(network)
        stem = model.backbone.body["stem"]
        seen = []
        stem.register_forward_hook(lambda module, given, cube: seen.append(cube))
        samples = [job.training_data(folder, network)[number] for number in range(4)]
        model.eval()
        for sample in samples:
            given = {"sizes": [sample["size"]]} if model.input == "coefficients" else {}
            with torch.no_grad():
                model([sample["image"]], **given)
        height, width = 12, 16  # of the picture, in cells; what is beside is padding
        cubes = torch.cat([cube[..., :height, :width] for cube in seen])
        varied = torch.tensor(network["std"]) != 1
        # mirrored pictures have other odd frequencies
        assert cubes.std((0, 2, 3), correction=0)[varied] == pytest.approx(1, abs=0.25)
        assert cubes[:, 0].mean() == pytest.approx(0, abs=1e-3)
        assert network["preprocessing"]["statistics_images"] == 4

    def test_weights_of_a_classifier_start_a_frozen_backbone(self, folder, tmp_path):
        classifier = build_model("dct-resnet18", classes=2, width=8)
        save_weights(classifier, tmp_path, {"model": classifier.name, **classifier.arguments})
        numbers = {name: value for name, value in NUMBERS.items() if name != "norm"}
        model = {"name": "dct-mask-rcnn-resnet18", "arguments": numbers, "backbone_weights": str(tmp_path)}
        network = task(model=model).network_config(folder, None)
        assert network["norm"] == "frozen"
        built = build_from(network)
        assert torch.equal(built.backbone.body["layer3"][0].conv1.weight, classifier.layer3[0].conv1.weight)

    def test_weights_to_start_from_bring_their_classes(self, folder):
        start = task().network_config(folder, None)
        network = task({"input": "coefficients", "max_size": 99}).network_config(folder, start)
        assert network == {**start, "input": "coefficients", "max_size": 99}
        with pytest.raises(CheckpointError, match=r"data\.channels"):
            task({"channels": "rgb"}).network_config(folder, start)
        with pytest.raises(CocoError, match="disc"):
            task().network_config(folder, {**start, "classes_named": ["dog", "box", "crowd of boxes"]})

    def test_another_kind_of_network_is_refused(self):
        with pytest.raises(CheckpointError, match="dct-mask-rcnn"):
            task().check(build_model("resnet18", classes=2, width=4), "mine")


class TestLoss:
    @pytest.mark.parametrize("data", [{}, {"input": "coefficients"}, {"channels": "rgb"}, {"masks": False}])
    def test_parts_add_up_and_follow_from_the_samples(self, folder, data):
        job = task(data)
        network = job.network_config(folder, None)
        torch.manual_seed(0)
        model = build_from(network).train()
        batch = first_batch(job, folder, network)
        loss, figures = job.loss(model, batch, 0.0)
        assert loss.item() == pytest.approx(sum(figure.item() for figure in figures.values()), rel=1e-5)
        assert ("mask" in figures) == job.recipe.data.masks
        torch.rand(5)  # whatever was drawn in between
        again, _ = job.loss(model, batch, 0.0)
        assert again.item() == loss.item()

    def test_a_file_that_cannot_be_read_is_said_once_or_ends_the_run(self, tmp_path, caplog):
        folder = write_shapes(tmp_path, count=2)
        next(iter(sorted(folder.glob("train2017/*.jpg")))).write_bytes(b"no picture")
        job = task()
        network = job.network_config(folder, None)
        with pytest.raises(ImageError, match=r"skip_bad"):
            job.loss(build_from(network).train(), first_batch(job, folder, network), 0.0)
        job = task({"skip_bad": True})
        model = build_from(network).train()
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                loss, _ = job.loss(model, first_batch(job, folder, network), 0.0)
        assert loss.isfinite()
        assert len([record for record in caplog.records if "left out" in record.message]) == 1


class TestValidate:
    @pytest.mark.parametrize(
        ("data", "kind"), [({}, "mask"), ({"masks": False}, "box"), ({"input": "coefficients"}, "mask")]
    )
    def test_the_score_is_ap_and_the_picture_shows_truth_and_what_was_found(self, folder, data, kind):
        job = task(data)
        network = job.network_config(folder, None)
        torch.manual_seed(0)
        model = build_from(network).train()
        scored = job.validation_data(folder, None, network)
        result = job.validate(model, [job.collate([scored[0], scored[1]]), job.collate([scored[2], scored[3]])], scored)
        assert result.score == result.figures[f"{kind}_AP"]
        assert set(result.figures) == {f"{part}_{name}" for part in ({"box", kind}) for name in ("AP", "AP50", "AP75")}
        assert -1 <= result.score <= 1
        assert result.picture.shape[-1] == 2 * 4 * 64 + GAP + 2 * MARGIN  # four times as large
        assert result.picture.shape[-2] > 4 * 4 * 48 + 3 * GAP + 2 * MARGIN  # each with a caption
        assert model.training

    def test_a_network_that_finds_nothing_is_told_to_train_longer(self, folder, monkeypatch):
        def nothing(model, images, sizes):
            empty = torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)
            return [Instances(*empty, size) for size in sizes]

        monkeypatch.setattr("passband.tasks.detection.find_instances", nothing)
        job = task({"masks": False})
        network = job.network_config(folder, None)
        scored = job.validation_data(folder, None, network)
        result = job.validate(build_from(network), [job.collate([scored[0]])], scored)
        assert result.remark == "The network finds no instance in the images that were scored: train longer."

    def test_held_out_pictures_are_not_learned_from(self, folder):
        job = task({"held_out": 0.5})
        network = job.network_config(folder, None)
        learned = job.training_data(folder, network)
        scored = job.validation_data(folder, None, network)
        names = [{data[number]["name"] for number in range(len(data))} for data in (learned, scored)]
        assert len(names[0]) == len(names[1]) == 2
        assert not names[0] & names[1]
        assert len(job.validation_data(folder, folder, network)) == 4  # a folder takes the place of held-out images

    def test_pictures_that_are_learned_from_are_warned_of(self, folder, caplog):
        job = task()
        network = job.network_config(folder, None)
        with caplog.at_level(logging.WARNING):
            job.validation_data(folder, folder, network)
        assert "4 of 4 validation images are also training images" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"input": "coefficients", "channels": "rgb"}}, "coefficients"),
        ({"data": {"input": "coefficients", "crop": 0.5}}, "whole"),
        ({"data": {"channels": "64S", "doubled": True}}, "chroma_ratio = 1"),
        ({"data": {"min_size": [900], "max_size": 800}}, "min_size"),
        ({"data": {"chanels": "24S"}}, "did you mean data.channels"),
        ({"model": {"arguments": {"classes": 3}}}, "annotations"),
    ],
)
def test_recipes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe({"name": "x", "task": "detection", "optim": {"steps": 1}, **changes}, "test")


def test_weights_of_a_detector_are_known_as_such(tmp_path, folder):
    network = task().network_config(folder, None)
    save_weights(build_from(network), tmp_path / "mine", network)
    assert task_of(tmp_path / "mine") == "detection"
    assert load_config(tmp_path / "mine")["preprocessing"]["category_ids"] == [3, 17, 90]
