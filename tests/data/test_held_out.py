import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passband.data.pairs import Pair, find_pairs
from passband.data.scenes import shared_scenes
from passband.data.splits import split_pairs


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pairs_in(folder, names, clean_of=lambda name: name):
    """Pairs whose clean pictures hold the name of their scene, so that one scene is one content."""
    pairs = []
    for name in names:
        degraded = write(folder / "degraded" / f"{name}.png", b"degraded")
        clean = write(folder / "clean" / f"{name}.png", clean_of(name).encode())
        pairs.append(Pair(degraded, clean, name))
    return pairs


def names(pairs):
    return [pair.name for pair in pairs]


@given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 5))
def test_both_sides_have_some_together_they_are_all_and_the_share_is_kept(tmp_path_factory, count, share, seed):
    pairs = pairs_in(tmp_path_factory.mktemp("pairs"), [f"{number:02d}" for number in range(count)])
    training, held_out = split_pairs(pairs, share, seed)
    assert sorted(names(training) + names(held_out)) == names(pairs)
    assert len(held_out) == max(1, min(count - 1, round(share * count)))
    assert names(training) == sorted(names(training))


def test_names_and_seed_decide_not_the_place_nor_the_order(tmp_path):
    tags = [f"picture {number}" for number in range(20)]
    _, held_out = split_pairs(pairs_in(tmp_path / "a", tags), 0.2, 0)
    _, moved = split_pairs(pairs_in(tmp_path / "elsewhere" / "b", tags), 0.2, 0)
    _, turned = split_pairs(pairs_in(tmp_path / "a", tags)[::-1], 0.2, 0)
    assert names(moved) == names(held_out) == names(turned)[::-1]
    others = {tuple(names(split_pairs(pairs_in(tmp_path / "a", tags), 0.2, seed)[1])) for seed in range(5)}
    assert len(others) == 5


def test_a_clean_picture_with_several_degraded_ones_is_on_one_side(tmp_path):
    for scene in range(6):
        write(tmp_path / "hazy" / f"{scene}_1.png", b"a")
        write(tmp_path / "hazy" / f"{scene}_2.png", b"b")
        write(tmp_path / "gt" / f"{scene}.png", f"scene {scene}".encode())
    for seed in range(10):
        training, held_out = split_pairs(find_pairs(tmp_path), 0.3, seed)
        assert len(held_out) in (2, 4)
        assert not {pair.clean for pair in training} & {pair.clean for pair in held_out}


def test_copies_of_a_clean_picture_are_one_scene_and_others_of_its_size_are_not(tmp_path):
    pairs = pairs_in(tmp_path, ["a", "b", "c", "d", "e"], clean_of=lambda name: {"b": "a", "d": "a"}.get(name, name))
    for seed in range(10):
        training, held_out = split_pairs(pairs, 0.4, seed)
        sides = [{"a", "b", "d"} & set(names(side)) for side in (training, held_out)]
        assert {"a", "b", "d"} in sides
        assert held_out


def test_a_sub_folder_is_a_scene(tmp_path):
    tags = [f"{scene}/{frame}" for scene in ("one", "two", "three", "four") for frame in range(5)]
    for seed in range(5):
        training, held_out = split_pairs(pairs_in(tmp_path, tags), 0.25, seed)
        scenes = [{name.split("/")[0] for name in names(side)} for side in (training, held_out)]
        assert len(scenes[1]) == 1
        assert not scenes[0] & scenes[1]


def test_folders_of_the_same_scenes_are_split_by_scene(tmp_path):
    tags = [f"{kind}/{scene}" for kind in ("rain", "snow") for scene in range(5)]
    training, held_out = split_pairs(pairs_in(tmp_path, tags, lambda name: name.split("/")[1]), 0.2, 0)
    assert len(held_out) == 2
    assert len({name.split("/")[1] for name in names(held_out)}) == 1
    assert len(training) == 8


def test_too_few_pairs_or_scenes_are_said_so(tmp_path):
    with pytest.raises(ValueError, match="at least 2 pairs are needed, .*; got 1"):
        split_pairs(pairs_in(tmp_path / "a", ["a"]), 0.2, 0)
    with pytest.raises(ValueError, match="all 3 pairs have the same clean image"):
        split_pairs(pairs_in(tmp_path / "b", ["a", "b", "c"], lambda name: "same"), 0.2, 0)


def test_clean_pictures_on_both_sides_are_found_by_content(tmp_path):
    first = pairs_in(tmp_path / "a", ["a", "b"])
    second = pairs_in(tmp_path / "b", ["x", "y"])
    assert shared_scenes(first, second) == []
    shutil.copy(first[1].clean, second[0].clean)
    assert shared_scenes(first, second) == ["x"]
