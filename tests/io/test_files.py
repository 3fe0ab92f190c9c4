import errno
import os

import pytest

from passband.io.files import write_whole


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


def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path):
    with (
        pytest.raises(OSError, match=r"cannot write .*a\.txt: No space left") as caught,
        write_whole(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*a\.txt"), write_whole(tmp_path / "file" / "a.txt"):
        raise AssertionError("the block must not run")
