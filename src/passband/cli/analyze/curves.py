"""`passband analyze curves`."""

from pathlib import Path
from typing import Annotated

import typer


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
