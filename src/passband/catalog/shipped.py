"""Entries of the weights in the package, whose licenses and scores are in their model cards."""

from pathlib import Path
from typing import Any, cast

from passband.catalog.entries import CatalogEntry, CatalogScore, count
from passband.weights_finding import INSPECTOR, WEIGHTS_FILE, packaged_weights
from passband.weights_io import load_config

CARD_FILE = "README.md"
LICENSES = {"mit": "MIT"}
"""Names of licenses by their identifiers in model cards."""
TASKS = {
    "deraining": "derain",
    "desnowing": "desnow",
    "dehazing": "dehaze",
    "deblurring": "deblur",
    "defocus-deblurring": "defocus",
    "raindrop-removal": "raindrop",
    "image-quality": "inspect",
}
"""Tasks by the tags of model cards."""


def shipped_entries() -> list[CatalogEntry]:
    """Return the entries of the weights in the package."""
    return [_entry(name, folder) for name, folder in packaged_weights().items()]


def _entry(name: str, folder: Path) -> CatalogEntry:
    """Return the entry of a folder in the package."""
    from huggingface_hub import ModelCard, ModelCardData

    card = cast(ModelCardData, ModelCard((folder / CARD_FILE).read_text(encoding="utf-8")).data)
    config = load_config(folder)
    counted = count(config)
    facts: dict[str, Any] = card.to_dict()
    license = str(facts["license"])
    return CatalogEntry(
        name,
        "shipped",
        config["model"],
        tuple(TASKS[tag] for tag in facts["tags"] if tag in TASKS),
        license=LICENSES.get(license) or license,
        license_source=f"model card of {name}",
        commercial=license in LICENSES,
        bytes=(folder / WEIGHTS_FILE).stat().st_size,
        parameters=None if counted is None else counted.parameters,
        gmacs=None if counted is None else counted.gmacs,
        scores=tuple(
            CatalogScore(result.dataset_name, {result.metric_type: result.metric_value})
            for result in card.eval_results or ()
        ),
        source=f"model card of {name}",
        file=str(folder / WEIGHTS_FILE),
        remark="It finds what is wrong with an image, and restores nothing." if name == INSPECTOR else "",
    )
