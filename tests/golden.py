"""Reads goldens of published networks: outputs in tests/data, and weights and inputs made from their names."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import torch

from tests import golden_fill as fill

DATA = Path(__file__).parent / "data"


FILTER_WORDS = (".dyna", "dynas", "lamb", "inside", "gamma", "beta")
"""Parts of the names of weights that the gain of a golden of FSNet or ConvIR multiplies."""


def published_state(network: str = "sfnet", gain: float = 1.0) -> dict[str, torch.Tensor]:
    """Return the golden weights of sfnet, fsnet, convir_small or convir_base under their published names."""
    shapes = published_shapes(network)
    gains = {key: gain if any(word in key for word in FILTER_WORDS) else 1.0 for key in shapes}
    return {
        key: torch.from_numpy(np.asarray(fill.parameter(key, tuple(shape), gains[key])))
        for key, shape in shapes.items()
    }


def published_shapes(network: str) -> dict[str, list[int]]:
    """Return the shapes of a published network's weights by name."""
    if network == "convir_base":  # eight blocks per stage, where the small one has four
        return _deepened(published_shapes("convir_small"), 4, 8)
    path = DATA / f"{network}_state_dict.json"
    return json.loads(
        path.read_text() if path.exists() else gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
    )


def _deepened(shapes: dict[str, list[int]], depth: int, deeper: int) -> dict[str, list[int]]:
    """Repeat the first block of each stage, before its last one."""
    result = {}
    for key, shape in shapes.items():
        match = re.fullmatch(r"(..coder\.\d\.layers\.)(\d+)(\..*)", key)
        if match is None:
            result[key] = shape
        elif int(match[2]) == depth - 1:
            result[f"{match[1]}{deeper - 1}{match[3]}"] = shape
        elif int(match[2]) == 0:
            result |= {f"{match[1]}{number}{match[3]}": shape for number in range(deeper - 1)}
    return result


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
