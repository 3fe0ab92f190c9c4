"""Options of commands that can work in several processes or on several machines."""

from typing import Annotated

import typer

Workers = Annotated[
    int,
    typer.Option(
        min=0,
        help="Processes that load the network and work side by side; 0 works in this process alone, and with Ray in "
        "one for each CPU or GPU.",
    ),
]
"""The option `--workers`."""
ExecutorName = Annotated[
    str, typer.Option(metavar="NAME", help="Place of the workers: local, or ray for a cluster of Ray.")
]
"""The option `--executor`."""
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Time without progress after which a file fails and its worker is replaced; 0 for no limit. Default: 600 "
        "for images, no limit for videos.",
    ),
]
"""The option `--timeout`."""
