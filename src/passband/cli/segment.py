"""`passband segment`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


def segment(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders, or globs.")],
    weights: Annotated[str, typer.Option(help="Folder that training made (RUN/weights/best), shipped name or hub id.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder, or .png for one source. Default: *_mask(s) beside the source."),
    ] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Write pictures with what was found over them.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what is done.")] = False,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of detectors: least score of an instance. Default: .5")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Say what is where in pictures: a mask for each, of its size; of detectors instances.json, as COCO has it."""
    from passband.checkpoint import CheckpointError
    from passband.tasks import task_of

    task = task_of(weights)
    if task not in _SEGMENTED:
        raise CheckpointError(
            f"{weights} segments nothing, but is for {task}: give weights that `passband train` made with a recipe of "
            f"the task {' or '.join(_SEGMENTED)}"
        )
    if score is not None and task != "detection":
        raise ValueError(f"{weights} is for {task}: leave out --score, which is for detectors")
    options = {} if score is None else {"score": score}
    _SEGMENTED[task](sources, weights, output, overlay=overlay, overwrite=overwrite, device=device, **options)


def _classes(
    sources: list[str], weights: str, output: Path | None, *, overlay: bool, overwrite: bool, device: str
) -> None:
    """Write masks of classes."""
    from passband.cli.console import progress_bar
    from passband.inference.segmenter import Segmenter, plan_masks

    jobs = plan_masks(sources, output)
    segmenter = Segmenter(weights, device)
    done = skipped = failed = 0
    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("segmenting", total=len(jobs))
        for result in segmenter.segment_files(jobs, overlays=overlay, overwrite=overwrite):
            if result.error is not None:
                failed += 1
                typer.echo(f"failed: {result.error}", err=True)
            elif result.skipped:
                skipped += 1
            else:
                done += 1
                found = zip(segmenter.classes[1:], result.shares[1:], strict=True)
                shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in found if share)
                typer.echo(f"{result.job.target}: {shares or 'nothing'}")
            progress.update(bar, advance=1)
    kept = f", {skipped} skipped (done before; --overwrite does them again)" if skipped else ""
    typer.echo(f"{done} segmented{kept}, {failed} failed", err=True)
    if failed:
        raise typer.Exit(1)


def _instances(
    sources: list[str],
    weights: str,
    output: Path | None,
    *,
    overlay: bool,
    overwrite: bool,
    device: str,
    score: float = 0.5,
) -> None:
    """Write instances.json, and pictures with what was found."""
    from collections import Counter

    from passband.cli.console import named, progress_bar
    from passband.data.pictures import find_pictures
    from passband.inference.instances import INSTANCES_FILE, InstanceFinder

    paths = find_pictures(sources)
    folder = output or Path(f"{paths[0].with_suffix('')}_instances" if len(paths) == 1 else "instances")
    if (folder / INSTANCES_FILE).exists() and not overwrite:
        raise FileExistsError(f"{folder / INSTANCES_FILE} is there already: choose another folder, or --overwrite")
    finder = InstanceFinder(weights, device)
    failed = 0
    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task("finding", total=len(paths))
        for result in finder.find_in_files(paths, folder, score=score, overlay=overlay):
            if result.instances is None:
                failed += 1
                typer.echo(f"failed: {named(result.source, str(result.error))}", err=True)
            else:
                counts = Counter(finder.classes[label - 1] for label in result.instances.labels.tolist())
                found = ", ".join(f"{count} {name}" for name, count in counts.most_common())
                typer.echo(f"{result.source}: {found or 'nothing'}")
            progress.update(bar, advance=1)
    typer.echo(f"{len(paths) - failed} pictures, {failed} failed; instances in {folder / INSTANCES_FILE}", err=True)
    if failed:
        raise typer.Exit(1)


_SEGMENTED: dict[str, Callable[..., Any]] = {"detection": _instances, "segmentation": _classes}
"""Task to what segments pictures with its networks."""
