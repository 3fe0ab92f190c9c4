"""`passband analyze`: what trained networks use."""

from pathlib import Path
from typing import Annotated

import typer

analyze = typer.Typer(help="Look at what a trained network uses.", no_args_is_help=True)


@analyze.callback()
def analyze_command() -> None:
    """Look at what a trained network uses."""


@analyze.command()
def channels(
    source: Annotated[str, typer.Argument(help="A run's folder, or weights of a gated classifier.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for heat maps and list.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of pictures to count on. Default: the counts of the training.")
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="Channels in the list.")] = 24,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures; 0 reads them in this one.")] = 0,
) -> None:
    """Draw which frequency channels a gate lets through, and list those to keep for a recipe."""
    from passband.inference.channels import analyze_channels

    use = analyze_channels(source, output, data=data, keep=keep, device=device, workers=workers)
    for reason in use.failed:
        typer.echo(f"failed: {reason}", err=True)
    found = use.as_dict()
    counts = ", ".join(f"{count} {name}" for name, count in found["counts"].items())
    shares = use.probability[list(use.kept)]
    typer.echo(f"{use.pictures} pictures; {use.probability.sum():.1f} channels open on average")
    typer.echo(f"kept {len(use.kept)} ({counts}), open for {100 * shares.min():.0f} to {100 * shares.max():.0f} %")
    if use.tied:
        typer.echo(
            f"{use.tied} more were open as often as the least of these, so that the gate alone did not choose: "
            "raise gate.weight, or train longer"
        )
    for name, shared in found["shared"].items():
        typer.echo(f"{shared} of {len(use.kept)} are in {name}")
    typer.echo(f"channels = {list(use.kept)}")
    typer.echo(f"heat maps and list in {output}")
    if use.failed:
        raise typer.Exit(1)
