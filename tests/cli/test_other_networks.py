"""Networks of other projects on the command line, as a user who fetched their weights runs them."""

import json

import pytest
import torch

from passband.data.degradations import degrade_files
from passband.io.image import read_image, write_image
from tests.cli.test_cli import one_sentence
from tests.models.restoration.test_extra_networks import LICENSE, build

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture(scope="module")
def deraining(tmp_path_factory):
    """Weights of a small Restormer with the name and the form of the published file."""
    path = tmp_path_factory.mktemp("weights") / "deraining.pth"
    torch.save({"params": build("restormer").state_dict()}, path)
    return path


@pytest.fixture
def pairs(tmp_path, photograph):
    """Two pairs of 48 x 60 pixels."""
    for number in range(2):
        write_image(tmp_path / "photos" / f"{number}.png", photograph[:, 40 * number :, :][:, :48, :60])
    list(degrade_files(tmp_path / "photos", tmp_path / "pairs", "rain"))
    return tmp_path / "pairs"


def test_a_photo_is_restored_and_the_license_is_told(run, tmp_path, deraining, photograph):
    write_image(tmp_path / "photo.png", photograph[:, :37, :50])
    status, _, err = run("restore", tmp_path / "photo.png", "--weights", deraining, "--device", "cpu")
    assert status == 0
    assert f"{deraining} is a Restormer. Its license: {LICENSE}." in err
    assert read_image(tmp_path / "photo_restored.png").shape == (3, 37, 50)
    status, _, err = run("restore", tmp_path / "photo.png", "--weights", deraining, "--overwrite", "-q")
    assert (status, err) == (0, "")


def test_it_is_scored_with_its_license_in_the_report(run, tmp_path, deraining, pairs):
    status, out, _ = run("evaluate", deraining, "--data", pairs, "-o", tmp_path / "report", "--benchmark", "Rain100L")
    assert status == 0
    assert f"Its license: {LICENSE}." in out
    result = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert result["network"] == {"architecture": "Restormer", "license": LICENSE}
    assert LICENSE in (tmp_path / "report" / "report.md").read_text()


def test_it_is_compared_with_other_networks(run, tmp_path, deraining, pairs, tiny_weights):
    torch.save(build("nafnet").state_dict(), tmp_path / "NAFNet-GoPro-width64.pth")
    status, _, _ = run(
        *("compare", f"ours={tiny_weights}", deraining, tmp_path / "NAFNet-GoPro-width64.pth"),
        *("--data", pairs, "-o", tmp_path / "both"),
    )
    assert status == 0
    result = json.loads((tmp_path / "both" / "comparison.json").read_text())
    networks = {one["label"]: one["network"]["architecture"] for one in result["contestants"]}
    assert networks["deraining.pth"] == "Restormer"
    assert networks["NAFNet-GoPro-width64.pth"] == "NAFNet"
    assert f"deraining.pth is a Restormer. Its license: {LICENSE}." in result["notes"]
    assert all(one["parameters"] for one in result["contestants"])


def test_info_says_the_license_and_the_cost(run, deraining):
    status, out, _ = run("info", deraining, "--size", "64")
    assert status == 0
    assert f"license        {LICENSE}" in out
    assert "name           Restormer" in out


def test_seams_are_measured_on_a_photo(run, tmp_path, deraining, photograph):
    write_image(tmp_path / "photo.png", photograph[:, :90, :150])
    status, out, _ = run("analyze", "seams", tmp_path / "photo.png", "--weights", deraining, "--tile", 64)
    assert status == 0
    assert "tiles of 64 pixels that are independent and overlap by" in out
    assert "measured reach of the network" in out
    status, _, err = run("analyze", "seams", tmp_path / "photo.png", "--weights", deraining)
    assert one_sentence(status, err, "fit into one tile of 512")


def test_commands_that_need_a_network_of_passband_say_so(run, tmp_path, deraining, pairs):
    status, _, err = run("convert", deraining, tmp_path / "converted")
    assert one_sentence(status, err, "Restormer")
    status, _, err = run("finetune", "--data", pairs, "--from", deraining, "-o", tmp_path / "tuned")
    assert one_sentence(status, err, "and only an SFNet, FSNet or ConvIR is fine-tuned")
    status, _, err = run("restore", tmp_path / "photos", "--weights", deraining, "--pool-window", 80)
    assert one_sentence(status, err, "is a Restormer, which has no pool_window")
    status, _, err = run("restore", tmp_path / "photos", "--weights", deraining, "--engine", "openvino")
    assert one_sentence(status, err, "SFNet, FSNet or ConvIR")
    status, _, err = run("analyze", "filters", tmp_path / "photos" / "0.png", "--weights", deraining, "-o", tmp_path)
    assert one_sentence(status, err, "Restormer, which has none")
