import math

import pytest
import torch

from passband.data.datasets.inspection import (
    InspectionFiles,
    InspectionImages,
    InspectionImageSettings,
    InspectionSet,
    kinds_of,
)
from passband.data.degradations import KINDS
from passband.data.gains import GainTable, GainTableError, read_gains
from passband.data.splits import is_held_out
from passband.io.image import read_image
from tests.inspecting import photographs

EQUAL = dict.fromkeys(KINDS, 1.0)


def pictures(folder, seed=3, **making):
    making = InspectionImageSettings(**{"degradations": EQUAL, "crop": 64, "zoom": 1.3, **making})
    return InspectionImages([InspectionFiles(sorted(folder.iterdir()))], making, seed)


def test_a_picture_is_decided_by_seed_and_number_alone(tmp_path):
    make = pictures(photographs(tmp_path))
    one, again, other = make(4), pictures(tmp_path)(4), pictures(tmp_path, seed=4)(4)
    assert (one.content, one.kind, one.psnr()) == (again.content, again.kind, again.psnr())
    assert one.content != other.content


def test_clean_pictures_are_compressed_like_the_others_and_differ_by_nothing_else(tmp_path):
    make = pictures(photographs(tmp_path), clean=0.5, camera=0.0, reduced=0.0)
    made = [make(number) for number in range(60)]
    for kind in (True, False):
        some = [one for one in made if (one.kind == "clean") == kind]
        assert 15 < len(some) < 45
        stored = [one.content.startswith(b"\xff\xd8") for one in some]
        assert 0.5 < sum(stored) / len(stored) < 0.95
    for one in made:
        if one.kind == "clean" and not one.content.startswith(b"\xff\xd8"):
            torch.testing.assert_close(read_image(one.content), one.clean, atol=0.5001 / 255, rtol=0)
            assert one.psnr() > 50


def test_held_out_pictures_are_of_photographs_that_no_other_picture_takes(tmp_path):
    make = pictures(photographs(tmp_path, 20))
    seen = {True: set(), False: set()}
    make.read, read = lambda path: seen[held].add(path) or read(path), make.read
    for number in range(60):
        held = is_held_out(number)
        make(number)
    assert len(seen[True]) > 0
    assert not seen[True] & seen[False]


def test_samples_say_what_is_wrong_and_mirror_only_while_training(tmp_path):
    make = pictures(photographs(tmp_path))
    table = GainTable(("general", "derain-small"), "all", {0: (1.0, math.nan), 1: (2.0, 3.0)})
    fixed = InspectionSet(make, [0, 1, 2], table, ["derain-small", "general"], training=False)
    assert [fixed[place]["kind"] for place in range(3)] == [make(number).kind for number in range(3)]
    assert fixed[1]["gains"].tolist() == [3.0, 2.0]
    assert fixed[0]["gains"].isnan().tolist() == [True, False]
    assert fixed[2]["gains"].isnan().all()
    assert fixed[2]["psnr"].item() == pytest.approx(make(2).psnr())
    with pytest.raises(IndexError, match="3 images"):
        fixed[3]
    training = InspectionSet(make, [0, 1, 2], table, ["general"], training=True)
    numbers = [training[place]["number"] for place in range(9)]
    assert sorted(numbers[:3]) == sorted(numbers[3:6]) == [0, 1, 2]
    mirrored = [
        not torch.equal(training[place]["windows"], fixed[number]["windows"]) for place, number in enumerate(numbers)
    ]
    assert 0 < sum(mirrored) < 9


def test_a_mixture_has_both_kinds():
    for kind, parts in (("rain+haze", {"rain", "haze"}), ("clean", {"clean"})):
        present = zip((*KINDS, "clean"), kinds_of(kind).tolist(), strict=True)
        assert {name for name, value in present if value == 1} == parts


def test_a_damaged_photograph_is_told_or_passed_over(tmp_path):
    photographs(tmp_path, 3)
    (tmp_path / "01.png").write_bytes(b"damaged")
    make = pictures(tmp_path)
    told = InspectionSet(make, range(9), None, [], training=False)
    problems = [bool(told[place]["problem"]) for place in range(9)]
    assert 0 < sum(problems) < 9
    passing = InspectionSet(make, range(9), None, [], training=False, skip_bad=True)
    bad = problems.index(True)
    assert "01.png" in passing[bad]["problem"]
    assert passing[bad]["windows"].any()


def test_unknown_kinds_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'rain'"):
        pictures(photographs(tmp_path, 1), degradations={"rian": 1.0})


def test_a_table_of_gains_comes_back_and_is_refused_for_other_pictures(tmp_path):
    path = tmp_path / "gains.npz"
    GainTable(("general", "derain-small"), "these", {3: (1.5, math.nan), 0: (-0.5, 2.0)}).write(path)
    table = read_gains(path, "these")
    assert table.networks == ("general", "derain-small")
    assert table.gains(0, ["derain-small", "other"]) == [2.0, pytest.approx(math.nan, nan_ok=True)]
    assert table.gains(3, ["general"]) == [1.5]
    with pytest.raises(GainTableError, match="the recipe needs gains on images made with"):
        read_gains(path, "those")
    with pytest.raises(GainTableError, match=r"gain_table\.py"):
        read_gains(tmp_path / "none.npz", "these")
    for damaged in (b"nothing", b"", path.read_bytes()[:100]):
        path.write_bytes(damaged)
        with pytest.raises(GainTableError, match="make it again"):
            read_gains(path, "these")
