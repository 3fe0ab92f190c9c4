"""`passband convert`."""

from pathlib import Path
from typing import Annotated, Any

import typer


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="Weights of an SFNet, FSNet or ConvIR: published pickle (GOPRO.pkl), run, folder, file or hub id."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder for model.safetensors and config.json.")],
    pool_window: Annotated[
        int | None,
        typer.Option(min=1, help="Pooling window, written into config.json: b stands for b / 256 of the map."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store parameters in half precision (float16).")] = False,
) -> None:
    """Convert weights of an SFNet, FSNet or ConvIR to a folder with model.safetensors and config.json."""
    import torch

    from passband.models import load_model
    from passband.models.network_task import network_name
    from passband.models.restoration.three_scales import ThreeScaleNetwork
    from passband.naming import with_article
    from passband.state_dicts import CheckpointError
    from passband.weights_io import load_config, save_weights

    overrides: dict[str, Any] = {} if pool_window is None else {"pool_window": pool_window}
    model = load_model(source, **overrides)
    if not isinstance(model, ThreeScaleNetwork):
        raise CheckpointError(
            f"convert needs weights of an SFNet, FSNet or ConvIR; {source} is {with_article(network_name(model))}. "
            "Other commands take it without conversion."
        )
    save_weights(model, output, {**load_config(source), **overrides}, torch.float16 if half else None)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    typer.echo(f"{output}: {type(model).__name__}, {parameters:,} parameters")
