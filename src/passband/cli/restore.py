"""`passband restore`."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passband.cli.shared.executors import ExecutorName, ManifestFile, Timeout, Workers, needs_manifest
from passband.cli.shared.options import Provider, Tile
from passband.naming import counted

if TYPE_CHECKING:
    from passband.cli.shared.files import FileRun
    from passband.data.finding import PassedOver
    from passband.inference import JobResult, Restorer
    from passband.inference.files.restoring import Progress
    from passband.scale import AddressResult


def restore(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Images, videos, folders or glob patterns.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="Folder, or file for one source. Default: *_restored beside the source."),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="Shipped name, run, folder, pickle, hub id or exported file; A+B runs A, then B; auto chooses for "
            "each file."
        ),
    ] = "auto",
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps; vulkan for ncnn.")] = "auto",
    memory: Annotated[
        str | None, typer.Option(help="Memory limit, such as 2GB. Default: most of the free memory.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="Precision: float32, bfloat16, float16 or int8; auto takes a fast one whose results agree with "
            "float32."
        ),
    ] = "auto",
    engine: Annotated[
        str,
        typer.Option(
            help="Runtime: torch, openvino, onnxruntime or ncnn; auto takes the fastest one that agrees with torch."
        ),
    ] = "torch",
    provider: Provider = None,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="Strength: 0 keeps the input, 1 restores it in full.")
    ] = 1.0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also write a comparison of each file before and after restoration.")
    ] = False,
    compare_pixels: Annotated[
        str | None,
        typer.Option(metavar="N", help="Largest number of pixels of a comparison, or all. Default: 2 million."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Restore all files again, and replace existing outputs.")
    ] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG and lossy WebP, 1 to 100.")] = 95,
    pool_window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Pooling window of an SFNet or FSNet: b stands for b / 256 of the map. Default: as in the weights.",
        ),
    ] = None,
    tile: Tile = None,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Largest number of pixels of an image. Default: 200 million.")
    ] = None,
    name_weights: Annotated[
        bool, typer.Option("--name-weights", help="Name the weights in the metadata of restored images.")
    ] = False,
    codec: Annotated[str | None, typer.Option(help="Codec of videos: h264, h265, vp9, av1 or ffv1.")] = None,
    crf: Annotated[
        int | None, typer.Option(help="Quality of videos (constant rate factor). A lower number is better.")
    ] = None,
    temporal: Annotated[bool, typer.Option("--temporal", help="Smooth videos over time against flicker.")] = False,
    drop_unsupported: Annotated[
        bool,
        typer.Option("--drop-unsupported", help="Leave out sound and subtitles that the output format cannot hold."),
    ] = False,
    workers: Workers = 0,
    executor: ExecutorName = "local",
    timeout: Timeout = None,
    manifest: ManifestFile = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only list the files to restore.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print more about each file.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print failures only.")] = False,
) -> None:
    """Restore photos and videos: remove haze, rain, snow, motion blur and defocus.

    Files that were restored earlier are skipped.
    """
    from passband.cli.shared.console import say
    from passband.cli.shared.files import RESUME_HINT, FileRun
    from passband.inference import Restorer, VideoOptions, plan_jobs, restore_files
    from passband.inference.files.naming import Jobs
    from passband.inference.files.restoring import RESTORED, RestoreWork
    from passband.inference.video.temporal import STRENGTH
    from passband.io.image import DEFAULT_MAX_PIXELS
    from passband.io.records import Records
    from passband.scale import Manifest, choose_executor, run_addresses

    if verbose and quiet:
        raise ValueError("--verbose and --quiet exclude each other: leave out one of them")
    if compare_pixels is not None and not compare:
        raise ValueError("--compare-pixels is the size of a comparison: add --compare, which writes it")
    run_on = choose_executor(workers, executor, timeout)
    passed: list[PassedOver] = []
    records = Records()
    is_remote = needs_manifest(sources, output, manifest)
    jobs = Jobs() if is_remote else plan_jobs(sources, output, passed=passed.append, records=records)
    if engine == "auto" and temporal:
        engine = "torch"
        say("engine torch: it is the only engine that smooths videos", err=True)
    if tile and temporal:
        say(f"--tile {tile} is for images: --temporal restores the frames of videos as a whole", err=True)
    given = {"pool_window": pool_window, "provider": provider}
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if tile is not None:
        overrides["tile"] = tile or None
    restorer = Restorer(weights, device, memory, engine=engine, precision=precision, strength=strength, **overrides)
    if restorer.choice.fixed is not None and not quiet and (note := restorer.network().license_note):
        say(note, err=True)
    _print_engines(restorer, told := set[str](), quiet=quiet)
    if verbose:
        say(f"{weights} on {restorer.device} with {restorer.engine_name} in {restorer.precision}", err=True)
        for ignored in passed:
            say(f"passed over: {ignored.path} ({ignored.kind})", err=True)
    done = "would be restored" if dry_run else "restored"
    making: dict[str, Any] = {
        "compare": compare,
        "compare_pixels": _parse_pixels(compare_pixels),
        "overwrite": overwrite,
        "quality": quality,
        "max_pixels": max_pixels or DEFAULT_MAX_PIXELS,
        "name_weights": name_weights,
        "video": VideoOptions(codec, crf, STRENGTH if temporal else None, drop_unsupported),
    }
    running: dict[str, Any] = {"dry_run": dry_run, "executor": run_on}
    run = FileRun("restoring", done, None if is_remote else jobs.names(), quiet=quiet, verbose=verbose)
    videos = "starts from its beginning" if is_remote else "continues after its last finished segment"
    with run.shown(f"{RESUME_HINT} A video {videos}."), ExitStack() as opened:
        if is_remote:
            rows = opened.enter_context(closing(Manifest(Path(str(manifest)))))
            work = RestoreWork(restorer, **making).work()
            running |= {"overwrite": overwrite}
            outcomes = run_addresses(sources, str(output), rows, work, RESTORED, **running)
        else:
            report = _progress_printer(run)
            outcomes = restore_files(restorer, jobs, **making, **running, report=report, records=records)
        for outcome in outcomes:
            _print_engines(restorer, told, quiet=quiet)
            _print_outcome(outcome, run, is_inspected=restorer.choice.fixed is None)
    run.end(passed)


def _parse_pixels(text: str | None) -> int | None:
    """Return the number of pixels that --compare-pixels names, or None for all pixels.

    Raises:
        ValueError: if the text is neither a number from `LEAST_PIXELS` nor `all`.
    """
    from passband.drawing.before_after import LEAST_PIXELS, PIXELS

    if text is None:
        return PIXELS
    if text.lower() == "all":
        return None
    number = text.replace("_", "").replace(",", "")
    if not (number.isascii() and number.isdigit()) or int(number) < LEAST_PIXELS:
        raise ValueError(
            f"--compare-pixels must be at least {LEAST_PIXELS} pixels, or all; got {text!r}. Use a number such as "
            "8000000."
        )
    return int(number)


def _print_engines(restorer: "Restorer", told: set[str], *, quiet: bool) -> None:
    """Print which engines were chosen for the networks that were loaded since the last call."""
    from passband.cli.shared.console import say

    for name, line in restorer.engine_lines.items():
        if name not in told and not quiet:
            say(line, err=True)
        told.add(name)


def _progress_printer(run: "FileRun") -> "Callable[[Progress], None]":
    """Return a function that shows the progress within a video or a large image."""
    from passband.inference import VideoProgress

    def report(progress: "Progress") -> None:
        if isinstance(progress, VideoProgress):
            of = "" if progress.total is None else f"{progress.done} of "
            frames = counted(progress.done if progress.total is None else progress.total, "frame")
            text = f"{of}{frames}, {progress.frames_per_second:.2f} frames/s"
            run.part(progress.done, progress.total, text, progress.seconds_left)
        else:
            run.part(progress.done, 1, f"{100 * progress.done:.0f} %", progress.seconds_left)

    return report


def _print_outcome(outcome: "JobResult | AddressResult", run: "FileRun", *, is_inspected: bool) -> None:
    """Count a file as restored, skipped or failed, and print its outcome.

    Args:
        outcome: outcome of the file.
        run: counter and printer of the command.
        is_inspected: whether the first note is the diagnosis of the file.
    """
    from passband.cli.shared.console import say
    from passband.inference import VideoSummary
    from passband.inference.files.restoring import LeftAlone

    source, target = outcome.job.source, outcome.job.target
    again = f" (again: {outcome.again})" if outcome.again else ""
    if outcome.status == "failed":
        run.failed(outcome.reason)
    elif outcome.status == "skipped":
        if run.verbose:
            say(f"{source}: restored earlier, {target}", err=True)
        run.skipped()
    elif outcome.status == "planned":
        run.finished(f"{source} -> {target}{again}", again=outcome.again)
    else:
        if run.verbose:
            say(f"{source}: {outcome.seconds:.1f} s{again}", err=True)
        summary = [outcome.result.line] if isinstance(outcome.result, VideoSummary) else []
        diagnosis, notes = outcome.notes[:is_inspected], outcome.notes[is_inspected:]
        run.note(source, notes)
        findings = [f"{source}: {line}" for line in (*summary, *diagnosis)]
        run.finished(str(target), findings, outcome.again, is_alone=isinstance(outcome.result, LeftAlone))
