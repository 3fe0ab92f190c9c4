"""`passband analyze seams`."""

from pathlib import Path
from typing import Annotated

import typer

from passband.cli.shared.options import Device


def seams(
    image: Annotated[Path, typer.Argument(help="Image that is larger than a tile.")],
    weights: Annotated[
        str, typer.Option(help="Weights of a restoration network, also of another project.")
    ] = "general",
    tile: Annotated[int, typer.Option(min=64, help="Side of the tiles in pixels, a multiple of 64.")] = 512,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0, help="Smallest overlap of the tiles in pixels. Default: as in a restoration, by the reach."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for a picture of the differences and the figures.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Measure the reach of a network, and the seams in an image that it restores in tiles."""
    from passband.analysis.seams import analyze_seams

    analysis = analyze_seams(image, weights, side=tile, overlap=overlap, output=output, device=device)
    typer.echo(analysis.words)
    if output is not None:
        typer.echo(f"Picture and figures: {output}")
