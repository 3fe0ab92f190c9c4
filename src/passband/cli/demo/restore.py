"""`passband demo restore`."""

from pathlib import Path
from typing import Annotated

import typer


def restore(
    kind: Annotated[
        str, typer.Option(help="Degradation: rain, snow, haze, motion-blur or defocus; all shows each of them.")
    ] = "all",
    weights: Annotated[str, typer.Option(help="Weights as for `passband restore`, such as derain-small.")] = "general",
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the images.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the degradation.")] = 1,
) -> None:
    """Degrade a photo that comes with scikit-image, restore it, and write a before/after image."""
    from passband.demos.restoration import demonstrate
    from passband.inference import Restorer

    restorer = Restorer(weights)
    gains = demonstrate(restorer, output, None if kind == "all" else [kind], seed=seed)
    for name, (before, after) in gains.items():
        typer.echo(f"{name:<12} {before:5.2f} -> {after:5.2f} dB   gain {after - before:+5.2f} dB")
    typer.echo(f"degraded | restored | clean: {output / 'demo.png'}")
