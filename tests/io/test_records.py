import json
import os
import shutil
import threading

import pytest

from passband.io.records import RECORD_FILE, OutputSettings, Records, signature

MAKING = OutputSettings("restore", "abc", {"quality": 95, "temporal": None})


@pytest.fixture
def made(tmp_path):
    """A source and what was made of it, recorded."""
    source, target = tmp_path / "in" / "a.png", tmp_path / "out" / "a.png"
    for path, content in ((source, b"source"), (target, b"target")):
        path.parent.mkdir()
        path.write_bytes(content)
    Records().add(target, source, signature(source), MAKING)
    return source, target


def test_a_recorded_file_is_what_the_same_source_weights_and_options_make(made):
    source, target = made
    records = Records()
    assert records.entry(target) is not None
    assert records.difference(target, source, MAKING) == ""
    assert records.difference(target, source, OutputSettings("restore", "other", MAKING.options)) == "other weights"
    assert records.difference(target, source, OutputSettings("restore", "abc", {"quality": 90})) == "other options"
    assert records.difference(target, source, OutputSettings("segment", "abc", MAKING.options)) == "another command"


def test_a_source_is_told_by_its_content_and_not_by_its_time_or_place(made, tmp_path):
    source, target = made
    os.utime(source, ns=(1, 1))
    assert Records().difference(target, source, MAKING) == ""
    moved = source.rename(tmp_path / "elsewhere.png")
    assert Records().difference(target, moved, MAKING) == ""
    source.write_bytes(b"source, changed")
    assert Records().difference(target, source, MAKING) == "the source has changed"


def test_another_file_of_the_same_length_and_time_is_another_source(made, tmp_path):
    source, target = made
    other = tmp_path / "other.png"
    other.write_bytes(b"ecruos")
    stat = source.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Records().difference(target, other, MAKING) == "another source"


def test_what_was_not_recorded_or_has_changed_since_is_a_stranger_s(made):
    source, target = made
    assert Records().entry(source) is None
    os.utime(target, ns=(1, 1))  # a copy is still what was written
    assert Records().entry(target) is not None
    target.write_bytes(b"edited")
    assert Records().entry(target) is None
    target.unlink()
    assert Records().entry(target) is None


def test_what_was_made_of_a_source_is_told_also_when_both_are_moved(made, tmp_path):
    source, target = made
    assert Records().is_made_of(target, {str(source.resolve())})
    assert not Records().is_made_of(target, {str(target.resolve())})
    assert not Records().is_made_of(source, {str(source.resolve())})
    shutil.move(tmp_path / "in", tmp_path / "new" / "in")
    shutil.move(tmp_path / "out", tmp_path / "new" / "out")
    place = (tmp_path / "new" / "in" / "a.png").resolve()
    assert Records().is_made_of(tmp_path / "new" / "out" / "a.png", {str(place)})


@pytest.mark.parametrize(
    "damage",
    [b"", b"\n", b"{", b"[]\n", b'{"file": "a.png"}\n', b"\xff\xfe\n", b'{"file": 1, "source": null}\n'],
    ids=["nothing", "empty line", "cut line", "list", "short", "no text", "types"],
)
def test_a_damaged_record_is_as_good_as_its_whole_lines(made, damage):
    source, target = made
    record = target.parent / RECORD_FILE
    whole = record.read_bytes()
    record.write_bytes(damage)
    assert Records().entry(target) is None
    record.write_bytes(damage + b"\n" + whole + damage)
    assert Records().entry(target) is not None
    second = target.with_name("b.png")
    second.write_bytes(b"another")
    Records().add(second, source, signature(source), MAKING)
    assert Records().entry(second) is not None
    assert Records().entry(target) is not None


def test_the_last_line_of_a_file_counts(made):
    source, target = made
    target.write_bytes(b"again")
    records = Records()
    assert records.entry(target) is None
    records.add(target, source, signature(source), OutputSettings("restore", "new", {}))
    for known in (records, Records()):
        assert known.difference(target, source, OutputSettings("restore", "new", {})) == ""
    assert len((target.parent / RECORD_FILE).read_text().splitlines()) == 2


def test_a_name_of_any_bytes_is_recorded(tmp_path):
    source = tmp_path / os.fsdecode(b"caf\xe9\n.png")
    target = source.with_name(os.fsdecode(b"caf\xe9\n_restored.png"))
    for path in (source, target):
        path.write_bytes(b"x")
    Records().add(target, source, signature(source), MAKING)
    (line,) = (tmp_path / RECORD_FILE).read_text("ascii").splitlines()
    assert json.loads(line)["file"] == target.name
    assert Records().is_made_of(target, {str(source.resolve())})


def test_a_line_without_its_file_leaves_the_file_before_known(made):
    source, target = made
    content = target.with_name("temporary")
    content.write_bytes(b"new content")
    records = Records()
    records.add(target, source, signature(source), OutputSettings("restore", "new", {}), content)
    for known in (records, Records()):  # killed before the file got its name
        assert known.difference(target, source, MAKING) == ""
    content.replace(target)
    assert Records().difference(target, source, OutputSettings("restore", "new", {})) == ""


def test_several_processes_may_add_lines_at_the_same_time(made):
    source, target = made
    seen = signature(source)

    def add(start):
        for number in range(start, start + 50):
            copy = target.with_name(f"{number}.png")
            copy.write_bytes(b"target")
            Records().add(copy, source, seen, MAKING)

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = Records()
    assert all(records.entry(path) for path in target.parent.glob("*.png"))
    assert len((target.parent / RECORD_FILE).read_text().splitlines()) == 151


def test_a_clock_that_jumps_back_makes_nothing_new(made):
    source, target = made
    for path in made:
        os.utime(path, (1, 1))
    assert Records().difference(target, source, MAKING) == ""
    source.write_bytes(b"SOURCE")  # of the same length, and older than its record
    os.utime(source, (2, 2))
    assert Records().difference(target, source, MAKING) == "the source has changed"


def test_lines_of_new_files_take_no_memory_and_are_read_when_they_are_needed(made):
    source, target = made
    records, seen = Records(), signature(source)
    assert records.entry(target) is not None
    copies = [target.with_name(f"{number}.png") for number in range(3)]
    for copy in copies:
        copy.write_bytes(b"target")
        records.add(copy, source, seen, MAKING)
    assert [*records._record_of(str(target.parent))._lines] == [target.name]
    assert all(records.entry(copy) is not None for copy in copies)
    other = OutputSettings("restore", "new", {})
    target.write_bytes(b"again")
    records.add(target, source, seen, other)
    assert records.difference(target, source, other) == ""
    assert records.difference(copies[0], source, MAKING) == ""


def test_a_line_of_another_process_that_is_half_written_is_read_later(made):
    source, target = made
    record = target.parent / RECORD_FILE
    whole = record.read_bytes()
    record.write_bytes(whole[:-20])
    records = Records()
    assert records.entry(target) is None
    record.write_bytes(whole)
    copy = target.with_name("b.png")
    copy.write_bytes(b"target")
    records.add(copy, source, signature(source), MAKING)
    assert records.entry(target) is not None
