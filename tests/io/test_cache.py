from pathlib import Path

import pytest

from passband.io import cache
from passband.io.cache import cache_folder


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
    monkeypatch.setattr(cache.sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "chosen"))
        assert cache_folder() == tmp_path / "chosen" / "passband"
        monkeypatch.delenv(variable)
    assert cache_folder() == tmp_path / inside / "passband"
