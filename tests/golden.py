"""Reads goldens of the published SFNet: outputs in tests/data, and weights and inputs made from their names."""

import json
from pathlib import Path

import numpy as np
import torch

from tests import golden_fill as fill

DATA = Path(__file__).parent / "data"


def published_state() -> dict[str, torch.Tensor]:
    """Return the golden weights under their published names."""
    shapes = json.loads((DATA / "sfnet_state_dict.json").read_text())
    return {key: torch.from_numpy(np.asarray(fill.parameter(key, tuple(shape)))) for key, shape in shapes.items()}


def outputs(name: str) -> dict[str, torch.Tensor]:
    """Return the arrays of a golden file."""
    with np.load(DATA / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file}


def image(name: str, height: int, width: int) -> torch.Tensor:
    """Return a golden input image."""
    return torch.from_numpy(fill.image(name, (1, 3, height, width)))


def features(name: str) -> torch.Tensor:
    """Return a golden input map of 16 channels."""
    return torch.from_numpy(fill.features(name, (2, 16, 24, 40)))


def fill_module(module: torch.nn.Module, prefix: str, published: dict[str, str]) -> None:
    """Fill the entries of a module from their published names, with the gain of the goldens of modules."""
    state = module.state_dict()
    for ours, theirs in published.items():
        state[ours] = torch.from_numpy(np.asarray(fill.parameter(f"{prefix}.{theirs}", tuple(state[ours].shape), 6.0)))
    module.load_state_dict(state)
