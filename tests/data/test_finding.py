import os
from pathlib import Path

import pytest

from passband.data.finding import IMAGES, OURS, find_sources, kinds_passed_over
from passband.io.image import SUFFIXES
from passband.io.records import OutputSettings, Records, signature
from tests.pictures import make

MAKING = OutputSettings("restore", "abc", {})


def find(*sources):
    """Names of the sources found, problems, and what was passed over."""
    passed = []
    found = find_sources(sources, SUFFIXES, IMAGES, passed=passed.append)
    return [one.path.name for one in found if not one.problem], [one.problem for one in found if one.problem], passed


def record(source, *targets):
    for target in targets:
        Records().add(target, source, signature(source), MAKING)


def test_other_kinds_and_linked_folders_are_counted_by_kind(tmp_path):
    make(tmp_path / "in", "a.png")
    for name in ("b.psd", "c.PSD", "d.gif", "e.nef", "notes", ".hidden.gif", ".git/f.gif"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"something else")
    make(tmp_path / "other", "b.png")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    names, problems, passed = find(tmp_path / "in")
    assert (names, problems) == (["a.png"], [])
    assert kinds_passed_over(passed) == (
        "6 files of other kinds passed over: .psd 2, .gif 1, .nef 1, .png 1, without a suffix 1; "
        "2 linked folders passed over"
    )
    assert kinds_passed_over([]) == ""
    assert kinds_passed_over(passed[:1]) == "1 file of another kind passed over: .psd 1"


def test_a_file_without_a_telling_suffix_is_known_by_its_content(tmp_path):
    for number, name in enumerate(("photo", "scan 2026.11.26", "old.jif", "web.jpg_large", "fine.jfif", "b.jpe")):
        make(tmp_path, f"{number}.jpg")[0].rename(tmp_path / name)
    (tmp_path / "README").write_text("no picture")
    found = find_sources([tmp_path], SUFFIXES, IMAGES)
    assert {one.path.name: one.suffix for one in found} == {
        **dict.fromkeys(("photo", "scan 2026.11.26", "old.jif", "web.jpg_large"), ".jpg"),
        **{"fine.jfif": ".jfif", "b.jpe": ".jpe"},
    }


def test_the_matches_of_a_pattern_are_looked_at_as_a_folder_is(tmp_path):
    make(tmp_path, "small/a.png", "small/deep/b.png")
    (tmp_path / "small" / "empty").mkdir()
    (tmp_path / "small" / "notes.txt").write_text("no picture")
    names, problems, passed = find(str(tmp_path / "small" / "*"))
    assert (names, problems) == (["a.png", "b.png"], [])
    assert kinds_passed_over(passed) == "1 file of another kind passed over: .txt 1"
    with pytest.raises(FileNotFoundError, match=r"\*\.txt matches no images .*; 1 file of another kind .*\.txt 1"):
        find(str(tmp_path / "small" / "*.txt"))


def test_one_source_that_is_not_there_keeps_no_other_from_being_found(tmp_path, close_folder):
    make(tmp_path, "a.png", "closed/b.png", "in/c.png")
    (tmp_path / "empty").mkdir()
    long = tmp_path / ("x" * 300)
    with pytest.raises(OSError, match=r"x cannot be read \(File name too long\)"):
        find(long)
    names, problems, _ = find(tmp_path / "a.png", tmp_path / "gone.png", tmp_path / "empty", long, tmp_path / "in")
    assert names == ["a.png", "c.png"]
    assert problems[0] == f"no file, folder or match for {tmp_path / 'gone.png'}"
    assert problems[1].startswith(f"{tmp_path / 'empty'} holds no images")
    assert problems[2] == f"{long} cannot be read (File name too long)"
    close_folder(tmp_path / "closed")
    names, problems, _ = find(tmp_path)
    assert names == ["a.png", "c.png"]
    assert problems == [f"{tmp_path / 'closed'} cannot be read (Permission denied)"]


def test_a_folder_of_other_kinds_alone_is_an_error_that_counts_them(tmp_path):
    (tmp_path / "a.psd").write_bytes(b"x")
    with pytest.raises(FileNotFoundError, match=r"holds no images \(.*\); 1 file of another kind .*\.psd 1"):
        find(tmp_path)


def test_a_file_is_found_once_for_each_folder_that_it_was_found_below(tmp_path, monkeypatch):
    make(tmp_path, "in/a.png", "in/b.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    assert find("in", tmp_path / "in", "link", "in/../in")[0] == ["a.png", "b.png"]
    assert find("in/a.png", "./in/a.png", tmp_path / "link" / "a.png")[0] == ["a.png"]
    assert find("in/a.png", "in")[0] == ["a.png", "a.png", "b.png"]


class TestOurs:
    def test_what_was_made_of_a_source_of_this_run_is_no_source(self, tmp_path):
        source, restored, compare, foreign_file_message = make(
            tmp_path, "a.png", "a_restored.png", "a_compare.png", "b_restored.png"
        )
        record(source, restored, compare)
        names, _, passed = find(tmp_path)
        assert names == ["a.png", foreign_file_message.name]
        assert {one.path: one.kind for one in passed} == {restored: OURS, compare: OURS}
        assert kinds_passed_over(passed) == ""
        assert find(source, restored)[0] == ["a.png"]
        assert find(str(tmp_path / "*"))[0] == names

    def test_it_is_a_source_where_its_own_source_is_not_given(self, tmp_path):
        source, restored = make(tmp_path, "in/a.png", "in_restored/a.png")
        record(source, restored)
        assert find(restored)[0] == ["a.png"]
        assert find(tmp_path / "in_restored")[0] == ["a.png"]
        names, problems, _ = find(tmp_path)
        assert (names, problems) == (["a.png"], [])

    def test_it_is_a_source_once_somebody_has_changed_it(self, tmp_path):
        source, restored = make(tmp_path, "a.png", "a_restored.png")
        record(source, restored)
        make(tmp_path / "new", "a.png")[0].with_suffix(".png").rename(restored)
        restored.write_bytes(restored.read_bytes() + b"\0")
        assert find(tmp_path)[0] == ["a.png", "a_restored.png"]

    def test_it_is_known_through_a_link_and_by_a_relative_path(self, tmp_path, monkeypatch):
        source, restored = make(tmp_path, "t/a.png", "t/out/a.png")
        record(source, restored)
        (tmp_path / "link").symlink_to(tmp_path / "t")
        monkeypatch.chdir(tmp_path / "t")
        for given in (".", "../t", "../link", tmp_path / "t", tmp_path / "link"):
            found = find_sources([given], SUFFIXES, IMAGES)
            assert [Path(os.path.realpath(one.path)) for one in found] == [source.resolve()]

    def test_segments_of_a_video_are_none_but_a_folder_called_parts_holds_sources(self, tmp_path):
        make(tmp_path, "clip.mp4.parts/0.png", "spare.parts/1.png")
        (tmp_path / "clip.mp4.parts" / "job.json").write_text("{}")
        assert find(tmp_path)[0] == ["1.png"]


def test_a_pipe_and_an_empty_name_are_refused_and_the_others_are_found(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "a.png").write_bytes(b"")
    found = find_sources([tmp_path / "pipe.jpg", "", tmp_path / "a.png"], SUFFIXES, IMAGES)
    assert [file.path.name for file in found if not file.problem] == ["a.png"]
    problems = [file.problem for file in found if file.problem]
    assert problems[0].startswith(f"{tmp_path / 'pipe.jpg'} is a device or a pipe, and a file is needed")
    assert problems[1].startswith("a file, folder or pattern is needed, and an empty text is given")
