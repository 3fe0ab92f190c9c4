"""Options that several commands share."""

from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")]
"""The option `--device` of commands that run torch."""
Provider = Annotated[
    str | None,
    typer.Option(
        help="Execution provider of ONNX Runtime for an exported file or that engine, such as CUDAExecutionProvider. "
        "Default: the CPU."
    ),
]
"""The option `--provider`."""
RestorationMemory = Annotated[
    str | None, typer.Option(help="Memory limit of a restoration, such as 2GB. Default: most of the free memory.")
]
"""The option `--memory` of commands that score."""
RestorationPrecision = Annotated[
    str | None,
    typer.Option(
        help="Precision of a restoration: float32 (default), auto (fastest that agrees), bfloat16, float16 or int8."
    ),
]
"""The option `--precision` of commands that score."""
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint of the run.")]
"""The option `--resume` of commands that train."""
