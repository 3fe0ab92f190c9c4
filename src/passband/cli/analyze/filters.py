"""`passband analyze filters`."""

from pathlib import Path
from typing import Annotated

import typer

from passband.cli.shared.options import Device


def filters(
    image: Annotated[Path, typer.Argument(help="Image for which the network chooses its filters.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the picture and the tables.")],
    weights: Annotated[
        str, typer.Option(help="Weights of an SFNet or FSNet: a shipped name, the folder of a run, or a file.")
    ] = "general",
    side: Annotated[
        int, typer.Option(min=16, help="Longest side of the analyzed part in pixels: the middle of a larger image.")
    ] = 768,
    device: Device = "auto",
) -> None:
    """Show the low-pass filters that SFNet or FSNet chooses for an image, and its weights of low and high parts."""
    from passband.analysis.filters import analyze_filters, described_filters

    analysis = analyze_filters(image, output, weights=weights, side=side, device=device)
    title, text = described_filters(analysis)
    typer.echo(f"{title}.\n{text}\n")
    typer.echo("| block | filter | response is 1/2 at | weight of low | weight of high |\n|---|---|---|---|---|")
    for choice in analysis.choices:
        low, high = choice.shares
        size = f"{choice.kernel_size}x{choice.kernel_size}"
        typer.echo(
            f"| {choice.block} | {size} | {choice.cutoff():.2f} Nyquist | {100 * low:.0f} % | {100 * high:.0f} % |"
        )
    typer.echo(f"\nPicture and tables: {output}")
