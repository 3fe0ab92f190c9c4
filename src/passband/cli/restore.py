"""`passband restore`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def restore(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Pictures, videos, folders, or globs.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder, or file for one source. Default: *_restored beside the source."),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="Shipped name, folder, published pickle, hub id, .onnx, .xml.")
    ] = "general",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    memory: Annotated[str | None, typer.Option(help="Cap, such as 2GB. Default: most of what is free.")] = None,
    precision: Annotated[
        str, typer.Option(help="auto (fast and agreeing), float32, bfloat16, float16, int8.")
    ] = "auto",
    engine: Annotated[str, typer.Option(help="torch, openvino, onnxruntime.")] = "torch",
    compare: Annotated[bool, typer.Option("--compare", help="Write before/after pictures, too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what is done.")] = False,
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
) -> None:
    """Restore photographs and videos: haze, rain, snow, motion blur, defocus."""
    from passband.cli.console import progress_bar
    from passband.inference import Restorer, VideoOptions, VideoProgress, plan_jobs, restore_files
    from passband.inference.temporal import STRENGTH
    from passband.io.image import DEFAULT_MAX_PIXELS

    jobs = plan_jobs(sources, output)
    overrides: dict[str, Any] = {} if pool_window is None else {"pool_window": pool_window}
    restorer = Restorer(weights, device, memory, engine=engine, precision=precision, **overrides)
    counts = {"restored": 0, "skipped": 0, "failed": 0}
    with progress_bar("{task.completed}/{task.total}", "{task.fields[name]}") as progress:
        bar = progress.add_task("restoring", total=len(jobs), name=jobs[0].source.name)
        frames = progress.add_task("frames", visible=False, name="")

        def report(video: VideoProgress) -> None:
            name = f"{video.frames_per_second:.2f} frames/s"
            progress.update(frames, completed=video.done, total=video.total, name=name, visible=True)

        outcomes = restore_files(
            restorer,
            jobs,
            compare=compare,
            overwrite=overwrite,
            quality=quality,
            max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
            video=VideoOptions(codec, crf, STRENGTH if temporal else None, drop_unsupported),
            report=report,
        )
        for number, outcome in enumerate(outcomes, start=1):
            counts[outcome.status] += 1
            if outcome.status == "failed":
                typer.echo(f"failed: {outcome.reason}", err=True)
            elif outcome.status == "restored":
                typer.echo(outcome.job.target)
            for note in outcome.notes:
                typer.echo(f"{outcome.job.source}: {note}", err=True)
            upcoming = jobs[number].source.name if number < len(jobs) else ""
            progress.update(bar, completed=number, name=upcoming)
            progress.update(frames, completed=0, visible=False)
    skipped = f", {counts['skipped']} skipped (done before; --overwrite does them again)" if counts["skipped"] else ""
    typer.echo(f"{counts['restored']} restored{skipped}, {counts['failed']} failed", err=True)
    if counts["failed"]:
        raise typer.Exit(1)
