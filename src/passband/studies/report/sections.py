"""Writes the sections of a study's report in Markdown, and names the chart of each.

Every section returns lines and its charts. A section without anything to say returns no lines.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from passband.metrics.intervals import LEVEL
from passband.studies.report.answer import STATE_WORDS, Answer
from passband.studies.report.cell_charts import cells_chart, differences_chart, isolation_chart
from passband.studies.report.comparison import Comparison, cell_name, value_name
from passband.studies.report.isolation import advantage, isolate
from passband.studies.report.statistics import PERCENTILE_POINTS
from passband.studies.report.wording import (
    code,
    joined,
    paragraph,
    picture,
    table,
    value_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Chart

FOLDER = "charts"
"""Name of the folder of the charts, beside the report."""
MOST_ROWS = 12
"""Largest number of cells that have a line of their own in a list."""


@dataclass
class Section:
    """A part of the report: its lines, and its charts by name."""

    lines: list[str] = field(default_factory=list)
    charts: dict[str, "Callable[[], Chart]"] = field(default_factory=dict)
    """Functions that draw the charts, by the name of the file without its suffix."""

    def draw(self, name: str, text: str, chart: "Callable[[], Chart]") -> None:
        """Add a chart and the line that shows it.

        Args:
            name: name of the file without its suffix.
            text: text that stands for the chart where it cannot be seen.
            chart: function that draws the chart.
        """
        self.charts[name] = chart
        self.lines += picture(f"{FOLDER}/{name}.png", text)


def opening(comparison: Comparison, answer: Answer) -> Section:
    """Return the title, the answer with its limits, and the chart of all cells.

    Args:
        comparison: comparison of the cells.
        answer: answer of the study.
    """
    section = Section([f"# {answer.question}", "", *paragraph(f"**{answer.sentence}**"), *paragraph(answer.limits)])
    if comparison.order:
        section.draw("cells", "Best point of each cell with its interval", lambda: _cells(comparison))
    return section


def best_of_cells(comparison: Comparison) -> Section:
    """Return the table of the cells, and the differences between the winner and the others.

    Args:
        comparison: comparison of the cells.
    """
    record, figure = comparison.record, comparison.figure
    nuisance = list(record.settings.nuisance)
    rows = []
    ranked = [*comparison.order, *(cell.index for cell in record.cells if cell.index not in comparison.order)]
    for cell in ranked:
        best = comparison.bests[cell]
        point = {} if best.point is None else record.points[best.point]
        interval = "" if best.interval is None else figure.span(best.interval)
        value = "no result" if best.value is None else figure.number(best.value)
        bad = joined([f"{count} {STATE_WORDS[state]}" for state, count in best.infeasible.items()])
        share = sum(best.infeasible.values()) / best.ended if best.ended else 0.0
        marked = f"**{share:.0%}** ({bad})" if bad else "0%" if best.ended else "none ended"
        rows.append(
            [code(record.cells[cell].label), value, interval, *(_rounded(point.get(key)) for key in nuisance), marked]
        )
    head = ["cell", f"best {figure.axis}", f"{100 * LEVEL:g} % interval", *map(code, nuisance), "infeasible trials"]
    section = Section(["## Best of each cell", ""])
    several = "each the mean over its seeds" if len(record.settings.seeds) > 1 else "each trained once"
    explained = (
        ""
        if comparison.points < 2
        else (
            f"Each cell had the same {comparison.points} points, {several}, and its best point counts "
            f"({figure.better}). The interval shows how far the best value would move if the points "
            "and seeds were drawn again. A point is "
            "infeasible if any of its trainings diverged, failed or was pruned."
        )
    )
    section.lines += [*paragraph(explained), *table(head, rows)]
    if comparison.differences:
        _differences(section, comparison)
    return section


def isolations(comparison: Comparison) -> Section:
    """Return an isolation chart for each scientific key of a study with several keys.

    Args:
        comparison: comparison of the cells.

    Returns:
        The section; empty for a single key, or without results.
    """
    keys = list(comparison.record.settings.scientific)
    if len(keys) < 2 or not comparison.order:
        return Section()
    section = Section(["## Each scientific value alone", ""])
    section.lines += paragraph(
        "Each chart shows one scientific key. For each of its values, all other keys and the nuisance values are "
        "chosen as well as possible. Thin lines keep the other keys as they are."
    )
    for number, key in enumerate(keys, 1):
        title, sentence = _isolated_words(comparison, key)
        section.lines += paragraph(sentence)
        section.draw(
            f"isolation-{number}",
            f"Best figure for each value of {key}",
            lambda key=key, title=title: isolation_chart(comparison, key, title),
        )
    return section


def method(comparison: Comparison) -> list[str]:
    """Return a note on the intervals, for readers who want to check them.

    Args:
        comparison: comparison of the cells.

    Returns:
        Lines in Markdown; none if there are no intervals.
    """
    points, seeds = comparison.points, len(comparison.record.settings.seeds)
    if points < 2 and seeds < 2:
        return []
    if points < 2:
        kind = "The intervals are those of Student's t over the seeds."
    else:
        kind = "The bootstrap draws the points with replacement, the same ones in every cell, and keeps the best."
        kind += (
            " It also draws the seeds within each point."
            if seeds > 1
            else " Each point has one seed, so it adds noise of the size by which the cells differ between points."
        )
        kind += (
            " The ends are percentiles."
            if points >= PERCENTILE_POINTS
            else f" With fewer than {PERCENTILE_POINTS} points, the ends come from Student's t."
        )
    several = len(comparison.differences) > 1
    widened = (
        f" Differences to the winner have intervals of {comparison.level:.2%} each, so that all of them together hold "
        f"in {LEVEL:.0%} of studies."
        if several
        else ""
    )
    return paragraph(f"Intervals: {kind}{widened}")


def _cells(comparison: Comparison) -> "Chart":
    return cells_chart(comparison, finding(comparison))


def finding(comparison: Comparison) -> str:
    """Return the finding of the comparison as the title of a chart.

    Args:
        comparison: comparison of the cells, at least one of which has a result.
    """
    winner = cell_name(comparison, comparison.order[0])
    if not comparison.differences:
        return f"Only {winner} gave a result"
    first = comparison.differences[0]
    gap, second = comparison.figure.text(first.best), value_name(comparison, first.cell)
    if all(one.is_clear for one in comparison.differences):
        return f"{winner} is best, {gap} ahead of {second}"
    return f"{winner} leads by {gap}, which may be luck" if first.best else f"{winner} and {second} are equal"


def _differences(section: Section, comparison: Comparison) -> None:
    """Add the table and the chart of the differences to the winner."""
    figure, winner = comparison.figure, code(comparison.record.cells[comparison.order[0]].label)
    rows = []
    for one in comparison.differences:
        interval = "no interval" if one.interval is None else figure.span(one.interval)
        mean = "" if one.mean is None else figure.number(one.mean, signed=True)
        mean += "" if one.mean_interval is None else f" ({figure.span(one.mean_interval)})"
        rows.append(
            [
                code(comparison.record.cells[one.cell].label),
                figure.number(one.best, signed=True),
                interval,
                mean,
                f"{one.wins} of {len(one.at_points)}",
                "winner is better" if one.is_clear else "not told apart",
            ]
        )
    section.lines += paragraph(
        f"Advantage of {winner} over each other cell{figure.unit and f' in {figure.unit}'}. Positive values say that "
        "it is better. The first difference compares the best points. The mean compares equal points and seeds, good "
        "or bad."
    )
    head = ["other cell", "best against best", f"{100 * LEVEL:g} % interval", "mean at equal points (interval)", "wins",
            "verdict"]  # fmt: skip
    section.lines += table(head, rows)
    wins = [f"{one.wins} of {len(one.at_points)}" for one in comparison.differences[:1]]
    title = f"{cell_name(comparison, comparison.order[0])} is better at {wins[0]} equal points"
    if len(comparison.differences) > 1:
        clear = sum(one.is_clear for one in comparison.differences)
        several = len(comparison.differences)
        title = f"{cell_name(comparison, comparison.order[0])} is clearly better than {clear} of {several} other cells"
    if comparison.points > 1:
        section.draw(
            "differences", "Advantage of the winner over each other cell", lambda: differences_chart(comparison, title)
        )


def _isolated_words(comparison: Comparison, key: str) -> tuple[str, str]:
    """Return the title and the sentence of an isolation chart."""
    isolated = isolate(comparison, key)
    found = advantage(comparison, isolated)
    short = key.rpartition(".")[2]
    if found is None:
        only = isolated.values[isolated.known[0]]
        return f"Only {short} {only} gave a result", f"Only {code(f'{key} = {only}')} gave a result."
    first, second, value, interval = found
    best, other = isolated.values[first], isolated.values[second]
    gap = comparison.figure.text(value)
    span = "" if interval is None else f" (interval {comparison.figure.span(interval, with_unit=True)})"
    if interval is not None and interval.low > 0:
        return (
            f"{short} {best} is best, by {gap} over {other}",
            f"{code(f'{key} = {best}')} is better than {code(other)} by {gap}{span}.",
        )
    return (
        f"{short}: {best} leads {other} by {gap}, which may be luck",
        f"The trials do not tell the values of {code(key)} apart: {code(best)} leads {code(other)} by {gap}{span}.",
    )


def _rounded(value: Any) -> str:
    """Return a value of a point with three digits."""
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else value_text(value)
