"""`passband analyze ratio` as a person types it."""

import json

import pytest
import torch
from torch import nn

from passband.models.segmentation.unet import UNet

TINY = ("--size", 16, "--radii", 4, "--device", "cpu")


@pytest.fixture
def unet(tmp_path):
    torch.manual_seed(0)
    model = UNet(width=4, depth=2)
    nn.init.normal_(model.head.weight)
    model.eval().save_pretrained(tmp_path / "unet")
    return tmp_path / "unet"


def test_it_prints_the_answer_and_that_variance_says_nothing_and_writes_curves(run, unet, photographs, tmp_path):
    words = ("--term", "variance", *TINY)
    status, out, _ = run("analyze", "ratio", unet, "--data", photographs, "-o", tmp_path / "out", *words)
    lines = out.splitlines()
    held = json.loads((tmp_path / "out" / "ratio.json").read_text())["optimum"]
    assert status == 0
    assert lines[0] == f"4 images of 16x16 pixels, 4 radii. {held['words']}"
    assert any(line.startswith("The variance term is constant and had no effect") for line in lines)
    assert lines[-1] == f"Curve and figures: {tmp_path / 'out'}"
    assert (tmp_path / "out" / "ratio.png").stat().st_size > 1000


@pytest.mark.usefixtures("without_charts")
def test_settings_reach_the_search(run, unet, photographs, tmp_path):
    words = ["--definition", "area", "--term", "cost", "--beta", 2, "--method", "gradient", "--images", 1]
    status, out, _ = run(
        "analyze", "ratio", unet, "--data", photographs, "-o", tmp_path / "out", *words, "--per-image", *TINY
    )
    held = json.loads((tmp_path / "out" / "ratio.json").read_text())
    assert status == 0
    settings = ("definition", "term", "alpha", "beta", "method", "images")
    assert [held["optimum"][name] for name in settings] == ["area", "cost", 1, 2, "gradient", 1]
    for one in held["each"]:
        assert f"{one['image']}: {one['words']}" in out.splitlines()
    assert len(held["each"]) == 1


@pytest.mark.usefixtures("without_charts")
def test_the_term_has_an_effect_unless_another_is_chosen(run, unet, photographs, tmp_path):
    for words, term, images in (((), "noise", 4), (("--term", "cost", "--images", 1), "cost", 1)):
        status, out, err = run("analyze", "ratio", unet, "--data", photographs, "-o", tmp_path / "out", *words, *TINY)
        assert (status, err) == (0, "")
        assert "had no effect" not in out
        held = json.loads((tmp_path / "out" / "ratio.json").read_text())
        assert (held["optimum"]["term"], held["optimum"]["images"], len(held["images"])) == (term, images, images)


def test_bad_input_is_one_sentence_and_a_status(run, unet, photographs, tiny_weights, tmp_path):
    def error(*arguments):
        status, _, err = run("analyze", "ratio", *arguments, "-o", tmp_path / "out", *TINY)
        assert status == 1
        return err.strip().splitlines()[-1]

    assert "for restoration, which gives no scores" in error(tiny_weights, "--data", photographs)
    assert "did you mean 'variance'" in error(unet, "--data", photographs, "--term", "variances")
    (tmp_path / "empty").mkdir()
    assert error(unet, "--data", tmp_path / "empty") == f"Error: {tmp_path / 'empty'} holds no images"
    (photographs / "2.png").write_bytes(b"no")
    assert "failed: " in (said := error(unet, "--data", photographs))
    assert "2.png" in said
