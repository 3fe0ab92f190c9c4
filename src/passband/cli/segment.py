"""`passband segment`."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passband.cli.shared.executors import ExecutorName, ManifestFile, Timeout, Workers, needs_manifest
from passband.cli.shared.options import Device, Provider

if TYPE_CHECKING:
    from passband.cli.shared.files import FileRun
    from passband.inference.files.naming import Job
    from passband.inference.files.pieces import Executor
    from passband.inference.segmenter import Segmenter
    from passband.scale.addresses import AddressJob


def segment(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Images, folders or glob patterns.")],
    weights: Annotated[
        str,
        typer.Option(
            help="Weights of a segmentation network or detector: run, folder or hub id; or an exported .onnx file."
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder, or .png file for the mask of one source. Default: beside the source, named *_mask.png; "
            "*_masks/ for a folder; *_instances/ for detectors.",
        ),
    ] = None,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also write each image with its masks or instances drawn over it.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Segment all files again, and replace existing outputs.")
    ] = False,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Smallest score of a detector's instance. Default: 0.5.")
    ] = None,
    device: Device = "auto",
    provider: Provider = None,
    workers: Workers = 0,
    executor: ExecutorName = "local",
    timeout: Timeout = None,
    manifest: ManifestFile = None,
) -> None:
    """Segment images: write one mask per image, or COCO instances for detectors."""
    from passband.models import task_of
    from passband.scale import choose_executor
    from passband.state_dicts import CheckpointError
    from passband.weights_io import load_config

    task = task_of(weights)
    if task not in _COMMANDS:
        load_config(weights)  # its error is the right one if there are no such weights
        raise CheckpointError(
            f"{weights!r} is for {task}; it cannot segment. Train a network for segmentation first: passband train "
            "segment-small --data FOLDER"
        )
    if score is not None and task != "detection":
        raise ValueError(f"{weights} is for {task}: leave out --score, which is for detectors")
    if provider is not None and task != "segmentation":
        raise ValueError(f"{weights} is for {task}: leave out --provider, which is for exported segmentation networks")
    run_on = choose_executor(workers, executor, timeout, in_order=task == "detection")
    is_remote = needs_manifest(sources, output, manifest)
    options = _Options(sources, weights, output, overlay, overwrite, 0.5 if score is None else score, device, provider)
    if is_remote:
        _AT_ADDRESSES[task](options, Path(str(manifest)), run_on)
    else:
        _COMMANDS[task](options, run_on)


@dataclass(frozen=True)
class _Options:
    """The options of the command that decide what is written."""

    sources: list[str]
    weights: str
    output: str | None
    overlay: bool
    overwrite: bool
    score: float
    device: str
    provider: str | None


def _write_masks(options: _Options, run_on: "Executor") -> None:
    """Write a mask of classes for each image."""
    from passband.cli.shared.files import RESUME_HINT, FileRun
    from passband.data.finding import PassedOver
    from passband.inference.segmenter import Segmenter, plan_masks
    from passband.io.records import Records

    passed: list[PassedOver] = []
    records = Records()
    jobs = plan_masks(options.sources, options.output, passed=passed.append, records=records)
    segmenter = Segmenter(options.weights, options.device, options.provider)
    run = FileRun("segmenting", "segmented", jobs.names())
    with run.shown(RESUME_HINT):
        for result in segmenter.segment_files(
            jobs, overlays=options.overlay, overwrite=options.overwrite, records=records, executor=run_on
        ):
            if result.error is not None:
                run.failed(result.error)
            elif result.skipped:
                run.skipped()
            else:
                _show_mask(run, segmenter, result.job, result.shares, result.notes, result.again)
    run.end(passed)


def _write_masks_at_addresses(options: _Options, manifest: Path, run_on: "Executor") -> None:
    """Write a mask of classes for each image at an address."""
    from passband.cli.shared.files import RESUME_HINT, FileRun
    from passband.inference.segmenter import MASKS, Segmenter, SegmentWork
    from passband.scale import Manifest, run_addresses

    segmenter = Segmenter(options.weights, options.device, options.provider)
    run = FileRun("segmenting", "segmented", None)
    with run.shown(RESUME_HINT), closing(Manifest(manifest)) as rows:
        work = SegmentWork(segmenter, options.overlay).work()
        for result in run_addresses(
            options.sources, str(options.output), rows, work, MASKS, overwrite=options.overwrite, executor=run_on
        ):
            if result.status == "failed":
                run.failed(result.reason)
            elif result.status == "skipped":
                run.skipped()
            else:
                _show_mask(run, segmenter, result.job, result.result, result.notes, result.again)
    run.end()


def _show_mask(
    run: "FileRun",
    segmenter: "Segmenter",
    job: "Job | AddressJob",
    shares: Sequence[float],
    notes: Sequence[str],
    again: str,
) -> None:
    """Count a mask as written, and print the shares of its classes."""
    foreground = zip(segmenter.classes[1:], shares[1:], strict=True)
    line = ", ".join(f"{name} {100 * share:.1f} %" for name, share in foreground if share)
    run.note(job.source, notes)
    run.finished(f"{job.target}: {line or 'nothing'}", again=again)


def _write_instances(options: _Options, run_on: "Executor") -> None:
    """Write the instances of all images into instances.json."""
    from passband.cli.shared.files import FileRun
    from passband.data.finding import IMAGES, PassedOver, find_sources
    from passband.inference.detector import InstanceFinder
    from passband.inference.files.instances import INSTANCES_FILE
    from passband.inference.files.outputs import folder_for_images
    from passband.io.image import SUFFIXES
    from passband.io.records import Records

    passed: list[PassedOver] = []
    records = Records()
    found = find_sources(options.sources, SUFFIXES, IMAGES, once=True, passed=passed.append, records=records)
    folder = folder_for_images([source.path for source in found], options.output, "_instances", "instances")
    if (folder / INSTANCES_FILE).exists() and not options.overwrite:
        raise FileExistsError(
            f"{folder / INSTANCES_FILE} exists already: choose another folder with -o, or replace it with --overwrite"
        )
    finder = InstanceFinder(options.weights, options.device)
    found.sort(key=lambda source: not source.problem)  # files that cannot be read come first
    run = FileRun("finding instances", "segmented", [source.path.name for source in found])
    resume_hint = f"Their instances are in {folder / INSTANCES_FILE}. Use --overwrite to segment all images again."
    with run.shown(resume_hint):
        for source in found:
            if source.problem:
                run.failed(source.problem)
        paths = [source.path for source in found if not source.problem]
        results = finder.find_in_files(
            paths,
            folder,
            score=options.score,
            overlay=options.overlay,
            overwrite=options.overwrite,
            records=records,
            executor=run_on,
        )
        with closing(results):  # writes instances.json even if this loop is interrupted
            for result in results:
                if result.instances is None:
                    run.failed(str(result.error))
                    continue
                found_classes = [finder.classes[label - 1] for label in result.instances.labels.tolist()]
                run.finished(f"{result.source}: {_counted(found_classes)}")
    run.end(passed, after=f"; instances in {folder / INSTANCES_FILE}")


def _write_instances_at_addresses(options: _Options, manifest: Path, run_on: "Executor") -> None:
    """Write the instances of all images at addresses into instances.json."""
    from passband.cli.shared.files import FileRun
    from passband.inference.detector import FindWork, InstanceFinder
    from passband.inference.files.instances import INSTANCES_FILE, InstancesFile
    from passband.io.image import SUFFIXES
    from passband.scale import Manifest, Question, answer_addresses, replace_output

    output = str(options.output)
    finder = InstanceFinder(options.weights, options.device)
    work, instances_file = FindWork(finder, options.score), InstancesFile(finder.category_ids, finder.classes)
    names = dict(zip(finder.category_ids, finder.classes, strict=True))
    run = FileRun("finding instances", "segmented", None)
    hint = "Run the same command again to continue. Images with an answer in the manifest are not segmented again."
    with (
        closing(Manifest(manifest)) as rows,
        replace_output(output, INSTANCES_FILE, rows, overwrite=options.overwrite) as copy,
        run.shown(hint),
    ):
        answers = answer_addresses(
            options.sources,
            Question(work.ask, work.making, SUFFIXES),
            rows,
            drawings=f"{output.rstrip('/')}/overlays" if options.overlay else None,
            overwrite=options.overwrite,
            executor=run_on,
        )
        for answer in answers:
            instances_file.add(answer.source.url, answer.value)
            if answer.value is None:
                run.failed(str(answer.error))
                continue
            found = _counted([names[one["category_id"]] for one in answer.value["annotations"]])
            run.finished(f"{answer.source}: {found}")
        instances_file.write(copy)
    run.end(after=f"; instances in {output.rstrip('/')}/{INSTANCES_FILE}")


def _counted(names: Sequence[str]) -> str:
    """Return the number of instances of each class in words, the most frequent class first."""
    return ", ".join(f"{count} {name}" for name, count in Counter(names).most_common()) or "nothing"


_COMMANDS: dict[str, Callable[[_Options, "Executor"], None]] = {
    "detection": _write_instances,
    "segmentation": _write_masks,
}
"""Functions that segment images with the networks of a task, by the name of the task."""
_AT_ADDRESSES: dict[str, Callable[[_Options, Path, "Executor"], None]] = {
    "detection": _write_instances_at_addresses,
    "segmentation": _write_masks_at_addresses,
}
"""Functions that do the same with files at addresses."""
