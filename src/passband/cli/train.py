"""`passband train`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passband.cli.shared.options import Device, Resume
from passband.naming import counted

if TYPE_CHECKING:
    from passband.config import Recipe
    from passband.runs import Progress
    from passband.studies.ratio_sweep import Sweep
    from passband.training import StepReport

RECIPE_NEEDED = "name a shipped recipe (`passband recipe` lists all) or a TOML file"
"""Error for a new run without a recipe."""


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(help="Name of a shipped recipe, or a TOML file. A resumed run remembers its recipe."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder to train on, or shards (also an address). A resumed run remembers its folder."),
    ] = None,
    validation_data: Annotated[
        Path | None,
        typer.Option(help="Folder or shards to score on while training, instead of data that the recipe holds out."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the run. Default: runs/, then the recipe's name.")
    ] = None,
    weights: Annotated[str | None, typer.Option("--from", help="Weights to start from (fine-tuning).")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Length of the run in steps, instead of the recipe's length.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Length of the run in passes over the data, instead of the recipe's.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Setting of the recipe to change, as KEY=VALUE, such as optim.learning_rate=1e-4. Repeatable."
        ),
    ] = None,
    resume: Resume = False,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Length of the run in minutes: as many steps as this machine trains in this time."),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this many minutes, with a checkpoint to resume from.")
    ] = None,
    device: Device = "auto",
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes on this machine that share each batch, such as one for each GPU. Losses stay equal."
        ),
    ] = None,
) -> None:
    """Train a network with a recipe, or continue a run with -o RUN --resume."""
    from passband.cli.shared.parallel import is_first, started
    from passband.cli.shared.settings import collected_changes
    from passband.config import changed_recipe, load_recipe, refuse_changes_of_network
    from passband.runs import RunError, check_free, read_run

    if output is None:
        if recipe is None:
            raise RunError(f"{RECIPE_NEEDED}, or continue a run with -o RUN --resume")
        output = Path("runs") / Path(recipe).stem
    if resume:
        stored = read_run(output)
        settings = load_recipe(recipe) if recipe is not None else stored["recipe"]
        data = data or Path(stored["data"])
        if validation_data is None and stored["validation_data"]:
            validation_data = Path(stored["validation_data"])
        weights = weights or stored["weights"]
    elif recipe is None:
        raise RunError(RECIPE_NEEDED)
    else:
        settings = load_recipe(recipe)
    changed = collected_changes(changes, steps=steps, epochs=epochs)
    if weights is not None:
        refuse_changes_of_network(changed)
    settings = changed_recipe(settings, changed)
    if data is None:
        raise RunError(f"--data is needed: a folder of {settings.data.content} to train on.")

    status = started(processes, settings.data.batch, sys.argv[1:])
    if status is not None:
        raise typer.Exit(status)
    if minutes is not None:
        if resume or steps is not None or epochs is not None or _is_sweep(settings):
            raise RunError(
                "--minutes is the length of one new run: leave out --steps, --epochs and --resume, and recipes with "
                "final_ratios"
            )
        from passband.io.files import results_folder
        from passband.run_length import recipe_within

        check_free(results_folder(output))  # before the time is measured
        settings = recipe_within(
            settings, minutes, data=data, validation_data=validation_data, weights=weights, device=device
        )
        assert settings.optim.steps is not None, "`recipe_within` sets the steps"
        if is_first():
            typer.echo(f"{counted(settings.optim.steps, 'step fits', 'steps fit')} into {minutes:g} minutes")
    run = _train_many if _is_sweep(settings) else _train_one
    run(
        settings,
        output,
        data=data,
        validation_data=validation_data,
        weights=weights,
        resume=resume,
        max_minutes=max_minutes,
        device=device,
    )


def _is_sweep(recipe: "Recipe") -> bool:
    """Return whether a recipe describes several runs, one for each final ratio."""
    from passband.config import SegmentationRecipe

    return isinstance(recipe, SegmentationRecipe) and bool(recipe.curriculum.final_ratios)


def _train_one(settings: "Recipe", output: Path, **options: Any) -> None:
    """Train a network, and print its scores and the path of its weights."""
    from passband.cli.shared.console import TrainingProgress
    from passband.cli.shared.parallel import is_first
    from passband.io.failures import WriteError
    from passband.io.files import results_folder
    from passband.training import train

    results_folder(output)  # a folder that cannot be written to needs no advice on how to continue
    with TrainingProgress(settings.name) as progress:
        try:
            result = train(settings, output, report=progress.show, **options)
        except (KeyboardInterrupt, WriteError):
            if is_first():
                typer.echo(resume_hint(output), err=True)
            raise
    if is_first():
        _print_result(result, output)
    result.exit_if_signaled()


def _print_result(result: "Progress", output: Path) -> None:
    """Print the scores of a run, the reason why it ended early, and the paths of its curves and weights, if any."""
    scores = ", ".join(f"{name} {value:.2f}" for name, value in result.figures.items()) or "not validated yet"
    typer.echo(f"step {result.step} of {result.steps}: {scores}")
    if result.remark:
        typer.echo(result.remark)
    if result.is_stopped:
        typer.echo(f"Stopped {result.reason}, before the end of the run. {resume_hint(output)}")
    elif result.reason is not None:
        typer.echo(f"Ended early: {result.reason}.")
    if result.step:
        draw_curves(output)
    if weights := sorted(str(path.parent) for path in output.glob("weights/*/*.safetensors")):
        typer.echo(f"Weights: {', '.join(weights)}")


def draw_curves(output: Path) -> None:
    """Draw the curves of a run and print their path, or the reason why there are none."""
    from passband.runs import RunError
    from passband.runs import draw_curves as draw

    try:
        typer.echo(f"Curves: {draw(output)}")
    except (OSError, RunError) as error:  # the training itself succeeded
        typer.echo(f"Curves were not drawn: {error}", err=True)


def resume_hint(output: Path, command: str = "train") -> str:
    """Return a sentence that says how to continue a run that was interrupted.

    Args:
        output: folder of the run.
        command: command of passband that trains it.
    """
    from passband.checkpoints import latest_checkpoint

    latest = latest_checkpoint(output)
    if not output.exists():
        return f"Nothing was written to {output} yet: start again."
    if latest is None:
        return f"There is no checkpoint in {output} yet: start again in another folder."
    return f"To continue after {latest.name}, run: passband {command} -o {shlex.quote(str(output))} --resume"


def _train_many(settings: Any, output: Path, **options: Any) -> None:
    """Train a network for each final ratio of a recipe, and print the table of their scores."""
    from passband.cli.shared.console import TrainingProgress
    from passband.cli.shared.parallel import is_first
    from passband.studies.ratio_sweep import sweep_ratios

    with TrainingProgress(settings.name) as progress:

        def show(ratio: float, step: "StepReport") -> None:
            progress.show(step, f"{settings.name} {ratio:g}")

        sweep = sweep_ratios(settings, output, report=show, **options)
    if is_first():
        _print_sweep(sweep, output)
    sweep.exit_if_signaled()


def _print_sweep(sweep: "Sweep", output: Path) -> None:
    """Print the table of a sweep, and how to continue it if it is not done."""
    if sweep.rows:
        typer.echo((output / "table.md").read_text(encoding="utf-8"))
    if not sweep.is_done:
        command = f"passband train -o {shlex.quote(str(output))} --resume"
        typer.echo(f"{len(sweep.rows)} of {len(sweep.ratios)} runs are done. To continue, run: {command}", err=True)
    typer.echo(f"Runs: {output}")
