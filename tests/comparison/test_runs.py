"""Comparisons of whole runs of several tasks, with made data and a step or two."""

import json
import math
import shutil

import pytest

from passband.comparison import ContestantError, compare, compare_runs, contestants, groups, run_scores, runs_report
from passband.comparison.groups import named_groups
from passband.config import parse_recipe
from passband.data.degradations import degrade_files
from passband.evaluation import classification_report, segmentation_report
from passband.runs import RunError
from passband.training import train
from tests.classifiers import write_textures
from tests.segmenters import save_segmenter, write_blobs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")


@pytest.fixture(autouse=True)
def without_charts(request, monkeypatch):
    """Draw charts only in the test that looks for them, and count nothing, because both take most of the time."""
    monkeypatch.setattr(contestants, "_macs_per_megapixel", lambda *_: 1)
    if request.node.name != "test_runs_are_paired_by_image_and_by_seed":
        for room in (runs_report, segmentation_report, classification_report):
            monkeypatch.setattr(room, "save_charts", lambda *_: None, raising=False)


def recipe(seed=0, rate=1e-3, **changes):
    content = {
        "name": "tiny",
        "task": "segmentation",
        "seed": seed,
        "model": {"arguments": {"width": 4, "depth": 2}},
        "data": {"size": 32, "batch": 2, "workers": 0},
        "optim": {"steps": 2, "learning_rate": rate},
        "validation": {"every": 1},
    }
    return parse_recipe({**content, **changes}, "test")


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    root = tmp_path_factory.mktemp("blobs")
    return {"data": write_blobs(root / "a", 4), "validation_data": write_blobs(root / "b", 3, seed=1), "device": "cpu"}


@pytest.fixture(scope="module")
def runs(blobs, tmp_path_factory):
    """Two folders with two runs each: slow and fast, with the seeds 0 and 1."""
    root = tmp_path_factory.mktemp("runs")
    for name, rate in (("slow", 1e-4), ("fast", 1e-2)):
        for seed in (0, 1):
            train(recipe(seed, rate), root / name / f"seed-{seed}", **blobs)
    return root


