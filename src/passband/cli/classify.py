"""`passband classify`."""

import json
from typing import Annotated

import typer


def classify(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders, or globs.")],
    weights: Annotated[str, typer.Option(help="Folder that training made (RUN/weights/best), shipped name or hub id.")],
    top: Annotated[int, typer.Option(min=1, help="Guesses for each picture.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each picture.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures; 0 reads them in this one.")] = 0,
) -> None:
    """Say what pictures show, with probabilities; JPEG files are not decoded for networks of their coefficients."""
    from passband.cli.console import named, progress_bar
    from passband.data.pictures import find_pictures
    from passband.inference.classifier import Classifier

    paths = find_pictures(sources)
    classifier = Classifier(weights, device)
    failures = 0
    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("classifying", total=len(paths))
        for result in classifier.classify(paths, top, workers=workers):
            failures += result.error is not None
            if as_json:
                typer.echo(json.dumps(result.as_dict()))
            elif result.error is None:
                guesses = ", ".join(f"{guess.name} {100 * guess.probability:.1f} %" for guess in result.guesses)
                typer.echo(f"{result.source}: {guesses}")
            if result.error is not None:
                typer.echo(f"failed: {named(result.source, result.error)}", err=True)
            progress.update(bar, advance=1)
    typer.echo(f"{len(paths) - failures} classified, {failures} failed", err=True)
    if failures:
        raise typer.Exit(1)
