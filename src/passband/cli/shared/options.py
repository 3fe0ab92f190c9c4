"""Options that several commands share."""

from typing import Annotated

import typer

Provider = Annotated[
    str | None,
    typer.Option(
        help="Execution provider of ONNX Runtime for an exported file or that engine, such as CUDAExecutionProvider. "
        "Default: the CPU."
    ),
]
"""The option `--provider`."""
