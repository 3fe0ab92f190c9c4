"""`passband segment`, `passband evaluate` of a segmentation network and `passband train` of one, as a person types."""

import json

import pytest
from PIL import Image

from tests.segmenters import save_segmenter, write_blobs

pytestmark = [
    pytest.mark.usefixtures("without_charts"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.filterwarnings("ignore:the schedule ends at a frequency ratio:UserWarning"),
]
RECIPE = """
name = "tiny"
task = "segmentation"
checkpoint_every = 2
[model]
arguments = {width = 4, depth = 2}
[data]
size = 32
batch = 2
workers = 0
[optim]
steps = 2
[validation]
every = 2
[curriculum]
"""


@pytest.fixture
def data(tmp_path):
    return write_blobs(tmp_path / "data", 3)


@pytest.fixture
def weights(tmp_path):
    return save_segmenter(tmp_path / "weights")


def test_each_picture_has_a_line_with_what_was_found(run, data, weights, tmp_path):
    out_folder = tmp_path / "out"
    status, out, err = run("segment", data / "images", "--weights", weights, "-o", out_folder, "--overlay")
    assert status == 0
    lines = out.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines):
        file, found = line.split(": ")
        assert file == str(out_folder / f"{number}.png")
        assert found == "nothing" or (found.startswith("foreground ") and found.endswith(" %"))
        with Image.open(file) as mask, Image.open(out_folder / f"{number}_overlay.png") as overlay:
            assert mask.size == overlay.size == (53, 37)
    assert err.splitlines()[-1] == "3 segmented, 0 failed"
    _, _, err = run("segment", data / "images", "--weights", weights, "-o", out_folder)
    assert err.splitlines()[-1] == "0 segmented, 3 skipped (done earlier; use --overwrite to do them again), 0 failed"


def test_a_bad_file_is_named_and_ends_it_badly(run, data, weights, tmp_path):
    (data / "images" / "1.png").write_bytes(b"")
    status, _, err = run("segment", data / "images", "--weights", weights, "-o", tmp_path / "out")
    assert status == 1
    assert "1.png is empty" in err.replace("\n", " ")
    assert err.splitlines()[-1] == "2 segmented, 1 failed"


def test_weights_for_another_task_are_refused_in_one_sentence(run, data, tiny_weights):
    status, _, err = run("segment", data / "images", "--weights", tiny_weights)
    line = err.strip().splitlines()[-1]
    assert status == 1
    assert line.startswith("Error: ")
    assert "is for restoration; it cannot segment" in line
    status, _, err = run("segment", data / "images", "--weights", "runs/none")
    assert status == 1
    assert err.startswith("Error: No weights named 'runs/none'.")


def test_evaluate_prints_the_figures_beside_those_of_an_empty_answer(run, data, weights, tmp_path):
    report = tmp_path / "report"
    status, out, _ = run("evaluate", weights, "--data", data, "-o", report, "--protocol", "binary", "--device", "cpu")
    mean = json.loads((report / "evaluation.json").read_text())["mean"]
    lines = out.splitlines()
    assert status == 0
    assert lines[0].startswith(f"3 images (binary): Dice {100 * mean['dice']:.2f} %, IoU {100 * mean['iou']:.2f} %")
    assert lines[1].startswith("predicting no foreground: Dice 0.00 %, IoU 0.00 %")
    assert lines[-1] == f"Report: {report / 'report.md'}"
    status, _, err = run("evaluate", weights, "--data", data, "-o", report, "--benchmark", "GoPro")
    assert status == 1
    assert "is for segmentation: leave out --benchmark" in err


def test_a_folder_of_masks_is_trained_on_and_a_mistake_is_one_sentence(run, data, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(RECIPE + 'mode = "crop"\nsizes = [16]\n')
    status, out, _ = run("train", recipe, "--data", data, "-o", tmp_path / "run", "--device", "cpu")
    assert status == 0
    assert out.splitlines()[-1] == f"Weights: {tmp_path / 'run/weights/best'}, {tmp_path / 'run/weights/last'}"
    assert "foreground_dice" in out
    recipe.write_text(RECIPE + 'mode = "crop"\nsizes = [18]\n')
    status, _, err = run("train", recipe, "--data", data, "-o", tmp_path / "other", "--device", "cpu")
    assert status == 1
    assert "curriculum.sizes does not fit unet: the network takes sides that are multiples of 4, because it" in err
    assert "got 18" in err
    status, _, err = run("train", recipe, "-o", tmp_path / "other")
    assert "--data is needed: a folder of images and masks (images/ and masks/) to train on" in err


def test_a_recipe_of_several_ratios_prints_their_table_and_goes_on(run, data, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(RECIPE + 'mode = "mask"\nstart = 1.0\nshape = "linear"\nfinal_ratios = [0.5, 0]\n')
    output = tmp_path / "sweep"
    status, out, _ = run("train", recipe, "--data", data, "-o", output, "--device", "cpu")
    assert status == 0
    assert "| ratio | pixel accuracy | F1 | precision | recall | IoU |" in out
    assert "\n| 0.5 | " in out
    assert "\n| 0 | " in out
    assert out.splitlines()[-1] == f"Runs: {output}"
    status, again, _ = run("train", "-o", output, "--resume")
    assert status == 0
    assert again == out
