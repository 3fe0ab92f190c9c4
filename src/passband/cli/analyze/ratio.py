"""`passband analyze ratio`."""

from pathlib import Path
from typing import Annotated

import typer

from passband.cli.analyze.images import is_image
from passband.cli.shared.options import Device


def ratio(
    source: Annotated[
        str, typer.Argument(help="An image. Or the folder of a run, or weights of a network that takes pixels.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures and the tables.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of images, or of images and masks, on which weights are analyzed.")
    ] = None,
    ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Of an image: share of the spectrum to keep in its low part.")
    ] = 0.5,
    definition: Annotated[
        str, typer.Option(help="Quantity that a ratio is a share of: magnitude, energy, radius or area.")
    ] = "magnitude",
    term: Annotated[
        str,
        typer.Option(
            help="Second term of the objective: noise, total-variation, cost, or variance, which has no effect."
        ),
    ] = "noise",
    alpha: Annotated[float, typer.Option(min=0, help="Weight of the saliency.")] = 1.0,
    beta: Annotated[float, typer.Option(min=0, help="Weight of the second term.")] = 1.0,
    radii: Annotated[int, typer.Option(min=3, help="Number of radii in the sweep.")] = 32,
    images: Annotated[int, typer.Option(min=1, help="Largest number of images, taken evenly from the folder.")] = 16,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images in pixels. Default: as in the training.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="Refinement of the best radius: sweep (golden section) or gradient (descent).")
    ] = "sweep",
    per_image: Annotated[bool, typer.Option("--per-image", help="Also find the best ratio of each image.")] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Images computed at once. Default: all.")] = None,
    device: Device = "auto",
) -> None:
    """Show the low and high parts of an image, or find how much of the spectrum a network responds to most.

    Of an image: draws its low and high parts for one frequency ratio by each of the four definitions. Of weights: finds
    the frequency ratio to which the network responds most, on the images of --data.
    """
    if is_image(source):
        _show_image_parts(source, output, ratio)
        return
    if data is None:
        raise typer.BadParameter(
            f"{source} is not an image, so it is taken as weights, which are analyzed on images: name their folder "
            "with --data"
        )
    from passband.analysis.ratio import analyze_ratio
    from passband.cli.shared.console import say
    from passband.curriculum import RatioSearch

    search = RatioSearch(definition, term, alpha, beta, radii, method, batch=batch)
    analysis = analyze_ratio(
        source, output, data=data, search=search, count=images, size=size, per_image=per_image, device=device
    )
    for reason in analysis.failed:
        say(f"failed: {reason}", err=True)
    best = analysis.optimum
    typer.echo(f"{best.images} images of {best.size[0]}x{best.size[1]} pixels, {len(best.radii)} radii. {best.words}")
    if len(best.minima) > 1:
        typer.echo(f"Local minima, the lowest first: {', '.join(f'{ratio:.3f}' for ratio in best.minima)}")
    for remark in best.remarks:
        typer.echo(remark)
    for path, optimum in analysis.each:
        typer.echo(f"{path}: {optimum.words}")
    typer.echo(f"Curve and figures: {output}")
    if analysis.failed:
        raise typer.Exit(1)


def _show_image_parts(source: str, output: Path, ratio: float) -> None:
    """Analyze the parts of an image, and print a table."""
    from passband.analysis.images.parts import analyze_image_parts

    typer.echo("| definition | radius, cycles | share of Nyquist | frequencies kept | energy kept | low part, PSNR |")
    typer.echo("|---|---|---|---|---|---|")
    for parts in analyze_image_parts(source, output, ratio=ratio):
        row = parts.as_dict()
        typer.echo(
            f"| {row['definition']} | {row['radius']:g} | {row['share_of_nyquist']:.3f} | "
            f"{100 * row['coefficients']:.3g} % | {100 * row['energy']:.3g} % | {row['low_psnr']:.1f} dB |"
        )
    typer.echo(f"\nPictures and table: {output}")
