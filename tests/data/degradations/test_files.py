import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from passband.data.degradations import KINDS, NEWEST, degrade, degrade_files
from passband.data.degradations import files as degradation_files
from passband.data.degradations.files import PARTS
from passband.data.pairs import find_pairs
from passband.io.image import ImageError

NAMES = ["b.png", "a.png", "scene/one/a.png", "scene/c.bmp"]


def pixels_of(path):
    return np.array(Image.open(path).convert("RGB"))


def files_below(folder):
    """Path below the folder to bytes, of all files in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def pictures_below(folder):
    """Those of `files_below` that are pictures."""
    return {name: content for name, content in files_below(folder).items() if not name.endswith(".json")}


@pytest.fixture
def photographs(tmp_path):
    """Four pieces of a photograph, of awkward sizes, in a tree."""
    folder = tmp_path / "photographs"
    for number, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.coffee()[50 * number : 50 * number + 31, 100 : 137 + number]).save(path)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_each_picture_becomes_a_pair_by_its_place_among_the_sorted_paths(tmp_path, photographs, kind):
    list(degrade_files(photographs, tmp_path / "pairs", kind, seed=9))
    for index, path in enumerate(sorted(path for path in photographs.rglob("*") if path.is_file())):
        name = path.relative_to(photographs).with_suffix(".png")
        clean = torch.from_numpy(pixels_of(path)).movedim(-1, 0) / 255
        expected = (degrade(clean, kind, seed=9, index=index) * 255).round().movedim(0, -1).numpy()
        assert np.array_equal(pixels_of(tmp_path / "pairs" / "clean" / name), pixels_of(path))
        assert np.array_equal(pixels_of(tmp_path / "pairs" / "degraded" / name), expected)


def test_an_interrupted_set_is_continued_by_the_same_set_alone(tmp_path, photographs, monkeypatch):
    write = degradation_files.write_image

    def interrupted(path, image):
        if path.parts[-3:] == ("clean", "scene", "c.png"):  # its degraded image is there
            raise KeyboardInterrupt
        write(path, image)

    monkeypatch.setattr(degradation_files, "write_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(degrade_files(photographs, tmp_path / "pairs", "rain"))
    monkeypatch.undo()
    assert set(pictures_below(tmp_path / "pairs")) == {
        f"{part}/{name}" for part in PARTS for name in ("a.png", "b.png")
    }
    with pytest.raises(FileExistsError, match="replace them with --overwrite"):
        list(degrade_files(photographs, tmp_path / "pairs", "rain", seed=1))
    for folder in ("pairs", "whole"):
        list(degrade_files(photographs, tmp_path / folder, "rain"))
    assert pictures_below(tmp_path / "pairs") == pictures_below(tmp_path / "whole")
    with pytest.raises(FileExistsError, match="replace them with --overwrite"):
        list(degrade_files(photographs, tmp_path / "pairs", "rain"))


def test_the_tree_is_kept_and_the_folders_are_pairs(tmp_path, photographs):
    output = tmp_path / "pairs"
    told = list(degrade_files(photographs, output, "rain"))
    names = [name.replace(".bmp", ".png") for name in NAMES]
    expected = {f"{part}/{name}" for part in ("degraded", "clean") for name in names}
    assert set(files_below(output)) == {"degradation.json", *expected}
    pairs = find_pairs(output)
    assert sorted(told) == [(pair.degraded, len(NAMES)) for pair in pairs]
    assert all(pair.clean == output / "clean" / pair.degraded.relative_to(output / "degraded") for pair in pairs)


def test_a_pair_is_told_of_once_it_is_written(tmp_path, photographs):
    for number, (path, _) in enumerate(degrade_files(photographs, tmp_path / "pairs", "rain"), start=1):
        assert path.is_file()
        assert len(pictures_below(tmp_path / "pairs")) == 2 * number


def test_one_seed_gives_the_same_bytes_and_another_gives_others(tmp_path, photographs):
    for name, seed in (("first", 4), ("again", 4), ("other", 5)):
        list(degrade_files(photographs, tmp_path / name, "snow", seed=seed))
    first, again, other = (pictures_below(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert all((first[name] == other[name]) == name.startswith("clean") for name in first)


def test_a_second_run_into_the_source_makes_the_same_pairs_and_no_pairs_of_pairs(tmp_path, photographs):
    for output in (photographs, photographs / "pairs"):
        list(degrade_files(photographs, output, "rain"))
        before = files_below(photographs)
        again = list(degrade_files(photographs, output, "rain", overwrite=True))
        assert len(again) == len(list(output.glob("clean/**/*.png")))
        assert files_below(photographs) == before


@pytest.mark.parametrize("part", ["degraded", "clean"])
def test_a_source_is_never_written_over(tmp_path, photographs, part, monkeypatch):
    source = photographs.rename(tmp_path / part)
    before = files_below(tmp_path)
    monkeypatch.chdir(tmp_path)
    for given in (source, source / "a.png", source / "scene" / "c.bmp", Path(part)):
        with pytest.raises(ValueError, match="choose another output"):
            list(degrade_files(given, tmp_path, "rain"))
    assert files_below(tmp_path) == before


def test_one_picture_alone_is_a_set_of_one(tmp_path, photographs):
    output = tmp_path / "pairs"
    source = photographs / "scene" / "one" / "a.png"
    assert list(degrade_files(source, output, "haze", seed=2)) == [(output / "degraded" / "a.png", 1)]
    list(degrade_files(source.parent, tmp_path / "folder", "haze", seed=2))
    assert pictures_below(output) == pictures_below(tmp_path / "folder")


def test_an_unknown_kind_is_refused_naming_the_nearest_and_writes_nothing(tmp_path, photographs):
    with pytest.raises(ValueError, match="got 'snwo'. Did you mean 'snow'"):
        list(degrade_files(photographs, tmp_path / "pairs", "snwo"))
    assert not (tmp_path / "pairs").exists()


def test_pictures_that_would_get_one_name_are_refused_and_write_nothing(tmp_path, photographs):
    Image.fromarray(pixels_of(photographs / "a.png")).save(photographs / "a.jpg")
    with pytest.raises(
        ValueError, match=r"differ only in the suffix would become one pair; rename them: \S*/a\.jpg, \S*/a\.png$"
    ):
        list(degrade_files(photographs, tmp_path / "pairs", "rain"))
    assert not (tmp_path / "pairs").exists()


def test_an_empty_and_a_missing_folder_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match="holds no images"):
        list(degrade_files(tmp_path, tmp_path / "pairs", "rain"))
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        list(degrade_files(tmp_path / "nowhere", tmp_path / "pairs", "rain"))
    assert not (tmp_path / "pairs").exists()


def test_a_damaged_picture_is_named_and_all_others_are_done_as_without_it(tmp_path, photographs):
    list(degrade_files(photographs, tmp_path / "whole", "rain"))
    (photographs / "b.png").write_bytes((photographs / "b.png").read_bytes()[:200])
    with pytest.raises(ImageError, match=r"^1 of 4 images cannot be used: .*b\.png"):
        list(degrade_files(photographs, tmp_path / "pairs", "rain"))
    told = []
    found = list(degrade_files(photographs, tmp_path / "told", "rain", failed=lambda path, _: told.append(path)))
    assert ([total for _, total in found], told) == ([4, 4, 4], [photographs / "b.png"])
    expected = {name: content for name, content in pictures_below(tmp_path / "whole").items() if "/b." not in name}
    assert pictures_below(tmp_path / "pairs") == pictures_below(tmp_path / "told") == expected
    about = json.loads((tmp_path / "told" / "degradation.json").read_text())
    assert list(about["failed"]) == ["b.png"]
    assert about["pairs"] == ["a.png", "scene/c.png", "scene/one/a.png"]


def test_a_set_says_what_it_was_made_with(tmp_path, photographs):
    list(degrade_files(photographs, tmp_path / "pairs", "haze", seed=7))
    about = json.loads((tmp_path / "pairs" / "degradation.json").read_text())
    assert {name: about[name] for name in ("kind", "seed", "version", "status", "failed")} == {
        "kind": "haze",
        "seed": 7,
        "version": NEWEST,
        "status": "finished",
        "failed": {},
    }


def test_a_set_is_replaced_only_where_that_is_asked_for_and_then_as_a_whole(tmp_path, photographs):
    output = tmp_path / "pairs"
    list(degrade_files(photographs, output, "rain", seed=3))
    (output / "clean" / "mine.png").write_bytes(b"mine")
    before = files_below(output)
    with pytest.raises(FileExistsError, match=r"already holds pairs of rain with the seed 3: choose .* --overwrite"):
        list(degrade_files(photographs, output, "snow"))
    assert files_below(output) == before
    (photographs / "b.png").unlink()
    list(degrade_files(photographs, output, "snow", overwrite=True))
    list(degrade_files(photographs, tmp_path / "fresh", "snow"))
    assert pictures_below(output) == {**pictures_below(tmp_path / "fresh"), "clean/mine.png": b"mine"}


def test_pairs_without_a_word_on_how_they_were_made_are_not_replaced_either(tmp_path, photographs):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "pairs" / "clean").mkdir(parents=True)
    (tmp_path / "a.png").rename(tmp_path / "pairs" / "clean" / "a.png")
    for damage in (None, "[]", '{"pairs": 3}', '{"kind": 1, "seed": 2, "pairs": ["../../../x.png", 3]}'):
        if damage is not None:
            (tmp_path / "pairs" / "degradation.json").write_text(damage)
        with pytest.raises(FileExistsError, match="already holds pairs"):
            list(degrade_files(photographs, tmp_path / "pairs", "snow"))
    list(degrade_files(photographs, tmp_path / "pairs", "snow", overwrite=True))
