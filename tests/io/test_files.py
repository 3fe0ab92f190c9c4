import os
from pathlib import Path

import pytest

from passband.io import files
from passband.io.failures import WriteError
from passband.io.files import FolderLock, new_folder, results_folder, write_whole


def test_a_block_that_ends_well_leaves_only_the_file(tmp_path):
    with write_whole(tmp_path / "new" / "a.png") as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"whole")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]
    assert (tmp_path / "new" / "a.png").read_bytes() == b"whole"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError, OSError])
def test_an_interrupted_block_keeps_the_old_file_and_leaves_no_other(tmp_path, interruption):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(interruption), write_whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("ne")
        raise interruption
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_new_folder_is_complete_or_as_it_was_before(tmp_path, error):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    for name in ("empty", "link", "new"):
        with pytest.raises(error), new_folder(tmp_path / name):
            (tmp_path / name / "part").mkdir(parents=True)
            (tmp_path / name / "part" / "a.png").touch()
            (tmp_path / name / "a.json").touch()
            raise error
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "link"]
    with new_folder(tmp_path / "new"):
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "a.json").touch()
    with pytest.raises(FileExistsError, match="new must be a new or empty folder"), new_folder(tmp_path / "new"):
        raise AssertionError
    assert (tmp_path / "new" / "a.json").exists()
    (tmp_path / "broken").symlink_to("nowhere")
    for name, problem in (("new/a.json", "a.json is a file"), ("new/a.json/x", "a.json is a file"), ("broken", "link")):
        with pytest.raises(FileExistsError, match=f"but .*{problem}, and a folder"), new_folder(tmp_path / name):
            raise AssertionError


def test_a_folder_for_results_is_none_below_a_file_or_where_nothing_may_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, kind in (("file", "a file"), ("file/new", "a file"), ("link", "a broken link")):
        with pytest.raises(WriteError, match=f"cannot write to the folder .*{name}: .* is {kind}, and a folder"):
            results_folder(tmp_path / name)
    assert results_folder(str(tmp_path / "new" / "newer")) == tmp_path / "new" / "newer"
    assert not (tmp_path / "new").exists()
    assert results_folder("~/results") == Path.home() / "results"
    assert results_folder("~nobody-of-this-name/results") == Path("~nobody-of-this-name/results")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(WriteError, match=f"{tmp_path} is read-only, choose another"):
        results_folder(tmp_path / "new")


def test_results_are_not_written_among_the_inputs(tmp_path):
    (tmp_path / "inputs" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "inputs")
    for output in ("inputs", "inputs/below/..", "link"):
        with pytest.raises(WriteError, match=rf"among the inputs in {tmp_path / output}: choose another folder"):
            results_folder(tmp_path / output, ["general", tmp_path / "inputs"])
    assert results_folder(tmp_path / "inputs" / "below", [tmp_path / "inputs"]) == tmp_path / "inputs" / "below"


class TestFolderLock:
    def test_it_makes_its_folder_and_removes_it_if_it_stays_empty(self, tmp_path):
        folder = tmp_path / "a" / "b"
        lock = FolderLock(folder)
        with pytest.raises(BlockingIOError):
            FolderLock(folder)
        lock.release()
        assert list(tmp_path.iterdir()) == []
        lock = FolderLock(folder)
        (folder.parent / "file").touch()
        lock.release()
        assert list(folder.parent.iterdir()) == [folder.parent / "file"]
        folder.mkdir()
        FolderLock(folder).release()
        assert folder.is_dir(), "it was there before"

    @pytest.mark.parametrize("again", [True, False])
    def test_a_folder_that_was_replaced_while_it_was_opened_is_not_taken_for_the_new_one(
        self, tmp_path, monkeypatch, again
    ):
        folder, calls, take = tmp_path / "folder", [], files.fcntl.flock

        def replaced(descriptor, operation):
            calls.append(operation)
            if len(calls) == 1:
                folder.rename(tmp_path / "moved")  # a new folder could get the number of one that is removed
                if again:
                    folder.mkdir()
            take(descriptor, operation)

        monkeypatch.setattr(files.fcntl, "flock", replaced)
        lock = FolderLock(folder)
        assert len(calls) == 2
        with pytest.raises(BlockingIOError):
            FolderLock(folder)
        lock.release()
        FolderLock(tmp_path / "moved").release()
