"""Sets of pasted objects on disk, read back as the training reads them."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from passband.data.coco import find_coco
from passband.data.masks import find_mask_pairs, read_mask
from passband.data.pasting import (
    PARTS,
    CutoutFolders,
    DrawnShapes,
    PasteSettings,
    SetPlan,
    files,
    paste_set,
)
from passband.io.image import read_image
from passband.io.rle import decode_mask
from tests.pasting import write_cutouts, write_photos

SMALL = PasteSettings((48, 64), count=(1, 3), scale=(0.3, 0.6))


def test_a_set_is_read_as_cocos_with_every_class_in_every_part(tmp_path):
    source = CutoutFolders(write_cutouts(tmp_path / "objects"), write_photos(tmp_path / "photos"))
    reported = []
    count = paste_set(
        "detection", source, tmp_path / "set", SetPlan((6, 4), SMALL), report=lambda *numbers: reported.append(numbers)
    )
    assert reported[-1] == (10, 10)
    found = 0
    for part, images in zip(PARTS, (6, 4), strict=True):
        pictures = find_coco(tmp_path / "set" / part)
        assert len(pictures) == images
        assert not pictures.skipped
        assert pictures.classes == ("ball", "box", "cone")
        assert {one.category for image in pictures.images for one in image.instances} == {1, 2, 3}
        for image in pictures.images:
            assert read_image(image.path).shape == (3, 48, 64)
            for one in image.instances:
                mask = decode_mask(one.segmentation).bool()
                assert mask.sum() == one.area
                left, top, width, height = (int(side) for side in one.bbox)
                assert mask[top : top + height, left : left + width].sum() == one.area
                found += 1
    assert count == found


def test_a_mask_set_has_the_classes_of_the_detection_set(tmp_path):
    plan = SetPlan((4, 3), SMALL, seed=3)
    count = paste_set("segmentation", DrawnShapes(("disc", "star")), tmp_path / "masks", plan)
    assert count == paste_set("detection", DrawnShapes(("disc", "star")), tmp_path / "boxes", plan)
    for part in PARTS:
        pictures = find_coco(tmp_path / "boxes" / part)
        for pair, image in zip(find_mask_pairs(tmp_path / "masks" / part), pictures.images, strict=True):
            assert torch.equal(read_image(pair.image), read_image(image.path))
            labels = torch.zeros(48, 64, dtype=torch.int64)
            for one in image.instances:
                labels[decode_mask(one.segmentation).bool()] = one.category
            assert torch.equal(read_mask(pair.mask, 3), labels)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_seed_decides_the_set_and_a_larger_set_begins_with_the_smaller(tmp_path):
    source = DrawnShapes(("disc", "star"))
    for name, plan in {
        "a": SetPlan((3, 3), SMALL, 1),
        "b": SetPlan((3, 3), SMALL, 1),
        "c": SetPlan((5, 4), SMALL, 1),
        "d": SetPlan((3, 3), SMALL, 2),
    }.items():
        paste_set("detection", source, tmp_path / name, plan)
    a, b, c, d = (content(tmp_path / name) for name in "abcd")
    assert a == b
    images = [path for path in a if path.suffix == ".jpg"]
    assert len(images) == 6
    assert all(c[path] == a[path] for path in images)
    assert all(d[path] != a[path] for path in images)


class Processes(ThreadPoolExecutor):
    """Calls that reach their worker by pickle, the last one first, without the seconds that a new process takes."""

    def __init__(self, workers, context):
        super().__init__(workers)

    def map(self, function, *arguments, chunksize):
        calls = [pickle.dumps((function, *call)) for call in zip(*arguments, strict=True)]
        done = [self.submit(self.call, pickled) for pickled in reversed(calls)]
        return (future.result() for future in reversed(done))

    @staticmethod
    def call(pickled):
        function, *arguments = pickle.loads(pickled)
        return function(*arguments)


def test_processes_do_not_change_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ProcessPoolExecutor", Processes)
    plan = SetPlan((3, 2), SMALL)
    for name, workers in (("alone", 0), ("several", 2)):
        paste_set("detection", DrawnShapes(("disc",)), tmp_path / name, plan, workers=workers)
    assert content(tmp_path / "alone") == content(tmp_path / "several")


def test_fewer_objects_than_classes_are_refused_before_anything_is_written(tmp_path):
    plan = SetPlan((40, 2), PasteSettings((48, 64), count=(2, 2)))
    with pytest.raises(
        ValueError,
        match="each of the 6 classes needs an object in each part, but the 2 images of the part validation have 4 obj",
    ):
        paste_set("detection", DrawnShapes(), tmp_path / "set", plan)
    assert not (tmp_path / "set").exists()
    with pytest.raises(ValueError, match="at least one image to train on and one for validation; got 4 and 0"):
        SetPlan((4, 0))


class Hollow:
    """Objects that are nearly transparent, so that they have no pixel in a mask."""

    def __init__(self, classes):
        self.classes = classes

    def cutout(self, label, part, rng):
        return Image.new("RGBA", (8, 8), (200, 0, 0, 60))

    def background(self, part, size, rng):
        return Image.new("RGB", (size[1], size[0]))


def test_an_image_of_a_class_always_shows_its_object_and_masks_hold_all_classes(tmp_path):
    one = PasteSettings((32, 32), count=(1, 1))
    with pytest.raises(ValueError, match="an object of b found no place in 32 x 32 pixels: make larger images"):
        paste_set("classification", Hollow(("b",)), tmp_path / "classes", SetPlan((1, 1), one))
    many = Hollow(tuple(map(str, range(256))))
    with pytest.raises(ValueError, match="room for 255 classes and the background; got 256"):
        paste_set("segmentation", many, tmp_path / "masks", SetPlan((256, 256), one))
    assert not (tmp_path / "masks").exists()


def test_a_folder_with_files_is_not_written_to(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="must be a new or empty folder, but it holds files"):
        paste_set("segmentation", DrawnShapes(("disc",)), tmp_path, SetPlan((1, 1), SMALL))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("task", ["detection", "segmentation", "classification"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_set_that_is_interrupted_is_removed_and_can_be_made_by_the_same_call(tmp_path, task, workers):
    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    plan = SetPlan((2, 2), PasteSettings((32, 32), (1, 1)))
    with pytest.raises(KeyboardInterrupt):
        paste_set(task, DrawnShapes(("disc",)), tmp_path / "set", plan, workers=workers, report=interrupt)
    assert [*tmp_path.iterdir()] == []
    if not workers:
        paste_set(task, DrawnShapes(("disc",)), tmp_path / "set", plan)


def test_the_set_says_how_it_was_made(tmp_path):
    paste_set("segmentation", DrawnShapes(("disc",)), tmp_path / "set", SetPlan((1, 1), SMALL, 7))
    about = json.loads((tmp_path / "set" / "pasting.json").read_text())
    assert (about["seed"], about["classes"], about["task"]) == (7, ["disc"], "segmentation")
    assert about["settings"]["size"] == [48, 64]
    assert np.array_equal(about["counts"], [1, 1])


def test_a_class_set_shows_the_object_of_its_folder_and_quality_is_a_choice(tmp_path):
    source = CutoutFolders(write_cutouts(tmp_path / "objects"), write_photos(tmp_path / "photos"))
    one = PasteSettings((48, 64), count=(1, 1), scale=(0.3, 0.6))
    sizes = {}
    for quality in (30, 95):
        folder = tmp_path / str(quality)
        assert (
            paste_set("classification", source, folder, SetPlan((5, 4), one, seed=2, quality=(quality, quality))) == 9
        )
        files = sorted(folder.rglob("*.jpg"))
        assert {path.parent.parent.name for path in files} == set(PARTS)
        assert {path.parent.name for path in files} == {"ball", "box", "cone"}
        sizes[quality] = sum(path.stat().st_size for path in files)
    assert sizes[30] < sizes[95]
    with pytest.raises(ValueError, match="exactly one object; got 1 to 3"):
        paste_set("classification", source, tmp_path / "other", SetPlan((5, 4), SMALL))
    with pytest.raises(ValueError, match=r"from 1 to 100; got \(90, 80\)"):
        SetPlan(quality=(90, 80))
