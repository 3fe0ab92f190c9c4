"""`passband train`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from passband.config import Recipe
    from passband.training import StepReport


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="Name of a shipped recipe, or a TOML file. With --resume, the run's own.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder to train on. With --resume, the run's own.")] = None,
    validation_data: Annotated[Path | None, typer.Option(help="Folder to score on while training.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder. Default: runs/RECIPE")
    ] = None,
    weights: Annotated[str | None, typer.Option("--from", help="Weights to start from (fine-tuning).")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of the run, instead of the recipe's.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="The same in passes over the data.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the recipe, such as optim.learning_rate=1e-4. Repeatable."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Length of the run: as many steps as this machine trains in this time.")
    ] = None,
    max_minutes: Annotated[float | None, typer.Option(min=0, help="Stop cleanly after this long.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Train a network by a recipe, or go on training it."""
    from passband.cli.shared.settings import collected_changes
    from passband.config import changed_recipe, load_recipe, shipped_recipes
    from passband.runs import RunError, read_run

    if output is None:
        if recipe is None:
            raise RunError(f"name a recipe ({', '.join(shipped_recipes())}, or a file), or a run with -o --resume")
        output = Path("runs") / Path(recipe).stem
    if resume:
        begun = read_run(output)
        settings = load_recipe(recipe) if recipe is not None else begun["recipe"]
        data = data or Path(begun["data"])
        if validation_data is None and begun["validation_data"]:
            validation_data = Path(begun["validation_data"])
        weights = weights or begun["weights"]
    elif recipe is None:
        raise RunError(f"name a recipe: {', '.join(shipped_recipes())}, or a TOML file")
    else:
        settings = load_recipe(recipe)
    settings = changed_recipe(settings, collected_changes(changes, steps=steps, epochs=epochs))
    if data is None:
        raise RunError(f"--data is needed: a folder of {settings.data.content} to train on")

    if minutes is not None:
        if resume or steps is not None or epochs is not None or _is_sweep(settings):
            raise RunError("--minutes gives the length of one new run: leave out --steps, --epochs and --resume")
        from passband.training import recipe_within

        settings = recipe_within(
            settings, minutes, data=data, validation_data=validation_data, weights=weights, device=device
        )
        typer.echo(f"{settings.optim.steps} steps fit into {minutes:g} minutes")
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
    """Whether a recipe is of several runs."""
    from passband.config import SegmentationRecipe

    return isinstance(recipe, SegmentationRecipe) and bool(recipe.curriculum.final_ratios)


def _train_one(settings: "Recipe", output: Path, **options: Any) -> None:
    """Train a network and print what came of it."""
    from passband.cli.shared.console import TrainingProgress
    from passband.training import train

    with TrainingProgress(settings.name) as progress:
        try:
            result = train(settings, output, report=progress.show, **options)
        except KeyboardInterrupt:
            typer.echo(_goes_on(output), err=True)
            raise
    scores = ", ".join(f"{name} {value:.2f}" for name, value in result.figures.items()) or "not validated yet"
    typer.echo(f"step {result.step} of {result.steps}: {scores}")
    if result.remark:
        typer.echo(result.remark)
    if result.is_stopped:
        typer.echo(f"Stopped {result.reason}, before its end. {_goes_on(output)}")
    elif result.reason is not None:
        typer.echo(f"Ended early: {result.reason}.")
    draw_curves(output)
    typer.echo(f"weights in {', '.join(str(path.parent) for path in sorted(output.glob('weights/*/*.safetensors')))}")


def draw_curves(output: Path) -> None:
    """Draw the curves of a run and say where they are; a run without steps has none."""
    from passband.runs import RunError
    from passband.runs import draw_curves as draw

    try:
        typer.echo(f"curves in {draw(output)}")
    except (OSError, RunError) as error:  # the training itself is done
        typer.echo(f"no curves: {error}", err=True)


def _goes_on(output: Path) -> str:
    """Where a run that was interrupted would go on."""
    from passband.runs import latest_checkpoint

    latest = latest_checkpoint(output)
    if latest is None:
        return f"There is no checkpoint in {output} yet: begin anew in another folder."
    return f"`passband train -o {shlex.quote(str(output))} --resume` goes on after {latest.name}."


def _train_many(settings: Any, output: Path, **options: Any) -> None:
    """Train a network for each of a recipe's final ratios and print the table."""
    from passband.cli.shared.console import TrainingProgress
    from passband.studies.ratio_sweep import sweep_ratios

    with TrainingProgress(settings.name) as progress:

        def show(ratio: float, step: "StepReport") -> None:
            progress.show(step, f"{settings.name} {ratio:g}")

        sweep = sweep_ratios(settings, output, report=show, **options)
    if sweep.rows:
        typer.echo((output / "table.md").read_text(encoding="utf-8"))
    if not sweep.is_done:
        command = f"passband train -o {shlex.quote(str(output))} --resume"
        typer.echo(f"{len(sweep.rows)} of {len(sweep.ratios)} runs done. `{command}` goes on.", err=True)
    typer.echo(f"runs in {output}")
