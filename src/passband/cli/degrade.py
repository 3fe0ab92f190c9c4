"""`passband degrade`."""

from pathlib import Path
from typing import Annotated

import typer


def degrade(
    source: Annotated[Path, typer.Argument(help="A folder of clean pictures, or one picture.")],
    output: Annotated[Path, typer.Argument(help="Gets the folders degraded/ and clean/.")],
    kind: Annotated[str, typer.Option(help="rain, snow, haze, motion-blur, defocus, raindrop, scratch; or rain+haze.")],
    seed: Annotated[int, typer.Option(min=0, help="Names the set: the same seed gives the same pictures.")] = 0,
    version: Annotated[int, typer.Option(help="Of the simulators: 2 is wide, 1 what older sets were made by.")] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the pairs that OUTPUT holds.")] = False,
) -> None:
    """Make a folder of pairs from clean photographs."""
    from passband.cli.shared.console import progress_bar, say
    from passband.data.degradations import degrade_files
    from passband.io.files import failure

    with progress_bar("{task.completed}/{task.total}") as progress:
        bar = progress.add_task(kind)
        written, bad = 0, 0

        def failed(path: Path, error: Exception) -> None:
            nonlocal bad
            bad += 1
            say(f"failed: {failure(error, path)}", err=True)
            progress.update(bar, completed=written + bad)

        for _, total in degrade_files(
            source, output, kind, seed=seed, version=version, overwrite=overwrite, failed=failed
        ):
            written += 1
            progress.update(bar, completed=written + bad, total=total)
    say(f"{written} pairs in {output}{f', {bad} failed' if bad else ''}")
    if bad:
        raise typer.Exit(1)
