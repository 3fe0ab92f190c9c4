"""Options that several commands share."""

import math
from typing import Annotated, Any

import typer
from typer.core import TyperCommand


class Command(TyperCommand):
    """A command whose options are finite numbers: no limit refuses NaN, and no time or share is infinite."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            ValueError: if an option is NaN or infinite.
        """
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            numbers = value if isinstance(value, tuple | list) else (value,)
            if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
                given = " ".join(f"{number:g}" for number in numbers)
                raise ValueError(f"{parameter.opts[-1]} needs a finite number, got {given}")
        return super().invoke(ctx)


Device = Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")]
"""The option `--device` of commands that run torch."""
Provider = Annotated[
    str | None,
    typer.Option(help="Execution provider of ONNX Runtime, such as CUDAExecutionProvider. Default: the CPU."),
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
Tile = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Restore larger images in independent tiles with this side in pixels; 0 restores them as a whole. "
        "Default: as in the weights.",
    ),
]
"""The option `--tile` of commands that restore."""
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint of the run.")]
"""The option `--resume` of commands that train."""
