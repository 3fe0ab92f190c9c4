"""`passband evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    weights: Annotated[str, typer.Argument(help="Shipped name, folder, published pickle or hub id.")],
    data: Annotated[
        Path,
        typer.Option(help="Folder of pairs: degraded/ and clean/, hazy/ and gt/, ...; of classes for a classifier."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    protocol: Annotated[
        str | None,
        typer.Option(help="rgb, rgb8, sfnet, y-basicsr or y-matlab. Default: the benchmark's, or rgb."),
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Puts published figures beside: SOTS-Indoor, GoPro, CSD, Test100, ...")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    memory: Annotated[str | None, typer.Option(help="Cap, such as 2GB. Default: most of what is free.")] = None,
    pool_window: Annotated[
        int | None, typer.Option(min=1, help="Default: the benchmark's, or the weights' own pooling window.")
    ] = None,
    pool_mode: Annotated[
        str | None, typer.Option(help="How the window is read: fraction, first, tlc; or global for none.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Write every restored picture, too.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read a classifier's pictures; 0: this one.")] = 0,
) -> None:
    """Score weights: PSNR and SSIM on pairs, beside those of the input; a classifier's accuracy on classes."""
    from passband.analysis.report import published_table
    from passband.cli.console import progress_bar
    from passband.evaluation import evaluate_restoration as run
    from passband.tasks.classifier import is_classifier

    if is_classifier(weights):
        given = {"--protocol": protocol, "--benchmark": benchmark, "--memory": memory}
        given |= {"--pool-window": pool_window, "--pool-mode": pool_mode, "--save": save or None}
        if wrong := [name for name, value in given.items() if value is not None]:
            raise ValueError(f"{weights} is a classifier: leave out {', '.join(wrong)}, which are for restoration")
        _evaluate_classifier(weights, data, output, device, workers)
        return

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
            memory=memory,
            report=report,
        )
    typer.echo(line(f"mean of {len(result['images'])} ({result['protocol']})", result["mean"]))
    if result["benchmark"]:
        typer.echo("\n".join(["", *published_table(result), ""]))
    for note in result["notes"]:
        typer.echo(note)
    typer.echo(f"report in {output / 'report.md'}")
    if result["failed"]:
        raise typer.Exit(1)


def _evaluate_classifier(weights: str, data: Path, output: Path, device: str, workers: int) -> None:
    """Score a classifier and print what came of it."""
    from passband.analysis.classification_report import figures_line
    from passband.cli.console import progress_bar
    from passband.evaluation import evaluate_classifier

    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("scoring")

        def report(row: dict[str, Any], total: int) -> None:
            progress.update(bar, advance=1, total=total)
            if "reason" in row:
                typer.echo(f"failed: {row['reason']}", err=True)

        result = evaluate_classifier(weights, data, output, device=device, workers=workers, report=report)
    for row in result["classes"]:
        if row["count"]:
            typer.echo(f"{row['name']:<24} {100 * row['accuracy']:6.2f} % of {row['count']}")
    typer.echo(f"{len(result['images'])} pictures: {figures_line(result['mean'])}")
    for note in result["notes"]:
        typer.echo(note)
    typer.echo(f"report in {output / 'report.md'}")
    if result["failed"]:
        raise typer.Exit(1)
