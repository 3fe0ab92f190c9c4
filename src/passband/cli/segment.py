"""`passband segment`."""

from collections.abc import Callable
from typing import Annotated, Any

import typer


def segment(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders, or globs.")],
    weights: Annotated[str, typer.Option(help="Folder that training made (RUN/weights/best), shipped name or hub id.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="Folder, or .png for one source. Default: *_mask(s) beside the source."),
    ] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Write pictures with what was found over them.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Segment everything again, and replace files whoever wrote them.")
    ] = False,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of detectors: least score of an instance. Default: .5")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Say what is where in pictures: a mask for each, of its size; of detectors instances.json, as COCO has it."""
    from passband.tasks import task_of
    from passband.weights_io import CheckpointError

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
    sources: list[str], weights: str, output: str | None, *, overlay: bool, overwrite: bool, device: str
) -> None:
    """Write masks of classes."""
    from passband.cli.shared.files import GOES_ON, FileRun
    from passband.data.finding import PassedOver
    from passband.inference.segmenter import Segmenter, plan_masks
    from passband.io.records import Records

    passed: list[PassedOver] = []
    records = Records()
    jobs = plan_masks(sources, output, passed=passed.append, records=records)
    segmenter = Segmenter(weights, device)
    run = FileRun("segmenting", "segmented", [job.source.name for job in jobs])
    with run.shown(GOES_ON):
        for result in segmenter.segment_files(jobs, overlays=overlay, overwrite=overwrite, records=records):
            if result.error is not None:
                run.failed(result.error)
            elif result.skipped:
                run.skipped()
            else:
                found = zip(segmenter.classes[1:], result.shares[1:], strict=True)
                shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in found if share)
                run.finished(f"{result.job.target}: {shares or 'nothing'}", result.notes, result.again)
    run.end(passed)


def _instances(
    sources: list[str],
    weights: str,
    output: str | None,
    *,
    overlay: bool,
    overwrite: bool,
    device: str,
    score: float = 0.5,
) -> None:
    """Write instances.json, and pictures with what was found."""
    from collections import Counter
    from contextlib import closing

    from passband.cli.shared.files import FileRun
    from passband.data.finding import PICTURES, PassedOver, find_sources
    from passband.inference.detector import INSTANCES_FILE, InstanceFinder
    from passband.inference.files.plan import folder_of_pictures
    from passband.io.image import SUFFIXES
    from passband.io.records import Records

    passed: list[PassedOver] = []
    records = Records()
    found = find_sources(sources, SUFFIXES, PICTURES, once=True, passed=passed.append, records=records)
    folder = folder_of_pictures([source.path for source in found], output, "_instances", "instances")
    if (folder / INSTANCES_FILE).exists() and not overwrite:
        raise FileExistsError(f"{folder / INSTANCES_FILE} is there already: choose another folder, or --overwrite")
    finder = InstanceFinder(weights, device)
    found.sort(key=lambda source: not source.problem)  # what cannot be read comes first
    run = FileRun("finding", "pictures", [source.path.name for source in found])
    goes_on = f"Their instances are in {folder / INSTANCES_FILE}. Run the command with --overwrite to do all of them."
    with run.shown(goes_on):
        for source in found:
            if source.problem:
                run.failed(source.problem)
        paths = [source.path for source in found if not source.problem]
        results = finder.find_in_files(
            paths, folder, score=score, overlay=overlay, overwrite=overwrite, records=records
        )
        with closing(results):  # which writes what was found, however this ends
            for result in results:
                if result.instances is None:
                    run.failed(str(result.error))
                    continue
                counts = Counter(finder.classes[label - 1] for label in result.instances.labels.tolist())
                names = ", ".join(f"{count} {name}" for name, count in counts.most_common())
                run.finished(f"{result.source}: {names or 'nothing'}")
    run.end(passed, after=f"; instances in {folder / INSTANCES_FILE}")


_SEGMENTED: dict[str, Callable[..., Any]] = {"detection": _instances, "segmentation": _classes}
"""Task to what segments pictures with its networks."""
