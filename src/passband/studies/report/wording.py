"""Writes figures, intervals, names and sentences of a study's report in one way."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH = 120
"""Largest number of characters in a line of prose."""
MOST_DIGITS = 6
"""Largest number of digits after the point."""


def digits_for(spread: float, largest: float) -> int:
    """Return a number of digits after the point that shows two digits of a spread.

    Args:
        spread: difference that must be visible.
        largest: largest absolute value of the figure.
    """
    least = 2 if largest < 1000 else 0
    if not math.isfinite(spread) or spread <= 0:
        return max(least, 4 if largest <= 1 else 2)
    return min(MOST_DIGITS, max(least, 1 - math.floor(math.log10(spread))))


def value_text(value: Any) -> str:
    """Return a hyperparameter's value as short text.

    Args:
        value: number, text, bool or list, as TOML has them.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Return the last part of each recipe key, or the whole key if two keys end alike.

    Args:
        keys: dotted keys, such as `optim.learning_rate`.

    Returns:
        The short name of each key.
    """
    names = list(keys)
    ends = [name.rpartition(".")[2] for name in names]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)}


def code(text: str) -> str:
    """Return text as code in Markdown, which keeps signs such as `*` and `<` as they are.

    Args:
        text: text, in which backticks become single quotes and line breaks become spaces.
    """
    return "`" + text.replace("`", "'").replace("\n", " ") + "`"


def plain(text: str) -> str:
    """Return a sentence in Markdown without its marks, for a terminal.

    Args:
        text: sentence with code and bold words.
    """
    return text.replace("`", "").replace("**", "")


def joined(texts: Sequence[str]) -> str:
    """Return texts as a list in a sentence, such as `A, B and C`.

    Args:
        texts: any number of texts.
    """
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else "".join(texts)


def paragraph(*sentences: str) -> list[str]:
    """Return sentences as the lines of one paragraph, with an empty line after it.

    Args:
        sentences: sentences; empty ones are left out.
    """
    text = " ".join(sentence for sentence in sentences if sentence)
    return [*_wrapped(text), ""] if text else []


def bullets(texts: Iterable[str]) -> list[str]:
    """Return texts as a list in Markdown, with an empty line after it.

    Args:
        texts: one text for each bullet.

    Returns:
        Lines of Markdown; none if there are no texts.
    """
    lines = [line for text in texts for line in _wrapped(text, "- ", "  ")]
    return [*lines, ""] if lines else []


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table in Markdown, with an empty line after it.

    Args:
        columns: titles of the columns.
        rows: text of each cell, row by row; a `|` in it is escaped.
    """
    head = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    body = [f"| {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |" for row in rows]
    return [*head, *body, ""]


def picture(path: str, text: str) -> list[str]:
    """Return an image in Markdown, with an empty line after it.

    Args:
        path: path of the image from the report.
        text: text that stands for the image where it cannot be seen.
    """
    return [f"![{text.replace('[', '(').replace(']', ')').replace('`', '')}]({path})", ""]


def _wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    """Return text in lines of at most `WIDTH` characters."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
