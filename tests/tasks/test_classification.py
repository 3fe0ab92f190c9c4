import logging
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from passband.config import parse_recipe
from passband.data.classifier_input import Preprocessing
from passband.data.datasets.classification import ClassificationTrainingSet, ClassificationValidationSet, find_classes
from passband.io.image import ImageError
from passband.layers.gate import temperature
from passband.models import SFNet, build_from
from passband.models.classification.gated import Gated
from passband.processes import shared_noise
from passband.state_dicts import CheckpointError
from passband.tasks import TASKS
from tests.classifiers import write_textures


def task(data=None, **changes):
    content = {
        "name": "tiny",
        "task": "classification",
        "model": {"name": "dct-resnet18", "arguments": {"width": 8}},
        "data": {"channels": "6", "size": 32, **(data or {})},
        "optim": {"steps": 5},
        **changes,
    }
    return TASKS["classification"](parse_recipe(content, "test"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_textures(tmp_path_factory.mktemp("textures"), count=4)


class Fixed(nn.Module):
    """Gives logits that are known."""

    def __init__(self, logits, opened=None):
        super().__init__()
        self.logits, self.opened = logits, opened

    def forward(self, x):
        return self.logits if self.opened is None else Gated(self.logits, self.opened)


def batch(labels, problems=None):
    count = len(labels)
    return {
        "input": torch.zeros(count, 6, 8, 8),
        "label": torch.tensor(labels),
        "number": torch.arange(count),
        "name": ["x"] * count,
        "problem": problems or [""] * count,
    }


class TestNetwork:
    def test_data_decide_channels_classes_and_preprocessing(self, folder):
        config = task().network_config(folder, None)
        assert {key: config[key] for key in ("model", "width", "channels", "classes", "classes_named")} == {
            "model": "dct-resnet18",
            "width": 8,
            "channels": 6,
            "classes": 3,
            "classes_named": ["coarse", "fine", "middle"],
        }
        prepared = Preprocessing.from_config(config["preprocessing"])
        assert (prepared.input, prepared.size, prepared.stride) == ("coefficients", 32, 4)
        assert prepared.statistics["images"] == 12
        model = build_from(config)
        task().check(model, "tiny")
        views = torch.stack([prepared.prepare(path) for path in find_classes(folder).paths])
        assert model(views).shape == (12, 3)

    @pytest.mark.parametrize("kind", ["published", "rgb", "ycbcr"])
    def test_one_word_changes_the_input(self, folder, kind):
        pixels = kind != "published"
        made = task(
            {"input": kind, "size": 56, "statistics_count": 2},
            model={"name": "resnet18" if pixels else "dct-resnet18", "arguments": {"width": 8}},
        )
        config = made.network_config(folder, None)
        assert config["channels"] == (3 if pixels else 6)
        made.check(build_from(config), "tiny")
        sample = made.training_data(folder, config)[0]
        assert sample["input"].shape == ((3, 56, 56) if pixels else (6, 7, 7))

    def test_what_is_held_out_is_not_measured_nor_learned(self, folder):
        made = task({"held_out": 0.25})
        config = made.network_config(folder, None)
        assert Preprocessing.from_config(config["preprocessing"]).statistics["images"] == 9
        learned, scored = made.training_data(folder, config), made.validation_data(folder, None, config)
        assert isinstance(learned, ClassificationTrainingSet)
        assert isinstance(scored, ClassificationValidationSet)
        assert (len(learned), len(scored)) == (9, 3)
        assert {learned[number]["name"] for number in range(9)}.isdisjoint(sample["name"] for sample in scored)
        assert len(made.validation_data(folder, folder, config)) == 12  # a folder takes the place of held-out images

    def test_weights_to_start_from_bring_their_statistics_and_have_to_fit(self, folder, tmp_path):
        config = task().network_config(folder, None)
        assert task().network_config(folder, {**config, "more": 1}) == {**config, "more": 1}
        with pytest.raises(CheckpointError, match=r"data\.size = 32, the recipe has 64"):
            task({"size": 64}).network_config(folder, config)
        with pytest.raises(CheckpointError, match="tell 9 classes apart, but the data have 3"):
            task().network_config(folder, {**config, "classes": 9})
        bare = {key: value for key, value in config.items() if key not in ("preprocessing", "classes_named")}
        assert task().network_config(folder, bare) == config
        other = write_textures(tmp_path / "other", classes=("fine",), count=1)
        (other / "fein").mkdir()
        with pytest.raises(ValueError, match="fein is not one of the 3"):
            task().network_config(other, config)

    def test_unknown_channels_are_refused_before_anything_is_read(self):
        with pytest.raises(ValueError, match="24X"):
            task({"channels": "24X"})
        with pytest.raises(ValueError, match="a block of 4 has frequencies 0 to 3"):
            task({"channels": "48S"})

    def test_networks_of_another_kind_or_input_are_refused(self):
        with pytest.raises(CheckpointError, match="mine' .*it cannot classify"):
            task().check(SFNet(width=16, depth=1), "mine")
        with pytest.raises(CheckpointError, match="mine takes 24 channels, but input 'coefficients' gives 6"):
            task().check(build_from({"model": "dct-resnet18", "width": 8, "channels": 24}), "mine")
        with pytest.raises(CheckpointError, match="takes cubes"):
            task({"input": "rgb"}).check(build_from({"model": "dct-resnet18", "width": 8, "channels": 3}), "mine")
        with pytest.raises(CheckpointError, match="takes pixels"):
            three = task({"channels": [0, 64, 128]})
            three.check(build_from({"model": "resnet18", "width": 8}), "mine")


class TestLoss:
    def test_it_is_the_smoothed_cross_entropy(self):
        logits, labels = torch.randn(7, 5), [0, 1, 2, 3, 4, 0, 1]
        made = task(loss={"label_smoothing": 0.2})
        loss, figures = made.loss(Fixed(logits), batch(labels), 0.5)
        target = 0.8 * F.one_hot(torch.tensor(labels), 5) + 0.2 / 5
        torch.testing.assert_close(loss, -(target * logits.log_softmax(1)).sum(1).mean())
        assert figures["top1"] == (logits.argmax(1) == torch.tensor(labels)).float().mean()

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_open_gates_cost(self, reduction):
        logits = torch.randn(4, 5)
        opened = torch.tensor([[1.0, 0, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
        made = task(gate={"weight": 0.3, "reduction": reduction})
        loss, figures = made.loss(Fixed(logits, opened), batch([0, 1, 2, 3]), 0.0)
        cost = 10 / 24 if reduction == "mean" else 10 / 4
        torch.testing.assert_close(loss, F.cross_entropy(logits, torch.arange(4)) + 0.3 * cost)
        assert figures["open"] == 10 / 4

    def test_the_temperature_follows_the_share_of_the_run_and_noise_the_seed_of_the_step(self):
        made = task(gate={"start_temperature": 4.0, "end_temperature": 0.25})
        model = build_from({"model": "gated-dct-resnet18", "channels": 6, "classes": 4, "width": 8})
        given = {**batch([0, 1, 2, 3]), "input": torch.randn(4, 6, 8, 8)}
        state = {key: value.clone() for key, value in model.state_dict().items()}
        losses = []
        for done, first in ((0.0, 0), (0.5, 0), (1.0, 0), (1.0, 0), (1.0, 64)):
            model.load_state_dict(state)
            torch.randn(len(losses))  # whatever was drawn before
            with shared_noise(first):
                losses.append(made.loss(model, given, done)[0].item())
            assert model.gate.temperature == temperature(done, 4.0, 0.25)
        assert losses[2] == losses[3] != losses[4]
        assert model.gate.temperature == 0.25

    def test_a_bad_file_ends_the_run_with_its_name_or_is_told_once(self, caplog):
        given = batch([0, 1], ["", "bad.jpg is cut short"])
        with pytest.raises(ImageError, match=r"bad\.jpg is cut short\. To leave out"):
            task().loss(Fixed(torch.randn(2, 3)), given, 0.0)
        made = task({"skip_bad": True})
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                made.loss(Fixed(torch.randn(2, 3)), given, 0.0)
            made.loss(Fixed(torch.randn(2, 3)), batch([0, 1], ["other.png is empty\nbad.jpg is cut short", ""]), 0.0)
        assert [record.getMessage() for record in caplog.records] == [
            "left out (1 until now): bad.jpg is cut short",
            "left out (2 until now): other.png is empty",
        ]


class TestValidate:
    def test_figures_are_shares_of_right_answers_and_the_cross_entropy(self):
        logits = torch.randn(40, 8)
        labels = torch.randint(8, (40,))
        model = Fixed(logits)
        result = task().validate(model, [batch(labels.tolist())])
        order = logits.argsort(1, descending=True)
        assert result.figures["top1"] == pytest.approx((order[:, 0] == labels).double().mean().item())
        assert result.figures["top5"] == pytest.approx((order[:, :5] == labels[:, None]).any(1).double().mean().item())
        assert result.figures["loss"] == pytest.approx(F.cross_entropy(logits, labels).item())
        assert result.score == result.figures["top1"]
        assert model.training
        assert result.picture.shape[0] == 3
        assert result.picture.std() > 0.01

    def test_few_classes_have_no_top_5(self):
        result = task().validate(Fixed(torch.eye(5)), [batch([0, 1, 2, 3, 3])])
        assert result.figures["top1"] == 0.8
        assert sorted(result.figures) == ["loss", "top1"]

    def test_a_network_that_gives_one_class_to_all_is_told_to_train_longer(self):
        same = Fixed(torch.eye(3)[[1, 1, 1]])
        remark = task().validate(same, [batch([0, 1, 2])]).remark
        assert remark == "The network gives the class 1 to every image that was scored: train longer."
        assert not task().validate(same, [batch([1, 1, 1])]).remark
        assert not task().validate(Fixed(torch.eye(3)), [batch([0, 0, 0])]).remark

    def test_the_network_is_scored_in_evaluation_and_put_back(self):
        modes = []

        class Watched(Fixed):
            def forward(self, x):
                modes.append(self.training)
                return super().forward(x)

        model = Watched(torch.eye(3))
        task().validate(model, [batch([0, 1, 2])])
        assert modes == [False]
        assert model.training

    def test_bad_files_are_not_counted(self):
        given = batch([0, -1, 2], ["", "bad.jpg is empty", ""])
        result = task({"skip_bad": True}).validate(Fixed(10 * torch.eye(3)), [given])
        assert result.figures["top1"] == 1
        assert result.figures["loss"] < math.exp(-9)
        all_bad = batch([-1, -1, -1], ["bad.jpg is empty"] * 3)
        both = task({"skip_bad": True}).validate(Fixed(10 * torch.eye(3)), [all_bad, given])
        assert both.figures == result.figures
        with pytest.raises(ImageError, match=r"bad\.jpg is empty"):
            task().validate(Fixed(torch.eye(3)), [given])
        with pytest.raises(ImageError, match="none of the images to score on"):
            task({"skip_bad": True}).validate(Fixed(torch.eye(3)[:1]), [batch([-1], ["bad.jpg is empty"])])


class TestValidationData:
    def test_pictures_that_are_learned_from_are_told(self, folder, tmp_path, caplog):
        other = write_textures(tmp_path / "other", classes=("fine", "middle"), count=2, progressive=True)
        (other / "fine" / "leak.jpg").write_bytes((folder / "fine" / "3.jpg").read_bytes())
        made = task()
        with caplog.at_level(logging.WARNING):
            data = made.validation_data(folder, other, {**made.network_config(folder, None)})
        assert len(data) == 5
        assert [sample["label"] for sample in data] == [1, 1, 1, 2, 2]
        (record,) = caplog.records
        assert record.getMessage() == (
            f"1 of 5 validation images are also training images, byte for byte: {other / 'fine' / 'leak.jpg'} is "
            f"{folder / 'fine' / '3.jpg'}"
        )

    def test_classes_with_fewer_than_five_images_are_told_with_what_to_do(self, tmp_path, caplog):
        write_textures(tmp_path, classes=("coarse", "fine"), count=4)
        write_textures(tmp_path, classes=("middle",), count=5)
        for data in ({}, {"held_out": 0.25}):  # images that are held out count also
            job = task(data)
            network = job.network_config(tmp_path, None)
            with caplog.at_level(logging.WARNING):
                caplog.clear()
                job.training_data(tmp_path, network)
            (record,) = caplog.records
            assert record.getMessage() == (
                f"each class needs at least 5 images to be learned and scored, but {tmp_path} has fewer of coarse (4), "
                "fine (4): add images of these classes, or join classes by moving their images into one folder"
            )

    def test_classes_with_five_images_are_enough(self, tmp_path, caplog):
        write_textures(tmp_path, count=5)
        job = task({"held_out": 0.2})
        with caplog.at_level(logging.WARNING):
            job.training_data(tmp_path, job.network_config(tmp_path, None))
        assert not caplog.records

    def test_scoring_on_what_is_learned_is_told(self, folder, caplog):
        made = task(validation={"count": 6})
        with caplog.at_level(logging.WARNING):
            data = made.validation_data(folder, None, made.network_config(folder, None))
        assert [sample["label"] for sample in data] == [0, 0, 1, 1, 2, 2]
        assert "scored on images that are learned from" in caplog.text
