"""`passband inspect` and `passband restore --weights auto`, as a person types them."""

import json

import pytest

from passband.io.image import write_image
from tests.inspecting import decided, photograph, saved


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for number in range(2):
        write_image(folder / f"{number}.jpg", photograph(number))
    return folder


def test_each_picture_has_a_line_that_says_what_was_found_and_would_help(run, photos, tmp_path):
    weights = saved(decided(["rain"], 24.0), tmp_path / "inspector")
    status, out, err = run("inspect", photos, "--weights", weights)
    assert status == 0
    assert len(out.splitlines()) == 2
    assert out.splitlines()[0].startswith(str(photos / "0.jpg"))
    assert out.splitlines()[0].endswith("  rain (0.95), about 24 dB: derain-small, expected +5.0 dB")
    assert err.splitlines()[-1].startswith("2 inspected")


def test_json_is_a_line_for_each_picture_also_for_a_bad_one(run, photos, tmp_path):
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    weights = saved(decided(["clean"], 40.0), tmp_path / "inspector")
    status, out, err = run("inspect", photos, "--weights", weights, "--json")
    rows = {row["file"]: row for row in map(json.loads, out.splitlines())}
    assert status == 1
    assert len(rows) == 3
    good = rows[str(photos / "0.jpg")]
    assert good["found"] == []
    assert good["choice"] is None
    assert good["line"] == "clean (0.95): left alone"
    assert rows[str(photos / "bad.jpg")]["error"]
    assert "failed: " in err


def test_auto_says_what_it_chose_and_leaves_clean_pictures_alone(run, photos, tmp_path, monkeypatch):
    from passband.inference import Inspector

    weights = saved(decided(["clean"], 40.0), tmp_path / "inspector")
    monkeypatch.setattr("passband.inference.inspection.auto.Inspector", lambda: Inspector(weights))
    status, _, err = run("restore", photos, "-o", tmp_path / "out", "--weights", "auto")
    assert status == 0
    assert (tmp_path / "out" / "0.jpg").read_bytes() == (photos / "0.jpg").read_bytes()
    assert f"{photos / '0.jpg'}: clean (0.95): left alone" in err


def test_weights_that_inspect_nothing_are_refused_in_one_sentence(run, photos):
    status, _, err = run("inspect", photos, "--weights", "general")
    assert status == 1
    assert "'general' restores images" in err
    assert "it cannot inspect. Train an inspector first: passband train inspector" in err
