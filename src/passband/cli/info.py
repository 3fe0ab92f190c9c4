"""`passband info`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer


def info(
    source: Annotated[
        str, typer.Argument(help="A network by name (dct-resnet50), or weights: name, folder, file, hub id.")
    ],
    size: Annotated[
        str | None,
        typer.Option(help="Height and width, such as 56 or 720x1280. Default: as trained; 256 for restoration."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, help="Frequency channels of a network by name. Weights have theirs.")
    ] = None,
) -> None:
    """Say what a network is: its arguments, parameters, multiply-accumulates and input."""
    import torch

    from passband.analysis.cost import cost
    from passband.models import MODELS, build_model, load_model
    from passband.provenance import weights_checksum
    from passband.tasks import input_shape_of
    from passband.weights_io import RUN_FILE, CheckpointError

    by_name = source in MODELS
    if channels is not None and not by_name:
        raise ValueError(f"--channels is for a network by name ({', '.join(MODELS)}); {source} has its own")
    try:
        arguments = {} if channels is None else {"channels": channels}
        with torch.device("meta") if by_name else nullcontext():  # without values, which nobody asks for
            model = build_model(source, **arguments) if by_name else load_model(source)
    except CheckpointError as error:
        raise CheckpointError(f"{error} Networks by name: {', '.join(MODELS)}") from error
    arguments = getattr(model, "arguments", {})
    shape = None if by_name else input_shape_of(source)
    shape = shape or getattr(model, "input_shape", (arguments.get("in_channels", 3), 256, 256))
    found = cost(model, (shape[0], *parse_size(size)) if size else shape)
    rows = {
        "name": source if by_name else getattr(model, "name", type(model).__name__),
        "task": getattr(model, "task", "restoration"),
        "arguments": ", ".join(f"{name}={value}" for name, value in arguments.items()) or "none to choose",
        "parameters": f"{found.parameters:,}",
        "input": " x ".join(map(str, found.input_shape)),
        "input values": f"{found.normalized_input_size:.3g} times those of 3 x 224 x 224",
        "MACs": f"{found.macs / 1e9:.3f} G",
        "checksum": "none, its weights are random" if by_name else weights_checksum(model),
    }
    if (Path(source) / RUN_FILE).exists():
        rows |= _of_run(Path(source))
    for row, value in rows.items():
        typer.echo(f"{row:<14} {value}")


def _of_run(folder: Path) -> dict[str, str]:
    """Rows of a run's folder: how far it is, and where its curves are."""
    from passband.runs import CURVES_FILE, read_run

    run = read_run(folder)
    curves = folder / CURVES_FILE
    return {
        "run": f"{run['recipe'].name}, {run['status']} at step {run['step']}",
        "curves": str(curves) if curves.exists() else f"not drawn yet; `passband analyze curves {folder}` draws them",
    }


def parse_size(size: str) -> tuple[int, int]:
    """Height and width of `56` or `720x1280`.

    Raises:
        ValueError: for anything else.
    """
    sides = size.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ValueError(f"size is one side, or height x width, such as 56 or 720x1280; got {size!r}")
    return int(sides[0]), int(sides[-1])
