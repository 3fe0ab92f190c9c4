import runpy
from types import SimpleNamespace

import pytest
import typer

import passband
from passband.cli import app
from passband.config import shipped_recipes
from tests.documents import DOCS


@pytest.fixture(scope="module")
def made():
    """The functions that make pages."""
    return runpy.run_path(str(DOCS / "site_pages.py"))


def test_every_command_has_a_page_with_all_its_options(made):
    pages = made["command_pages"]()
    for name, command in typer.main.get_command(app).commands.items():
        title, text = pages[f"commands/{name}.md"]
        assert title == name
        assert f"]({name}.md)" in pages["commands/index.md"][1]
        for part in getattr(command, "commands", {"": command}).values():
            for parameter in part.params:
                assert f"`{parameter.opts[0] if parameter.opts[0][0] == '-' else parameter.opts[0].upper()}`" in text


def test_every_recipe_has_a_page_with_its_file(made):
    pages = made["recipe_pages"]()
    assert set(pages) == {"recipes/index.md", *(f"recipes/{name}.md" for name in shipped_recipes())}
    for name, path in shipped_recipes().items():
        assert path.read_text(encoding="utf-8").rstrip() in pages[f"recipes/{name}.md"][1]
        assert f"[`{name}`]({name}.md)" in pages["recipes/index.md"][1]


def test_every_public_name_is_in_the_reference(made):
    pages = made["api_pages"]()
    index = pages["api/index.md"][1]
    for name in set(dir(passband)) - {"__version__"}:
        assert f"`passband.{name}`" in index


def test_links_to_cards_lead_to_their_pages(made):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="methods/sfnet.md"))
    text = "[card](../../src/passband/weights/general/README.md), [all](../../src/passband/weights)"
    linked = made["on_page_markdown"](text, page, None, None)
    assert linked == "[card](../weights/general.md), [all](../weights/index.md)"
