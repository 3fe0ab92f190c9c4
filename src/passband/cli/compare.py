"""`passband compare`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from passband.cli.shared.options import Device, RestorationMemory, RestorationPrecision


def compare(
    contestants: Annotated[
        list[str],
        typer.Argument(
            help="Two or more weights (shipped names, runs, files, hub ids, exported files), folders of finished "
            "images, or runs of any task. LABEL=SOURCE gives one a label."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the test data, as for passband evaluate. Without it, runs are compared on the images that "
            "they were validated on."
        ),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Scoring protocol, as for passband evaluate. Default for restoration: rgb.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Further metric of a restoration, such as psnr-hvs-m or lpips. Repeat it for several."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Label of the contestant that the others are compared with, or degraded. Default: every pair of up to "
            "four contestants; more are compared with the first one."
        ),
    ] = None,
    device: Device = "auto",
    memory: RestorationMemory = None,
    precision: RestorationPrecision = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
) -> None:
    """Compare networks, folders of finished images, or runs on the same images.

    Each difference has a bootstrap interval and the number of images on which each side is better. The report shows the
    images on which the contestants differ most.
    """
    from passband.cli.shared.console import progress_bar, say
    from passband.comparison import compare as compare_all
    from passband.comparison.report import summary
    from passband.io.json_files import json_text

    options = {"protocol": protocol, "metrics": metric, "against": against, "memory": memory, "precision": precision}
    given = {name: value for name, value in options.items() if value}
    with progress_bar("{task.completed}/{task.total}", hidden=json) as progress:
        bar = progress.add_task("comparing")

        def report(row: dict[str, Any], total: int) -> None:
            progress.update(bar, advance=1, total=total, description=row["contestant"])
            if "reason" in row and row["name"] not in failed:
                failed.add(row["name"])
                say(f"left out: {row['reason']}", err=True)

        failed: set[str] = set()
        result = compare_all(contestants, data, output, device=device, report=report, **given)
    if json:
        typer.echo(json_text(result))
        return
    for line in summary(result):
        say(line)
    say(f"Report: {output / 'report.html'}")
