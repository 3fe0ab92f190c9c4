import re

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from passband.data.classifier_input import Preprocessing
from passband.data.cubes.views import Augmentation
from passband.data.datasets.classification import (
    UNKNOWN,
    ClassificationTrainingSet,
    ClassificationValidationSet,
    LabeledImages,
    find_classes,
)
from passband.data.datasets.order import shuffled
from passband.data.splits import split_classes
from passband.io.image import ImageError
from passband.layers.channels import channel_subset
from tests.classifiers import write_textures

NUMBERS = tuple(channel_subset("6").indices())
CUBES = Preprocessing("coefficients", NUMBERS, 32, 4, (0.0,) * 6, (50.0,) * 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_textures(tmp_path_factory.mktemp("textures"), count=5)


@pytest.fixture
def spoiled(tmp_path):
    folder = write_textures(tmp_path / "spoiled", classes=("coarse", "fine"), count=3)
    whole = (folder / "fine" / "1.jpg").read_bytes()
    (folder / "fine" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


class TestFindClasses:
    def test_sub_folders_are_classes_by_name_and_their_pictures_are_found_at_any_depth(self, tmp_path):
        touch(
            tmp_path,
            "b/2.jpg",
            "b/deep/er/1.PNG",
            "a/x.jpeg",
            "B/y.jpg",
            ".hidden/z.jpg",
            "@eaDir/z.jpg",
            "a/notes.txt",
            "c.jpg",
        )
        found = find_classes(tmp_path)
        assert found.classes == ("B", "a", "b")
        names = [path.relative_to(tmp_path).as_posix() for path in found.paths]
        assert list(zip(names, found.labels, strict=True)) == [
            ("B/y.jpg", 0),
            ("a/x.jpeg", 1),
            ("b/2.jpg", 2),
            ("b/deep/er/1.PNG", 2),
        ]
        assert len(found) == 4

    def test_known_classes_keep_their_numbers(self, tmp_path):
        touch(tmp_path, "b/1.jpg", "d/1.jpg")
        found = find_classes(tmp_path, ["d", "a", "b"])
        assert found.classes == ("d", "a", "b")
        assert found.labels == (2, 0)

    @pytest.mark.parametrize(
        ("names", "words"),
        [
            ((), "no sub-folders"),
            (("1.jpg",), "no sub-folders"),
            (("a/1.jpg",), "at least 2 classes are needed, but .* holds one: a"),
            (("a/1.jpg", "b/1.txt"), r"b holds no images: add images"),
            (("train/a/1.jpg", "val/a/1.jpg"), r"parts of a data set \(train, val\)"),
        ],
    )
    def test_folders_without_classes_are_refused_with_a_reason(self, tmp_path, names, words):
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            find_classes(touch(tmp_path, *names))

    def test_unknown_classes_and_missing_folders_are_named(self, tmp_path):
        touch(tmp_path, "cat/1.jpg", "doge/1.jpg")
        with pytest.raises(ValueError, match=r"doge is not one of the 3 known classes\. Did you mean 'dog'\?"):
            find_classes(tmp_path, ["cat", "dog", "eel"])
        with pytest.raises(FileNotFoundError, match="no folder"):
            find_classes(tmp_path / "none")

    def test_some_are_spread_over_all_classes(self, folder):
        found = find_classes(folder)
        assert found.spread(None) is found
        assert found.spread(15) is found
        assert found.spread(3).labels == (0, 1, 2)
        assert found.spread(6).labels == (0, 0, 1, 1, 2, 2)


class TestSplit:
    def test_each_class_is_split_by_names_and_seed_alone(self, tmp_path):
        folders = [write_textures(tmp_path / name, count=10) for name in ("one", "two")]
        names = []
        for folder in folders:
            learned, held = split_classes(find_classes(folder), folder, 0.3, 7)
            assert [held.labels.count(label) for label in range(3)] == [3, 3, 3]
            assert {*learned.paths}.isdisjoint(held.paths)
            assert sorted([*learned.paths, *held.paths]) == sorted(find_classes(folder).paths)
            assert all(path.parent.name == held.classes[label] for path, label in zip(held.paths, held.labels))  # noqa: B905
            names.append([path.relative_to(folder) for path in held.paths])
        assert names[0] == names[1]
        assert split_classes(find_classes(folder), folder, 0.3, 8)[1].paths != held.paths

    @pytest.mark.parametrize("share", [0.001, 0.999])
    def test_both_sides_have_some_of_each_class(self, folder, share):
        sides = split_classes(find_classes(folder), folder, share, 0)
        assert all({*side.labels} == {0, 1, 2} for side in sides)

    def test_no_file_is_on_both_sides_under_another_name(self, tmp_path):
        folder = write_textures(tmp_path, count=6)
        for name in ("coarse", "fine", "middle"):
            for number in range(6):
                (folder / name / f"copy{number}.jpg").write_bytes((folder / name / f"{number}.jpg").read_bytes())
        learned, held = split_classes(find_classes(folder), folder, 0.5, 0)
        assert {path.read_bytes() for path in learned.paths}.isdisjoint(path.read_bytes() for path in held.paths)
        assert len(learned) + len(held) == 36
        assert len(held) > 0

    def test_a_class_of_one_picture_cannot_be_split(self, tmp_path):
        touch(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.jpg")
        with pytest.raises(ValueError, match="a holds one image"):
            split_classes(find_classes(tmp_path), tmp_path, 0.5, 0)


class TestSamples:
    def test_a_number_decides_everything_about_a_sample(self, folder):
        pictures = find_classes(folder)
        data = ClassificationTrainingSet(pictures, CUBES, seed=4, scale=(0.2, 1.0))
        for number in (0, 3, 14, 15, 16, 1000):
            sample = data[number]
            index = shuffled(number, 15, 4)
            draw = Augmentation(np.random.default_rng([4, number, 1]), (0.2, 1.0))
            assert torch.equal(sample["input"], CUBES.prepare(pictures.paths[index], draw))
            assert (sample["label"], sample["name"]) == (pictures.labels[index], str(pictures.paths[index]))
            assert (sample["number"], sample["problem"]) == (number, "")
        assert not torch.equal(data[0]["input"], ClassificationTrainingSet(pictures, CUBES, seed=5)[0]["input"])

    def test_an_epoch_has_each_picture_once(self, folder):
        data = ClassificationTrainingSet(find_classes(folder), CUBES, seed=1)
        assert len({data[number]["name"] for number in range(15, 30)}) == len(data) == 15

    def test_loaders_make_batches_that_workers_do_not_change(self, folder):
        data = ClassificationTrainingSet(find_classes(folder), CUBES, seed=1)
        batches = [list(DataLoader(data, 5, num_workers=workers)) for workers in (0, 2)]
        for one, other in zip(*batches, strict=True):
            assert one["input"].shape == (5, 6, 8, 8)
            assert one["label"].dtype == torch.int64
            assert torch.equal(one["input"], other["input"])
            assert one["name"] == other["name"]

    def test_centers_are_in_order_and_end(self, folder):
        pictures = find_classes(folder)
        samples = list(ClassificationValidationSet(pictures, CUBES))
        assert [sample["name"] for sample in samples] == [str(path) for path in pictures.paths]
        assert tuple(sample["label"] for sample in samples) == pictures.labels
        assert torch.equal(samples[7]["input"], CUBES.prepare(pictures.paths[7]))

    def test_a_bad_file_is_said_in_its_sample(self, spoiled):
        pictures = find_classes(spoiled)
        number = next(number for number in range(6) if shuffled(number, 6, 0) == 4)
        for sample in (
            ClassificationTrainingSet(pictures, CUBES, seed=0)[number],
            ClassificationValidationSet(pictures, CUBES)[4],
        ):
            assert re.search(r"1\.jpg is a JPEG file that is incomplete", sample["problem"])
            assert sample["label"] == UNKNOWN
            assert sample["input"].shape == CUBES.input_shape
            assert not sample["input"].any()

    def test_a_bad_file_is_replaced_by_the_next_where_bad_ones_are_skipped(self, spoiled):
        pictures = find_classes(spoiled)
        data = ClassificationTrainingSet(pictures, CUBES, seed=0, skip_bad=True)
        number = next(number for number in range(6) if shuffled(number, 6, 0) == 4)
        sample = data[number]
        assert sample["name"] == str(pictures.paths[5])
        assert sample["label"] == pictures.labels[5]
        assert "1.jpg" in sample["problem"]
        assert sample["input"].any()
        assert sum(bool(data[other]["problem"]) for other in range(6)) == 1

    def test_a_file_that_is_gone_is_bad_and_all_bad_files_are_an_error(self, tmp_path):
        gone = LabeledImages(("a", "b"), (tmp_path / "a.jpg", tmp_path / "b.jpg"), (0, 1))
        assert "a.jpg" in ClassificationValidationSet(gone, CUBES)[0]["problem"]
        with pytest.raises(ImageError, match="none of 2 images can be used"):
            ClassificationTrainingSet(gone, CUBES, seed=0, skip_bad=True)[0]
