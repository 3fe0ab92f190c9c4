import os
from pathlib import Path

import pytest

from passband.io import paths
from passband.io.files import write_whole
from passband.io.paths import cache_folder, checked_path, fitted_name, is_parts_folder, parts_folder


@pytest.mark.parametrize(("value", "error"), [(None, TypeError), (3, TypeError), (b"a", TypeError), ("", ValueError)])
def test_other_values_than_paths_are_refused_by_their_name(value, error):
    with pytest.raises(error, match="the folder must be a"):
        checked_path(value, "the folder")
    for path in (Path("a"), "a b.c", Path()):
        assert checked_path(path, "the folder") is path


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
    monkeypatch.setattr(paths.sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "chosen"))
        assert cache_folder() == tmp_path / "chosen" / "passband"
        monkeypatch.delenv(variable)
    assert cache_folder() == tmp_path / inside / "passband"
