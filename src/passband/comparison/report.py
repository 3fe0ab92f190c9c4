"""Parts that the reports of all comparisons share: tables of differences, notes, and the environment."""

from collections.abc import Mapping, Sequence
from typing import Any

from passband.comparison.differences import difference_sentence
from passband.reports.figures import Figure
from passband.reports.files import cell

Panels = dict[str, list[tuple[str, float, float, float]]]
"""Rows of each panel of a chart of differences, by the title of the panel."""
EXPLANATION = (
    "A difference is the mean over the pairs of images, first minus second. The interval is a 95 % bootstrap interval "
    "of this mean: if it excludes zero, other images of the same kind would very likely show the same sign."
)
"""Sentences below each table of differences."""


def difference_table(rows: Sequence[Mapping[str, Any]], figures: Sequence[Figure], item: str = "image") -> list[str]:
    """Return a Markdown table of differences, and an explanation below it.

    Args:
        rows: rows of `difference_rows`.
        figures: figures of the comparison.
        item: name of what is paired, such as `image`.
    """
    by_name = {figure.name: figure for figure in figures}
    lines = [
        f"| first | second | figure | difference | 95 % interval | first better / second better / equal, {item}s "
        "| better |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        figure = by_name[row["figure"]]
        interval = "unknown"
        if row["mean"] is not None:
            interval = f"{figure.number(row['low'], signed=True)} to {figure.number(row['high'], signed=True)}"
        cells = [
            cell(row["first"]),
            cell(row["second"]),
            figure.heading + ("" if figure.higher_is_better else " (lower is better)"),
            figure.number(row["mean"], signed=True),
            interval,
            f"{row['wins']} / {row['losses']} / {row['ties']}",
            cell(row["better"] or ("equal" if row["ties"] == row["count"] > 0 else "not clear")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", EXPLANATION]


def difference_panels(rows: Sequence[Mapping[str, Any]], figures: Sequence[Figure]) -> Panels:
    """Return the panels of a chart of differences: one for each figure.

    Args:
        rows: rows of `difference_rows`; a figure with unknown differences is left out.
        figures: figures of the comparison.
    """
    panels: Panels = {}
    for figure in figures:
        own = [row for row in rows if row["figure"] == figure.name]
        if own and all(row["mean"] is not None for row in own):
            scaled = [[figure.scale * row[key] for key in ("mean", "low", "high")] for row in own]
            panels[figure.heading + ("" if figure.higher_is_better else "\n(lower is better)")] = [
                (f"{row['first']} - {row['second']}", *values) for row, values in zip(own, scaled, strict=True)
            ]
    return panels


def summary(result: Mapping[str, Any]) -> list[str]:
    """Return the lines that the command prints: a table of the mean figures, sentences, and notes.

    Args:
        result: result of a comparison.
    """
    figures = [Figure(**one) for one in result["figures"]]
    rows = [["", *(figure.heading for figure in figures)]]
    degraded = [{"label": "degraded", **result["degraded"]}] if "degraded" in result else []
    for one in (*degraded, *result["contestants"]):
        rows.append([one["label"], *(figure.number(one["mean"].get(figure.name)) for figure in figures)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(text.ljust(width) if place == 0 else text.rjust(width) for place, (text, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return [*lines, "", *sentences(result), *(f"Note: {note}" for note in result["notes"])]


def sentences(result: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each difference in the first figure.

    Args:
        result: result of a comparison.
    """
    main = Figure(**result["figures"][0])
    item = result.get("item", "image")
    return [difference_sentence(row, main, item) for row in result["differences"] if row["figure"] == main.name]


def notes_section(result: Mapping[str, Any]) -> list[str]:
    """Return the notes of a comparison as a list in Markdown with an empty line after it; nothing without notes.

    Args:
        result: result of a comparison.
    """
    return [*(f"- Note: {cell(note)}" for note in result["notes"]), ""] if result["notes"] else []


def environment_rows(result: Mapping[str, Any]) -> list[str]:
    """Return rows of a Markdown table with the versions, the JPEG decoder and the commit.

    Args:
        result: result of a comparison.
    """
    return [
        f"| JPEG decoder | {result['jpeg_decoder']} |",
        f"| versions | {', '.join(f'{name} {version}' for name, version in result['versions'].items())} |",
        f"| commit | {result['commit'] or 'not a checkout'} |",
    ]
