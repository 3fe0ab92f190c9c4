"""Entries of published weights that must be fetched by hand."""

from passband.catalog.entries import CatalogEntry, CatalogScore
from passband.evaluation.benchmarks import BENCHMARKS
from passband.models.restoration.published import PublishedNetwork, PublishedWeights, published_networks


def published_entries() -> list[CatalogEntry]:
    """Return the entries of all published weights."""
    return [_entry(network, weights) for network in published_networks() for weights in network.weights]


def _entry(network: PublishedNetwork, weights: PublishedWeights) -> CatalogEntry:
    """Return the entry of published weights."""
    return CatalogEntry(
        weights.name,
        "published",
        network.name,
        weights.tasks,
        license=network.license,
        license_source=network.license_source,
        commercial=network.commercial,
        bytes=weights.bytes,
        parameters=weights.parameters,
        gmacs=weights.gmacs,
        scores=_scores(weights),
        source=weights.source or (network.page if weights.figures_of else ""),
        page=weights.page,
        file=weights.file,
        package=network.package,
        paper=network.paper,
    )


def _scores(weights: PublishedWeights) -> tuple[CatalogScore, ...]:
    """Return the published scores of weights."""
    pairs = [(name, *BENCHMARKS[name].figures[weights.figures_of]) for name in weights.sets]
    pairs += [(score.set, score.psnr, score.ssim) for score in weights.scores]
    return tuple(
        CatalogScore(name, {"psnr": psnr} if ssim is None else {"psnr": psnr, "ssim": ssim})
        for name, psnr, ssim in pairs
    )
