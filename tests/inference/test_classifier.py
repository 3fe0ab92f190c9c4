import json

import numpy as np
import pytest
import torch
from PIL import Image

from passband.data.classifier_input import Preprocessing
from passband.data.images import find_images
from passband.inference.classifier import Classifier
from passband.io.image import ImageError, read_image
from passband.models import load_model, task_of
from passband.state_dicts import CheckpointError
from passband.weights_io import load_config
from tests.classifiers import PERIODS, save_classifier, texture, write_textures


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    return write_textures(tmp_path_factory.mktemp("textures"), count=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("weights"))


def literal(weights, path):
    """Class to probability, computed step by step from the files."""
    config = load_config(weights)
    view = Preprocessing.from_config(config["preprocessing"]).prepare(path)
    with torch.no_grad():
        logits = load_model(weights)(view[None])
    logits = getattr(logits, "logits", logits)[0].double().numpy()
    exponents = np.exp(logits - logits.max())
    return dict(zip(config["classes_named"], exponents / exponents.sum(), strict=True))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("dct-resnet18", "coefficients"),
        ("gated-dct-resnet18", "coefficients"),
        ("resnet18", "rgb"),
        ("resnet18", "ycbcr"),
        ("dct-resnet18", "published"),
    ],
)
def test_guesses_are_the_softmax_of_the_network_on_the_prepared_picture(textures, tmp_path, model, kind):
    weights = save_classifier(tmp_path / "weights", model, kind)
    classifier = Classifier(weights, "cpu")
    paths = find_images(textures)
    results = list(classifier.classify(paths, top=2, batch=4))
    assert [result.source for result in results] == paths
    for result in results:
        expected = literal(weights, result.source)
        best = sorted(expected, key=expected.get, reverse=True)[:2]
        assert [guess.name for guess in result.guesses] == best
        assert [classifier.classes[guess.number] for guess in result.guesses] == best
        # a batch is summed in another order than one picture
        assert [guess.probability for guess in result.guesses] == pytest.approx(
            [expected[name] for name in best], rel=1e-4
        )


def test_a_bad_file_is_named_and_the_others_are_done(textures, weights, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes((textures / "fine" / "0.jpg").read_bytes()[:700])
    missing, good = tmp_path / "missing.jpg", textures / "fine" / "1.jpg"
    results = list(Classifier(weights, "cpu").classify([bad, good, missing, bad], batch=3))
    assert [result.error is None for result in results] == [False, True, False, False]
    assert "bad.jpg" in results[0].error
    assert "missing.jpg" in results[2].error
    assert results[0].guesses == ()
    assert len(results[1].guesses) == 3
    assert json.loads(json.dumps(results[1].as_dict()))["guesses"][0]["class"] in PERIODS


def test_an_error_of_any_kind_fails_one_file_and_no_other_of_its_batch(textures, weights, monkeypatch):
    paths = find_images(textures)
    classifier = Classifier(weights, "cpu")
    prepare, logits = Preprocessing.prepare, Classifier.logits
    marked = prepare(classifier.preprocessing, paths[2])

    def broken(self, path):
        if path == paths[1]:
            raise AttributeError("no such attribute")
        return prepare(self, path)

    def out_of_memory(self, views):
        if any(torch.equal(view, marked) for view in views):
            raise RuntimeError("out of memory")
        return logits(self, views)

    monkeypatch.setattr(Preprocessing, "prepare", broken)
    monkeypatch.setattr(Classifier, "logits", out_of_memory)
    results = list(classifier.classify(paths, batch=len(paths)))
    assert [result.source for result in results] == paths
    assert [result.error for result in results] == [
        None,
        f"{paths[1]}: AttributeError: no such attribute",
        f"{paths[2]}: RuntimeError: out of memory",
        *[None] * (len(paths) - 3),
    ]


def test_pixels_in_memory_and_a_file_without_loss_are_one_picture(weights, tmp_path):
    classifier = Classifier(weights, "cpu")
    pixels = texture("middle", 5, (67, 89))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    of_file = classifier(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for picture in (pixels, Image.fromarray(pixels), read_image(tmp_path / "a.png"), str(tmp_path / "a.png"), content):
        assert classifier(picture) == of_file
    assert sum(guess.probability for guess in of_file) == pytest.approx(1)


def test_every_kind_of_path_and_the_content_of_a_jpeg_file_give_its_own_coefficients(weights, tmp_path):
    class OtherPath:
        def __fspath__(self):
            return str(tmp_path / "a.jpg")

    Image.fromarray(texture("middle", 5, (67, 89))).save(tmp_path / "a.jpg", quality=30)
    classifier = Classifier(weights, "cpu")
    of_file = classifier(tmp_path / "a.jpg")
    assert classifier(OtherPath()) == classifier((tmp_path / "a.jpg").read_bytes()) == of_file
    assert classifier(read_image(tmp_path / "a.jpg")) != of_file  # clamped and rounded pixels


def test_what_is_no_picture_is_refused(weights, tmp_path):
    classifier = Classifier(weights, "cpu")
    with pytest.raises(ValueError, match="got a batch of shape 1 x 3 x 40 x 40"):
        classifier(torch.rand(1, 3, 40, 40))
    with pytest.raises(ValueError, match="1 or more; got 0"):
        classifier(torch.rand(3, 40, 40), top=0)
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        classifier(tmp_path / "a.jpg")


def test_weights_that_are_no_trained_classifier_are_refused(weights, tiny_weights, tmp_path):
    assert task_of(weights) == "classification"
    assert task_of(tiny_weights) == task_of(tmp_path / "nothing") == "restoration"
    with pytest.raises(
        CheckpointError,
        match=r"restores images \(sfnet\); it cannot classify\. Train a classifier first: passband train dct-small",
    ):
        Classifier(tiny_weights, "cpu")
    config = load_config(weights)
    for change, message in (
        ({"preprocessing": None}, "does not say how images become its input"),
        ({"classes_named": ["a", "b"]}, "tells 3 classes apart, but its config.json names 2"),
        (
            {"preprocessing": {**config["preprocessing"], "input": "raw"}},
            "preprocessing in its config.json cannot be used",
        ),
    ):
        changed = {key: value for key, value in {**config, **change}.items() if value is not None}
        (tmp_path / "changed").mkdir(exist_ok=True)
        (tmp_path / "changed" / "model.safetensors").write_bytes((weights / "model.safetensors").read_bytes())
        (tmp_path / "changed" / "config.json").write_text(json.dumps(changed))
        with pytest.raises(CheckpointError, match=message):
            Classifier(tmp_path / "changed", "cpu")


def test_classes_without_names_are_numbered(tmp_path):
    save_classifier(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["classes_named"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert Classifier(tmp_path, "cpu").classes == ("0", "1", "2")
