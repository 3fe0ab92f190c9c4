"""`passband demo`."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    kind: Annotated[str, typer.Option(help="rain, snow, haze, motion-blur, defocus, or all.")] = "all",
    weights: Annotated[str, typer.Option(help="As `passband restore` takes them, such as derain-small.")] = "general",
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another weather.")] = 1,
) -> None:
    """Degrade a photograph that comes with scikit-image, restore it, and write before and after."""
    from passband.inference import Restorer, demonstrate

    restorer = Restorer(weights)
    gains = demonstrate(restorer, output, None if kind == "all" else [kind], seed=seed)
    for name, (before, after) in gains.items():
        typer.echo(f"{name:<12} {before:5.2f} -> {after:5.2f} dB   gain {after - before:+5.2f} dB")
    typer.echo(f"degraded | restored | clean: {output / 'demo.png'}")
