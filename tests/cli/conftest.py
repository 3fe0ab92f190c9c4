import sys

import pytest

from passband.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs `passband ARGUMENTS` here, and returns (status, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["passband", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as done:
            main()
        captured = capsys.readouterr()
        return done.value.code or 0, captured.out, captured.err

    return run
