"""Makes the pages of the site that repeat the code: commands, recipes, shipped weights and the API reference.

MkDocs runs this file as a hook. `mkdocs.yml` has `[commands]`, `[recipes]`, `[weights]` and `[api]` in its navigation,
where the pages that are made here belong. Nothing is written into the folder docs.
"""

import pkgutil
import re
from collections.abc import Iterator
from importlib.resources import files as package_files
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import passband
from passband.cli import app
from passband.config import load_recipe, shipped_recipes

if TYPE_CHECKING:  # tests read this file where mkdocs is not installed
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

TASKS = {
    "restoration": "Restoration",
    "classification": "Classification",
    "segmentation": "Segmentation",
    "detection": "Detection",
    "inspection": "Inspection",
}
"""Folders of the shipped recipes and their headings, in the order of the navigation."""
CARD = re.compile(r"\]\((?:\.\./)+src/passband/weights(?:/([\w-]+)/README\.md)?\)")
"""A link from a document to the card of shipped weights, or to the folder of all cards."""
Pages = dict[str, tuple[str, str]]
"""Titles and texts of pages, by path."""


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Replace the placeholders of the navigation by lists of the pages that are made."""
    parts = {"commands": command_pages(), "recipes": recipe_pages(), "weights": weight_pages(), "api": api_pages()}
    config.extra["made"] = {path: text for pages in parts.values() for path, (_, text) in pages.items()}

    def filled(entry: object) -> object:
        if isinstance(entry, list):
            if len(entry) == 1 and entry[0] in parts:
                return [{title: path} for path, (title, _) in parts[entry[0]].items()]
            return [filled(part) for part in entry]
        return {title: filled(part) for title, part in entry.items()} if isinstance(entry, dict) else entry

    config.nav = filled(config.nav)  # type: ignore[assignment]
    return config


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    for path, text in config.extra["made"].items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Lead links to cards of shipped weights, which lie outside of docs, to the pages made of them."""
    up = "../" * page.file.src_uri.count("/")
    return CARD.sub(lambda link: f"]({up}weights/{link[1] or 'index'}.md)", markdown)


def command_pages() -> Pages:
    """Make a page for each command: its help, its arguments and its options."""
    root = typer.main.get_command(app)
    pages: Pages = {}
    rows = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        parts = [f"# passband {name}", ""]
        inner = getattr(command, "commands", None)
        if inner is None:
            parts += _command(f"passband {name}", command)
        else:
            parts += [command.help or "", ""]
            for part, inner_command in inner.items():
                parts += [f"## passband {name} {part}", "", *_command(f"passband {name} {part}", inner_command)]
        pages[f"commands/{name}.md"] = (name, "\n".join(parts))
        rows.append(f"| [`{name}`]({name}.md) | {_cell((command.help or '').split(chr(10))[0])} |")
    head = (
        "# Commands\n\n`passband COMMAND --help` shows the same in a terminal. `--debug`, with any command, shows the"
    )
    text = f"{head}\ntraceback of an error.\n\n| command | purpose |\n|---|---|\n" + "\n".join(rows) + "\n"
    return {"commands/index.md": ("All commands", text), **pages}


def _command(called: str, command: object) -> Iterator[str]:
    """Lines of a page about one command."""
    context = typer.Context(command, info_name=called)  # type: ignore[arg-type]
    pieces = " ".join(command.collect_usage_pieces(context))  # type: ignore[attr-defined]
    yield from (command.help or "", "", "```text", f"{called} {pieces}", "```", "")  # type: ignore[attr-defined]
    rows = [_option(parameter) for parameter in command.params]  # type: ignore[attr-defined]
    yield from ("| argument or option | default | meaning |", "|---|---|---|", *rows, "")


def _option(parameter: object) -> str:
    """A row of a table of options."""
    names = [*getattr(parameter, "opts", ()), *getattr(parameter, "secondary_opts", ())]
    is_option = names[0].startswith("-")
    shown = ", ".join(f"`{name}`" for name in names) if is_option else f"`{names[0].upper()}`"
    default = getattr(parameter, "default", None)
    if parameter.required:  # type: ignore[attr-defined]
        given = "required"
    else:
        given = "" if default is None or default is False or callable(default) else f"`{default}`"
    return f"| {shown} | {given} | {_cell(getattr(parameter, 'help', None) or '')} |"


