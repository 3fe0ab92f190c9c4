"""`passband classify`, `passband analyze channels` and `passband evaluate` of a classifier, as a person types them."""

import json

import pytest

from tests.classifiers import PERIODS, save_classifier, write_textures

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture
def textures(tmp_path):
    return write_textures(tmp_path / "textures", count=2)


@pytest.fixture
def weights(tmp_path):
    return save_classifier(tmp_path / "weights")


def test_each_picture_has_a_line_with_its_guesses(run, textures, weights):
    status, out, err = run("classify", textures, textures / "fine" / "0.jpg", "--weights", weights, "--top", 2)
    lines = out.splitlines()
    assert status == 0
    assert len(lines) == 6
    file, guesses = lines[0].split(": ")
    assert file == str(textures / "coarse" / "0.jpg")
    assert len(guesses.split(", ")) == 2
    assert all(guess.endswith(" %") and guess.split(" ")[0] in PERIODS for guess in guesses.split(", "))
    assert err.splitlines()[-1] == "6 classified, 0 failed"


def test_json_is_a_line_for_each_picture_also_for_a_bad_one(run, textures, weights):
    (textures / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    status, out, err = run("classify", textures, "--weights", weights, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert [row["error"] is None for row in rows] == [False] + [True] * 6
    assert sum(guess["probability"] for guess in rows[-1]["guesses"]) == pytest.approx(1)
    assert "failed: " in err
    assert "bad.jpg" in err
    assert err.splitlines()[-1] == "6 classified, 1 failed"


def test_weights_for_restoration_are_refused_in_one_sentence(run, textures, tiny_weights):
    status, _, err = run("classify", textures, "--weights", tiny_weights)
    line = err.strip().splitlines()[-1]
    assert status == 1
    assert line.startswith("Error: ")
    assert "it cannot classify. Train a classifier first: passband train dct-small" in line


def test_evaluate_scores_a_classifier_on_folders_of_classes(run, textures, weights, tmp_path):
    status, out, _ = run("evaluate", weights, "--data", textures, "-o", tmp_path / "report", "--device", "cpu")
    lines = out.splitlines()
    mean = json.loads((tmp_path / "report" / "evaluation.json").read_text())["mean"]
    assert status == 0
    assert [line.split()[0] for line in lines[:3]] == list(PERIODS)
    assert lines[3] == f"6 images: top-1 {100 * mean['top1']:.2f} %, loss {mean['loss']:.4f}"
    assert lines[-1] == f"Report: {tmp_path / 'report' / 'report.md'}"


def test_evaluate_refuses_options_of_restoration_for_a_classifier(run, textures, weights, tmp_path):
    status, _, err = run(
        "evaluate", weights, "--data", textures, "-o", tmp_path, "--protocol", "rgb", "--pool-window", 80
    )
    assert status == 1
    assert "is for classification: leave out --protocol, --pool-window, which are for restoration" in err


def test_analyze_channels_prints_the_list_and_writes_the_maps(run, textures, tmp_path):
    gated = save_classifier(tmp_path / "gated", "gated-dct-resnet18", channels="192")
    status, out, _ = run("analyze", "channels", gated, "--data", textures, "-o", tmp_path / "out", "--keep", 24)
    lines = out.splitlines()
    kept = json.loads((tmp_path / "out" / "channels.json").read_text())["kept"]
    assert status == 0
    assert lines[0].startswith("6 images; ")
    assert f"channels = {kept}" in lines
    assert any(line.endswith(" of the 24 channels are also in 24D") for line in lines)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "channels.json", "channels.toml", "channels.png", "channels.svg", "channels-zigzag.png", "channels-zigzag.svg"
    }  # fmt: skip
