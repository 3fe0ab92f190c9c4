import csv
import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from passband.comparison import ContestantError, compare, compare_images, contestants, image_scores, restoration_report
from passband.comparison import restoration as room
from passband.comparison.contestants import named_contestants
from passband.comparison.decoded import FOLDER, DecodedImages
from passband.comparison.labels import distinct_labels, labeled
from passband.data.degradations import degrade_files
from passband.evaluation import evaluate
from passband.io.failures import WriteError
from passband.io.image import read_image, write_image
from passband.models import SFNet
from passband.state_dicts import CheckpointError


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory):
    """Weights of another tiny network."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("other") / "other"
    SFNet(width=16, depth=1).save_pretrained(folder)
    return folder


@pytest.fixture
def count_macs():
    """The function that counts multiply-accumulates, which takes a second for each network."""
    return contestants._macs_per_megapixel


@pytest.fixture(autouse=True)
def without_slow_parts(count_macs, request, monkeypatch):
    """Count nothing, and draw charts only in the test that looks for them."""
    if request.node.name != "test_figures_equal_those_of_evaluate_and_every_file_is_written":
        monkeypatch.setattr(restoration_report, "save_charts", lambda *_: None)
    monkeypatch.setattr(contestants, "_macs_per_megapixel", lambda *_: 1)


@pytest.fixture
def pairs(photographs, tmp_path):
    list(degrade_files(photographs, tmp_path / "pairs", "rain", seed=5))
    return tmp_path / "pairs"


@pytest.fixture
def finished(pairs, tmp_path):
    """A folder of finished images: the degraded ones, a little darker."""
    for path in (pairs / "degraded").glob("*.png"):
        write_image(tmp_path / "finished" / path.name, 0.9 * read_image(path))
    return tmp_path / "finished"


@pytest.fixture
def reads(monkeypatch):
    """The numbers of decodes of each file, by path."""
    from passband.data.datasets import crops
    from passband.evaluation import pair_scores

    counts = {}

    def counted(path):
        counts[str(path)] = counts.get(str(path), 0) + 1
        return read_image(path)

    monkeypatch.setattr(pair_scores, "read_pair", lambda pair: crops.read_pair(pair, counted))
    monkeypatch.setattr(contestants, "read_image", counted)
    return counts


def test_figures_equal_those_of_evaluate_and_every_file_is_written(pairs, tiny_weights, other_weights, tmp_path):
    names = {"tiny": tiny_weights, "other": other_weights}
    result = compare(names, pairs, tmp_path / "out", metrics=["psnr-hvs"], device="cpu")
    assert [one["label"] for one in result["contestants"]] == ["tiny", "other"]
    for one in result["contestants"]:
        alone = evaluate(names[one["label"]], pairs, tmp_path / one["label"], device="cpu")
        for name in ("psnr", "ssim"):
            assert one["mean"][name] == pytest.approx(alone["mean"][name])
            assert result["degraded"]["mean"][name] == pytest.approx(alone["mean"][f"{name}_degraded"])
        assert one["sha256"] == alone["weights_sha256"]
        assert one["parameters"] == sum(value.numel() for value in SFNet(width=16, depth=1).parameters())
        assert one["seconds_per_image"] > 0
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["differences"] == result["differences"]
    (psnr,) = [row for row in result["differences"] if row["figure"] == "psnr"]
    ours, theirs = (one["mean"]["psnr"] for one in result["contestants"])
    assert psnr["mean"] == pytest.approx(ours - theirs)
    assert psnr["wins"] + psnr["losses"] + psnr["ties"] == 4
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4 * 3
    assert {"name", "contestant", "psnr", "ssim", "psnr-hvs", "seconds"} <= set(table[0])
    for label in ("tiny", "other"):  # Parseval: the bands add up to the change of the mean squared error
        parts = {part: sum(values) for part, values in result["spectrum"][label].items()}
        before = sum(result["spectrum"]["degraded"]["before"])
        assert before - parts["after"] == pytest.approx(parts["restored"] - parts["lost"] - parts["invented"])
    for name in ("report.md", "report.html", "differences.png", "differences.svg", "spectrum.svg", "contacts.png"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert not (tmp_path / "out" / FOLDER).exists()


def test_each_image_is_decoded_once_however_many_contestants(
    pairs, finished, tiny_weights, other_weights, reads, tmp_path
):
    compare_images([tiny_weights, other_weights, finished], pairs, tmp_path / "out", device="cpu")
    files = [*(pairs / "degraded").glob("*.png"), *(pairs / "clean").glob("*.png"), *finished.glob("*.png")]
    assert reads == {str(path): 1 for path in files}


def test_one_network_is_in_memory_at_a_time(pairs, tiny_weights, other_weights, tmp_path, monkeypatch):
    import gc
    import weakref

    alive = weakref.WeakSet()
    most = []

    class Counted(room.NetworkContestant):
        def __init__(self, *arguments):
            gc.collect()
            super().__init__(*arguments)
            alive.add(self._restorer.network().model)
            most.append(len(alive))

    for module in (room, image_scores):
        monkeypatch.setattr(module, "NetworkContestant", Counted)
    compare_images([tiny_weights, other_weights], pairs, tmp_path / "out", device="cpu")
    assert len(most) == 6  # a check, the scores, and the contact sheet of each
    assert max(most) == 1


def test_a_folder_of_finished_images_scores_as_its_files_do(pairs, finished, tiny_weights, tmp_path):
    result = compare_images([tiny_weights, f"dark={finished}"], pairs, tmp_path / "out", device="cpu")
    dark = result["contestants"][1]
    assert (dark["label"], dark["kind"], dark["parameters"], dark["seconds_per_image"]) == (
        "dark",
        "images",
        None,
        None,
    )
    scores = [
        room.PROTOCOLS["rgb"](read_image(path)[None], read_image(pairs / "clean" / path.name)[None])[0].item()
        for path in finished.glob("*.png")
    ]
    assert dark["mean"]["psnr"] == pytest.approx(sum(scores) / 4)
    assert "unknown" in (tmp_path / "out" / "report.md").read_text()


def test_finished_images_that_match_no_pair_are_named_and_missing_ones_are_an_error(
    pairs, finished, tiny_weights, tmp_path
):
    write_image(finished / "holiday.png", torch.rand(3, 8, 8))
    result = compare_images([tiny_weights, finished], pairs, tmp_path / "out", device="cpu")
    assert "finished holds 1 image without a pair, which the comparison does not use: holiday.png." in result["notes"]
    (finished / "2.png").unlink()
    with pytest.raises(ContestantError, match=r"1 of 4 pairs have none: 2\. It holds 1 image without a pair: holi"):
        compare_images([tiny_weights, finished], pairs, tmp_path / "out", device="cpu")


def test_a_finished_image_of_another_size_is_left_out_for_all(pairs, finished, tiny_weights, tmp_path):
    write_image(finished / "2.png", torch.rand(3, 8, 8))
    result = compare_images([tiny_weights, finished], pairs, tmp_path / "out", device="cpu")
    (failed,) = result["failed"]
    assert failed["name"] == "2"
    assert "finished: a finished image must have the size of its pair, 56x48, but" in failed["reason"]
    assert {row["name"] for row in result["images"]} == {"0", "1", "3"}
    assert result["notes"][1].startswith("1 of 4 pairs are left out for all contestants")


def test_a_contestant_that_fails_on_all_images_is_an_error(pairs, finished, tiny_weights, tmp_path):
    for path in finished.glob("*.png"):
        write_image(path, torch.rand(3, 8, 8))
    with pytest.raises(ContestantError, match="finished fails on all images"):
        compare_images([tiny_weights, finished], pairs, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out" / FOLDER).exists()


def test_a_damaged_pair_is_left_out_and_the_others_are_compared(pairs, tiny_weights, other_weights, tmp_path):
    path = pairs / "degraded" / "1.png"
    path.write_bytes(path.read_bytes()[:-300])
    shown = []
    names = [tiny_weights, other_weights]
    result = compare_images(names, pairs, tmp_path / "out", device="cpu", report=lambda row, _: shown.append(row))
    assert [one["name"] for one in result["failed"]] == ["1"]
    assert sum("reason" in row for row in shown) == 3
    assert len(shown) == 4 * 3


def test_equal_weights_are_noted_and_tie_everywhere(pairs, tiny_weights, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_weights, copy)
    result = compare_images([f"one={tiny_weights}", copy], pairs, tmp_path / "out", device="cpu", against="degraded")
    assert "one and copy have the same weights." in result["notes"]
    assert {(row["first"], row["second"]) for row in result["differences"]} == {
        ("one", "degraded"),
        ("copy", "degraded"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"protocol": "rbg"}, "unknown protocol 'rbg'"),
        ({"metrics": ["psnr-hvz"]}, "unknown metric 'psnr-hvz'"),
        ({"against": "nobody"}, "--against names a contestant"),
    ],
)
def test_unknown_names_are_refused_before_any_work(arguments, message, pairs, tiny_weights, reads, tmp_path):
    with pytest.raises(ValueError, match=message):
        compare_images([f"a={tiny_weights}", f"b={tiny_weights}"], pairs, tmp_path / "out", **arguments)
    assert not reads
    assert not (tmp_path / "out").exists()


def test_data_without_pairs_are_refused(tiny_weights, photographs, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no pairs of images"):
        compare_images([f"a={tiny_weights}", f"b={tiny_weights}"], photographs, tmp_path / "out")


def test_a_network_in_memory_is_refused_with_the_way_to_compare_it(unchecked):
    for sources in (["general", torch.nn.Linear(1, 1)], {"general": "general", "mine": torch.nn.Linear(1, 1)}):
        with pytest.raises(TypeError, match=r"got a Linear\. .*by a folder of images that it restored"):
            named_contestants(sources)


def test_sources_that_cannot_take_part_are_refused(tiny_weights, tmp_path):
    with pytest.raises(ContestantError, match="at least two contestants, and 1 is given"):
        named_contestants([tiny_weights])
    with pytest.raises(ContestantError, match="at least two contestants, and 1 is given"):
        named_contestants("general")
    with pytest.raises(ContestantError, match="general is given twice"):
        named_contestants(["general", "general"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContestantError, match=r"empty holds neither weights nor images"):
        named_contestants(["general", tmp_path / "empty"])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is a run that has no weights yet"):
        named_contestants(["general", tmp_path / "run"])


def test_labels_are_distinct():
    assert distinct_labels([(None, "general"), (None, "runs/a/best"), (None, "runs/b/best")]) == [
        "general",
        "a/best",
        "b/best",
    ]
    assert distinct_labels([("mine", "x"), (None, "y/degraded")]) == ["mine", "y/degraded"]
    assert labeled("mine=runs/a") == ("mine", "runs/a")
    assert labeled("runs/lr=1/best") == (None, "runs/lr=1/best")
    with pytest.raises(ContestantError, match="'clean' stands for images of the pairs"):
        distinct_labels([("clean", "x"), (None, "y")])
    with pytest.raises(ContestantError, match="'a' is given twice"):
        distinct_labels([("a", "x"), ("a", "y")])
    with pytest.raises(ContestantError, match="a needs a label, because its name is taken"):
        distinct_labels([("a", "x"), (None, "a")])


@pytest.mark.parametrize("top", [255, 65535, None])
def test_stored_images_come_back_to_the_last_bit(top, tmp_path):
    image = torch.rand(1, 3, 7, 5)
    if top:
        image = (image * top).round() / top
    with DecodedImages(tmp_path) as decoded:
        decoded.write("a", image)
        size = (tmp_path / FOLDER / "a").stat().st_size
        assert torch.equal(decoded.read("a"), image)
    assert size == image.numel() * {255: 1, 65535: 2, None: 4}[top]


def test_a_full_disk_is_said_before_any_work(tmp_path):
    with pytest.raises(WriteError, match=r"the decoded images need 1,000,000\.0 MB"), DecodedImages(tmp_path, 10**12):
        pass
    assert not (tmp_path / FOLDER).exists()


def test_a_disk_that_becomes_full_is_named_and_the_images_are_removed(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WriteError, match="no space left in .*; free some space"), DecodedImages(tmp_path) as decoded:
        decoded.write("a", torch.rand(1, 3, 7, 5))
    assert not (tmp_path / FOLDER).exists()


def test_multiply_accumulates_are_those_of_a_megapixel(count_macs):
    convolution = torch.nn.Conv2d(3, 5, 3, padding=1)
    assert count_macs([convolution], 3) == 1_000_000 * 3 * 5 * 9
    assert count_macs([convolution, torch.nn.Conv2d(3, 2, 1)], 3) == 1_000_000 * (3 * 5 * 9 + 3 * 2)
    assert count_macs([convolution, torch.nn.Linear(7, 7)], 3) is None


def test_own_tiles_are_not_called_too_large(pairs, identity_weights, tmp_path):
    SFNet(width=16, depth=1, tile=64).save_pretrained(tmp_path / "tiled")
    result = compare([tmp_path / "tiled", identity_weights], pairs, tmp_path / "out", device="cpu")
    assert not any("too large" in note for note in result["notes"])