def test_runs_are_paired_by_image_and_by_seed(runs, tmp_path):
    result = compare([runs / "slow", runs / "fast"], None, tmp_path / "out", device="cpu")
    assert result["settings"] == {"optim.learning_rate": {"slow": 1e-4, "fast": 1e-2}}
    slow, fast = result["contestants"]
    assert [run["seed"] for run in slow["runs"]] == [0, 1]
    for row in result["differences"]:
        name = row["figure"]
        assert row["seeds"] == 2
        assert row["count"] == 3
        assert row["mean"] == pytest.approx(slow["mean"][name] - fast["mean"][name])
        for one, (first, second) in zip(row["by_seed"], zip(slow["runs"], fast["runs"], strict=True), strict=True):
            assert one["mean"] == pytest.approx(first["mean"][name] - second["mean"][name])
        assert row["low"] <= row["mean"] <= row["high"]
        assert row["low_over_seeds"] <= row["mean"] <= row["high_over_seeds"]
    assert len(result["images"]) == 2 * 2 * 3
    assert any(note.startswith("2 seeds are few") for note in result["notes"])
    report = (tmp_path / "out" / "report.md").read_text()
    assert "| `optim.learning_rate` | 0.0001 | 0.01 |" in report
    assert "## Differences, seed by seed" in report
    for name in ("report.html", "comparison.csv", "differences.png", "curves.png", "curves.svg"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    scored = json.loads((tmp_path / "out" / "runs" / "slow-0" / "evaluation.json").read_text())
    assert slow["runs"][0]["mean"]["foreground_dice"] == pytest.approx(scored["mean"]["foreground_dice"])


def test_two_runs_without_a_common_seed_are_paired_and_it_is_said(runs, tmp_path):
    result = compare_runs([runs / "slow" / "seed-0", runs / "fast" / "seed-1"], tmp_path / "out", device="cpu")
    assert [one["label"] for one in result["contestants"]] == ["seed-0", "seed-1"]
    (note,) = [note for note in result["notes"] if "no seed in common" in note]
    assert note.endswith("Their difference contains the difference of the seeds.")
    assert "Each difference is of one run each." in " ".join(result["notes"])
    assert result["settings"]["seeds"] == {"seed-0": "0", "seed-1": "1"}


def test_other_data_can_be_given_and_then_weights_need_no_run(runs, blobs, tmp_path):
    weights = save_segmenter(tmp_path / "theirs")
    run = runs / "fast" / "seed-0"
    result = compare([f"ours={run}", weights], blobs["data"], tmp_path / "out", device="cpu", protocol="binary")
    assert [one["label"] for one in result["contestants"]] == ["ours", "theirs"]
    assert result["contestants"][1]["runs"][0]["seed"] is None
    assert len(result["images"]) == 2 * 4
    with pytest.raises(ContestantError, match=r"theirs is not a run, and holds none, so nothing says which images"):
        compare([run, weights], None, tmp_path / "other", device="cpu")


def test_runs_that_were_validated_on_different_images_are_refused(runs, blobs, tmp_path):
    elsewhere = {**blobs, "validation_data": write_blobs(tmp_path / "c", 2, seed=2)}
    train(recipe(0), tmp_path / "run", **elsewhere)
    with pytest.raises(
        ContestantError, match=r"run and .*seed-0 were validated on different images in .*Give both the"
    ):
        compare_runs([tmp_path / "run", runs / "slow" / "seed-0"], tmp_path / "out", device="cpu")
    shutil.rmtree(tmp_path / "c")
    with pytest.raises(ContestantError, match=r"which are not there any more: give the folder of the test data with"):
        compare_runs([tmp_path / "run", runs / "slow" / "seed-0"], tmp_path / "out", device="cpu")


def test_groups_that_make_no_sense_are_refused(runs, tmp_path):
    with pytest.raises(ContestantError, match=r"holds runs that differ in more than the seed \(optim.learning_rate\)"):
        shutil.copytree(runs / "slow" / "seed-0", tmp_path / "mixed" / "a")
        shutil.copytree(runs / "fast" / "seed-1", tmp_path / "mixed" / "b")
        named_groups([runs / "slow", tmp_path / "mixed"])
    with pytest.raises(ContestantError, match=r"a and .*b have the same seed 0: move one of them elsewhere"):
        shutil.rmtree(tmp_path / "mixed" / "b")
        shutil.copytree(runs / "slow" / "seed-0", tmp_path / "mixed" / "b")
        named_groups([runs / "slow", tmp_path / "mixed"])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        named_groups([runs / "slow", tmp_path / "broken"])
    with pytest.raises(ContestantError, match="metrics is for restoration networks"):
        compare([runs / "slow", runs / "fast"], None, tmp_path / "out", metrics=["lpips"])


def test_classifiers_are_compared_on_the_images_that_were_held_out(tmp_path, runs):
    data = write_textures(tmp_path / "data", classes=("coarse", "fine"), count=6)
    content = {
        "name": "tiny",
        "task": "classification",
        "model": {"name": "dct-resnet18", "arguments": {"width": 8}},
        "data": {"channels": "24S", "size": 64, "batch": 6, "workers": 0, "held_out": 0.4},
        "validation": {"every": 1},
    }
    for name, steps in (("a", 1), ("b", 2)):
        train(parse_recipe({**content, "optim": {"steps": steps}}, "test"), tmp_path / name, data=data, device="cpu")
    result = compare_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "out", device="cpu")
    assert [figure["name"] for figure in result["figures"]] == ["top1", "loss"]
    assert {row["top1"] for row in result["images"]} <= {0.0, 1.0}
    assert len(result["images"]) < 2 * 12
    assert result["settings"] == {"optim.steps": {"a": 1, "b": 2}}
    with pytest.raises(ContestantError, match="is for classification, and .* is for segmentation"):
        named_groups([tmp_path / "a", runs / "slow"])


