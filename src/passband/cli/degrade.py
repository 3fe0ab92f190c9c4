"""`passband degrade`."""

from pathlib import Path
from typing import Annotated

import typer

from passband.naming import counted


def degrade(
    source: Annotated[Path, typer.Argument(help="Folder of clean images, or one image.")],
    output: Annotated[str, typer.Argument(help="Folder for the pairs, with subfolders degraded/ and clean/.")],
    kind: Annotated[
        str,
        typer.Option(
            help="Degradation: rain, snow, haze, motion-blur, defocus, raindrop or scratch. Join several with +, such "
            "as rain+haze."
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Random seed. The same seed makes the same pairs.")] = 0,
    version: Annotated[
        int, typer.Option(help="Version of the simulators: 2 covers a wider range, 1 repeats older data sets.")
    ] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pairs that OUTPUT already holds.")] = False,
) -> None:
    """Make pairs of degraded and clean images from clean photos."""
    from passband.cli.shared.console import progress_bar, say
    from passband.data.degradations import degrade_files
    from passband.io.failures import failure

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
    say(f"{counted(written, 'pair')} in {output}{f', {bad} failed' if bad else ''}")
    if bad:
        raise typer.Exit(1)
