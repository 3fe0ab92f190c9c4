"""`passband evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    weights: Annotated[str, typer.Argument(help="Shipped name, folder, published pickle or hub id.")],
    data: Annotated[Path, typer.Option(help="Folder of pairs: degraded/ and clean/, hazy/ and gt/, ...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    protocol: Annotated[str, typer.Option(help="rgb (floats) or rgb8 (rounded to 8 bits).")] = "rgb",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    pool_window: Annotated[int | None, typer.Option(min=1, help="Replaces the weights' own pooling window.")] = None,
) -> None:
    """Score weights on pairs: PSNR and SSIM of each image, and of the degraded input beside it."""
    from passband.cli.console import progress_bar
    from passband.evaluation import evaluate as run

    def line(name: str, row: dict[str, Any]) -> str:
        return (
            f"{name:<24} {row['psnr_degraded']:7.2f} -> {row['psnr']:6.2f} dB   "
            f"{row['ssim_degraded']:.4f} -> {row['ssim']:.4f}"
        )

    overrides = {} if pool_window is None else {"pool_window": pool_window}
    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("scoring")

        def report(row: dict[str, Any], total: int) -> None:
            progress.update(bar, advance=1, total=total)
            typer.echo(line(row["name"], row))

        result = run(weights, data, output, protocol=protocol, device=device, report=report, **overrides)
    typer.echo(line(f"mean of {len(result['images'])} ({protocol})", result["mean"]))
    typer.echo(f"report in {output}")
