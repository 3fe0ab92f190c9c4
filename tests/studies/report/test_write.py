import csv
import json
import math
import re
from dataclasses import replace

import pytest
from PIL import Image

from passband.drawing.charts.style import save_chart
from passband.studies.report import write_study_report
from passband.studies.report.closing import adoption_of
from passband.studies.report.comparison import compare_cells
from passband.studies.report.isolation import advantage, isolate
from tests.studies.report.records import made_record

GRID = {"loss.spectral_weight": [0, 0.1], "network.window": [True, False]}
TWO = {"loss.spectral_weight": [0, 0.1]}


@pytest.fixture
def unsaved(monkeypatch):
    """Charts are drawn but not written, except the one of the cells, which saves time."""

    def save_one(chart, path):
        if path.stem == "cells":
            save_chart(chart, path.with_suffix(".svg"))

    monkeypatch.setattr("passband.studies.report.write.save_charts", save_one)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    record = made_record(
        folder, GRID, effects=[0, 0.1, 0.3, 0.35], points=5, states={4: "diverged"}, retrain=3, length=6
    )
    return record, write_study_report(record)


def test_the_report_has_its_sections_in_the_order_of_a_reader(grid):
    headings = re.findall(r"^#+ (.*)$", grid[1].read_text(), re.MULTILINE)
    assert headings == [
        "Does a spectral loss help?",
        "Best of each cell",
        "Each scientific value alone",
        "Nuisance values",
        "Did the study sample enough points?",
        "Training curves",
        "The winner trained again",
        "Ranked by other figures",
        "How it was made",
    ]


def test_every_chart_of_the_report_is_there_and_is_an_image(grid):
    record, report = grid
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", report.read_text())
    assert len(links) == 8
    for link in links:
        with Image.open(record.folder / link) as image:
            assert image.size[0] > 600
        assert (record.folder / link).with_suffix(".svg").exists()
    assert sorted(path.stem for path in (record.folder / "charts").glob("*.png")) == sorted(
        link.removeprefix("charts/").removesuffix(".png") for link in links
    )


def test_the_page_holds_its_images(grid):
    page = grid[1].with_suffix(".html").read_text()
    assert page.count("data:image/png;base64,") == 8
    assert 'src="charts' not in page


def test_prose_of_the_report_stays_within_the_width_of_documents(grid):
    for line in grid[1].read_text().splitlines():
        assert len(line) <= 120 or line.startswith(("|", "!")), line
        assert not re.match(r"(What|Which|How) ", line) or "?" in line


