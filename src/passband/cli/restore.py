"""`passband restore`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from passband.cli.shared.files import FileRun
    from passband.data.finding import PassedOver
    from passband.inference import Outcome
    from passband.inference.files.restoring import Progress


def restore(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Pictures, videos, folders, or globs.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="Folder, or file for one source. Default: *_restored beside the source."),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="auto (chooses for each file), shipped name, folder, pickle, hub id, .onnx, .xml.")
    ] = "general",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    memory: Annotated[str | None, typer.Option(help="Cap, such as 2GB. Default: most of what is free.")] = None,
    precision: Annotated[
        str, typer.Option(help="auto (fast and agreeing), float32, bfloat16, float16, int8.")
    ] = "auto",
    engine: Annotated[str, typer.Option(help="torch, openvino, onnxruntime.")] = "torch",
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="How much of the change is kept: 0 none, 1 all of it.")
    ] = 1.0,
    compare: Annotated[bool, typer.Option("--compare", help="Also show each file before and after.")] = False,
    compare_pixels: Annotated[
        str | None,
        typer.Option(metavar="N", help="Pixels that --compare shows at most, or all. Default: 2 million."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Restore everything again, and replace files whoever wrote them.")
    ] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and lossy WebP.")] = 95,
    pool_window: Annotated[int | None, typer.Option(min=1, help="Replaces the weights' own pooling window.")] = None,
    max_pixels: Annotated[int | None, typer.Option(min=1, help="Refuse larger pictures. Default: 200 million.")] = None,
    codec: Annotated[str | None, typer.Option(help="Of videos: h264, h265, vp9, av1, ffv1.")] = None,
    crf: Annotated[int | None, typer.Option(help="Quality of videos; smaller is better.")] = None,
    temporal: Annotated[bool, typer.Option("--temporal", help="Calm the flicker of videos.")] = False,
    drop_unsupported: Annotated[
        bool,
        typer.Option("--drop-unsupported", help="Leave out sound and subtitles that a video's target cannot hold."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only say what would be restored.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more of each file.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but what failed.")] = False,
) -> None:
    """Restore photographs and videos: haze, rain, snow, motion blur, defocus."""
    from passband.cli.shared.console import say
    from passband.cli.shared.files import GOES_ON, FileRun
    from passband.inference import Restorer, VideoOptions, plan_jobs, restore_files
    from passband.inference.video.temporal import STRENGTH
    from passband.io.image import DEFAULT_MAX_PIXELS
    from passband.io.records import Records

    if verbose and quiet:
        raise ValueError("--verbose and --quiet exclude each other: leave out one of them")
    if compare_pixels is not None and not compare:
        raise ValueError("--compare-pixels is the size of what --compare writes: give --compare with it")
    passed: list[PassedOver] = []
    records = Records()
    jobs = plan_jobs(sources, output, passed=passed.append, records=records)
    overrides: dict[str, Any] = {} if pool_window is None else {"pool_window": pool_window}
    restorer = Restorer(weights, device, memory, engine=engine, precision=precision, strength=strength, **overrides)
    if verbose:
        say(f"{weights} on {restorer.device} by {restorer.engine_name} in {restorer.precision}", err=True)
        for one in passed:
            say(f"passed over: {one.path} ({one.kind})", err=True)
    done = "would be restored" if dry_run else "restored"
    run = FileRun("restoring", done, [job.source.name for job in jobs], quiet=quiet)
    with run.shown(f"{GOES_ON} A video goes on after its last finished segment."):
        for outcome in restore_files(
            restorer,
            jobs,
            compare=compare,
            compare_pixels=_pixels(compare_pixels),
            overwrite=overwrite,
            quality=quality,
            max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
            video=VideoOptions(codec, crf, STRENGTH if temporal else None, drop_unsupported),
            report=_reporter(run),
            dry_run=dry_run,
            records=records,
        ):
            _show(outcome, run, verbose=verbose)
    run.end(passed)


def _pixels(asked: str | None) -> int | None:
    """The number of pixels that --compare-pixels asks for; None for all of them.

    Raises:
        ValueError: for neither a number that suffices nor `all`.
    """
    from passband.drawing.before_after import LEAST_PIXELS, PIXELS

    if asked is None:
        return PIXELS
    if asked.lower() == "all":
        return None
    number = asked.replace("_", "").replace(",", "")
    if not (number.isascii() and number.isdigit()) or int(number) < LEAST_PIXELS:
        raise ValueError(
            f"--compare-pixels is a number of pixels from {LEAST_PIXELS}, or all; got {asked!r}. Give a number such as "
            "8000000."
        )
    return int(number)


def _reporter(run: "FileRun") -> "Callable[[Progress], None]":
    """What shows how far a video or a large picture is."""
    from passband.inference import VideoProgress

    def report(progress: "Progress") -> None:
        if isinstance(progress, VideoProgress):
            of = "" if progress.total is None else f" of {progress.total}"
            text = f"{progress.done}{of} frames, {progress.frames_per_second:.2f} frames/s"
            run.part(progress.done, progress.total, text, progress.seconds_left)
        else:
            run.part(progress.done, 1, f"{100 * progress.done:.0f} %", progress.seconds_left)

    return report


def _show(outcome: "Outcome", run: "FileRun", *, verbose: bool) -> None:
    """Count a file and print what became of it."""
    from passband.cli.shared.console import say
    from passband.inference import VideoSummary

    source, target = outcome.job.source, outcome.job.target
    again = f" (again: {outcome.again})" if outcome.again else ""
    if outcome.status == "failed":
        run.failed(outcome.reason)
    elif outcome.status == "skipped":
        if verbose:
            say(f"{source}: done before, {target}", err=True)
        run.skipped()
    elif outcome.status == "planned":
        run.finished(f"{source} -> {target}{again}", again=outcome.again)
    else:
        if verbose:
            say(f"{source}: {outcome.seconds:.1f} s{again}", err=True)
        summed_up = [outcome.result.line] if isinstance(outcome.result, VideoSummary) else []
        run.finished(str(target), [f"{source}: {note}" for note in (*summed_up, *outcome.notes)], outcome.again)
