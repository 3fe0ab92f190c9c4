import pytest

from passband.data.duplicates import TAIL, duplicates, without_duplicates


def write(folder, **contents):
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return sorted(folder.iterdir())


def test_equal_files_are_found_whatever_they_are_called(tmp_path):
    first = write(tmp_path / "a", one=b"abc", two=b"abd", three=b"x" * 9000, four=b"", five=b"unlike")
    second = write(tmp_path / "b", uno=b"abd", due=b"x" * 9000, tre=b"y" * 9000, nove=b"something else")
    found = duplicates(second, first)
    assert [(one.name, other.name) for one, other in found] == [("due", "three"), ("uno", "two")]
    assert [path.name for path in without_duplicates(second, first)] == ["nove", "tre"]


def test_files_that_differ_at_their_start_alone_are_not_equal(tmp_path):
    end = b"e" * (TAIL + 1)
    first, second = write(tmp_path / "a", one=b"1" + end), write(tmp_path / "b", one=b"2" + end)
    assert duplicates(second, first) == []
    assert without_duplicates(second, first) == second


def test_the_first_of_several_equals_is_named_and_each_equal_counts(tmp_path):
    first = write(tmp_path / "a", a=b"same", b=b"same")
    second = write(tmp_path / "b", c=b"same", d=b"same")
    assert [(one.name, other.name) for one, other in duplicates(second, first)] == [("c", "a"), ("d", "a")]
    assert without_duplicates(second, first) == []


def test_only_files_of_equal_sizes_are_opened(tmp_path, monkeypatch):
    first, second = write(tmp_path / "a", one=b"123"), write(tmp_path / "b", one=b"12345")
    monkeypatch.setattr(type(tmp_path), "open", lambda *_: pytest.fail("a file was opened"))
    assert duplicates(second, first) == []
