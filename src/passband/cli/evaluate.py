"""`passband evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from passband.cli.shared.options import Device, Provider, RestorationMemory, RestorationPrecision, Tile
from passband.naming import counted


def evaluate(
    weights: Annotated[
        str, typer.Argument(help="Shipped name, run, folder, published pickle, hub id or exported file.")
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of the test data. Restoration: pairs in subfolders such as degraded/ and clean/, or hazy/ and "
            "gt/. Classification: a subfolder for each class. Segmentation: images/ and masks/. Detection: images and "
            "annotations in COCO's format. Shards of such a folder, also at an address, are read alike."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Scoring protocol. Restoration: rgb, rgb8, sfnet, convir, y-basicsr or y-matlab; default: as the "
            "benchmark, or rgb. Segmentation: lab_macro (default), pranet, binary or micro."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Further metric of a restoration, such as psnr-hvs-m, frequency:csf, ms-ssim, lpips or dists. "
            "Repeat the option for several."
        ),
    ] = None,
    ignore_label: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Value in the masks of a segmentation that is not scored, such as 255. Default: as in the training.",
        ),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(help="Benchmark whose published scores are shown as well, such as SOTS-Indoor, GoPro or CSD."),
    ] = None,
    device: Device = "auto",
    memory: RestorationMemory = None,
    precision: RestorationPrecision = None,
    engine: Annotated[
        str | None, typer.Option(help="Engine of a restoration: torch (default), openvino, onnxruntime or ncnn.")
    ] = None,
    provider: Provider = None,
    pool_window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Pooling window of an SFNet or FSNet: b stands for b / 256 of the map, or for b pixels with "
            "--pool-mode tlc. Default: as the benchmark, or the weights.",
        ),
    ] = None,
    pool_mode: Annotated[
        str | None,
        typer.Option(help="Rule that reads --pool-window: fraction, first or tlc; global pools whole images."),
    ] = None,
    tile: Tile = None,
    save: Annotated[bool, typer.Option("--save", help="Also write every restored image.")] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            help="Processes that restore and score images, or read them for other tasks. 0: this process.",
        ),
    ] = 0,
) -> None:
    """Score weights on test data, and write a report.

    Restoration is scored by PSNR and SSIM, classification by accuracy, segmentation by Dice and IoU, and detection by
    COCO's average precision.
    """
    from passband.cli.shared.console import progress_bar, say
    from passband.evaluation import EVALUATIONS
    from passband.models import task_of
    from passband.runs import trained_on

    task = task_of(weights)
    options = _options_of_task(
        weights,
        task,
        restoration={
            "protocol": protocol,
            "metrics": metric or None,
            "benchmark": benchmark,
            "memory": memory,
            "precision": precision,
            "engine": engine,
            "provider": provider,
            "pool_window": pool_window,
            "pool_mode": pool_mode,
            "tile": tile,
            "save": save or None,
            "workers": workers or None,
        },
        classification={"workers": workers or None, "provider": provider},
        detection={"benchmark": benchmark, "workers": workers or None},
        segmentation={
            "protocol": protocol,
            "ignore_label": ignore_label,
            "workers": workers or None,
            "provider": provider,
        },
    )
    if options.get("tile") == 0:
        options["tile"] = None
    if task == "restoration" and "workers" in options:
        from passband.scale import choose_executor

        options["executor"] = choose_executor(options.pop("workers"), in_order=True)
    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("scoring")

        def report(row: dict[str, Any], total: int) -> None:
            progress.update(bar, advance=1, total=total)
            if "reason" in row:
                say(f"failed: {row['reason']}", err=True)
            elif task == "restoration":
                say(_restoration_line(row["name"], row, metric or ()))

        result = EVALUATIONS[task](weights, data, output, device=device, report=report, **options)
    for line in (*_SUMMARIES[task](result), *result["notes"]):
        say(line)
    training_data = trained_on(weights)
    if training_data is not None and data.resolve().is_relative_to(training_data):
        typer.echo(f"{weights} was trained on {training_data}. Its scores on other data may be lower.")
    typer.echo(f"Report: {output / 'report.md'}")
    if result["failed"]:
        raise typer.Exit(1)


def _options_of_task(weights: str, task: str, **options_by_task: dict[str, Any]) -> dict[str, Any]:
    """Return the options that the user gave for a task.

    Raises:
        ValueError: if the user gave an option that only other tasks have.
    """
    for other, options in options_by_task.items():
        foreign = [name for name, value in options.items() if value is not None and name not in options_by_task[task]]
        if foreign:
            names = ", ".join("--" + name.replace("metrics", "metric").replace("_", "-") for name in foreign)
            raise ValueError(
                f"{weights} is for {task}: leave out {names}, which {'is' if len(foreign) == 1 else 'are'} for {other}"
            )
    return {name: value for name, value in options_by_task[task].items() if value is not None}


def _restoration_line(name: str, row: dict[str, Any], metrics: Sequence[str] = ()) -> str:
    """Return PSNR, SSIM and further metrics before and after a restoration, on one line."""
    from passband.metrics.named import metric_text

    others = [
        f"   {one} {metric_text(one, row[f'{one}_degraded'])} -> {metric_text(one, row[one])}"
        for one in dict.fromkeys(metrics)
    ]
    return (
        f"{name:<24} PSNR {row['psnr_degraded']:7.2f} -> {row['psnr']:6.2f} dB   "
        f"SSIM {row['ssim_degraded']:.4f} -> {row['ssim']:.4f}" + "".join(others)
    )


def _restoration_summary(result: dict[str, Any]) -> list[str]:
    from passband.evaluation.restoration_report import published_table

    metrics = [one["name"] for one in result["metrics"]]
    mean = _restoration_line(f"mean of {len(result['images'])} ({result['protocol']})", result["mean"], metrics)
    title = result["spectrum"]["findings"][0]
    return [mean, *(["", *published_table(result), ""] if result["benchmark"] else []), f"{title}."]


def _classification_summary(result: dict[str, Any]) -> list[str]:
    from passband.evaluation.classification_report import classification_line

    classes = [
        f"{row['name']:<24} {100 * row['accuracy']:6.2f} % of {row['count']}"
        for row in result["classes"]
        if row["count"]
    ]
    return [*classes, f"{counted(len(result['images']), 'image')}: {classification_line(result['mean'])}"]


def _detection_summary(result: dict[str, Any]) -> list[str]:
    from passband.evaluation.detection_report import paper_table

    return [*paper_table(result), "", counted(len(result["images"]), "image")]


def _segmentation_summary(result: dict[str, Any]) -> list[str]:
    from passband.evaluation.segmentation_report import segmentation_line

    names = result["figures"]
    return [
        f"{counted(len(result['images']), 'image')} ({result['protocol']}): {segmentation_line(result['mean'], names)}",
        f"predicting no foreground: {segmentation_line(result['background'], names)}",
    ]


_SUMMARIES = {
    "classification": _classification_summary,
    "detection": _detection_summary,
    "restoration": _restoration_summary,
    "segmentation": _segmentation_summary,
}
"""Functions that turn the result of an evaluation into lines to print, by task."""
