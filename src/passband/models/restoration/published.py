"""Published networks whose weights passband can run: their licenses, download pages, costs and published figures.

The facts are in `weights/published.toml`, with the page that each was read from.
"""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

OWN_PACKAGE = "passband"
"""Package of the networks that passband implements itself."""
FLOAT_BYTES = 4
"""Bytes of a parameter in published files, which hold float32."""


@dataclass(frozen=True)
class Score:
    """A published score on a data set."""

    set: str
    """Name of the data set."""
    psnr: float
    """PSNR in dB."""
    ssim: float | None = None
    """SSIM, up to 1; None if it was not published."""


@dataclass(frozen=True)
class PublishedWeights:
    """Weights of a published network that must be fetched by hand."""

    name: str
    """Name of the entry. It is no name of a file."""
    tasks: tuple[str, ...]
    """Degradations that the weights remove, such as dehaze."""
    page: str
    """Address of the page to fetch them from."""
    file: str = ""
    """Name of the published file; empty if it is not known."""
    network: dict[str, Any] = field(default_factory=dict)
    """Builder and keywords of the network that was counted; empty if it was not counted."""
    parameters: int | None = None
    """Number of parameters; None if they were not counted."""
    gmacs: float | None = None
    """10^9 multiply-accumulates for 256 x 256 pixels; None if they were not counted."""
    scores: tuple[Score, ...] = ()
    """Published scores. Those of SFNet, FSNet and ConvIR are in `evaluation.benchmarks` instead."""
    source: str = ""
    """Address of the page that the scores were read from."""
    figures_of: str = ""
    """Source of figures in `evaluation.benchmarks`; empty if `scores` holds them."""
    sets: tuple[str, ...] = ()
    """Names of benchmarks in `evaluation.benchmarks` that have a figure of this source."""

    @property
    def bytes(self) -> int | None:
        """Size of the file in bytes if it holds nothing but parameters in float32; None if it is not known."""
        return None if self.parameters is None else FLOAT_BYTES * self.parameters


@dataclass(frozen=True)
class PublishedNetwork:
    """A published network."""

    name: str
    """Name as its authors write it."""
    architecture: str
    """Name of its architecture in passband or spandrel."""
    package: str
    """Package that holds its code: passband, spandrel or spandrel_extra_arches."""
    license: str
    """License of the code and the weights, as the authors state it."""
    commercial: bool
    """Whether the license allows commercial use."""
    paper: str
    """Paper, in short."""
    page: str
    """Address of the page of its code."""
    weights: tuple[PublishedWeights, ...]
    """Published weights."""
    license_source: str = ""
    """Address of the license; empty if it was not read there."""
    markers: tuple[str, ...] = ()
    """Entries of its weights by which it is known without its package."""

    @property
    def license_words(self) -> str:
        """The license in words, with a plain statement if it allows no commercial use."""
        return self.license if self.commercial else f"{self.license}, non-commercial use only"


@cache
def published_networks() -> tuple[PublishedNetwork, ...]:
    """Return all published networks that passband can run."""
    path = files("passband") / "weights" / "published.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(_network(entry) for entry in content["network"])


def published_network(architecture: str) -> PublishedNetwork | None:
    """Return the published network of an architecture; None if there is no entry.

    Args:
        architecture: name of the architecture in passband or spandrel, such as Restormer.
    """
    return next((network for network in published_networks() if network.architecture == architecture), None)


def network_by_markers(names: Collection[str]) -> PublishedNetwork | None:
    """Return the published network that weights belong to, by the names of their entries; None if it is not known.

    Args:
        names: names of the entries, with or without a leading `module.`.
    """
    known = {name.removeprefix("module.") for name in names}
    with_markers = (network for network in published_networks() if network.markers)
    return next((network for network in with_markers if known.issuperset(network.markers)), None)


def published_file_hint(source: object) -> str:
    """Return a sentence about the page of a published file, with a space before it; empty for any other name.

    Args:
        source: name or path of weights that do not exist here.
    """
    name = str(source).replace("\\", "/").split("/")[-1].lower()
    for network in published_networks():
        for weights in network.weights:
            if name in (weights.file.lower(), weights.name) and name:
                return (
                    f" Weights of this name are published for {network.name} ({network.license_words}); fetch them by "
                    f"hand from {weights.page}."
                )
    return ""


def _network(entry: dict[str, Any]) -> PublishedNetwork:
    """Return the network of an entry of the file."""
    weights = tuple(_weights(one) for one in entry["weights"])
    return PublishedNetwork(**{**entry, "weights": weights, "markers": tuple(entry.get("markers", ()))})


def _weights(entry: dict[str, Any]) -> PublishedWeights:
    """Return the weights of an entry of the file."""
    scores = tuple(Score(**score) for score in entry.get("scores", ()))
    lists = {key: tuple(entry.get(key, ())) for key in ("tasks", "sets")}
    return PublishedWeights(**{**entry, **lists, "scores": scores})
