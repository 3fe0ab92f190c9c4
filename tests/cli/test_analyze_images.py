"""`passband analyze` of one image, as a person types it."""

import pytest
import torch

from passband.io.image import write_image

pytestmark = pytest.mark.usefixtures("without_charts")


@pytest.fixture
def photo(tmp_path, photograph):
    write_image(tmp_path / "photo.png", photograph[:, :32, :40])
    return tmp_path / "photo.png"


def test_the_spectrum_of_one_image_is_described(run, photo, tmp_path):
    status, out, _ = run("analyze", "spectrum", photo, "-o", tmp_path / "out")
    assert status == 0
    assert out.startswith("90 % of the contrast energy is in ")
    assert out.splitlines()[-1] == f"Pictures and table: {tmp_path / 'out'}"
    assert (tmp_path / "out" / "spectrum.csv").exists()


def test_the_parts_of_an_image_have_a_row_for_each_definition(run, photo, tmp_path):
    status, out, _ = run("analyze", "ratio", photo, "-o", tmp_path / "out", "--ratio", 0.25)
    assert status == 0
    rows = [line.split("|")[1].strip() for line in out.splitlines() if line.startswith("| ")]
    assert rows == ["definition", "magnitude", "energy", "radius", "area"]
    assert "| radius | 4 | 0.250 |" in out


@pytest.mark.parametrize(("subset", "name"), [("48S", "48S"), ("0,1, 64", "numbers 0, 1, 64")])
def test_the_channels_of_an_image_are_a_named_subset_or_numbers(run, photo, tmp_path, subset, name):
    status, out, _ = run("analyze", "channels", photo, "-o", tmp_path / "out", "--subset", subset)
    assert status == 0
    count = 48 if subset == "48S" else 3
    assert out.startswith(f"{count} of 192 frequency channels ({name}) hold ")
    assert (tmp_path / "out" / "rebuilt.png").exists()


def test_the_filters_of_a_network_have_a_row_each(run, photo, tiny_weights, tmp_path):
    arguments = ("analyze", "filters", photo, "-o", tmp_path / "out", "--device", "cpu")
    status, out, _ = run(*arguments, "--weights", tiny_weights)
    assert status == 0
    assert len([line for line in out.splitlines() if line.startswith(("| encoder", "| decoder"))]) == 12
    status, _, err = run(*arguments, "--weights", "inspector")
    assert status == 1
    assert "which has none: take general" in err


def test_mistakes_are_named(run, photo, tmp_path):
    out = ("-o", tmp_path / "out")
    status, _, err = run("analyze", "spectrum", tmp_path / "missing.png", *out)
    assert (status, "missing.png" in err) == (1, True)
    status, _, err = run("analyze", "ratio", tmp_path / "missing.png", *out)
    assert (status, "missing.png" in err, "--data" in err) == (1, True, False)
    status, _, err = run("analyze", "spectrum", tmp_path, *out)
    assert (status, "is a folder" in err) == (2, True)
    status, _, err = run("analyze", "spectrum", photo, "--degraded", photo, *out)
    assert (status, "add the clean one" in " ".join(err.replace("│", " ").split())) == (2, True)
    status, _, err = run("analyze", "ratio", "general", *out)
    assert (status, "--data" in err) == (2, True)
    status, _, err = run("analyze", "channels", photo, *out, "--subset", "24")
    assert (status, "24S, 24D, 24T" in err) == (1, True)
    assert not (tmp_path / "out").exists()


def test_a_file_of_weights_that_is_no_image_is_taken_as_weights(run, tmp_path, photographs):
    torch.save({}, tmp_path / "weights.pkl")
    status, _, err = run("analyze", "channels", tmp_path / "weights.pkl", "-o", tmp_path / "out")
    assert status == 1
    assert "not an image" not in err