def _cell(text: str) -> str:
    """A text that does not end its cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def recipe_pages() -> Pages:
    """Make a page for each shipped recipe: the TOML file with its comments."""
    pages: Pages = {}
    lists: dict[str, list[str]] = {task: [] for task in TASKS}
    for name, path in sorted(shipped_recipes().items()):
        text = path.read_text(encoding="utf-8")
        recipe, about = load_recipe(name), _first_sentence(text)
        body = f"# {name}\n\n{about}\n\nPrint it to change it: `passband recipe {name} > mine.toml`.\n\n"
        pages[f"recipes/{name}.md"] = (name, f"{body}```toml\n{text.rstrip()}\n```\n")
        lists[recipe.task].append(f"| [`{name}`]({name}.md) | `{recipe.model.name}` | {_cell(about)} |")
    index = [
        "# Recipes",
        "",
        "A recipe holds all settings of a training. `passband train NAME --data FOLDER` follows it.",
    ]
    for task, heading in TASKS.items():
        index += ["", f"## {heading}", "", "| recipe | network | purpose |", "|---|---|---|", *lists[task]]
    ordered = {path: pages[path] for task in TASKS for path in pages if f"]({path.split('/')[1]})" in str(lists[task])}
    return {"recipes/index.md": ("All recipes", "\n".join(index) + "\n"), **ordered}


def _first_sentence(recipe: str) -> str:
    """The first sentence of the comment that a recipe begins with."""
    lines = takewhile(lambda line: line.startswith("#"), recipe.splitlines())
    return re.split(r"(?<=\.) (?=[A-Z0-9])", " ".join(line.strip("# ") for line in lines))[0]


def weight_pages() -> Pages:
    """Make a page of the card of each network that ships in the package."""
    folder = Path(str(package_files("passband"))) / "weights"
    cards = {path.parent.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*/README.md"))}
    lines = [f"- [`{name}`]({name}.md)" for name in cards]
    head = "# Shipped weights\n\nEach network that ships in the package has a card: its training, figures and limits."
    pages = {f"weights/{name}.md": (name, _without_front_matter(text)) for name, text in cards.items()}
    return {"weights/index.md": ("All weights", f"{head}\n\n" + "\n".join(lines) + "\n"), **pages}


def _without_front_matter(card: str) -> str:
    """A model card without the settings that model hubs read, and with links that hold here."""
    text = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    return re.sub(r"\]\((?:\.\./)+docs/", "](../", text)


def api_pages() -> Pages:
    """Make a page for each room of the package, with all its modules."""
    pages: Pages = {}
    rows = []
    rooms = [module for module in pkgutil.iter_modules(passband.__path__) if module.name not in ("cli", "__main__")]
    for room in rooms:
        names = sorted(_modules(Path(passband.__path__[0]), room.name))
        text = "\n".join(f"::: passband.{name}" for name in names)
        pages[f"api/{room.name}.md"] = (f"passband.{room.name}", f"# passband.{room.name}\n\n{text}\n")
    for name in sorted(set(dir(passband)) - {room.name for room in rooms} - {"__version__"}):
        value = getattr(passband, name)
        about = (value.__doc__ or "").strip().split("\n")[0]
        rows.append(f"| [`passband.{name}`][{value.__module__}.{value.__qualname__}] | {_cell(about)} |")
    lists = "\n".join(f"- [`passband.{room.name}`]({room.name}.md)" for room in rooms)
    text = (
        "# API\n\nEvery module below is an attribute after `import passband`; it is imported at first use.\n\n"
        "| name | purpose |\n|---|---|\n" + "\n".join(rows) + f"\n\n## Modules\n\n{lists}\n"
    )
    return {"api/index.md": ("All names", text), **pages}


def _modules(package: Path, room: str) -> Iterator[str]:
    """Dotted names of a room's public modules, without those that only other modules of the package use."""
    if (package / f"{room}.py").exists():
        yield room
        return
    for path in (package / room).rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        if not any(part.startswith("_") and part != "__init__" for part in parts):
            yield ".".join(part for part in parts if part != "__init__")
