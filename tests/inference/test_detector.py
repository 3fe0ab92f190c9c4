import json

import numpy as np
import pytest
import torch
from PIL import Image

from passband.inference import InstanceFinder
from passband.io.failures import WriteError
from passband.io.image import read_image
from passband.io.rle import decode_mask
from passband.metrics import instance_scores
from passband.models import build_from
from passband.state_dicts import CheckpointError
from passband.weights_io import load_config, save_weights
from tests.classifiers import save_classifier
from tests.detectors import CLASSES, IDS, save_detector, write_shapes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), count=2, size=(45, 67))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_detector(tmp_path_factory.mktemp("weights"))


def test_a_picture_has_the_same_instances_whatever_it_comes_as(folder, weights):
    finder = InstanceFinder(weights, "cpu")
    path = sorted(folder.glob("train2017/*.jpg"))[0]
    found = finder(path, score=0.1)
    assert len(found) > 0
    assert found.scores.min() >= 0.1
    assert (found.scores.diff() <= 0).all()
    pixels = Image.open(path)
    for picture in (str(path), path.read_bytes(), pixels, np.asarray(pixels), read_image(path)):
        again = finder(picture, score=0.1)
        assert torch.equal(again.boxes, found.boxes)
        assert again.masks == found.masks
    assert len(finder(path, score=1.0)) < len(found)


def test_masks_are_pictures_of_the_true_size_near_their_boxes(folder, weights):
    found = InstanceFinder(weights, "cpu")(next(folder.glob("train2017/*.jpg")), score=0.0)
    for box, mask in zip(found.boxes, found.masks, strict=True):
        pixels = decode_mask(mask)
        assert pixels.shape == (45, 67)
        rows, columns = pixels.any(1).nonzero().flatten(), pixels.any(0).nonzero().flatten()
        if len(rows):
            # a mask is pasted with one of its 28 places around, and pixels are cut to whole ones
            margin = 2 + (box[2:] - box[:2]).max() / 28
            assert columns[0] >= box[0] - margin
            assert columns[-1] <= box[2] + margin
            assert rows[0] >= box[1] - margin
            assert rows[-1] <= box[3] + margin


def test_files_become_coco_s_instances_with_names_and_scores(folder, weights, tmp_path):
    paths = sorted(folder.glob("train2017/*.jpg"))
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    finder = InstanceFinder(weights, "cpu")
    results = list(finder.find_in_files([paths[0], bad, paths[1]], tmp_path / "out", score=0.3, overlay=True))
    assert [result.error is None for result in results] == [True, False, True]
    assert "bad.jpg" in results[1].error
    content = json.loads((tmp_path / "out" / "instances.json").read_text())
    assert [image["file_name"] for image in content["images"]] == [str(paths[0]), str(paths[1])]
    assert [image["id"] for image in content["images"]] == [1, 3]
    assert content["categories"] == [{"id": i, "name": name} for i, name in zip(IDS, CLASSES, strict=True)]
    annotations = content["annotations"]
    assert [one["id"] for one in annotations] == list(range(1, len(annotations) + 1))
    assert len(annotations) == len(results[0].instances) + len(results[2].instances)
    assert {one["image_id"] for one in annotations} <= {1, 3}
    for one in annotations:
        assert one["category_id"] in IDS
        assert one["score"] >= 0.3
        assert one["area"] == decode_mask(one["segmentation"]).sum()
    for result in (results[0], results[2]):
        drawn, plain = read_image(result.overlay), read_image(result.source)
        assert drawn.shape == plain.shape
        assert ((drawn - plain).abs().sum() > 1) == bool(len(result.instances))


def test_files_of_one_name_have_overlays_of_their_own(folder, weights, tmp_path):
    path = next(folder.glob("train2017/*.jpg"))
    other = tmp_path / path.name
    other.write_bytes(path.read_bytes())
    finder = InstanceFinder(weights, "cpu")
    results = list(finder.find_in_files([path, other], tmp_path / "out", overlay=True))
    assert results[0].overlay != results[1].overlay
    assert all(result.overlay.exists() for result in results)


def test_an_output_below_a_file_is_refused_before_the_work(folder, weights, tmp_path):
    (tmp_path / "file").touch()
    paths = list(folder.glob("train2017/*.jpg"))
    found = InstanceFinder(weights, "cpu").find_in_files(paths, tmp_path / "file" / "new")
    with pytest.raises(WriteError, match="cannot write to the folder .*: .*file is a file, and a folder is needed"):
        next(found)


def test_coefficients_of_a_turned_file_find_what_lies_in_the_upright_picture(folder, tmp_path):
    weights = save_detector(tmp_path / "weights", input="coefficients")
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)).save(path, exif=exif)
    found = InstanceFinder(weights, "cpu")(path, score=0.0)
    assert found.size == (64, 32)
    assert found.boxes[:, ::2].max() <= 32
    assert found.boxes[:, 1::2].max() > 32


def test_what_is_no_detector_or_no_picture_is_refused(folder, weights, tmp_path):
    with pytest.raises(CheckpointError, match="cannot find instances"):
        InstanceFinder(save_classifier(tmp_path / "classifier"), "cpu")
    finder = InstanceFinder(weights, "cpu")
    with pytest.raises(ValueError, match="0 to 1"):
        finder(next(folder.glob("train2017/*.jpg")), score=2)
    with pytest.raises(ValueError, match="3 H W"):
        finder(torch.rand(1, 3, 20, 20))
    config = {**load_config(weights), "classes_named": ["one"]}
    save_weights(build_from(config), tmp_path / "short", config)
    with pytest.raises(CheckpointError, match="names 1"):
        InstanceFinder(tmp_path / "short", "cpu")


def test_masks_of_a_large_picture_are_held_one_at_a_time(weights, monkeypatch):
    held = []
    original = instance_scores.encode_mask

    def watched(mask):
        held.append(mask.numel())
        return original(mask)

    monkeypatch.setattr(instance_scores, "encode_mask", watched)
    finder = InstanceFinder(weights, "cpu")
    found = finder(torch.rand(3, 400, 700), score=0.0)
    assert found.grids.shape[1:] == (1, 28, 28)
    assert not held  # masks are made when they are asked for
    assert len(found.masks) == len(found)
    assert held == [400 * 700] * len(found)
