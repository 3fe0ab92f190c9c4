"""`passband evaluate` as a person types it."""

import json

import pytest
import torch

from passband import SFNet
from passband.io.image import write_image
from tests.classifiers import save_classifier

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture
def evaluate(run):
    """Runs `passband evaluate ARGUMENTS`."""
    return lambda *arguments: run("evaluate", *arguments)


@pytest.fixture
def data(tmp_path):
    """A set of two pairs, with the names of O-HAZE."""
    for number in (1, 2):
        for part, name in (("hazy", "hazy"), ("GT", "GT")):
            write_image(tmp_path / "O-HAZE" / part / f"0{number}_outdoor_{name}.png", torch.rand(3, 24, 32))
    return tmp_path / "O-HAZE"


def test_the_report_is_not_written_among_the_data(evaluate, data, tiny_weights):
    status, _, err = evaluate(tiny_weights, "--data", data, "-o", data, "--device", "cpu")
    assert (status, "results would be written among the inputs in" in err) == (1, True)
    assert {path.name for path in data.iterdir()} == {"hazy", "GT"}


def test_a_benchmark_is_printed_beside_its_published_figures(evaluate, data, tiny_weights, tmp_path):
    status, out, _ = evaluate(
        tiny_weights, "--data", data, "-o", tmp_path / "r", "--benchmark", "sots-outdoor", "--device", "cpu"
    )
    assert status == 0
    lines = out.splitlines()
    assert any(line.startswith("mean of 2 (sfnet)") for line in lines)
    assert "| SOTS-Outdoor | PSNR, dB | SSIM |" in lines
    assert "| paper | 40.05 | 0.996 |" in lines
    assert "| rerun | 39.26 | 0.9956 |" in lines
    assert not any(line.startswith("| ours - ") for line in lines)
    assert any(
        line.startswith("These scores cannot be compared with SOTS-Outdoor: SOTS-Outdoor has 492 or 500")
        for line in lines
    )
    assert lines[-1] == f"Report: {tmp_path / 'r' / 'report.md'}"


def test_pooling_flags_reach_the_network_and_the_warning_is_printed(evaluate, data, tiny_weights, tmp_path):
    status, out, _ = evaluate(
        tiny_weights, "--data", data, "-o", tmp_path / "r", "--pool-window", 200, "--pool-mode", "first", "--save"
    )
    assert status == 0
    assert "depend on which file sorts first" in out
    assert (tmp_path / "r" / "restored" / "01_outdoor_hazy.png").exists()


def test_the_side_of_tiles_is_that_of_the_weights_unless_it_is_given(evaluate, tmp_path):
    for folder in ("degraded", "clean"):
        write_image(tmp_path / "pairs" / folder / "image.png", torch.rand(3, 70, 90))
    SFNet(width=16, depth=1, tile=64).save_pretrained(tmp_path / "weights")
    ways = []
    for number, options in enumerate([(), ("--tile", 80), ("--tile", 0)]):
        report = tmp_path / f"report{number}"
        status, *_ = evaluate(tmp_path / "weights", "--data", tmp_path / "pairs", "-o", report, *options)
        assert status == 0
        ways.append(json.loads((report / "evaluation.json").read_text())["images"][0]["computed"])
    assert ways == ["own tiles of 64 pixels", "own tiles of 80 pixels", "whole"]


def test_scores_of_what_was_learned_from_are_called_so(evaluate, run, data, tmp_path):
    (tmp_path / "tiny.toml").write_text(
        'name = "tiny"\n[model]\nname = "sfnet"\narguments = {width = 16, depth = 1}\n'
        '[data]\nsource = "pairs"\ncrop = 16\nbatch = 1\nworkers = 0\n[optim]\nsteps = 1\n[validation]\ncount = 1\n'
    )
    command = ("train", tmp_path / "tiny.toml", "--data", data, "-o", tmp_path / "run", "--device", "cpu")
    assert run(*command)[0] == 0
    best = tmp_path / "run" / "weights" / "best"
    said = f"{best} was trained on {data}. Its scores on other data may be lower."
    assert said in evaluate(best, "--data", data, "-o", tmp_path / "r")[1]
    other = data.rename(tmp_path / "elsewhere")
    assert "was trained on" not in evaluate(best, "--data", other, "-o", tmp_path / "s")[1]


def test_a_damaged_picture_is_named_the_others_are_scored_and_it_ends_badly(evaluate, data, tiny_weights, tmp_path):
    path = data / "hazy" / "02_outdoor_hazy.png"
    path.write_bytes(path.read_bytes()[:-300])
    status, out, _ = evaluate(tiny_weights, "--data", data, "-o", tmp_path / "r", "--memory", "64GB")
    assert status == 1
    assert "mean of 1 (rgb)" in out
    assert "1 of 2 pairs could not be scored and are not in the means" in out
    assert "02_outdoor_hazy.png is a PNG file that is incomplete" in out.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--benchmark", "SOTS-Indor"], "did you mean 'SOTS-Indoor'?"),
        (["--protocol", "sfnt"], "did you mean 'sfnet'?"),
        (["--pool-mode", "fractions"], "did you mean 'fraction'?"),
        (["--pool-mode", "tlc"], "give pool_window also"),
        (["--metric", "psnr-hvsm"], "did you mean 'psnr-hvs-m'?"),
        (["--memory", "lots"], "memory is a size such as '2GB'"),
        (["--benchmark", "DPDD-dual"], "DPDD-dual is for left and right views"),
    ],
)
def test_mistakes_are_one_sentence(evaluate, data, tiny_weights, tmp_path, options, message):
    status, _, err = evaluate(tiny_weights, "--data", data, "-o", tmp_path / "r", *options)
    line = err.strip().splitlines()[-1]
    assert status == 1
    assert line.startswith("Error: ")
    assert message in line
    assert "Traceback" not in err


def test_engine_and_precision_reach_the_network_and_are_for_restoration(evaluate, data, tiny_weights, tmp_path):
    command = ("--data", data, "-o", tmp_path / "r")
    status, _, _ = evaluate(tiny_weights, *command, "--engine", "onnxruntime", "--precision", "float32")
    assert status == 0
    written = json.loads((tmp_path / "r" / "evaluation.json").read_text())
    assert (written["engine"], written["precision"]) == ("onnxruntime", "float32")
    classifier = save_classifier(tmp_path / "classifier")
    status, _, err = evaluate(classifier, *command, "--engine", "openvino", "--precision", "int8")
    assert status != 0
    assert "leave out --precision, --engine, which are for restoration" in err


def test_further_metrics_are_printed_beside_the_protocols_and_are_for_restoration(
    evaluate, data, tiny_weights, tmp_path
):
    command = ("--data", data, "-o", tmp_path / "r", "--metric", "psnr-hvs", "--metric", "frequency:csf")
    status, out, _ = evaluate(tiny_weights, *command)
    assert status == 0
    [mean] = [line for line in out.splitlines() if line.startswith("mean of 2")]
    assert "psnr-hvs " in mean
    assert " dB   frequency:csf " in mean
    assert "The restoration " in out
    classifier = save_classifier(tmp_path / "classifier")
    status, _, err = evaluate(classifier, *command)
    assert status != 0
    assert "leave out --metric, which is for restoration" in err
