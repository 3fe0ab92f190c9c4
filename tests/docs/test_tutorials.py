import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from passband.cli import main
from tests.documents import DOCS, blocks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))


def run_commands(text, monkeypatch):
    """Runs lines of a shell block as `passband` would run them, in this process."""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "passband", f"a tutorial runs commands of passband alone, not {line!r}"
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, line


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_every_block_of_a_tutorial_runs_as_it_is_written(tutorial, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = ModuleType("__main__")
    script.__file__ = str(tmp_path / "script.py")  # worker processes import it
    program = ""
    for language, text in blocks(tutorial):
        if language == "sh":
            run_commands(text, monkeypatch)
        elif language == "python":
            program += text
            Path(script.__file__).write_text(program)
            with monkeypatch.context() as patch:
                patch.setitem(sys.modules, "__main__", script)
                exec(compile(text, str(tutorial), "exec"), vars(script))
    assert program, "a tutorial has Python to run"


def test_each_tutorial_is_there():
    assert {path.stem for path in TUTORIALS} == {
        *("restore", "score", "finetune", "classify", "segment", "curriculum", "jpeg-reader")
    }
