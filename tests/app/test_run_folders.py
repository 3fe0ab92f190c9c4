import json

import pytest
from PIL import Image

from passband.app.files.run_folders import find_reports, find_runs, served_file
from passband.app.html.runs import facts_html, reports_html
from passband.app.work.requests import Predictors
from passband.app.work.runs import RunRequest


@pytest.fixture
def folder(tmp_path):
    """Write a run that still trains, and the report of a study."""
    run = tmp_path / "runs" / "deraining"
    (run / "validation").mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"recipe": {"name": "my <recipe>"}}))
    (run / "log.csv").write_text("step,loss\n1,0.5\n2,0.25\n3,0.1")
    (run / "validation.csv").write_text("step,psnr\n2,31.25\n")
    Image.new("RGB", (9, 9)).save(run / "validation" / "step-2.png")
    study = tmp_path / "runs" / "study"
    study.mkdir()
    (study / "report.html").write_text("<p>report</p>")
    (study / ".secret.html").write_text("secret")
    (tmp_path / "secret.html").write_text("secret")
    (study / "link.html").symlink_to(tmp_path / "secret.html")
    return tmp_path / "runs"


def test_runs_and_reports_are_found(folder):
    assert find_runs(folder) == {"deraining": folder / "deraining"}
    assert find_runs(folder / "deraining") == {"deraining": folder / "deraining"}
    assert [str(path) for path in find_reports(folder).values()] == ["study/report.html"]
    assert list(find_reports(folder / "study")) == ["study"]
    assert 'href="passband/runs/study/report.html"' in reports_html(find_reports(folder))
    assert reports_html({}) == ""


def test_a_run_that_still_trains_has_facts_curves_and_samples(folder, tmp_path):
    facts = RunRequest(folder / "deraining", tmp_path).do(Predictors())
    assert dict(facts.rows) == {
        "recipe": "my <recipe>",
        "steps": "3",
        "loss, last": "0.1",
        "psnr, last validation": "31.25",
    }
    assert facts.curves is not None
    assert facts.curves.is_file()
    assert RunRequest(folder / "deraining", tmp_path).do(Predictors()).curves == facts.curves
    assert facts.sample == folder / "deraining" / "validation" / "step-2.png"
    html = facts_html(facts, lambda path: path.name)
    assert "my &lt;recipe&gt;" in html
    assert f'src="{facts.curves.name}"' in html


def test_an_empty_or_damaged_run_has_no_curves(tmp_path):
    (tmp_path / "run.json").write_text("{")
    facts = RunRequest(tmp_path, tmp_path / "out").do(Predictors())
    assert (facts.curves, facts.sample, dict(facts.rows)["steps"]) == (None, None, "0")


def test_only_files_of_reports_below_the_folder_are_served(folder):
    assert served_file(folder, "study/report.html") == folder / "study" / "report.html"
    assert served_file(folder, "deraining/validation/step-2.png") is not None
    for name in (
        *("../secret.html", "study/link.html", "study/.secret.html", "study/../../secret.html", "/etc/passwd", "study"),
        *(str(folder.parent / "secret.html"), "", "\0", "x" * 5000, "deraining/none.png"),
    ):
        assert served_file(folder, name) is None
    (folder / "weights.safetensors").write_bytes(b"1")
    assert served_file(folder, "weights.safetensors") is None
