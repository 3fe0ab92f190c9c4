import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "restoration"))
import unseen

from passband.io.image import write_image


def picture(seed: int, height: int = 24, width: int = 36) -> torch.Tensor:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width))
    return torch.from_numpy(pixels.astype(np.float32)) / 255


@pytest.fixture
def pairs(tmp_path):
    folder = tmp_path / "pairs"
    for number in range(11):
        write_image(folder / "degraded" / f"{number:02}.png", picture(number))
        write_image(folder / "clean" / f"{number:02}.png", picture(number + 100))
    return folder


def options(**changes) -> Namespace:
    return Namespace(**{"hold_out": 1, "learned": [], "limit": None, "longest": None, "crop": None, **changes})


def test_a_fifth_is_held_out_by_name_from_the_first(pairs):
    names = [item.name for item in unseen.pair_items(pairs, options(hold_out=5))]
    assert names == ["00", "05", "10"]


def test_a_held_out_pair_whose_clean_image_another_pair_shares_is_left_out(pairs, tmp_path):
    write_image(pairs / "clean" / "06.png", picture(105))
    assert [item.name for item in unseen.pair_items(pairs, options(hold_out=5))] == ["00", "10"]
    for name, clean in (("a", 1), ("b", 2), ("c", 3), ("d", 1)):
        write_image(tmp_path / "both" / f"{name}.png", torch.cat([picture(clean), picture(ord(name))], dim=-1))
    assert [item.name for item in unseen.side_by_side_items(tmp_path / "both", options(hold_out=2))] == ["c"]
    write_image(tmp_path / "photos" / "x.png", picture(2))
    for crop in (None, 8):  # whole images tell which are alike
        found = unseen.side_by_side_items(tmp_path / "both", options(learned=[tmp_path / "photos"], crop=crop))
        assert [item.name for item in found] == ["a", "c", "d"]
    with pytest.raises(ValueError, match="none of 11 pairs is left to score"):
        unseen.pair_items(pairs, options(learned=[pairs / "clean"]))


def test_a_limit_takes_pairs_evenly_apart(pairs):
    names = [item.name for item in unseen.pair_items(pairs, options(limit=3))]
    assert names == ["00", "03", "07"]


def test_the_left_half_is_clean_and_the_right_half_degraded(tmp_path):
    clean, degraded = picture(1), picture(2)
    write_image(tmp_path / "a.png", torch.cat([clean, degraded], dim=-1))
    (item,) = unseen.side_by_side_items(tmp_path, options())
    found = item.read()
    torch.testing.assert_close(found[0], degraded)
    torch.testing.assert_close(found[1], clean)


def test_both_of_a_large_pair_are_reduced_alike(pairs):
    item = unseen.pair_items(pairs, options(longest=18))[0]
    assert [tuple(one.shape) for one in item.read()] == [(3, 12, 18), (3, 12, 18)]


def test_the_middle_of_both_of_a_pair_is_cut_out(pairs):
    item = unseen.pair_items(pairs, options(crop=16))[0]
    torch.testing.assert_close(item.read()[0], picture(0)[:, 4:20, 10:26])


def test_a_network_that_changes_nothing_gains_nothing_on_any_set(
    tmp_path, pairs, identity_weights, monkeypatch, capsys
):
    photographs, scene = tmp_path / "photographs", tmp_path / "depth" / "Room"
    for number in range(2):
        write_image(photographs / f"{number}.png", picture(number, 40, 48))
    write_image(scene / "view1.png", picture(3))
    write_image(scene / "disp1.png", torch.full((3, 24, 36), 0.5))
    both = tmp_path / "both"
    write_image(both / "a.png", picture(4, 24, 72))
    output = tmp_path / "figures.json"
    arguments = [
        "unseen.py", str(pairs), "--side-by-side", str(both), "--generators", str(photographs), "--depth",
        str(scene.parent), "--only", "--weights", f"same={identity_weights}", "--hold-out", "5", "--crop", "32", "-o",
        str(output),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    unseen.main()
    sets = json.loads(output.read_text())["sets"]
    assert sets["pairs"]["n"] == 3
    assert {f"second {kind}" for kind in (*unseen.SECOND, unseen.DEPTH)} < set(sets)
    assert {f"trained {kind}" for kind in unseen.KINDS if kind in unseen.SECOND} < set(sets)
    for title, found in sets.items():
        row = found["networks"]["same"]
        if title == "clean":
            assert row["least"] == unseen.MOST
        else:
            assert row["gain"] == pytest.approx(0, abs=1e-4)
            assert row["psnr"] == pytest.approx(found["psnr"], abs=1e-4)
    assert "gain in dB on the generator learned from" in capsys.readouterr().out
