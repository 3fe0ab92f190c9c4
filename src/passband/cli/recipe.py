"""`passband recipe`."""

from itertools import takewhile
from typing import Annotated

import typer


def recipe(
    name: Annotated[str | None, typer.Argument(help="Of a shipped recipe, to print it. Default: list all.")] = None,
) -> None:
    """List the shipped recipes, or print one to change: passband recipe NAME > mine.toml."""
    from passband.config import no_recipe, shipped_recipes

    shipped = shipped_recipes()
    if name is None:
        width = max(map(len, shipped))
        for known, path in shipped.items():
            typer.echo(f"{known:<{width}}  {_about(path.read_text(encoding='utf-8'))}")
        return
    if name not in shipped:
        raise no_recipe(name)
    typer.echo(shipped[name].read_text(encoding="utf-8"), nl=False)


def _about(recipe: str) -> str:
    """The first sentence of the lines that a recipe begins with."""
    lines = takewhile(lambda line: line.startswith("#"), recipe.splitlines())
    return " ".join(line.lstrip("# ") for line in lines).split(". ")[0].removesuffix(".")
