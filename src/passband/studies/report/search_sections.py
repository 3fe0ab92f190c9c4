"""Writes the sections of a study's report about its search: nuisance values, number of points, training curves."""

from collections.abc import Sequence

from passband.metrics.intervals import LEVEL
from passband.studies.report.answer import name_of
from passband.studies.report.comparison import Comparison
from passband.studies.report.search_charts import (
    Training,
    curves_chart,
    nuisance_chart,
    samples_chart,
    shown_cells,
)
from passband.studies.report.sections import Section
from passband.studies.report.verdicts import (
    EDGE,
    LEAST_POINTS,
    LEAST_VALIDATIONS,
    WITHOUT_SEEDS,
    PointsVerdict,
    at_edge,
    judge_points,
)
from passband.studies.report.wording import bullets, code, joined, paragraph, table


def nuisance_values(comparison: Comparison) -> Section:
    """Return the scatter of the points, with a flag where a best point lies at the edge of a range.

    Args:
        comparison: comparison of the cells.

    Returns:
        The section; empty without nuisance ranges or results.
    """
    ranges = comparison.record.settings.nuisance
    if not ranges or not comparison.order:
        return Section()
    flags, edges = [], set()
    for cell in shown_cells(comparison):
        point = comparison.record.points[comparison.bests[cell].point or 0]
        for key, values in ranges.items():
            end = at_edge(point[key], values)
            if end is not None:
                edges.add((cell, key, end))
    for key in ranges:
        for end in ("lowest", "highest"):
            cells = [cell for cell in shown_cells(comparison) if (cell, key, end) in edges]
            if cells:
                side = "down" if end == "lowest" else "up"
                flags.append(
                    f"The best point of {_cells_named(comparison, cells)} lies at the {end} edge of {code(key)}. "
                    f"Better values may lie outside: widen this range {side}wards if such values make sense."
                )
    section = Section(["## Nuisance values", ""])
    winner = comparison.order[0]
    at_winner = [key for cell, key, _ in edges if cell == winner]
    if at_winner:
        title = f"The winner's best point lies at the edge of {joined([key.rpartition('.')[2] for key in at_winner])}"
    elif edges:
        title = "The winner's best point lies inside its ranges; other cells reach an edge"
    else:
        title = "The best points lie inside the ranges"
        section.lines += paragraph(
            f"No best point lies in the outer {EDGE:.0%} of a range, so the ranges were wide enough for these points."
        )
    section.lines += bullets(flags)
    hidden = len(comparison.order) - len(shown_cells(comparison))
    if hidden:
        section.lines += paragraph(
            f"The chart shows the {len(shown_cells(comparison))} best cells; `trials.csv` has the other {hidden}."
        )
    section.draw(
        "nuisance", "Figure of every point over each nuisance value", lambda: nuisance_chart(comparison, title)
    )
    return section


def enough_points(comparison: Comparison) -> Section:
    """Return the expected best of k points with a verdict for each cell.

    Args:
        comparison: comparison of the cells.

    Returns:
        The section; empty for fewer than two points, or without results.
    """
    if comparison.points < 2 or not comparison.order:
        return Section()
    figure, verdicts = comparison.figure, {}
    for cell in comparison.order:
        verdicts[cell] = judge_points(
            comparison.oriented[cell, comparison.compared], comparison.values[cell, comparison.compared]
        )
    section = Section(["## Did the study sample enough points?", ""])
    shown = shown_cells(comparison)
    enough = [cell for cell in shown if verdicts[cell].is_enough]
    few = [cell for cell in shown if verdicts[cell].is_enough is False]
    if not enough and not few:
        title = "There are too few points to tell whether more would help"
        section.lines += paragraph(f"{title}. The verdict needs at least {LEAST_POINTS} points in a cell.")
    else:
        if not few:
            title = "More points would hardly help"
        elif not enough:
            title = "More points would probably find better values"
        else:
            title = f"More points would probably help {len(few)} of {len(enough) + len(few)} cells"
        limit = (
            "the standard deviation between trainings of the same point with different seeds"
            if len(comparison.record.settings.seeds) > 1
            else f"{WITHOUT_SEEDS:.0%} of the distance from the median point to the best point"
        )
        section.lines += paragraph(
            f"{title}. The line shows the best value that k points are expected to give, and the band holds "
            f"{LEVEL:.0%} of the draws. A cell had enough points if the second half of the points gained no more than "
            f"{limit}.",
            "For more points, raise `trials` in the file and run the study again; finished trials are kept."
            if few
            else "",
        )
        section.lines += table(
            ["cell", f"gain of the second half of the points, {figure.axis}", "allowed gain", "verdict"],
            [[code(comparison.record.cells[cell].label), *_points_row(comparison, verdicts[cell])] for cell in shown],
        )
    notes = [_points_note(comparison, verdicts[cell]) for cell in shown]
    section.draw("points", "Expected best of k points over k", lambda: samples_chart(comparison, title, notes))
    return section


