"""`passband compare` as a person types it."""

import json

import pytest
import torch

from passband.comparison import contestants
from passband.io.image import write_image
from passband.models import SFNet

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture(autouse=True)
def without_macs(monkeypatch):
    """Leave out the count of multiply-accumulates, which takes a second for each network."""
    monkeypatch.setattr(contestants, "_macs_per_megapixel", lambda *_: 1)


@pytest.fixture
def compare(run):
    """Runs `passband compare ARGUMENTS`."""
    return lambda *arguments: run("compare", *arguments)


@pytest.fixture
def data(tmp_path):
    """Two pairs, and a folder of finished images for them."""
    for number in range(2):
        clean = torch.rand(3, 24, 32)
        write_image(tmp_path / "pairs" / "clean" / f"{number}.png", clean)
        write_image(tmp_path / "pairs" / "degraded" / f"{number}.png", 0.5 * clean)
        write_image(tmp_path / "theirs" / f"{number}_restored.png", 0.9 * clean)
    return tmp_path / "pairs"


def test_weights_and_finished_images_stand_side_by_side(compare, data, tiny_weights, tmp_path):
    theirs = tmp_path / "theirs"
    status, out, _ = compare(f"tiny={tiny_weights}", theirs, "--data", data, "-o", tmp_path / "r", "--device", "cpu")
    assert status == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["degraded", "tiny", "theirs"]
    assert "theirs is better than tiny by" in out
    assert "Note: 2 images are few" in out
    assert lines[-1] == f"Report: {tmp_path / 'r' / 'report.html'}"


def test_json_is_all_that_is_printed(compare, data, tiny_weights, tmp_path):
    command = (f"tiny={tiny_weights}", tmp_path / "theirs", "--data", data, "-o", tmp_path / "r", "--device", "cpu")
    status, out, _ = compare(*command, "--json", "--metric", "psnr-hvs", "--against", "degraded")
    assert status == 0
    result = json.loads(out)
    assert [figure["name"] for figure in result["figures"]] == ["psnr", "ssim", "psnr-hvs"]
    assert {row["second"] for row in result["differences"]} == {"degraded"}


def test_a_folder_that_is_neither_is_refused_in_a_sentence(compare, data, tmp_path):
    (tmp_path / "empty").mkdir()
    status, _, err = compare("general", tmp_path / "empty", "--data", data, "-o", tmp_path / "r")
    assert status == 1
    assert err.startswith(
        f"Error: {tmp_path / 'empty'} holds neither weights nor images: a contestant is a shipped name"
    )


def test_the_report_is_not_written_among_the_inputs(compare, data, tmp_path):
    for output in (data, tmp_path / "theirs"):
        status, _, err = compare("general", tmp_path / "theirs", "--data", data, "-o", output)
        assert (status, err) == (
            1,
            f"Error: results would be written among the inputs in {output}: choose another folder for them\n",
        )
        status, _, err = compare(tmp_path / "theirs", data, "-o", output)
        assert (status, "among the inputs" in err) == (1, True)


def test_networks_of_another_view_are_refused_before_any_work(compare, data, tiny_weights, tmp_path):
    SFNet(width=16, depth=1, in_channels=6).save_pretrained(tmp_path / "dual")
    status, _, err = compare(tiny_weights, tmp_path / "dual", "--data", data, "-o", tmp_path / "r", "--device", "cpu")
    assert status == 1
    assert "takes 6 input channels, and" in err
    assert not (tmp_path / "r").exists()
