"""`passband analyze`: shows which frequencies a network uses or gets wrong, and the curves of a run."""

from pathlib import Path
from typing import Annotated

import typer

analyze = typer.Typer(
    help="Show which frequencies a network uses or gets wrong, and the curves of a run.", no_args_is_help=True
)


@analyze.callback()
def analyze_command() -> None:
    """Show which frequencies a network uses or gets wrong, and the curves of a run."""


@analyze.command()
def channels(
    source: Annotated[str, typer.Argument(help="Folder of a run, or weights of a classifier with a gate.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the heat maps and the list.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of images on which open channels are counted. Default: the counts of the training."),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="Number of channels in the list.")] = 24,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images. 0 reads in the main process.")] = 0,
) -> None:
    """Draw how often a gate opens each frequency channel, and list the channels to use in a recipe."""
    from passband.analysis.channels import analyze_channels

    use = analyze_channels(source, output, data=data, keep=keep, device=device, workers=workers)
    for reason in use.failed:
        typer.echo(f"failed: {reason}", err=True)
    summary = use.as_dict()
    counts = ", ".join(f"{count} {name}" for name, count in summary["counts"].items())
    shares = use.probability[list(use.kept)]
    typer.echo(f"{use.pictures} images; {use.probability.sum():.1f} channels open on average")
    typer.echo(
        f"{len(use.kept)} channels kept ({counts}); each is open for {100 * shares.min():.0f} to "
        f"{100 * shares.max():.0f} % of the images"
    )
    if use.tied:
        typer.echo(f"{use.tied_words}. To let the gate choose, raise gate.weight or train longer.")
    for name, shared in summary["shared"].items():
        typer.echo(f"{shared} of the {len(use.kept)} channels are also in {name}")
    typer.echo(f"channels = {list(use.kept)}")
    typer.echo(f"Heat maps and list: {output}")
    if use.failed:
        raise typer.Exit(1)


@analyze.command()
def ratio(
    weights: Annotated[str, typer.Argument(help="Folder of a run, or weights of a network that takes pixels.")],
    data: Annotated[Path, typer.Option(help="Folder of images, or of images and masks.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the curves and the figures.")],
    definition: Annotated[
        str, typer.Option(help="Quantity that a ratio is a share of: magnitude, energy, radius or area.")
    ] = "magnitude",
    terms: Annotated[
        str, typer.Option(help="Second term of the objective: variance, total-variation, noise or cost.")
    ] = "variance",
    alpha: Annotated[float, typer.Option(min=0, help="Weight of the saliency.")] = 1.0,
    beta: Annotated[float, typer.Option(min=0, help="Weight of the second term.")] = 1.0,
    radii: Annotated[int, typer.Option(min=3, help="Number of radii in the sweep.")] = 32,
    pictures: Annotated[int, typer.Option(min=1, help="Largest number of images, taken evenly from the folder.")] = 16,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images in pixels. Default: as in the training.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="Refinement of the best radius: sweep (golden section) or gradient (descent).")
    ] = "sweep",
    per_image: Annotated[bool, typer.Option("--per-image", help="Also find the best ratio of each image.")] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Images computed at once. Default: all.")] = None,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Find how much of the spectrum a trained network responds to most."""
    from passband.analysis.ratio import analyze_ratio
    from passband.curriculum import RatioSearch

    search = RatioSearch(definition, terms, alpha, beta, radii, method, batch=batch)
    analysis = analyze_ratio(
        weights, output, data=data, search=search, pictures=pictures, size=size, per_image=per_image, device=device
    )
    for reason in analysis.failed:
        typer.echo(f"failed: {reason}", err=True)
    best = analysis.optimum
    typer.echo(f"{best.pictures} images of {best.size[0]}x{best.size[1]} pixels, {len(best.radii)} radii. {best.words}")
    if len(best.minima) > 1:
        typer.echo(f"Local minima, the lowest first: {', '.join(f'{ratio:.3f}' for ratio in best.minima)}")
    for remark in best.remarks:
        typer.echo(remark)
    for path, optimum in analysis.each:
        typer.echo(f"{path}: {optimum.words}")
    typer.echo(f"Curve and figures: {output}")
    if analysis.failed:
        raise typer.Exit(1)


@analyze.command()
def spectrum(
    restored: Annotated[Path, typer.Argument(help="Restored image, or folder of restored images.")],
    clean: Annotated[Path, typer.Argument(help="Clean image, or folder of clean images with the same names.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    degraded: Annotated[
        Path | None,
        typer.Option(
            help="Degraded image or folder, to split the change of the error into restored, lost and invented."
        ),
    ] = None,
    block: Annotated[
        int, typer.Option(min=2, max=32, help="Side of the DCT blocks in pixels; 32 gives finer curves than 8.")
    ] = 8,
) -> None:
    """Show which frequencies of restored images are wrong, as a picture and tables."""
    from passband.analysis.spectrum import analyze_spectrum
    from passband.cli.shared.console import progress_bar, say
    from passband.reports.spectrum import findings, spectrum_table

    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("measuring")
        analysis = analyze_spectrum(
            restored,
            clean,
            output,
            degraded=degraded,
            block=block,
            report=lambda name, total: progress.update(bar, advance=1, total=total),
        )
    for one in analysis.failed:
        say(f"failed: {one['reason']}", err=True)
    title, *sentences = findings(analysis.errors)
    typer.echo("\n".join([f"{title}.", *sentences, "", *spectrum_table(analysis.errors), ""]))
    typer.echo(f"Report: {output / 'report.html'}")
    if analysis.failed:
        raise typer.Exit(1)


@analyze.command()
def curves(
    run: Annotated[Path, typer.Argument(help="Folder of a run, which may be finished, stopped or still training.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG file to write. Default: curves.png in the folder of the run."),
    ] = None,
) -> None:
    """Draw the loss, the learning rate and the scores of a run over its steps, as PNG and SVG."""
    from passband.runs import draw_curves

    typer.echo(f"Curves: {draw_curves(run, output)}")
