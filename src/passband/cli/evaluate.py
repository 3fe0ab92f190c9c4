"""`passband evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    weights: Annotated[str, typer.Argument(help="Shipped name, run, folder, published pickle or hub id.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of pairs: degraded/ and clean/, hazy/ and gt/, ...; of classes for a classifier; of images/ "
            "and masks/ for segmentation."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")],
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Restoration: rgb, rgb8, sfnet, y-basicsr, y-matlab; default the benchmark's, or rgb. Segmentation: "
            "lab_macro (default), pranet, binary, micro."
        ),
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
    """Score weights: PSNR and SSIM on pairs, a classifier's accuracy on classes, Dice and IoU on masks."""
    from passband.cli.shared.console import progress_bar, say
    from passband.evaluation import EVALUATIONS
    from passband.runs import trained_on
    from passband.tasks import task_of

    task = task_of(weights)
    of_restoration = {"protocol": protocol, "benchmark": benchmark, "memory": memory}
    of_restoration |= {"pool_window": pool_window, "pool_mode": pool_mode, "save": save or None}
    of_detection = {"benchmark": benchmark, "workers": workers or None}
    options = _given(
        weights,
        task,
        restoration=of_restoration,
        classification={"workers": workers or None},
        detection=of_detection,
        segmentation={"protocol": protocol, "workers": workers or None},
    )
    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("scoring")

        def report(row: dict[str, Any], total: int) -> None:
            progress.update(bar, advance=1, total=total)
            if "reason" in row:
                say(f"failed: {row['reason']}", err=True)
            elif task == "restoration":
                say(_restored(row["name"], row))

        result = EVALUATIONS[task](weights, data, output, device=device, report=report, **options)
    typer.echo("\n".join(_SUMMARIES[task](result)))
    for note in result["notes"]:
        typer.echo(note)
    learned = trained_on(weights)
    if learned is not None and data.resolve().is_relative_to(learned):
        typer.echo(f"{weights} was trained in {learned}: on other data it may score less")
    typer.echo(f"report in {output / 'report.md'}")
    if result["failed"]:
        raise typer.Exit(1)


def _given(weights: str, task: str, **of_tasks: dict[str, Any]) -> dict[str, Any]:
    """The options of a task that are given; those of other tasks are refused."""
    for other, options in of_tasks.items():
        given = [name for name, value in options.items() if value is not None and name not in of_tasks[task]]
        if given:
            names = ", ".join("--" + name.replace("_", "-") for name in given)
            raise ValueError(
                f"{weights} is for {task}: leave out {names}, which {'is' if len(given) == 1 else 'are'} for {other}"
            )
    return {name: value for name, value in of_tasks[task].items() if value is not None}


def _restored(name: str, row: dict[str, Any]) -> str:
    """What a restoration gained, in a line."""
    return (
        f"{name:<24} PSNR {row['psnr_degraded']:7.2f} -> {row['psnr']:6.2f} dB   "
        f"SSIM {row['ssim_degraded']:.4f} -> {row['ssim']:.4f}"
    )


def _of_restoration(result: dict[str, Any]) -> list[str]:
    from passband.evaluation.restoration_report import published_table

    mean = _restored(f"mean of {len(result['images'])} ({result['protocol']})", result["mean"])
    return [mean, *(["", *published_table(result), ""] if result["benchmark"] else [])]


def _of_classification(result: dict[str, Any]) -> list[str]:
    from passband.evaluation.classification_report import figures_line

    classes = [
        f"{row['name']:<24} {100 * row['accuracy']:6.2f} % of {row['count']}"
        for row in result["classes"]
        if row["count"]
    ]
    return [*classes, f"{len(result['images'])} pictures: {figures_line(result['mean'])}"]


def _of_detection(result: dict[str, Any]) -> list[str]:
    from passband.evaluation.detection_report import paper_table

    return [*paper_table(result), "", f"{len(result['images'])} pictures"]


def _of_segmentation(result: dict[str, Any]) -> list[str]:
    from passband.evaluation.segmentation_report import figures_line

    names = result["figures"]
    return [
        f"{len(result['images'])} pictures ({result['protocol']}): {figures_line(result['mean'], names)}",
        f"all background: {figures_line(result['background'], names)}",
    ]


_SUMMARIES = {
    "classification": _of_classification,
    "detection": _of_detection,
    "restoration": _of_restoration,
    "segmentation": _of_segmentation,
}
"""What is printed of a result, line by line."""