def test_restoration_runs_are_compared_on_their_validation_crops(photographs, tmp_path):
    content = {
        "name": "tiny",
        "model": {"name": "sfnet", "arguments": {"width": 16, "depth": 1}},
        "data": {"degradations": {"rain": 1.0}, "crop": 16, "batch": 1, "workers": 0},
        "optim": {"steps": 1},
        "validation": {"count": 3, "crop": 32},
    }
    for seed in (0, 1):
        train(parse_recipe({**content, "seed": seed}, "test"), tmp_path / str(seed), data=photographs, device="cpu")
    shutil.copytree(tmp_path / "0", tmp_path / "copy")
    result = compare_runs([tmp_path / "0", tmp_path / "copy"], tmp_path / "out", device="cpu")
    assert {row["name"] for row in result["images"]} == {"00000-0-rain", "00001-1-rain", "00002-2-rain"}
    assert [row["ties"] for row in result["differences"]] == [3, 3]
    assert result["contestants"][0]["mean"]["psnr"] == pytest.approx(
        result["contestants"][0]["runs"][0]["best_score"], abs=0.01
    )
    # the seed decides the degradations
    with pytest.raises(
        ContestantError, match="different images of .* Their seeds are 0 and 1. Give both the same test"
    ):
        compare_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "out", device="cpu")
    list(degrade_files(photographs, tmp_path / "pairs", "rain", seed=5))
    assert (
        compare([tmp_path / "0", tmp_path / "1"], tmp_path / "pairs", tmp_path / "out", device="cpu")["protocol"]
        == "rgb"
    )


def test_detectors_are_paired_by_seed_and_have_no_interval_over_images(monkeypatch, tmp_path):
    scored = {"a": 0.4, "b": 0.3}

    def evaluate(weights, *_, **__):
        return {"figures": {"box": {"AP": scored[weights]}}, "images": [{"name": "0.png"}], "failed": []}

    monkeypatch.setitem(run_scores.EVALUATIONS, "detection", evaluate)
    monkeypatch.setattr(groups, "task_of", lambda _: "detection")
    result = compare_runs(["a", "b"], tmp_path / "out", data=tmp_path)
    (row,) = result["differences"]
    assert (row["figure"], row["count"], row["better"]) == ("box_AP", 1, None)
    assert row["mean"] == pytest.approx(0.1)
    assert "Average precision belongs to all images together" in result["notes"][0]
    report = (tmp_path / "out" / "report.md").read_text()
    assert "a and b differ by 10.00 points in AP of boxes on the only seed, which shows no spread." in report


def test_images_whose_psnr_is_infinite_are_left_out_of_the_difference_of_runs(monkeypatch, tmp_path):
    psnr = {"a": [math.inf, 31.0, 33.0], "b": [math.inf, 30.0, 31.0], "c": [math.inf] * 3}

    def evaluate(weights, *_, **__):
        images = [{"name": f"{number}.png", "psnr": one, "ssim": 1.0} for number, one in enumerate(psnr[weights])]
        return {"mean": {"psnr": math.inf, "ssim": 1.0}, "images": images, "failed": []}

    monkeypatch.setitem(run_scores.EVALUATIONS, "restoration", evaluate)
    monkeypatch.setattr(groups, "task_of", lambda _: "restoration")
    result = compare_runs(["a", "b", "c"], tmp_path / "out", data=tmp_path)
    rows = {(row["first"], row["second"]): row for row in result["differences"] if row["figure"] == "psnr"}
    assert (rows["a", "b"]["mean"], rows["a", "b"]["count"], rows["a", "b"]["wins"]) == (1.5, 2, 2)
    assert (rows["a", "c"]["mean"], rows["a", "c"]["count"]) == (None, 0)
    report = (tmp_path / "out" / "report.md").read_text()
    assert "a and c: no image has a finite PSNR of both, so there is no difference to show." in report