def test_every_trial_is_a_row_of_the_table_of_trials(grid):
    record, _ = grid
    with (record.folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(record.trials) + len(record.retrained)
    assert rows[4]["state"] == "diverged"
    assert rows[4]["reason"] == "the loss was nan at step 12"
    assert rows[4]["last psnr"] == ""
    assert float(rows[5]["last psnr"]) == record.trials[5].figures["psnr"]
    assert float(rows[5]["optim.learning_rate"]) == record.trials[5].changes["optim.learning_rate"]
    assert [row["trained again"] for row in rows].count("True") == len(record.retrained)


def test_the_answer_is_written_for_programs(grid):
    record, _ = grid
    content = json.loads((record.folder / "study.json").read_text())
    comparison = compare_cells(record)
    assert content["winner"] == record.cells[comparison.winner].label
    assert content["differences"][0]["best"] == comparison.differences[0].best
    assert content["cells"][0]["infeasible"] == {"diverged": 1} or content["cells"][2]["infeasible"] == {"diverged": 1}
    assert content["retrained"]["is_adopted"] in (True, False)
    assert set(content["curves"]) == {"0", "1", "2", "3"}


def test_infeasible_trials_are_marked_in_the_table_of_cells(grid):
    assert "**10%** (1 diverged)" in grid[1].read_text()


def test_a_key_is_isolated_with_the_others_optimised_away(grid):
    comparison = compare_cells(grid[0])
    isolated = isolate(comparison, "loss.spectral_weight")
    bests = [best.value for best in comparison.bests]
    assert isolated.values == ("0", "0.1")
    assert isolated.bests == (max(bests[:2]), max(bests[2:]))
    assert [name for name, _ in isolated.lines] == ["window true", "window false"]
    first, second, value, _ = advantage(comparison, isolated)
    assert (first, second) == (1, 0)
    assert value == pytest.approx(max(bests[2:]) - max(bests[:2]))


def test_another_figure_ranks_anew_and_is_named(tmp_path, unsaved):
    record = made_record(tmp_path, TWO, effects=[0, 0.4], points=4, curves=False)
    for trial in record.trials:  # the other figure prefers the other cell
        trial.figures["gain/rain"] = -trial.figures["psnr"]
        trial.best_figures["gain/rain"] = -trial.best_figures["psnr"]
    write_study_report(record)
    text = (tmp_path / "report.md").read_text()
    assert re.search(r"Of \d+ rankings, 2 would\s+choose another cell", text)
    write_study_report(record, figure="gain/rain")
    text = (tmp_path / "report.md").read_text()
    assert "This report ranks by `gain/rain`. The study was made to compare `psnr`." in text
    assert "gain/rain [dB], higher is better" in text or "best gain/rain [dB]" in text


def test_an_edge_is_flagged_with_the_direction_in_which_to_widen_the_range(tmp_path, unsaved):
    nuisance = {"optim.learning_rate": {"log": [1e-4, 1e-2]}, "optim.weight_decay": {"linear": [-0.4, 0.02]}}
    record = made_record(tmp_path, TWO, points=8, nuisance=nuisance, curves=False)
    best = compare_cells(record).bests[0].point
    record.points[best]["optim.weight_decay"] = 0.019
    text = " ".join(write_study_report(record).read_text().split())
    flag = "lies at the highest edge of `optim.weight_decay`. Better values may lie outside: widen this range upwards"
    assert flag in text


@pytest.mark.parametrize(
    "options",
    [
        {"states": dict.fromkeys(range(16), "failed")},
        {"states": dict.fromkeys(range(16), "waiting")},
        {"states": dict.fromkeys(range(7, 16), "waiting")},
        {"states": dict.fromkeys(range(2, 16), "diverged")},
        {"points": 1, "seeds": (1,), "nuisance": {}},
        {"noise": 0.0},
        {"figure": "loss"},
    ],
)
def test_every_state_of_a_study_gives_a_report(tmp_path, unsaved, options):
    record = made_record(tmp_path, TWO, **{"points": 4, "curves": False, **options})
    text = write_study_report(record).read_text()
    assert text.startswith("# Does a spectral loss help?\n")
    assert "## How it was made" in text
    assert "nan" not in text.replace("finance", "")
    assert "inf " not in text


def test_the_same_record_gives_the_same_report(tmp_path, unsaved):
    record = made_record(tmp_path, TWO, points=4, curves=False)
    names = ("report.md", "report.html", "trials.csv", "study.json", "charts/cells.svg")
    write_study_report(record)
    before = [(tmp_path / name).read_bytes() for name in names]
    write_study_report(record)
    assert [(tmp_path / name).read_bytes() for name in names] == before


def test_a_new_training_whose_figure_is_not_finite_counts_as_lost(tmp_path):
    record = made_record(tmp_path, TWO, effects=[0, 0.4], points=4, retrain=3, curves=False)
    winner = compare_cells(record).winner
    retrained = tuple(
        replace(trial, figures={"psnr": math.nan}) if (trial.cell, trial.seed) == (winner, 100) else trial
        for trial in record.retrained
    )
    cell, _, adoption = adoption_of(compare_cells(replace(record, retrained=retrained)))
    assert (cell, adoption.lost, len(adoption.winner), adoption.is_adopted) == (winner, 1, 2, False)
