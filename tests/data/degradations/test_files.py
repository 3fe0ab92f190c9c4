from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from passband.data.degradations import KINDS, degrade, degrade_files
from passband.data.pairs import find_pairs
from passband.io.image import ImageError

NAMES = ["b.png", "a.png", "scene/one/a.png", "scene/c.bmp"]


def pixels_of(path):
    return np.array(Image.open(path).convert("RGB"))


def files_below(folder):
    """Path below the folder to bytes, of all files in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


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


def test_the_tree_is_kept_and_the_folders_are_pairs(tmp_path, photographs):
    output = tmp_path / "pairs"
    told = list(degrade_files(photographs, output, "rain"))
    names = [name.replace(".bmp", ".png") for name in NAMES]
    assert set(files_below(output)) == {f"{part}/{name}" for part in ("degraded", "clean") for name in names}
    pairs = find_pairs(output)
    assert sorted(told) == [(pair.degraded, len(NAMES)) for pair in pairs]
    assert all(pair.clean == output / "clean" / pair.degraded.relative_to(output / "degraded") for pair in pairs)


def test_a_pair_is_told_of_once_it_is_written(tmp_path, photographs):
    for number, (path, _) in enumerate(degrade_files(photographs, tmp_path / "pairs", "rain"), start=1):
        assert path.is_file()
        assert len(files_below(tmp_path / "pairs")) == 2 * number


def test_one_seed_gives_the_same_bytes_and_another_gives_others(tmp_path, photographs):
    for name, seed in (("first", 4), ("again", 4), ("other", 5)):
        list(degrade_files(photographs, tmp_path / name, "snow", seed=seed))
    first, again, other = (files_below(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert all((first[name] == other[name]) == name.startswith("clean") for name in first)


def test_a_second_run_into_the_source_makes_the_same_pairs_and_no_pairs_of_pairs(tmp_path, photographs):
    for output in (photographs, photographs / "pairs"):
        list(degrade_files(photographs, output, "rain"))
        before = files_below(photographs)
        assert len(list(degrade_files(photographs, output, "rain"))) == len(list(output.glob("clean/**/*.png")))
        assert files_below(photographs) == before


@pytest.mark.parametrize("part", ["degraded", "clean"])
def test_a_source_is_never_written_over(tmp_path, photographs, part, monkeypatch):
    source = photographs.rename(tmp_path / part)
    before = files_below(tmp_path)
    monkeypatch.chdir(tmp_path)
    for given in (source, source / "a.png", Path(part)):
        with pytest.raises(ValueError, match="would be replaced: choose another output"):
            list(degrade_files(given, tmp_path, "rain"))
    assert files_below(tmp_path) == before


def test_one_picture_alone_is_a_set_of_one(tmp_path, photographs):
    output = tmp_path / "pairs"
    source = photographs / "scene" / "one" / "a.png"
    assert list(degrade_files(source, output, "haze", seed=2)) == [(output / "degraded" / "a.png", 1)]
    list(degrade_files(source.parent, tmp_path / "folder", "haze", seed=2))
    assert files_below(output) == files_below(tmp_path / "folder")


def test_an_unknown_kind_is_refused_naming_the_nearest_and_writes_nothing(tmp_path, photographs):
    with pytest.raises(ValueError, match="got 'snwo'; did you mean 'snow'"):
        list(degrade_files(photographs, tmp_path / "pairs", "snwo"))
    assert not (tmp_path / "pairs").exists()


def test_pictures_that_would_get_one_name_are_refused_and_write_nothing(tmp_path, photographs):
    Image.fromarray(pixels_of(photographs / "a.png")).save(photographs / "a.jpg")
    with pytest.raises(ValueError, match=r"differ by suffix alone would become one pair: \S*/a\.jpg, \S*/a\.png$"):
        list(degrade_files(photographs, tmp_path / "pairs", "rain"))
    assert not (tmp_path / "pairs").exists()


def test_an_empty_and_a_missing_folder_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match="holds no pictures"):
        list(degrade_files(tmp_path, tmp_path / "pairs", "rain"))
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        list(degrade_files(tmp_path / "nowhere", tmp_path / "pairs", "rain"))
    assert not (tmp_path / "pairs").exists()


def test_a_damaged_picture_is_named_and_the_pairs_before_it_stay_whole(tmp_path, photographs):
    (photographs / "b.png").write_bytes((photographs / "b.png").read_bytes()[:200])
    with pytest.raises(ImageError, match=r"b\.png"):
        list(degrade_files(photographs, tmp_path / "pairs", "rain"))
    assert [pair.name for pair in find_pairs(tmp_path / "pairs")] == ["a"]
