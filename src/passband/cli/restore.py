"""`passband restore`."""

from pathlib import Path
from typing import Annotated

import typer


def restore(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders of them, or globs.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder, or file for one picture. Default: *_restored beside the source."),
    ] = None,
    weights: Annotated[str, typer.Option(help="Shipped name, folder, published pickle or hub id.")] = "general",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    compare: Annotated[bool, typer.Option("--compare", help="Write before/after pictures, too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what is done.")] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and lossy WebP.")] = 95,
    pool_window: Annotated[int | None, typer.Option(min=1, help="Replaces the weights' own pooling window.")] = None,
    tile: Annotated[int | None, typer.Option(min=1, help="Larger pictures are done in tiles. Default: 1536.")] = None,
    max_pixels: Annotated[int | None, typer.Option(min=1, help="Refuse larger pictures. Default: 200 million.")] = None,
) -> None:
    """Restore photographs: haze, rain, snow, motion blur, defocus."""
    from passband.cli.console import progress_bar
    from passband.inference import TILE, Restorer, plan_jobs, restore_files
    from passband.io.image import DEFAULT_MAX_PIXELS

    jobs = plan_jobs(sources, output)
    overrides = {} if pool_window is None else {"pool_window": pool_window}
    restorer = Restorer(weights, device, tile or TILE, **overrides)
    counts = {"restored": 0, "skipped": 0, "failed": 0}
    with progress_bar("{task.completed}/{task.total}", "{task.fields[name]}") as progress:
        bar = progress.add_task("restoring", total=len(jobs), name=jobs[0].source.name)
        outcomes = restore_files(
            restorer,
            jobs,
            compare=compare,
            overwrite=overwrite,
            quality=quality,
            max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
        )
        for number, outcome in enumerate(outcomes, start=1):
            counts[outcome.status] += 1
            if outcome.status == "failed":
                typer.echo(f"failed: {outcome.reason}", err=True)
            elif outcome.status == "restored":
                typer.echo(outcome.job.target)
            upcoming = jobs[number].source.name if number < len(jobs) else ""
            progress.update(bar, completed=number, name=upcoming)
    skipped = f", {counts['skipped']} skipped (done before; --overwrite does them again)" if counts["skipped"] else ""
    typer.echo(f"{counts['restored']} restored{skipped}, {counts['failed']} failed", err=True)
    if counts["failed"]:
        raise typer.Exit(1)
