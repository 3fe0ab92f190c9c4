"""Answers the question of a study in words that follow from its numbers, and says what the answer does not show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.metrics.intervals import LEVEL
from passband.naming import counted
from passband.studies.report.comparison import Comparison, Difference, compare_cells, value_name
from passband.studies.report.wording import code, joined, plain, value_text
from passband.studies.settings import NuisanceRange
from passband.studies.trials import StudyRecord

MANY = 0.25
"""Share of infeasible trials that the answer mentions."""
NAMED = 4
"""Largest number of cells that a sentence names."""


@dataclass(frozen=True)
class Answer:
    """The answer of a study."""

    question: str
    """Question of the study."""
    sentence: str
    """Answer in one or two sentences, with its uncertainty. Names of settings are marked as code in Markdown."""
    limits: str
    """Sentences that say what the study does not show, in Markdown."""
    figure: str
    """Name of the figure by which the cells were ranked."""
    is_decided: bool
    """Whether the winner is better than every other cell, beyond the interval of the difference."""
    winner: str | None
    """Label of the cell that leads, or None without any result."""
    runner_up: str | None
    """Label of the second-best cell, or None."""
    difference: float | None
    """Best of the winner minus best of the runner-up; positive values say that the winner is better."""
    interval: tuple[float, float] | None
    """Ends of the interval of the difference, or None if there is no spread to compute it from."""
    point: dict[str, Any] | None
    """Nuisance values at the best point of the winner."""

    @property
    def lines(self) -> tuple[str, str, str]:
        """The question, the answer and its limits as plain text, for a terminal."""
        return self.question, plain(self.sentence), plain(self.limits)


def answer(record: StudyRecord, figure: str | None = None) -> Answer:
    """Answer the question of a study.

    Args:
        record: record of the study, which may be unfinished.
        figure: name of the figure to rank by; None for the figure of the study.

    Raises:
        ValueError: if no trial of the study reports the figure.
    """
    return answer_of(compare_cells(record, figure))


def answer_of(comparison: Comparison) -> Answer:
    """Answer the question of a study from a comparison.

    Args:
        comparison: cells of the study, compared by one figure.
    """
    first = comparison.differences[0] if comparison.differences else None
    cells, winner = comparison.record.cells, comparison.winner
    point = None if winner is None else comparison.bests[winner].point
    return Answer(
        question_of(comparison.record),
        " ".join(part for part in (_progress(comparison), _sentence(comparison)) if part),
        limits_of(comparison),
        comparison.figure.name,
        bool(comparison.differences)
        and comparison.record.is_done
        and len(comparison.order) == len(cells)
        and all(one.is_clear for one in comparison.differences),
        None if winner is None else cells[winner].label,
        None if first is None else cells[first.cell].label,
        None if first is None else first.best,
        None if first is None or first.interval is None else (first.interval.low, first.interval.high),
        None if point is None else comparison.record.points[point],
    )


def question_of(record: StudyRecord) -> str:
    """Return the question of a study, or one made of its scientific keys.

    Args:
        record: study with its trials.
    """
    if record.settings.question:
        return " ".join(record.settings.question.split())
    return f"Which value of {joined(list(record.settings.scientific))} is best?"


def name_of(comparison: Comparison, cell: int) -> str:
    """Return the name of a cell in a sentence in which its keys are known, in Markdown.

    Args:
        comparison: comparison of the cells.
        cell: index of the cell.
    """
    return code(value_name(comparison, cell))


def limits_of(comparison: Comparison) -> str:
    """Return sentences that say what a study does not show.

    Args:
        comparison: comparison of the cells.
    """
    record, settings = comparison.record, comparison.record.settings
    scored = Path(record.validation_data or record.data).name
    on = f"trained on {code(Path(record.data).name)} and scored on "
    on += code(scored) if record.validation_data else "a part of it"
    length = next(
        (f", {settings.fixed[key]:,} {key.rpartition('.')[2]} each" for key in _LENGTHS if key in settings.fixed), ""
    )
    searched = (
        f"{counted(len(record.points), 'point')} for {joined([_range(*one) for one in settings.nuisance.items()])}"
        if settings.nuisance
        else "one setting without any tuning"
    )
    return (
        f"The study compared {searched}, with {counted(len(settings.seeds), 'seed')}{length}, {on}. It does not show "
        "what other data, longer trainings, values outside these ranges or other networks would give."
    )


_LENGTHS = ("optim.steps", "optim.epochs")
"""Recipe keys that set the length of a training."""


def _range(key: str, values: NuisanceRange) -> str:
    """Return the range of a nuisance value in words."""
    if values.choice is not None:
        return f"{code(key)} in {{{', '.join(value_text(value) for value in values.choice)}}}"
    low, high = values.bounds
    return f"{code(key)} from {value_text(low)} to {value_text(high)}"


def _progress(comparison: Comparison) -> str:
    """Return how much of an unfinished study is done; empty for a finished study."""
    record = comparison.record
    if record.is_done:
        return ""
    text = f"The study is not finished: {comparison.count} of {len(record.trials)} trials have ended."
    if comparison.points:
        text += f" This preliminary answer uses {_points(comparison)} that ended in every cell."
    return text


def _points(comparison: Comparison) -> str:
    """Return the number of points that are compared, with its article."""
    return "the one point" if comparison.points == 1 else f"the {comparison.points} points"


def _sentence(comparison: Comparison) -> str:
    """Return the answer for the number of cells that have a result."""
    record = comparison.record
    if not comparison.order:
        return _nothing(comparison)
    winner = code(record.cells[comparison.order[0]].label)
    best = comparison.bests[comparison.order[0]]
    without = [cell.index for cell in record.cells if cell.index not in comparison.order]
    left_out = f" No point of {_some(comparison, without)} gave a result." if without else ""
    if not comparison.differences:
        value = f"{_named(comparison)} of {comparison.figure.text(best.value or 0.0)}"
        only = "is the only cell" if len(record.cells) == 1 else "is the only cell with a result"
        return f"{winner} {only}, with a best {value}. There is nothing to compare it with.{left_out}"
    return _compared(comparison, winner) + left_out + _lost(comparison)


def _lost(comparison: Comparison) -> str:
    """Return a sentence on infeasible trials, if they are many."""
    lost = sum(sum(best.infeasible.values()) for best in comparison.bests)
    if lost < MANY * comparison.count:
        return ""
    return f" {lost} of {comparison.count} trials gave no result, so the nuisance ranges are partly unsuitable."


def _nothing(comparison: Comparison) -> str:
    """Return the answer of a study without any result."""
    record = comparison.record
    if not record.is_done:
        return "No point has ended in every cell yet, so there is no answer."
    states: dict[str, int] = {}
    for best in comparison.bests:
        for state, count in best.infeasible.items():
            states[state] = states.get(state, 0) + count
    if not states:
        return f"No trial reported {code(comparison.figure.name)}, so there is no answer."
    ends = joined([f"{count} {STATE_WORDS[state]}" for state, count in states.items()])
    return f"There is no answer, because no point gave a result with all of its seeds: {ends}."


STATE_WORDS = {"diverged": "diverged", "failed": "failed", "pruned": "were pruned"}
"""Verbs for the states of infeasible trials."""


def _compared(comparison: Comparison, winner: str) -> str:
    """Return the answer of a study with at least two cells that have a result."""
    figure, first = comparison.figure, comparison.differences[0]
    second = name_of(comparison, first.cell)
    if all(one.best == 0 and not any(one.at_points) for one in comparison.differences):
        return (
            f"All cells gave exactly the same {_named(comparison)}, {figure.text(_value(comparison))}. The compared "
            "values changed nothing in these trainings."
        )
    gap = figure.text(first.best)
    if first.interval is None:
        several = len(comparison.record.settings.seeds) > 1 or comparison.points > 1
        why = "Too many trials gave no result" if several else "One training of each cell shows no spread"
        return (
            f"{winner} has the best {_named(comparison)}, {gap} better than {second}. {why}, so this difference may "
            "be luck."
        )
    interval = f"({100 * LEVEL:g} % interval {figure.span(first.interval, with_unit=True)})"
    wins = f"{first.wins} of {counted(len(first.at_points), 'equal point')}"
    at_points = f" and wins at {wins}" if len(first.at_points) > 1 else ""
    clear = [one.cell for one in comparison.differences if one.is_clear]
    unclear = [one.cell for one in comparison.differences if not one.is_clear]
    if not unclear and len(clear) == 1:
        return f"{winner} is better than {second} by {gap} {interval}{at_points}."
    lead = f"It leads the second-best, {second}, by {gap} {interval}{at_points}."
    if not unclear:
        others = "both" if len(clear) == 2 else f"all {len(clear)}"
        return f"{winner} is better than {others} other cells. {lead}"
    average = _on_average(comparison, first)
    if clear:
        return (
            f"{winner} is better than {_some(comparison, clear)}, but these trials do not tell it apart from "
            f"{_some(comparison, unclear)}. {lead}{average}"
        )
    apart = "These trials do not tell the cells apart"
    if first.best == 0:
        return f"{apart}: {winner} and {second} have the same best {_named(comparison)}.{average}"
    return f"{apart}: {winner} leads {second} by {gap} {interval}{at_points}.{average}"


def _on_average(comparison: Comparison, first: Difference) -> str:
    """Return what the mean difference over equal points adds to an answer that the best points leave open."""
    interval, figure = first.mean_interval, comparison.figure
    if comparison.points < 2 or interval is None or not interval.excludes_zero:
        return ""
    better = "better" if interval.value > 0 else "worse"
    size = figure.text(abs(interval.value))
    return (
        f" Averaged over the {len(first.at_points)} equal points, it is {better} by {size} ({100 * LEVEL:g} % interval "
        f"{figure.span(interval, with_unit=True)}), so typical values differ although the best values do not."
    )


def _some(comparison: Comparison, cells: list[int]) -> str:
    """Return the names of cells, or their number if there are many."""
    if len(cells) > NAMED:
        return f"{len(cells)} cells"
    return joined([name_of(comparison, cell) for cell in cells])


def _named(comparison: Comparison) -> str:
    """Return the figure in a sentence."""
    return "PSNR" if comparison.figure.name == "psnr" else code(comparison.figure.name)


def _value(comparison: Comparison) -> float:
    """Return the best value of the winner."""
    return next((best.value for best in comparison.bests if best.value is not None), 0.0)
