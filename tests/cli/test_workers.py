"""`--workers` gives the results and the files of one process."""

import json

import pytest
import torch

from passband.io.image import write_image
from tests.classifiers import save_classifier, write_textures
from tests.detectors import save_detector, write_shapes

pytestmark = pytest.mark.usefixtures("without_charts")


def test_restore_prints_a_line_for_each_file_and_skips_them_next_time(run, tiny_weights, tmp_path):
    for number in range(3):
        write_image(tmp_path / "in" / f"{number}.png", torch.rand(3, 9, 9))
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    options = ("-o", tmp_path / "out", "--weights", tiny_weights, "--device", "cpu", "--workers", 2)
    status, out, err = run("restore", tmp_path / "in", *options)
    assert status == 1
    assert sorted(out.splitlines()) == [str(tmp_path / "out" / f"{number}.png") for number in range(3)]
    assert err.count("failed: ") == 1
    assert err.splitlines()[-1] == "3 restored, 1 failed"
    _, _, err = run("restore", tmp_path / "in", *options)
    assert "0 restored, 3 skipped" in err.splitlines()[-1]
    status, _, err = run("restore", tmp_path / "in", *options[:-2], "--timeout", 5)
    assert status == 1
    assert "use --timeout together with --workers" in err


def test_classify_keeps_the_order(run, tmp_path):
    textures, weights = write_textures(tmp_path / "textures", count=2), save_classifier(tmp_path / "weights")
    options = (textures, "--weights", weights, "--device", "cpu", "--json")
    alone = [json.loads(line) for line in run("classify", *options)[1].splitlines()]
    shared = [json.loads(line) for line in run("classify", *options, "--workers", 2)[1].splitlines()]
    assert [row["file"] for row in shared] == [row["file"] for row in alone]
    assert [row["guesses"][0]["class"] for row in shared] == [row["guesses"][0]["class"] for row in alone]


def test_the_instances_are_those_of_one_process(run, tmp_path):
    shapes, weights = write_shapes(tmp_path / "shapes"), save_detector(tmp_path / "weights")
    options = (shapes, "--weights", weights, "--device", "cpu", "--score", 0, "--overlay")
    assert run("segment", *options, "-o", tmp_path / "alone")[0] == 0
    assert run("segment", *options, "-o", tmp_path / "shared", "--workers", 2)[0] == 0
    alone, shared = (json.loads((tmp_path / name / "instances.json").read_text()) for name in ("alone", "shared"))
    assert shared["images"] == alone["images"]
    assert len(shared["annotations"]) == len(alone["annotations"])
    drawn = sorted((tmp_path / "alone" / "overlays").glob("*.png"))
    assert len(drawn) == len(alone["images"])
    for path in drawn:
        assert path.read_bytes() == (tmp_path / "shared" / "overlays" / path.name).read_bytes()


def test_scores_of_23_pairs_on_several_processes_are_those_of_one_to_the_last_digit(run, tiny_weights, tmp_path):
    for number in range(23):
        clean = torch.rand(3, 16, 16 + number % 3)
        for folder, image in (("clean", clean), ("degraded", 0.5 * clean)):
            write_image(tmp_path / "pairs" / folder / f"{number:02}.png", image)
    (tmp_path / "pairs" / "degraded" / "07.png").write_bytes(b"no image")
    outputs, results = [], []
    for workers in (0, 2, 3):
        report = tmp_path / f"report{workers}"
        options = ("--data", tmp_path / "pairs", "-o", report, "--device", "cpu", "--workers", workers, "--save")
        status, out, err = run("evaluate", tiny_weights, *options)
        assert (status, "07.png" in err) == (1, True)
        outputs.append(out.replace(str(report), ""))
        result = json.loads((report / "evaluation.json").read_text())
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in result["images"]]
        results.append((rows, result["mean"], result["spectrum"], result["failed"]))
        assert len(list((report / "restored").iterdir())) == 22
    assert outputs[1:] == outputs[:1] * 2
    assert results[1:] == results[:1] * 2
