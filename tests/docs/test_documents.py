import ast
import importlib
import pydoc
import re
import shlex
import tomllib

import pytest
import typer

from passband.cli import app, main
from passband.config import load_recipe, shipped_recipes
from passband.io.image import write_image
from tests.documents import DOCS, ROOT, blocks

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
DOTTED = re.compile(r"(?<![\w./])passband(?:\.\w+)+(?![\w/])")
SCRIPT = re.compile(r"(?<![\w/])benchmarks/[\w/]+\.(?:py|c|md)\b")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def command():
    """The command `passband`."""
    return typer.main.get_command(app)


def commands(path):
    """The words of each call of passband in a document's shell blocks."""
    for language, text in blocks(path):
        for line in text.replace("\\\n", " ").splitlines() if language == "sh" else ():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words[:1] == ["passband"]:
                    yield words[1 : words.index(">")] if ">" in words else words[1:]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_document_has_the_options_that_are_used(document, command):
    for words in commands(document):
        if words and words[0].startswith("--"):
            continue
        name, *rest = words
        called = command.commands[name]
        while hasattr(called, "commands"):
            if (default := getattr(called, "default", None)) and (not rest or rest[0] not in called.commands):
                rest = [default, *rest]
            name, *rest = rest
            called = called.commands[name]
        context = called.make_context(name, [word for word in rest if word != "..."])
        if name == "train" and context.params["recipe"] in shipped_recipes():
            load_recipe(context.params["recipe"])
        elif name == "train" and not context.params["resume"]:
            assert context.params["recipe"].endswith(".toml"), f"{document.name}: no recipe {context.params['recipe']}"


def helps(called):
    """The help of a command, of its options and of its commands."""
    yield from (called.help or "", *(getattr(param, "help", None) or "" for param in called.params))
    for below in getattr(called, "commands", {}).values():
        yield from helps(below)


def test_no_help_has_words_in_brackets_which_rich_would_take_for_a_style_and_leave_out(command, capsys):
    assert not [text for text in helps(command) if re.search(r"(?<!\\)\[[a-z/#@]", text)]
    with pytest.raises(SystemExit):
        command.main(["demo", "detect", "--help"])
    assert "pip install 'passband[detection]'" in capsys.readouterr().out


def test_a_run_is_named_by_its_folder_wherever_a_command_takes_it():
    texts = [text for document in DOCUMENTS for language, text in blocks(document) if language == "sh"]
    texts += [path.read_text(encoding="utf-8") for path in shipped_recipes().values()]
    assert not [text for text in texts if "/weights/best" in text]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_of_a_document_is_there(document):
    for language, text in blocks(document):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("passband"):
                module = importlib.import_module(node.module)
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert not missing, f"{document.name}: {node.module} has no {missing}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_dotted_name_of_a_document_is_there(document):
    for name in set(DOTTED.findall(document.read_text(encoding="utf-8"))):
        assert pydoc.locate(name) is not None, f"{document.name} names {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_to_a_file(document):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert not broken


def test_every_script_that_a_text_names_is_there():
    folders = ("src", "docs", "examples", "benchmarks", "tests")
    texts = [path for name in folders for path in (ROOT / name).rglob("*") if path.suffix in (".md", ".py", ".toml")]
    for path in [*ROOT.glob("*.md"), *texts]:
        missing = [name for name in SCRIPT.findall(path.read_text(encoding="utf-8")) if not (ROOT / name).exists()]
        assert not missing, f"{path} names {missing}"


def test_the_list_of_benchmarks_has_every_script_in_its_folder():
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    listed = {section.split(":")[0]: section for section in text.split("\n## ")[1:]}
    for path in (ROOT / "benchmarks").glob("*/*.py"):
        if "def main()" in path.read_text(encoding="utf-8"):
            assert f"`{path.name}`" in listed[path.parent.name], f"{path} is missing in benchmarks/README.md"


def test_commands_of_the_readme_that_restore_and_score_run(tmp_path, monkeypatch, photograph):
    for name in ("photo.jpg", "hazy.jpg", "holiday/pier.png", "photos/cat.png"):
        write_image(tmp_path / name, photograph[:, 90:154, 120:200])
    monkeypatch.chdir(tmp_path)
    ran = 0
    for words in commands(ROOT / "README.md"):
        is_ready = words[1:2] == ["general"] or (len(words) > 1 and (tmp_path / words[1]).exists())
        if words[0] in ("restore", "degrade", "evaluate") and is_ready and "runs/" not in " ".join(words):
            monkeypatch.setattr("sys.argv", ["passband", *words])
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code, words
            ran += 1
    assert ran >= 6
    assert (tmp_path / "photo_restored.jpg").exists()
    assert (tmp_path / "report" / "report.md").exists()


def test_the_readme_fits_on_three_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_floor_plan_has_the_rooms_of_the_contract_in_its_order():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ][0]
    plan = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Floor plan")[1].split("\n## ")[0]
    floors = [line for line in plan.splitlines() if line.startswith("|")][2:]
    for floor, rooms in zip(floors, contract["layers"], strict=True):
        for room in rooms.split(" | "):
            assert f"`{room}`" in floor or f"`{room}.py`" in floor, f"{room} is missing in: {floor}"
