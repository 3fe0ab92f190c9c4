"""Options of commands that can work in several processes or on several machines."""

from collections.abc import Sequence
from typing import Annotated

import typer

Workers = Annotated[
    int,
    typer.Option(
        min=0,
        help="Processes that work in parallel, each with its own network; 0 for this process alone, or with Ray for "
        "one process on each CPU or GPU.",
    ),
]
"""The option `--workers`."""
ExecutorName = Annotated[
    str, typer.Option(metavar="NAME", help="Place of the workers: local, or ray for a Ray cluster.")
]
"""The option `--executor`."""
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Seconds without progress after which a file fails and its worker is replaced; 0 for no limit. Default: "
        "600 for images, no limit for videos.",
    ),
]
"""The option `--timeout`."""
ManifestFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="SQLite file with a row for each file: its state, seconds and error. Needed for addresses such as "
        "s3://bucket/photos.",
    ),
]
"""The option `--manifest`."""


def needs_manifest(sources: Sequence[str], output: str | None, manifest: str | None, *, writes: bool = True) -> bool:
    """Tell whether a command keeps its records in a manifest, and check that it has one.

    Args:
        sources: sources of the command.
        output: value of `--output`.
        manifest: value of `--manifest`.
        writes: whether the command writes files.

    Raises:
        ValueError: if an address is used without a manifest, or a manifest without an output.
    """
    from passband.scale import is_address

    addresses = [text for text in (*sources, output) if is_address(text)]
    if addresses and manifest is None:
        raise ValueError(
            f"{addresses[0]} is an address, whose results are recorded in a manifest on this machine: add --manifest "
            "FILE.sqlite, and use the same file in the next run"
        )
    if writes and manifest is not None and output is None:
        raise ValueError("a manifest needs an output folder: add -o FOLDER or -o ADDRESS")
    return manifest is not None
