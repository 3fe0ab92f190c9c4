"""Writes the report of a study into its folder: Markdown, HTML, charts, a table of trials, and the answer as JSON."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from passband.drawing.charts.style import save_charts
from passband.io.json_files import write_json
from passband.reports.files import write_csv, write_lines
from passband.reports.page import write_page
from passband.studies.report.answer import answer_of
from passband.studies.report.closing import adoption_of, how_it_was_made, other_figures, retraining, trial_rows
from passband.studies.report.comparison import Comparison, compare_cells
from passband.studies.report.search_sections import enough_points, nuisance_values, training_curves
from passband.studies.report.sections import FOLDER, best_of_cells, isolations, opening
from passband.studies.report.trainings import best_trainings
from passband.studies.report.wording import paragraph
from passband.studies.trials import StudyRecord


def write_study_report(record: StudyRecord, *, figure: str | None = None) -> Path:
    """Write the report of a study, which may be unfinished.

    Writes into the folder of the study: report.md, report.html (one file with the charts inside), the charts as PNG and
    SVG in charts/, trials.csv (every trial) and study.json. An older report is replaced.

    Args:
        record: record of the study.
        figure: figure to rank the cells by; None for the figure of the study. No new trainings are needed.

    Returns:
        Path of report.md.

    Raises:
        ValueError: if no trial of the study reports the figure.
        OSError: if a file cannot be read or written.
    """
    comparison = compare_cells(record, figure)
    trainings, reply = best_trainings(comparison), answer_of(comparison)
    sections = [
        opening(comparison, reply),
        best_of_cells(comparison),
        isolations(comparison),
        nuisance_values(comparison),
        enough_points(comparison),
        training_curves(comparison, trainings),
        retraining(comparison),
        other_figures(comparison),
        how_it_was_made(comparison),
    ]
    lines = [line for section in sections for line in section.lines]
    if comparison.figure.name != record.figure:
        note = f"This report ranks by `{comparison.figure.name}`. The study was made to compare `{record.figure}`."
        lines[2:2] = paragraph(note)
    charts = record.folder / FOLDER
    shutil.rmtree(charts, ignore_errors=True)  # charts of an older report may be of other sections
    for section in sections:
        for name, draw in section.charts.items():
            save_charts(draw(), charts / f"{name}.png")
    columns, rows = trial_rows(record)
    write_csv(record.folder / "trials.csv", columns, rows)
    states = {str(one.cell): asdict(one.verdict) for one in trainings}
    write_json(record.folder / "study.json", {**asdict(reply), **_numbers(comparison), "curves": states})
    report = record.folder / "report.md"
    write_lines(report, lines[:-1] if lines and not lines[-1] else lines)
    write_page(report)
    return report


def _numbers(comparison: Comparison) -> dict[str, Any]:
    """Return the numbers behind the answer."""
    adoption = adoption_of(comparison)
    return {
        "direction": "maximize" if comparison.figure.sign > 0 else "minimize",
        "level": comparison.level,
        "points": comparison.points,
        "trials_ended": comparison.count,
        "trials": len(comparison.record.trials),
        "cells": [{**asdict(best), "label": comparison.record.cells[best.cell].label} for best in comparison.bests],
        "differences": [
            {**asdict(one), "at_points": list(one.at_points), "wins": one.wins, "is_clear": one.is_clear}
            for one in comparison.differences
        ],
        "retrained": None
        if adoption is None
        else {
            "cell": adoption[0],
            "runner_up": adoption[1],
            "is_adopted": adoption[2].is_adopted,
            **asdict(adoption[2]),
        },
    }