def training_curves(comparison: Comparison, trainings: Sequence[Training]) -> Section:
    """Return the curves of the best trial of each cell, with a verdict on each.

    Args:
        comparison: comparison of the cells.
        trainings: best training of each cell; the section is empty without any.
    """
    if not trainings:
        return Section()
    section = Section(["## Training curves", ""])
    states = [training.verdict.state for training in trainings]
    advice = {
        "still improving": "Still improving: longer trainings may change the order of the cells.",
        "overfits": "Overfits: shorter trainings, more data or stronger regularization may help.",
        "unstable late": "Unstable late: the last value is partly luck. A lower learning rate may help, or a decay at "
        "the end.",
        "too short to judge": f"Too short to judge: score more often, at least {LEAST_VALIDATIONS} times in a run.",
    }
    names = sorted(set(states), key=lambda state: -states.count(state))
    if len(names) == 1:
        title = {
            "still improving": "All best trainings were still improving at their end",
            "saturated": "All best trainings are saturated",
            "overfits": "All best trainings overfit",
            "unstable late": "All best trainings are unstable late",
            "too short to judge": "The trainings have too few validations for a verdict",
        }[names[0]]
    else:
        title = "Best trainings: " + joined([f"{states.count(name)} {name}" for name in names])
    section.lines += paragraph(
        "The best trial of each cell is shown"
        + (", with the seed that gave the middle figure." if len(comparison.record.settings.seeds) > 1 else ".")
    )
    section.lines += table(
        ["cell", "trial", "verdict", "reason"],
        [
            [code(comparison.record.cells[one.cell].label), str(one.number), one.verdict.state, one.verdict.reason]
            for one in trainings
        ],
    )
    section.lines += bullets(advice[name] for name in names if name in advice)
    section.draw("curves", "Figure and loss over the steps", lambda: curves_chart(comparison, trainings, title))
    return section


def _points_row(comparison: Comparison, verdict: PointsVerdict) -> list[str]:
    """Return the cells of a row of the table of points."""
    if verdict.is_enough is None or verdict.gain is None or verdict.allowed is None:
        return ["", "", "too few points to tell"]
    figure = comparison.figure
    text = "enough" if verdict.is_enough else "more points would probably help"
    return [figure.number(verdict.gain, signed=True), figure.number(verdict.allowed), text]


def _points_note(comparison: Comparison, verdict: PointsVerdict) -> str:
    """Return the verdict on the points of a cell for the title of a panel."""
    if verdict.gain is None:
        return "too few points to tell"
    text = "enough" if verdict.is_enough else "not enough"
    return f"{text}: the second half gained {comparison.figure.text(verdict.gain)}"


def _cells_named(comparison: Comparison, cells: Sequence[int]) -> str:
    """Return the names of cells in a sentence."""
    return joined([name_of(comparison, cell) for cell in cells])
