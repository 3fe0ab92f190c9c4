"""`passband evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    weights: Annotated[str, typer.Argument(help="Shipped name, folder, published pickle or hub id.")],
    data: Annotated[Path, typer.Option(help="Folder of pairs: degraded/ and clean/, hazy/ and gt/, ...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    protocol: Annotated[
        str | None,
        typer.Option(help="rgb, rgb8, sfnet, y-basicsr or y-matlab. Default: the benchmark's, or rgb."),
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Puts published figures beside: SOTS-Indoor, GoPro, CSD, Test100, ...")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    pool_window: Annotated[
        int | None, typer.Option(min=1, help="Default: the benchmark's, or the weights' own pooling window.")
    ] = None,
    pool_mode: Annotated[
        str | None, typer.Option(help="How the window is read: fraction, first, tlc; or global for none.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Write every restored picture, too.")] = False,
) -> None:
    """Score weights on pairs: PSNR and SSIM of each image, and of the degraded input beside it."""
    from passband.analysis.report import published_table
    from passband.cli.console import progress_bar
    from passband.evaluation import evaluate as run

    def line(name: str, row: dict[str, Any]) -> str:
        return (
            f"{name:<24} {row['psnr_degraded']:7.2f} -> {row['psnr']:6.2f} dB   "
            f"{row['ssim_degraded']:.4f} -> {row['ssim']:.4f}"
        )

    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("scoring")

        def report(row: dict[str, Any], total: int) -> None:
            progress.update(bar, advance=1, total=total)
            typer.echo(line(row["name"], row))

        result = run(
            weights,
            data,
            output,
            protocol=protocol,
            benchmark=benchmark,
            pool_window=pool_window,
            pool_mode=pool_mode,
            save=save,
            device=device,
            report=report,
        )
    typer.echo(line(f"mean of {len(result['images'])} ({result['protocol']})", result["mean"]))
    if result["benchmark"]:
        typer.echo("\n".join(["", *published_table(result), ""]))
    for note in result["notes"]:
        typer.echo(note)
    typer.echo(f"report in {output / 'report.md'}")
