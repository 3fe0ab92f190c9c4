"""Writes the last sections of a study's report: the winner trained again, other figures, and how the study was made."""

import math
from collections.abc import Iterable
from pathlib import Path

from passband.metrics.intervals import LEVEL
from passband.naming import counted
from passband.studies.report.answer import name_of
from passband.studies.report.comparison import Comparison, available_figures, cell_name, compare_cells
from passband.studies.report.search_charts import retrained_chart
from passband.studies.report.sections import Section, method
from passband.studies.report.verdicts import Adoption, judge_adoption
from passband.studies.report.wording import code, joined, paragraph, table, value_text
from passband.studies.settings import NuisanceRange
from passband.studies.trials import ENDED, StudyRecord

OWN_COLUMNS = ("number", "cell", "label", "point", "seed", "state", "reason")
"""First columns of trials.csv."""


def adoption_of(comparison: Comparison) -> tuple[int, int | None, Adoption] | None:
    """Return the cell that was trained again, its runner-up if that was trained again, and the verdict; or None.

    Args:
        comparison: comparison of the cells, with the new trainings in its record.
    """
    ended = [trial for trial in comparison.record.retrained if trial.state in ENDED]
    cells = list(dict.fromkeys(trial.cell for trial in ended))
    if not cells:
        return None
    ranked = sorted(cells, key=lambda cell: comparison.order.index(cell) if cell in comparison.order else len(cells))
    winner, runner_up = ranked[0], ranked[1] if len(ranked) > 1 else None

    def figures(cell: int | None) -> dict[int, float]:
        values = {
            trial.seed: trial.figures.get(comparison.figure.name, math.nan) for trial in ended if trial.cell == cell
        }
        return {seed: value for seed, value in values.items() if math.isfinite(value)}

    own = figures(winner)
    lost = sum(trial.cell == winner for trial in ended) - len(own)
    return winner, runner_up, judge_adoption(own, figures(runner_up), comparison.figure.sign, lost)


def retraining(comparison: Comparison) -> Section:
    """Return the spread of the winner that was trained again, and whether to adopt it.

    Args:
        comparison: comparison of the cells.

    Returns:
        The section; empty if no cell has a result.
    """
    if not comparison.order:
        return Section()
    section = Section(["## The winner trained again", ""])
    found = adoption_of(comparison)
    if found is None:
        section.lines += paragraph(
            "The winner was not trained again, so its best value still contains the luck of the search. To check it "
            "with new seeds before adopting it, set `retrain = 5` in the file of the study and run the study again."
        )
        return section
    winner, runner_up, adoption = found
    figure, name = comparison.figure, code(comparison.record.cells[winner].label)
    if not adoption.winner:
        section.lines += paragraph(
            f"None of the {adoption.lost} new trainings of {name} gave a result: do not adopt it."
        )
        return section
    mean = sum(adoption.winner) / len(adoption.winner)
    searched = comparison.bests[winner].value or mean
    luck = figure.sign * (searched - mean)
    drop = (
        f"This is {figure.text(luck)} worse than in the search, which is the luck that the search had."
        if luck > 0
        else "This is not worse than in the search."
    )
    title, verdict = _verdict(comparison, winner, runner_up, adoption)
    section.lines += paragraph(f"**{verdict}**")
    section.lines += paragraph(
        f"The best point of {name} was trained again with {counted(len(adoption.winner), 'new seed')}: mean "
        f"{figure.text(mean)}, from {figure.number(min(adoption.winner))} to {figure.text(max(adoption.winner))}.",
        drop,
        "The rule: adopt the winner if the whole interval of the mean difference to the runner-up, paired by seed, "
        "lies above zero, and every new training gave a result.",
    )
    names = [cell_name(comparison, cell) for cell in (winner, runner_up) if cell is not None]
    section.draw(
        "retrained",
        "Figures of the new trainings of the winner and the runner-up",
        lambda: retrained_chart(comparison, names, adoption, title),
    )
    return section


def other_figures(comparison: Comparison) -> Section:
    """Return the cell that each figure would choose, so that a choice that hangs on one figure is noticed.

    Args:
        comparison: comparison of the cells by the figure of this report.

    Returns:
        The section; empty if there is only one ranking.
    """
    record, rows, others, clear_others = comparison.record, [], 0, 0
    if not comparison.order:
        return Section()
    names = [name for name in available_figures(record) if name in record.directions or name == comparison.figure.name]
    for name in names:
        for moment in ("last", "best"):
            other = compare_cells(record, name, moment)
            if not other.order:
                continue
            label = f"{code(name)}, {moment} validation"
            is_same = other.winner == comparison.winner
            own = name == comparison.figure.name and moment == comparison.moment
            first = other.differences[0] if other.differences else None
            lead = "" if first is None else other.figure.text(first.best)
            certain = "" if first is None else "yes" if first.is_clear else "no"
            rows.append(
                [
                    f"{label} (this report)" if own else label,
                    code(record.cells[other.order[0]].label),
                    other.figure.text(other.bests[other.order[0]].value or 0.0),
                    lead,
                    certain,
                ]
            )
            others += not is_same
            clear_others += not is_same and first is not None and first.is_clear
    if len(rows) < 2:
        return Section()
    section = Section(["## Ranked by other figures", ""])
    section.lines += paragraph(
        f"Of {len(rows)} rankings, {others} would choose another cell, {clear_others or 'none'} of them with a clear "
        "lead. Decide which figure matters before you trust the order."
        if others
        else "Every figure that the trainings report chooses the same cell.",
        "The best validation of a run is chosen after the fact, so it favors runs that fluctuate.",
    )
    section.lines += table(["ranked by", "best cell", "best value", "lead over the second", "clear lead"], rows)
    section.lines += paragraph(
        "To write the report by another figure without new trainings, use the option `--figure`."
    )
    return section


