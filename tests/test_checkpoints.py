import errno
import json
import logging
import re
from unittest.mock import Mock

import pytest
import torch
from accelerate import Accelerator
from safetensors import SafetensorError

from passband.checkpoints import MANIFEST, damage, latest_checkpoint, save_checkpoint, sound_checkpoint


@pytest.fixture
def accelerator():
    made = Accelerator(cpu=True)
    made.prepare(torch.nn.Linear(3, 2))
    return made


@pytest.fixture
def run(tmp_path, accelerator):
    """A run with checkpoints of the steps 2 and 4."""
    for step in (1, 2, 4):
        assert save_checkpoint(accelerator, tmp_path / "checkpoints", step)
    return tmp_path


def names(run):
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_the_last_checkpoints_are_kept_each_with_the_checksums_of_its_files(run, accelerator):
    assert names(run) == ["step-000000002", "step-000000004"]
    newest = run / "checkpoints" / "step-000000004"
    manifest = json.loads((newest / MANIFEST).read_text())
    assert manifest["step"] == 4
    assert set(manifest["files"]) == {path.name for path in newest.iterdir()} - {MANIFEST}
    assert sound_checkpoint(run) == latest_checkpoint(run) == newest
    save_checkpoint(accelerator, run / "checkpoints", 6, kept=1)
    assert names(run) == ["step-000000006"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "harm", "words"),
    [
        ("model.safetensors", cut, "model.safetensors has [0-9]+ bytes instead of [0-9]+"),
        ("model.safetensors", flip, "the content of model.safetensors differs from its checksum"),
        ("random_states_0.pkl", lambda path: path.unlink(), "random_states_0.pkl is missing"),
        (MANIFEST, lambda path: path.unlink(), "manifest.json is missing"),
        (MANIFEST, lambda path: path.write_text("{"), "manifest.json or a file that it names cannot be read"),
        (MANIFEST, lambda path: path.write_text("[]"), "manifest.json or a file that it names cannot be read"),
    ],
)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_what_is_damaged(
    run, accelerator, name, harm, words, caplog
):
    harm(run / "checkpoints" / "step-000000004" / name)
    assert sound_checkpoint(run) == run / "checkpoints" / "step-000000002"
    (warning,) = caplog.messages
    assert "step-000000004 is damaged" in warning
    assert re.search(words, warning)
    assert names(run) == ["damaged-step-000000004", "step-000000002"]
    assert save_checkpoint(accelerator, run / "checkpoints", 4)
    assert not damage(run / "checkpoints" / "step-000000004")


def test_if_all_are_damaged_there_is_none(run):
    for path in (run / "checkpoints").glob("*/model.safetensors"):
        flip(path)
    assert sound_checkpoint(run) is None


@pytest.mark.parametrize("place", ["save_state", "safetensors", "torch", "manifest"])
def test_a_full_disk_keeps_the_checkpoints_before_and_says_so(run, accelerator, monkeypatch, caplog, place):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_as_safetensors_says(*args, **options):  # it removes its file, so there is room again
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    def full_as_torch_says(*args, **options):
        monkeypatch.setattr("passband.checkpoints.os.fsync", full)
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 322560 vs 322452")

    if place in ("safetensors", "torch"):
        says = {"safetensors": full_as_safetensors_says, "torch": full_as_torch_says}
        monkeypatch.setattr(accelerator, "save_state", says[place])
    elif place == "save_state":
        monkeypatch.setattr(accelerator, "save_state", full)
    else:
        monkeypatch.setattr("passband.checkpoints.os.fsync", full)
    with caplog.at_level(logging.WARNING):
        assert not save_checkpoint(accelerator, run / "checkpoints", 6)
    (warning,) = caplog.messages
    assert "the checkpoint of step 6 could not be written: no space left in" in warning
    assert "The checkpoint step-000000004 is kept." in warning
    assert names(run) == ["step-000000002", "step-000000004"]
    monkeypatch.undo()
    assert save_checkpoint(accelerator, run / "checkpoints", 6)


def test_another_error_than_that_of_a_full_disk_is_told_as_it_is(run, accelerator, monkeypatch, caplog):
    monkeypatch.setattr(accelerator, "save_state", Mock(side_effect=RuntimeError("a state that\ncannot be saved")))
    assert not save_checkpoint(accelerator, run / "checkpoints", 6)
    assert "the checkpoint of step 6 could not be written: a state that cannot be saved. The" in caplog.messages[0]
    assert names(run) == ["step-000000002", "step-000000004"]


def test_a_folder_that_may_not_be_written_to_is_named_with_the_reason(run, accelerator, monkeypatch, caplog):
    denied = PermissionError(errno.EACCES, "Permission denied", str(run / "checkpoints" / ".partial"))
    monkeypatch.setattr("pathlib.Path.mkdir", Mock(side_effect=denied))
    assert not save_checkpoint(accelerator, run / "checkpoints", 6)
    assert f"of step 6 could not be written: Permission denied in {run / 'checkpoints'}. The" in caplog.messages[0]


def test_an_old_checkpoint_that_cannot_be_removed_does_not_make_the_new_one_fail(run, accelerator, monkeypatch):
    def read_only(path, *args, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr("os.unlink", read_only)
    assert save_checkpoint(accelerator, run / "checkpoints", 6)
    assert latest_checkpoint(run).name == "step-000000006"
