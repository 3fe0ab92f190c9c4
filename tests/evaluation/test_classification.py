import csv
import json
import re

import numpy as np
import pytest
import torch

from passband.evaluation import evaluate_classifier
from passband.inference.classifier import Classifier
from passband.io.image import read_image
from passband.models import load_model
from passband.provenance import weights_checksum
from passband.weights_io import load_config, save_weights
from tests.classifiers import save_classifier, write_textures

SEVEN = ("coarse", "fine", "middle", "a", "b", "c", "d")
"""Classes of a network that was trained on more than there are pictures of."""


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    return write_textures(tmp_path_factory.mktemp("textures"), count=3)


@pytest.fixture(scope="module")
def scored(textures, tmp_path_factory):
    """Weights, what was returned, the report's folder and what was reported, of a network for seven classes."""
    weights = save_classifier(tmp_path_factory.mktemp("weights"), "gated-dct-resnet18", classes=SEVEN)
    output, shown = tmp_path_factory.mktemp("report"), []
    result = evaluate_classifier(
        weights, textures, output, batch=4, device="cpu", report=lambda row, count: shown.append((row, count))
    )
    return weights, result, output, shown


def test_figures_are_those_of_the_classifiers_own_guesses(textures, scored):
    weights, result, _, shown = scored
    paths = sorted(textures.glob("*/*.jpg"))
    guesses = list(Classifier(weights, "cpu").classify(paths, top=7))
    ranks, losses = [], []
    for path, found in zip(paths, guesses, strict=True):
        names = [guess.name for guess in found.guesses]
        ranks.append(names.index(path.parent.name))
        losses.append(-np.log(found.guesses[ranks[-1]].probability))
    assert [row["rank"] for row in result["images"]] == ranks
    assert [row["name"] for row in result["images"]] == [path.relative_to(textures).as_posix() for path in paths]
    assert [row["predicted"] for row in result["images"]] == [found.guesses[0].name for found in guesses]
    ranks = np.array(ranks)
    assert result["mean"] == pytest.approx(
        {"top1": (ranks < 1).mean(), "top5": (ranks < 5).mean(), "loss": np.mean(losses)}, rel=1e-4
    )
    assert shown == [(row, len(paths)) for row in result["images"]]
    assert result["top1_interval"][0] <= result["mean"]["top1"] <= result["top1_interval"][1]


def test_classes_and_confusions_count_what_the_pictures_say(scored):
    _, result, _, _ = scored
    for row in result["classes"]:
        mine = [image for image in result["images"] if image["true"] == row["name"]]
        assert row["count"] == len(mine)
        if not mine:
            assert row["accuracy"] is None
            assert row["taken_for"] is None
            continue
        assert row["accuracy"] == np.mean([image["predicted"] == row["name"] for image in mine])
    counted = [image for image in result["images"] if image["rank"]]
    assert sum(row["count"] for row in result["confusions"]) == len(counted)
    for row in result["confusions"]:
        pairs = [(image["true"], image["predicted"]) for image in counted]
        assert pairs.count((row["true"], row["taken_for"])) == row["count"]
    assert "4 of 7 classes have no images here: a, b, c, d." in result["notes"]


def test_the_report_holds_it_all_and_its_picture(scored):
    weights, result, output, _ = scored
    written = json.loads((output / "evaluation.json").read_text(), parse_constant=pytest.fail)
    for key in ("mean", "classes", "confusions", "images", "failed", "notes", "preprocessing", "top1_interval"):
        assert written[key] == json.loads(json.dumps(result[key]))
    assert set(written) >= {"versions", "commit", "jpeg_decoder", "device", "precision", "images_per_second", "seconds"}
    assert written["weights_sha256"] == weights_checksum(
        load_model(weights)
    )  # as before the gate counted these pictures
    assert written["preprocessing"] == load_config(weights)["preprocessing"]
    with (output / "evaluation.csv").open(newline="") as file:
        assert [row["predicted"] for row in csv.DictReader(file)] == [row["predicted"] for row in result["images"]]
    with (output / "confusion.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[1:] == [row[0] for row in rows] == list(SEVEN)
    assert np.array([row[1:] for row in rows], int).sum() == 9
    text = (output / "report.md").read_text()
    assert f"9 images: top-1 {100 * result['mean']['top1']:.2f} %, top-5 {100 * result['mean']['top5']:.2f} %" in text
    assert re.findall(r"\]\(([^)]+)\)", text) == ["confusion.png"]
    assert read_image(output / "confusion.png").std() > 0.05
    assert "| a | 0 | none here |  |" in text


def test_bad_files_are_counted_and_named_and_are_in_no_figure(textures, tmp_path):
    weights = save_classifier(tmp_path / "weights")
    whole = evaluate_classifier(weights, textures, tmp_path / "a", device="cpu")
    data = write_textures(tmp_path / "textures", count=3)
    (data / "fine" / "broken.jpg").write_bytes((data / "fine" / "0.jpg").read_bytes()[:800])
    result = evaluate_classifier(weights, data, tmp_path / "b", batch=5, device="cpu")
    assert [row["name"] for row in result["failed"]] == ["fine/broken.jpg"]
    assert "broken.jpg" in result["failed"][0]["reason"]
    assert result["mean"] == pytest.approx(whole["mean"], rel=1e-4)
    assert "top5" not in result["mean"]  # of three classes it says nothing
    assert result["notes"][0].startswith("1 file could not be read and did not count; the first: ")
    assert "## Not scored (1)" in (tmp_path / "b" / "report.md").read_text()


def test_a_folder_that_is_no_known_class_is_refused_before_any_work(tmp_path):
    weights = save_classifier(tmp_path / "weights")
    (write_textures(tmp_path / "textures", count=1) / "fine").rename(tmp_path / "textures" / "fines")
    with pytest.raises(ValueError, match=r"fines.*'fine'"):
        evaluate_classifier(weights, tmp_path / "textures", tmp_path / "report", device="cpu")
    assert not (tmp_path / "report").exists()


def test_a_folder_of_nothing_but_broken_files_is_an_error(tmp_path):
    weights = save_classifier(tmp_path / "weights")
    for name in ("coarse", "fine"):
        (tmp_path / "textures" / name).mkdir(parents=True)
        (tmp_path / "textures" / name / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match=r"holds no image that can be used; the first of 2: .*a\.jpg"):
        evaluate_classifier(weights, tmp_path / "textures", tmp_path / "report", device="cpu")


def test_scores_beyond_all_numbers_still_make_a_valid_report(textures, tmp_path):
    weights = save_classifier(tmp_path / "weights")
    model = load_model(weights)
    with torch.no_grad():
        model.fc.weight.fill_(3e38)
    save_weights(model, tmp_path / "weights", load_config(weights))
    result = evaluate_classifier(weights, textures, tmp_path / "report", device="cpu")
    written = json.loads((tmp_path / "report" / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert written["mean"]["loss"] in ("nan", "inf")
    assert written["mean"]["top1"] == result["mean"]["top1"]
