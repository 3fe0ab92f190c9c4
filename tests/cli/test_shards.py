"""`passband shards`, and commands that read its result."""

import re

import pytest

from passband.data.images import find_images
from tests.pictures import names
from tests.segmenters import write_blobs

pytestmark = pytest.mark.usefixtures("without_charts")


def test_a_folder_is_packed_and_the_second_run_skips_it(run, photographs, tmp_path):
    (photographs / "notes.txt").write_text("x")
    status, out, err = run("shards", photographs, tmp_path / "shards", "--count", 3)
    assert status == 0
    assert re.search(r"4 samples \(images\), 4 files, 0\.\d MB in 2 shards in .*: 2 written, 0 skipped", out)
    assert "passed over, because they belong to no sample: .txt 1" in err
    assert names(tmp_path / "shards") == ["index.json", "photographs-000000.tar", "photographs-000001.tar"]
    status, out, _ = run("shards", photographs, tmp_path / "shards", "--count", 3)
    assert (status, "0 written, 2 skipped (done earlier)" in out) == (0, True)
    _, out, _ = run("shards", photographs, tmp_path / "shards", "--size", "1GB", "--name", "all", "--in-order")
    assert "1 written, 0 skipped (done earlier), 2 of an earlier run removed" in out
    assert [path.name for path in find_images(tmp_path / "shards")] == ["0.png", "1.png", "2.png", "3.png"]


def test_a_file_that_cannot_be_read_is_named_and_the_status_tells(run, photographs, tmp_path, monkeypatch):
    real = type(photographs).read_bytes

    def read(path):
        if path.name == "2.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(type(photographs), "read_bytes", read)
    status, out, err = run("shards", photographs, tmp_path / "shards")
    assert (status, "3 samples (images)" in out) == (1, True)
    assert re.search(r"failed: .*2\.png", err)


def test_mistakes_are_answered_in_one_line(run, tmp_path):
    status, _, err = run("shards", tmp_path / "none", tmp_path / "shards")
    assert (status, err.strip()) == (1, f"Error: no folder {tmp_path / 'none'}: a folder of images is needed")
    status, _, err = run("train", "segment-small", "--data", "memory://nothing/here", "-o", tmp_path / "run")
    assert status == 1
    assert "memory://nothing/here holds no shards" in err


def test_training_by_command_takes_a_folder_of_shards(run, tmp_path, recwarn):
    blobs = write_blobs(tmp_path / "blobs", 6)
    assert run("shards", blobs, tmp_path / "shards", "--count", 2)[0] == 0
    changes = ("model.arguments.width=4", "model.arguments.depth=2", "data.size=64", "data.batch=2", "data.workers=0")
    settings = [part for change in changes for part in ("--set", change)]
    places = ("--data", tmp_path / "shards", "-o", tmp_path / "run")
    status, out, err = run("train", "segment-small", *places, "--steps", 1, "--device", "cpu", *settings)
    assert (status, "step 1 of 1" in out) == (0, True), err
