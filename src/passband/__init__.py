"""Vision models that choose which frequencies to let through."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passband.data.degradations import degrade
    from passband.evaluation import evaluate
    from passband.inference import Classifier, InstanceFinder, Restorer, Segmenter
    from passband.io.image import read_image, write_image
    from passband.models import SFNet, load_model, sfnet, sfnet_small
    from passband.training import train

__version__ = version("passband")

__all__ = [
    "Classifier",
    "InstanceFinder",
    "Restorer",
    "SFNet",
    "Segmenter",
    "degrade",
    "evaluate",
    "load_model",
    "read_image",
    "sfnet",
    "sfnet_small",
    "train",
    "write_image",
]

_HOMES = {
    "Classifier": "inference",
    "InstanceFinder": "inference",
    "Restorer": "inference",
    "SFNet": "models",
    "Segmenter": "inference",
    "degrade": "data.degrade",
    "evaluate": "evaluation",
    "load_model": "models",
    "read_image": "io.image",
    "sfnet": "models",
    "sfnet_small": "models",
    "train": "training",
    "write_image": "io.image",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import passband` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'passband' has no attribute {name!r}")
    value = getattr(import_module(f"passband.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__version__"]
