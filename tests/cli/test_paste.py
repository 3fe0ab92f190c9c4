"""`passband paste` as a person types it."""

from passband.data.coco import find_coco
from passband.data.datasets.classification import find_classes
from passband.data.masks import find_mask_pairs
from tests.pasting import write_cutouts, write_photos


def test_paste_makes_a_set_and_says_how_to_train_on_it(run, tmp_path):
    objects, photos = write_cutouts(tmp_path / "objects"), write_photos(tmp_path / "photos")
    options = ("--objects", objects, "--photos", photos, "--train", 4, "--validation", 3, "--size", 48)
    status, out, err = run("paste", tmp_path / "set", *options, "--seed", 2, "--count", 1, 2)
    assert (status, err) == (0, "")
    assert f"classes in {tmp_path / 'set'}" in out
    assert f"passband train detection-small --data {tmp_path / 'set' / 'train'}" in out
    assert len(find_coco(tmp_path / "set" / "train")) == 4


def test_paste_draws_shapes_where_no_folders_are_named(run, tmp_path):
    options = ("--train", 2, "--validation", 2, "--size", 48, "--count", 4, 6, "--task", "segmentation")
    status, out, _ = run("paste", tmp_path / "set", *options)
    assert status == 0
    assert "--set data.classes=7" in out
    assert len(find_mask_pairs(tmp_path / "set" / "validation")) == 2


def test_paste_writes_images_of_one_object_for_classification(run, tmp_path):
    options = ("--train", 7, "--validation", 6, "--size", 48, "--task", "classification")
    status, out, _ = run("paste", tmp_path / "set", *options)
    assert status == 0
    assert f"passband train dct-small --data {tmp_path / 'set' / 'train'}" in out
    images = find_classes(tmp_path / "set" / "train")
    assert len(images) == 7
    assert set(images.labels) == set(range(6))
    status, _, err = run("paste", tmp_path / "other", *options, "--count", 1, 2)
    assert status == 1
    assert "an image has one class, so each image needs exactly one object; got 1 to 2" in err


def test_paste_refuses_what_makes_no_set(run, tmp_path):
    status, _, err = run("paste", tmp_path / "set", "--objects", tmp_path)
    assert status == 1
    assert "--objects and --photos are needed together" in err
    status, _, err = run("paste", tmp_path / "set", "--train", 1, "--validation", 1, "--count", 1, 1)
    assert status == 1
    assert "each of the 6 classes needs an object in each part" in err
    status, _, err = run("paste", tmp_path / "set", "--task", "detecton")
    assert status == 1
    assert "did you mean 'detection'" in err.lower()
