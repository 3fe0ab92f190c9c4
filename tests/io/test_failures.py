import errno
import os
import shutil
from pathlib import Path

import pytest

from passband.io.failures import WriteError, failure, naming_file, none_usable, telling_full_disk
from passband.io.files import copy_whole, write_whole
from passband.state_dicts import CheckpointError


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


def test_another_reason_is_the_systems_own(tmp_path):
    with pytest.raises(OSError, match=rf"^cannot write {tmp_path}/a\.txt: Read-only") as caught:  # noqa: SIM117
        with write_whole(tmp_path / "a.txt"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert caught.value.errno == errno.EROFS


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_file_that_is_made_in_a_temporary_folder_is_named_as_the_user_knows_it(tmp_path, number):
    with pytest.raises(WriteError) as caught, naming_file(tmp_path / "a.onnx"):  # noqa: SIM117
        with write_whole(tmp_path / ".hidden.partial" / "a.onnx"):
            raise OSError(number, os.strerror(number))
    assert caught.value.errno == number
    assert str(caught.value).startswith(f"cannot write {tmp_path / 'a.onnx'}: ")
    assert "hidden" not in str(caught.value)
    assert str(caught.value).count("cannot write") == 1


def test_the_error_of_another_file_in_the_block_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        copy_whole(tmp_path / "none.png", tmp_path / "out" / "a.png")
    assert caught.value.filename == str(tmp_path / "none.png")
    with pytest.raises(WriteError) as caught, write_whole(tmp_path / "out" / "a.png"):  # noqa: SIM117
        with write_whole(tmp_path / "cache" / "b.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(caught.value).startswith(f"cannot write {tmp_path}/cache/b.json: no space left in {tmp_path}/cache;")
    with pytest.raises(WriteError) as caught, write_whole(tmp_path / "out" / "a.png"):  # noqa: SIM117
        with write_whole(tmp_path / "out" / ".record"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(caught.value).startswith(f"cannot write {tmp_path}/out/a.png: no space left in {tmp_path}/out;")


@pytest.mark.parametrize("where", ["a.csv", "a.csv/b", "."])
def test_an_error_below_or_above_the_path_is_one_of_the_path(tmp_path, where, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (Path("a.csv"), tmp_path / "a.csv"):
        with pytest.raises(WriteError, match="cannot write .*a.csv: Permission denied"), naming_file(path):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), where)


@pytest.mark.parametrize("error", [CheckpointError("of another task"), MemoryError("too large"), ImportError("none")])
def test_an_error_with_another_cause_is_not_told_as_a_full_disk(tmp_path, error):
    with pytest.raises(type(error), match=str(error)), telling_full_disk(tmp_path / "no folder"):
        raise error


@pytest.mark.parametrize(("written", "is_full"), [(0, True), (4, False)])
def test_what_a_block_has_written_needs_no_room_again(tmp_path, monkeypatch, written, is_full):
    opened = Path.open

    def with_room_for_one_megabyte(path, *arguments, **options):
        file = opened(path, *arguments, **options)
        if ".partial" in path.name:
            write, rooms = file.write, iter([2**20])

            class Full:
                def write(self, content):
                    if next(rooms, 0) < len(content):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    return write(content)

                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

                def __getattr__(self, name):
                    return getattr(file, name)

            return Full()
        return file

    (tmp_path / "a.bin").write_bytes(bytes(written * 2**20))
    monkeypatch.setattr(Path, "open", with_room_for_one_megabyte)
    with pytest.raises(OSError if is_full else RuntimeError), telling_full_disk(tmp_path, 5 * 2**20):
        raise RuntimeError("no such operation")


def test_errors_of_other_libraries_on_a_full_disk_become_that_of_the_system_and_others_stay(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="iostream error"), telling_full_disk(tmp_path):
        raise RuntimeError("iostream error")
    assert list(tmp_path.iterdir()) == []

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("passband.io.failures.os.fsync", full)
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


def test_a_failure_names_its_file_once_and_errors_of_unexpected_kinds():
    path = Path("a.png")
    assert failure(ValueError("a.png is empty"), path) == "a.png is empty"
    assert failure(ValueError("it is empty"), path) == "a.png: it is empty"
    assert failure(ValueError("b.png is empty"), path, Path("b.png")) == "b.png is empty"
    assert failure(MemoryError(), path) == "a.png: MemoryError"
    assert failure(AttributeError("no name"), path) == "a.png: AttributeError: no name"
    error = UnicodeEncodeError("ascii", "é", 0, 1, "no such letter")
    assert failure(error, path).startswith("a.png: UnicodeEncodeError: ")


def test_a_folder_in_which_every_image_failed_gives_the_first_reason_and_an_empty_folder_gives_none():
    assert none_usable("data", ["a.png is cut short", "b.png is empty"]) == (
        "data holds no image that can be used; the first of 2: a.png is cut short"
    )
    assert none_usable("data", []) == "data holds no images"
