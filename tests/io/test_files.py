import errno
import os
import shutil
from pathlib import Path

import pytest

from passband.io import files
from passband.io.files import (
    FolderLock,
    WriteError,
    cache_folder,
    checked_path,
    failure,
    fitted_name,
    is_parts_folder,
    naming_file,
    new_folder,
    none_usable,
    parts_folder,
    results_folder,
    telling_full_disk,
    write_whole,
)


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_with_the_folder_and_what_to_do(tmp_path, number):
    with pytest.raises(WriteError) as caught, write_whole(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'a.txt'}: no space left in {tmp_path}; free some space there, or choose another "
        "folder"
    )
    assert caught.value.errno == number
    assert list(tmp_path.iterdir()) == []


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


def test_another_reason_is_the_systems_own(tmp_path):
    with pytest.raises(OSError, match=rf"^cannot write {tmp_path}/a\.txt: Read-only") as caught:  # noqa: SIM117
        with write_whole(tmp_path / "a.txt"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert caught.value.errno == errno.EROFS


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_file_that_is_made_in_a_temporary_folder_is_named_as_the_user_knows_it(tmp_path, number):
    with pytest.raises(WriteError) as caught, naming_file(tmp_path / "a.onnx"):  # noqa: SIM117
        with write_whole(tmp_path / ".hidden" / "a.onnx"):
            raise OSError(number, os.strerror(number))
    assert caught.value.errno == number
    assert str(caught.value).startswith(f"cannot write {tmp_path / 'a.onnx'}: ")
    assert "hidden" not in str(caught.value)
    assert str(caught.value).count("cannot write") == 1


def test_errors_of_other_libraries_on_a_full_disk_become_that_of_the_system_and_others_stay(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="iostream error"), telling_full_disk(tmp_path):
        raise RuntimeError("iostream error")
    assert list(tmp_path.iterdir()) == []

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("passband.io.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left") as caught, telling_full_disk(tmp_path):
        raise RuntimeError("iostream error")
    assert (caught.value.errno, str(caught.value.__cause__)) == (errno.ENOSPC, "iostream error")
    with pytest.raises(OSError, match="No space left"), telling_full_disk(tmp_path):
        raise shutil.Error([("one", "other", "[Errno 28] No space left on device")])  # it has no error number
    with pytest.raises(OSError, match="the system's own"), telling_full_disk(tmp_path):
        raise OSError(errno.EACCES, "the system's own")
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*a\.txt: .*file is a file, and a folder is needed$"):  # noqa: SIM117
        with write_whole(tmp_path / "file" / "a.txt"):
            raise AssertionError("the block must not run")


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


@pytest.mark.parametrize(("value", "error"), [(None, TypeError), (3, TypeError), (b"a", TypeError), ("", ValueError)])
def test_other_values_than_paths_are_refused_by_their_name(value, error):
    with pytest.raises(error, match="the folder must be a"):
        checked_path(value, "the folder")
    for path in (Path("a"), "a b.c", Path()):
        assert checked_path(path, "the folder") is path


def test_results_are_not_written_among_the_inputs(tmp_path):
    (tmp_path / "inputs" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "inputs")
    for output in ("inputs", "inputs/below/..", "link"):
        with pytest.raises(WriteError, match=rf"among the inputs in {tmp_path / output}: choose another folder"):
            results_folder(tmp_path / output, ["general", tmp_path / "inputs"])
    assert results_folder(tmp_path / "inputs" / "below", [tmp_path / "inputs"]) == tmp_path / "inputs" / "below"


class TestNames:
    def test_a_name_that_fits_is_kept_and_a_longer_one_is_shortened_to_255_bytes(self):
        assert fitted_name("a" * 242, "_restored.jpg") == "a" * 242 + "_restored.jpg"
        for stem in ("a" * 243, "é" * 125, "a" + "é" * 125, "\N{GRINNING FACE}" * 62, "\udce9" * 250):
            name = fitted_name(stem, "_restored.jpg")
            assert name.endswith("_restored.jpg")
            assert 248 <= len(os.fsencode(name)) <= 255
            assert name == fitted_name(stem, "_restored.jpg")
            assert name != fitted_name(stem + "b", "_restored.jpg")

    def test_the_longest_name_of_a_video_has_a_folder_of_segments(self, tmp_path):
        target = tmp_path / f"{'v' * 251}.mp4"
        folder = parts_folder(target)
        folder.mkdir()
        assert not is_parts_folder(folder)
        (folder / "job.json").touch()
        assert is_parts_folder(folder)
        assert parts_folder(tmp_path / "v.mp4") == tmp_path / "v.mp4.parts"
        with write_whole(target) as temporary:
            temporary.write_bytes(b"whole")
        assert target.read_bytes() == b"whole"


def test_a_failure_names_its_file_once_and_errors_of_unexpected_kinds():
    path = Path("a.png")
    assert failure(ValueError("a.png is empty"), path) == "a.png is empty"
    assert failure(ValueError("it is empty"), path) == "a.png: it is empty"
    assert failure(ValueError("b.png is empty"), path, Path("b.png")) == "b.png is empty"
    assert failure(MemoryError(), path) == "a.png: MemoryError"
    assert failure(AttributeError("no name"), path) == "a.png: AttributeError: no name"
    error = UnicodeEncodeError("ascii", "é", 0, 1, "no such letter")
    assert failure(error, path).startswith("a.png: UnicodeEncodeError: ")


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"


@pytest.mark.parametrize(
    ("system", "variable", "inside"),
    [
        ("linux", "XDG_CACHE_HOME", ".cache"),
        ("darwin", None, "Library/Caches"),
        ("win32", "LOCALAPPDATA", "AppData/Local"),
    ],
)
def test_else_it_is_where_the_system_keeps_such_things(monkeypatch, tmp_path, system, variable, inside):
    monkeypatch.delenv("PASSBAND_CACHE", raising=False)
    monkeypatch.setattr(files.sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "chosen"))
        assert cache_folder() == tmp_path / "chosen" / "passband"
        monkeypatch.delenv(variable)
    assert cache_folder() == tmp_path / inside / "passband"


def test_a_folder_in_which_every_image_failed_gives_the_first_reason_and_an_empty_folder_gives_none():
    assert none_usable("data", ["a.png is cut short", "b.png is empty"]) == (
        "data holds no image that can be used; the first of 2: a.png is cut short"
    )
    assert none_usable("data", []) == "data holds no images"


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
