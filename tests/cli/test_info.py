import json
import shutil

import pytest
import torch

from passband.data.classifier_input import Preprocessing
from passband.models import gated_dct_resnet18, load_model
from passband.provenance import weights_checksum
from tests.cli.test_cli import one_sentence
from tests.models.restoration.test_foreign import dncnn
from tests.tiny_runs import recipe


def rows(out):
    return {line[:14].strip(): line[15:] for line in out.splitlines()}


def test_a_network_by_name_says_what_it_costs(run):
    status, out, _ = run("info", "dct-resnet50")
    assert status == 0
    found = rows(out)
    assert (found["name"], found["task"]) == ("dct-resnet50", "classification")
    assert (found["parameters"], found["MACs"]) == ("25,534,696", "3.931 G")
    assert (found["input"], found["input values"]) == ("24 x 56 x 56", "0.5 times those of 3 x 224 x 224")
    assert "depth=50" in found["arguments"]
    assert "no weights" in found["checksum"]


def test_channels_and_size_are_counted_as_asked(run):
    found = rows(run("info", "dct-mobilenet-v2", "--channels", 6, "--size", "112x56")[1])
    assert found["input"] == "6 x 56 x 112"
    assert found["input values"].startswith("0.25 times")


def test_weights_say_their_checksum_and_restoration_is_counted_at_256_pixels(run, tiny_weights):
    found = rows(run("info", tiny_weights)[1])
    model = load_model(tiny_weights)
    assert found["checksum"] == weights_checksum(model)
    assert (found["name"], found["task"], found["input"]) == ("SFNet", "restoration", "3 x 256 x 256")
    assert found["parameters"] == f"{sum(p.numel() for p in model.parameters()):,}"
    small = rows(run("info", tiny_weights, "--size", "64")[1])
    whole, quarter = (float(part["MACs"].split()[0]) for part in (found, small))
    assert whole / quarter == pytest.approx(16, rel=0.03)  # but for what does not grow with the picture, and rounding


def test_classifiers_and_networks_of_other_projects_are_known_by_their_weights(run, tmp_path):
    gated_dct_resnet18(width=4, channels=12, classes=3).save_pretrained(tmp_path / "gated")
    found = rows(run("info", tmp_path / "gated")[1])
    assert (found["name"], found["input"]) == ("gated-dct-resnet18", "12 x 56 x 56")
    config = tmp_path / "gated" / "config.json"
    trained = Preprocessing("coefficients", tuple(range(12)), 160, 8, (0.0,) * 12, (1.0,) * 12)
    config.write_text(json.dumps({**json.loads(config.read_text()), "preprocessing": trained.to_config()}))
    assert rows(run("info", tmp_path / "gated")[1])["input"] == "12 x 20 x 20"  # what it was trained on
    torch.save(dncnn().state_dict(), tmp_path / "denoiser.pth")
    found = rows(run("info", tmp_path / "denoiser.pth", "--size", "31x17")[1])
    assert (found["name"], found["arguments"]) == ("DnCNN", "none")
    convolutions = sum(value.numel() for value in dncnn().state_dict().values() if value.ndim == 4)
    assert found["MACs"] == f"{17 * 31 * convolutions / 1e9:.3f} G"


def test_a_run_says_how_far_it_is_and_where_its_curves_are(run, tiny_weights, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(tiny_weights, folder / "weights" / "best")
    (folder / "run.json").write_text(json.dumps({"status": "stopped", "recipe": recipe().model_dump(), "step": 2}))
    (folder / "log.csv").write_text("step,loss\n1,2.0\n2,1.0\n")
    found = rows(run("info", folder)[1])
    assert found["run"] == "tiny, stopped at step 2"
    assert found["curves"] == f"not drawn yet: passband analyze curves {folder}"
    assert run("analyze", "curves", folder)[:2] == (0, f"Curves: {folder / 'curves.png'}\n")
    assert rows(run("info", folder)[1])["curves"] == str(folder / "curves.png")
    status, _, err = run("analyze", "curves", tmp_path)
    assert one_sentence(status, err, "holds no run")


def test_mistakes_are_one_sentence_each(run, tiny_weights):
    status, _, err = run("info", "dct-resnet51")
    assert one_sentence(status, err, "No weights named 'dct-resnet51'", "Architectures: sfnet,", "dct-resnet50")
    status, _, err = run("info", "auto")
    assert one_sentence(status, err, "'auto' chooses restoration networks for each image, in passband restore and")
    status, _, err = run("info", tiny_weights, "--channels", 24)
    assert one_sentence(status, err, "--channels needs the name of an architecture")
    status, _, err = run("info", "sfnet", "--channels", 6)
    assert one_sentence(status, err, "did you mean 'in_channels'?")
    status, _, err = run("info", "sfnet", "--size", "20x24")
    assert one_sentence(status, err, "divisible by 8")
    status, _, err = run("info", "sfnet", "--size", "a4")
    assert one_sentence(status, err, "or one side, such as 512; got 'a4'")
