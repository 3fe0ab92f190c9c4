"""`passband study`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passband.cli.shared.options import Device
from passband.naming import counted

if TYPE_CHECKING:
    from passband.studies.trials import StudyRecord
    from passband.studies.worker import StudyReport


def study(
    source: Annotated[
        str | None,
        typer.Argument(
            help="TOML file of a study, name of a shipped study, or folder of a study to continue. Default: list the "
            "shipped studies."
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder to train on. A study in a folder remembers it.")] = None,
    validation_data: Annotated[
        Path | None, typer.Option(help="Folder to score on, instead of data that the recipe holds out.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the study. Default: runs/, then the file's name.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train trials at the same time.")] = 1,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this many minutes. The same command continues the study.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Only write the report of a study again, without any training.")
    ] = False,
    figure: Annotated[
        str | None, typer.Option(help="Figure to rank by in the report. Default: the figure of the study.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Compare settings: train every combination with the same points and seeds, and write a report with the answer.

    The same command continues a study that was stopped or killed.
    """
    from passband.studies.plan import PLAN_FILE, read_plan
    from passband.studies.records import read_study
    from passband.studies.settings import StudyError, shipped_studies
    from passband.studies.settings import load_study as load

    if source is None:
        _list_studies(shipped_studies())
        return
    is_folder = (Path(source) / PLAN_FILE).exists()
    folder = Path(source) if is_folder else (output or Path("runs") / Path(source).stem)
    if is_folder and output is not None:
        raise StudyError(f"{source} is the folder of a study, so -o is not needed: leave it out")
    if report:
        record = read_study(folder)
    else:
        from passband.cli.shared.console import TrainingProgress
        from passband.studies.running import study as run

        settings = read_plan(folder).settings if is_folder else load(source)
        with TrainingProgress(folder.name) as progress:

            def show(done: "StudyReport") -> None:
                left = "" if done.seconds_left is None else f", {_duration(done.seconds_left)} left"
                progress.show(done.step, f"{done.trial}, {done.label}{left}")

            try:
                record = run(
                    settings if is_folder else source,
                    folder,
                    data=data,
                    validation_data=validation_data,
                    workers=workers,
                    max_minutes=max_minutes,
                    device=device,
                    report=show,
                )
            except KeyboardInterrupt:
                typer.echo(_hint(folder), err=True)
                raise
    _tell(record, figure)


def _list_studies(shipped: dict[str, Path]) -> None:
    """Print the names and the questions of the shipped studies."""
    from passband.studies.settings import load_study

    width = max(map(len, shipped), default=0)
    for name in shipped:
        typer.echo(f"{name:<{width}}  {load_study(name).question}")


def _tell(record: "StudyRecord", figure: str | None) -> None:
    """Write the report, and print the answer."""
    from passband.cli.shared.console import say
    from passband.studies.report import answer, write_study_report
    from passband.studies.trials import ENDED

    path = write_study_report(record, figure=figure)
    reply = answer(record, figure)
    for line in reply.lines:
        typer.echo(line)
    ended = sum(trial.state in ENDED for trial in record.trials)
    lost = [trial for trial in record.trials if trial.state in ("diverged", "failed")]
    if lost:
        say(f"{counted(len(lost), 'trial')} diverged or failed; the first of them: {lost[0].reason}")
    if not record.is_done:
        typer.echo(f"{ended} of {len(record.trials)} trials have ended. {_hint(record.folder)}", err=True)
    typer.echo(f"Report: {path.with_suffix('.html')}")


def _hint(folder: Path) -> str:
    """Return a sentence that says how to continue a study."""
    from passband.studies.plan import PLAN_FILE

    if not (folder / PLAN_FILE).exists():
        return "The study has not begun yet: run the same command again."
    return f"To continue, run: passband study {shlex.quote(str(folder))}"


def _duration(seconds: float) -> str:
    """Return a time in words, such as `12 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
