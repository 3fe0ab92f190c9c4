"""`passband recipe`."""

from itertools import takewhile
from typing import Annotated

import typer


def recipe(
    name: Annotated[str | None, typer.Argument(help="Shipped recipe to print. Default: list all recipes.")] = None,
) -> None:
    """List the shipped recipes, or print one of them.

    To train with changed settings, save a recipe first: passband recipe NAME > mine.toml.
    """
    from passband.config import no_recipe, shipped_recipes

    shipped = shipped_recipes()
    if name is None:
        width = max(map(len, shipped))
        for known, path in shipped.items():
            typer.echo(f"{known:<{width}}  {_description(path.read_text(encoding='utf-8'))}")
        return
    if name not in shipped:
        raise no_recipe(name)
    typer.echo(shipped[name].read_text(encoding="utf-8"), nl=False)


def _description(recipe: str) -> str:
    """Return the first sentence of the comment at the top of a recipe."""
    lines = takewhile(lambda line: line.startswith("#"), recipe.splitlines())
    return " ".join(line.lstrip("# ") for line in lines).split(". ")[0].removesuffix(".")
