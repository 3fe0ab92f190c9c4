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
    from passband.analysis.channels import analyze_channels

    use = analyze_channels(source, output, data=data, keep=keep, device=device, workers=workers)
    for reason in use.failed:
        typer.echo(f"failed: {reason}", err=True)
    found = use.as_dict()
    counts = ", ".join(f"{count} {name}" for name, count in found["counts"].items())
    shares = use.probability[list(use.kept)]
    typer.echo(f"{use.pictures} pictures; {use.probability.sum():.1f} channels open on average")
    typer.echo(f"kept {len(use.kept)} ({counts}), open for {100 * shares.min():.0f} to {100 * shares.max():.0f} %")
    if use.tied:
        typer.echo(f"{use.tied_words}. To let the gate choose, raise gate.weight or train longer.")
    for name, shared in found["shared"].items():
        typer.echo(f"{shared} of {len(use.kept)} are in {name}")
    typer.echo(f"channels = {list(use.kept)}")
    typer.echo(f"heat maps and list in {output}")
    if use.failed:
        raise typer.Exit(1)


@analyze.command()
def ratio(
    weights: Annotated[str, typer.Argument(help="A run's folder, or weights of a network that takes pixels.")],
    data: Annotated[Path, typer.Option(help="Folder of pictures, or of pictures and masks.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for curves and figures.")],
    definition: Annotated[str, typer.Option(help="What a ratio is of: magnitude, energy, radius, area.")] = "magnitude",
    terms: Annotated[str, typer.Option(help="Second term: variance, total-variation, noise, cost.")] = "variance",
    alpha: Annotated[float, typer.Option(min=0, help="Weight of the saliency.")] = 1.0,
    beta: Annotated[float, typer.Option(min=0, help="Weight of the second term.")] = 1.0,
    radii: Annotated[int, typer.Option(min=3, help="Radii of the sweep.")] = 32,
    pictures: Annotated[int, typer.Option(min=1, help="Pictures at most, taken evenly from the folder.")] = 16,
    size: Annotated[int | None, typer.Option(min=1, help="Side in pixels. Default: that of the training.")] = None,
    method: Annotated[str, typer.Option(help="Refine by golden section (sweep), or by descent (gradient).")] = "sweep",
    per_image: Annotated[bool, typer.Option("--per-image", help="The best ratio of each picture, too.")] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures at once. Default: all.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Find how much of the spectrum a trained network responds to most."""
    from passband.analysis.ratio import analyze_ratio
    from passband.curriculum import RatioSearch

    search = RatioSearch(definition, terms, alpha, beta, radii, method, batch=batch)
    found = analyze_ratio(
        weights, output, data=data, search=search, pictures=pictures, size=size, per_image=per_image, device=device
    )
    for reason in found.failed:
        typer.echo(f"failed: {reason}", err=True)
    best = found.optimum
    typer.echo(
        f"{best.pictures} pictures of {best.size[0]}x{best.size[1]} pixels, {len(best.radii)} radii. {best.words}"
    )
    if len(best.minima) > 1:
        typer.echo(f"local minima, the deepest first: {', '.join(f'{ratio:.3f}' for ratio in best.minima)}")
    for remark in best.remarks:
        typer.echo(remark)
    for path, one in found.each:
        typer.echo(f"{path}: {one.words}")
    typer.echo(f"curve and figures in {output}")
    if found.failed:
        raise typer.Exit(1)


@analyze.command()
def curves(
    run: Annotated[Path, typer.Argument(help="A run's folder, of a run that is done, stopped or still going.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The PNG file. Default: curves.png in the run's folder.")
    ] = None,
) -> None:
    """Draw the loss, the learning rate and the scores of a training over its steps, as PNG and SVG."""
    from passband.runs import draw_curves

    typer.echo(f"curves in {draw_curves(run, output)}")