def how_it_was_made(comparison: Comparison) -> Section:
    """Return everything that is needed to repeat the study.

    Args:
        comparison: comparison of the cells.
    """
    record, settings = comparison.record, comparison.record.settings
    states = [trial.state for trial in record.trials]
    counts = joined([f"{states.count(state)} {state}" for state in dict.fromkeys(states)])
    seconds = sum(trial.seconds for trial in (*record.trials, *record.retrained))
    versions = record.environment.get("versions", {})
    ranges = (f"{key} {_range_text(values)}" for key, values in settings.nuisance.items())
    rows = {
        "recipe": code(Path(settings.recipe).name),
        "scientific values": _joined_code(
            f"{key}: {', '.join(value_text(value) for value in values)}" for key, values in settings.scientific.items()
        ),
        "nuisance ranges": _joined_code(ranges),
        "fixed values": _joined_code(f"{key} = {value_text(value)}" for key, value in settings.fixed.items()),
        "points in each cell": f"{len(record.points)}, scrambled {settings.sampler}, seed {settings.sampling_seed}"
        if settings.nuisance
        else "1, because there are no nuisance ranges",
        "seeds of the trainings": ", ".join(map(str, settings.seeds)),
        "trials": f"{len(record.trials)}: {counts}"
        + (f"; {len(record.retrained)} trained again" * bool(record.retrained)),
        "pruning": "on" if settings.prune else "off",
        "figure": f"{code(comparison.figure.name)} of the {comparison.moment} validation, {comparison.figure.better}",
        "data": code(Path(record.data).name),
        "scored on": code(Path(record.validation_data).name) if record.validation_data else "a part of the data",
        "time in trainings": _duration(seconds),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items())
        if isinstance(versions, dict)
        else "",
        "machine": str(record.environment.get("machine") or "not known"),
        "commit": str(record.environment.get("commit") or "not a checkout"),
    }
    section = Section(["## How it was made", ""])
    section.lines += table(["", ""], ([name, text] for name, text in rows.items() if text))
    section.lines += method(comparison)
    section.lines += paragraph(
        "`trials.csv` lists every trial with its settings, its state and its figures. `study.json` holds the answer "
        "for programs."
    )
    return section


def trial_rows(record: StudyRecord) -> tuple[list[str], list[dict[str, object]]]:
    """Return the columns and the rows of trials.csv, with the new trainings of the winner last.

    Args:
        record: study with its trials.

    Returns:
        Names of the columns, and one row by column for each trial.
    """
    trials = (*record.trials, *record.retrained)
    keys = list(dict.fromkeys(key for trial in trials for key in trial.changes))
    figures = list(dict.fromkeys(name for trial in trials for name in trial.figures))
    bests = list(dict.fromkeys(name for trial in trials for name in trial.best_figures))
    rows = [
        {
            "number": trial.number,
            "cell": trial.cell,
            "label": record.cells[trial.cell].label,
            "point": trial.point,
            "seed": trial.seed,
            "state": trial.state,
            "reason": trial.reason,
            "trained again": trial in record.retrained,
            **trial.changes,
            **{f"last {name}": value for name, value in trial.figures.items()},
            **{f"best {name}": value for name, value in trial.best_figures.items()},
            "seconds": trial.seconds,
            "run": trial.run.name,
        }
        for trial in trials
    ]
    names = [*OWN_COLUMNS, "trained again", *keys, *(f"last {name}" for name in figures)]
    return [*dict.fromkeys([*names, *(f"best {name}" for name in bests), "seconds", "run"])], rows


def _verdict(comparison: Comparison, winner: int, runner_up: int | None, adoption: Adoption) -> tuple[str, str]:
    """Return the verdict on the winner as a title and as sentences."""
    figure, name = comparison.figure, code(comparison.record.cells[winner].label)
    short = cell_name(comparison, winner)
    if adoption.lost:
        total = adoption.lost + len(adoption.winner)
        return (
            f"{adoption.lost} of {total} new trainings of {short} gave no result",
            f"Do not adopt {name}: {adoption.lost} of its {total} new trainings gave no result.",
        )
    if adoption.difference is None or runner_up is None:
        return (
            f"{short} was trained again without a second cell to compare",
            f"The new trainings cannot tell whether to adopt {name}, because fewer than two of them have a partner "
            "of the runner-up with the same seed.",
        )
    gap = figure.text(abs(adoption.difference.value))
    span = f"{100 * LEVEL:g} % interval {figure.span(adoption.difference, with_unit=True)}"
    other = name_of(comparison, runner_up)
    if adoption.is_adopted:
        return (
            f"{short} keeps its lead in new trainings, by {gap}",
            f"Adopt {name}: with new seeds it is better than {other} by {gap} ({span}).",
        )
    side = "ahead of" if adoption.difference.value > 0 else "behind"
    return (
        f"New trainings do not confirm the lead of {short}",
        f"Do not adopt {name} for its {figure.name} alone: with new seeds it is {gap} {side} {other} ({span}). Choose "
        "the simpler or cheaper of the two.",
    )


def _range_text(values: NuisanceRange) -> str:
    """Return a nuisance range with its scale."""
    for kind in ("log", "linear", "choice"):
        bounds = getattr(values, kind)
        if bounds is not None:
            return f"{kind} [{', '.join(value_text(value) for value in bounds)}]"
    return ""


def _joined_code(texts: Iterable[str]) -> str:
    """Return texts as code, separated by commas."""
    return ", ".join(code(text) for text in texts)


def _duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
