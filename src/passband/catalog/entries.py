"""An entry of the list of weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch

from passband.analysis.cost import macs
from passband.models import build_from
from passband.models.base import without_initial_weights
from passband.models.restoration.three_scales import ThreeScaleNetwork

SIDE = 256
"""Side in pixels of the image for which multiply-accumulates are counted."""
FORMATS = {"psnr": "{:.2f} dB", "ssim": "{:.3f}", "psnr_gain": "{:+g} dB", "accuracy": "{:.0%} correct"}
"""Formats of figures that have a unit; others are shown with their names."""


@dataclass(frozen=True)
class CatalogScore:
    """Figures on one data set."""

    set: str
    """Name of the data."""
    figures: Mapping[str, float]
    """Figures by name: psnr in dB, ssim, psnr_gain in dB, accuracy as a share, or others."""

    @property
    def words(self) -> str:
        """The figures as text, such as `SOTS-Indoor 41.24 dB / 0.996`."""
        texts = [
            FORMATS[name].format(value) if name in FORMATS else f"{name} {value:.4g}"
            for name, value in self.figures.items()
        ]
        return f"{self.set} {' / '.join(texts)}"


@dataclass(frozen=True)
class CatalogEntry:
    """Weights that can be used, or fetched and used."""

    name: str
    """Name in the list. Of shipped weights and of the user's own, it is the value of `--weights`."""
    kind: str
    """Kind: shipped, own or published."""
    network: str
    """Name of the network; empty if it is not known without reading the file."""
    tasks: tuple[str, ...] = ()
    """Degradations that the weights remove, or other tasks; empty if they are not known."""
    license: str = ""
    """License; empty if it is not known."""
    license_source: str = ""
    """Address at which the license was read; empty if it was not read."""
    commercial: bool | None = None
    """Whether the license allows commercial use; None if it is not known."""
    bytes: int | None = None
    """Size of the file in bytes. Of published weights, the size of their parameters in float32."""
    parameters: int | None = None
    """Number of parameters; None if it is not known."""
    gmacs: float | None = None
    """10^9 multiply-accumulates for 256 x 256 pixels; None if they were not counted."""
    scores: tuple[CatalogScore, ...] = field(default=())
    """Measured scores of shipped weights, scores in the validation of a run, or published scores."""
    source: str = ""
    """Page or file that the scores were read from."""
    page: str = ""
    """Address of the page from which the file must be fetched by hand; empty if it is here."""
    file: str = ""
    """Name of the published file, or path of the file that is here; empty if it is not known."""
    package: str = "passband"
    """Package that holds the code of the network."""
    paper: str = ""
    """Paper of the network, in short; empty if there is none."""
    remark: str = ""
    """Further fact, such as the progress of a run."""

    @property
    def is_installed(self) -> bool:
        """Whether the package that holds the code of the network is installed."""
        return find_spec(self.package) is not None

    def as_dict(self) -> dict[str, Any]:
        """Return all facts, for JSON."""
        return {**asdict(self), "is_installed": self.is_installed}


@dataclass(frozen=True)
class _Counted:
    """Counts of a network."""

    parameters: int
    gmacs: float | None


def count(config: Mapping[str, Any]) -> _Counted | None:
    """Count the parameters of a network and, if it restores images, its multiply-accumulates.

    Args:
        config: config of the network, as `weights_io.load_config` returns it.

    Returns:
        The counts, or None if no such network can be built.
    """
    return _count(tuple(sorted((key, _hashable(value)) for key, value in config.items())))


@lru_cache
def _count(config: tuple[tuple[str, Any], ...]) -> _Counted | None:
    """Count a network of a config with sorted and hashable entries."""
    try:
        with torch.device("meta"):  # parameters without values cost no memory
            model = build_from(without_initial_weights(dict(config)))
        parameters = sum(parameter.numel() for parameter in model.parameters())
        if not isinstance(model, ThreeScaleNetwork):
            return _Counted(parameters, None)
        return _Counted(parameters, macs(model, (model.in_channels, SIDE, SIDE)) / 1e9)
    except Exception:  # a config that another version or a person wrote may fail in any way
        return None


def _hashable(value: Any) -> Any:
    """Return a value of a config with tuples instead of lists."""
    if isinstance(value, list):
        return tuple(_hashable(one) for one in value)
    return repr(value) if isinstance(value, dict) else value
