"""`passband info`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer


def info(
    source: Annotated[
        str,
        typer.Argument(
            help="Name of an architecture (dct-resnet50), or weights: shipped name, run, folder, file or hub id."
        ),
    ],
    size: Annotated[
        str | None,
        typer.Option(
            help="Width x height of the input, such as 1280x720, or one side. Default: as in the training; 256 for "
            "restoration."
        ),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, help="Number of frequency channels, only with the name of an architecture.")
    ] = None,
) -> None:
    """Describe a network: its arguments, parameters, multiply-accumulates and input."""
    import torch

    from passband.analysis.cost import cost
    from passband.cli.shared.sizes import parse_size
    from passband.models import MODELS, build_model, load_model
    from passband.provenance import weights_checksum
    from passband.state_dicts import CheckpointError
    from passband.tasks import input_shape_of
    from passband.weights_finding import RUN_FILE

    by_name = source in MODELS
    if channels is not None and not by_name:
        raise ValueError(
            f"--channels needs the name of an architecture ({', '.join(MODELS)}); the channels of {source} are fixed"
        )
    try:
        arguments = {} if channels is None else {"channels": channels}
        with torch.device("meta") if by_name else nullcontext():  # parameters without values cost no memory
            model = build_model(source, **arguments) if by_name else load_model(source)
    except CheckpointError as error:
        raise CheckpointError(f"{error} Architectures: {', '.join(MODELS)}.") from error
    arguments = getattr(model, "arguments", {})
    shape = None if by_name else input_shape_of(source)
    shape = shape or getattr(model, "input_shape", (arguments.get("in_channels", 3), 256, 256))
    costs = cost(model, (shape[0], *parse_size(size)) if size else shape)
    rows = {
        "name": source if by_name else getattr(model, "name", type(model).__name__),
        "task": getattr(model, "task", "restoration"),
        "arguments": ", ".join(f"{name}={value}" for name, value in arguments.items()) or "none",
        "parameters": f"{costs.parameters:,}",
        "input": " x ".join(map(str, costs.input_shape)),
        "input values": f"{costs.normalized_input_size:.3g} times those of 3 x 224 x 224",
        "MACs": f"{costs.macs / 1e9:.3f} G",
        "checksum": "none, because an architecture has no weights" if by_name else weights_checksum(model),
    }
    if license := getattr(model, "license", ""):
        rows["license"] = license
    if (Path(source) / RUN_FILE).exists():
        rows |= _run_rows(Path(source))
    for row, value in rows.items():
        typer.echo(f"{row:<14} {value}")


def _run_rows(folder: Path) -> dict[str, str]:
    """Return the rows about a run: its progress, and the path of its curves."""
    from passband.runs import CURVES_FILE, read_run

    run = read_run(folder)
    curves = folder / CURVES_FILE
    return {
        "run": f"{run['recipe'].name}, {run['status']} at step {run['step']}",
        "curves": str(curves) if curves.exists() else f"not drawn yet: passband analyze curves {folder}",
    }
