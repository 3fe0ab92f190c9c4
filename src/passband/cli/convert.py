"""`passband convert`."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[str, typer.Argument(help="A published pickle (GOPRO.pkl), a run's weights, or any other.")],
    output: Annotated[Path, typer.Argument(help="Folder for model.safetensors and config.json.")],
    pool_window: Annotated[int | None, typer.Option(min=1, help="Pooling window to write into the config.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Store parameters in half precision.")] = False,
) -> None:
    """Turn weights into a folder of ours: safetensors and a config."""
    import torch

    from passband.models import SFNet, load_model
    from passband.weights_io import CheckpointError, load_config, save_weights

    overrides = {} if pool_window is None else {"pool_window": pool_window}
    model = load_model(source, **overrides)
    if not isinstance(model, SFNet):
        raise CheckpointError(f"{source} is not an SFNet: restore and evaluate take it as it is, convert does not")
    save_weights(model, output, {**load_config(source), **overrides}, torch.float16 if half else None)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    typer.echo(f"{output}: {type(model).__name__}, {parameters:,} parameters")
