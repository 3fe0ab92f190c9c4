"""`passband study`: lists, runs, continues, and reports."""

from typer.testing import CliRunner

from passband.cli import app
from passband.studies.settings import shipped_studies


def test_without_a_file_the_shipped_studies_are_listed_with_their_questions():
    shown = CliRunner().invoke(app, ["study"])
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()] == list(shipped_studies())
    assert all(line.endswith("?") for line in shown.stdout.splitlines())


def test_an_unknown_study_names_the_nearest():
    shown = CliRunner().invoke(app, ["study", "spectral-los"])
    assert "Did you mean 'spectral-loss'" in str(shown.exception)
