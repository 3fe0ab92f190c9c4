"""Vision models that choose which frequencies to let through: restore, classify and segment images, and train.

    import passband

    restored = passband.Restorer("general")("photo.jpg")

Predictors: Restorer, Inspector, Classifier, Segmenter, InstanceFinder. They take files, PIL images, arrays and tensors.
Functions: train, finetune, study, evaluate, compare, degrade. Files: read_image, write_image, as_tensor. Networks:
load_model, SFNet, sfnet, sfnet_small.

Parts for your own programs: passband.ops, layers, losses, metrics, curriculum, models, data, io. Read more with
`help(passband.Restorer)` or `help(passband.layers)`, and in the folder docs of the repository. On the command line:
`passband --help`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passband import analysis as analysis
    from passband import app as app
    from passband import catalog as catalog
    from passband import checkpoints as checkpoints
    from passband import comparison as comparison
    from passband import config as config
    from passband import curriculum as curriculum
    from passband import data as data
    from passband import demos as demos
    from passband import drawing as drawing
    from passband import evaluation as evaluation
    from passband import export as export
    from passband import finetuning as finetuning
    from passband import hardware as hardware
    from passband import inference as inference
    from passband import integrations as integrations
    from passband import io as io
    from passband import layers as layers
    from passband import losses as losses
    from passband import metrics as metrics
    from passband import mixed_precision as mixed_precision
    from passband import models as models
    from passband import naming as naming
    from passband import ops as ops
    from passband import optimizers as optimizers
    from passband import processes as processes
    from passband import provenance as provenance
    from passband import reports as reports
    from passband import run_length as run_length
    from passband import runs as runs
    from passband import scale as scale
    from passband import state_dicts as state_dicts
    from passband import studies as studies
    from passband import tasks as tasks
    from passband import training as training
    from passband import weights_finding as weights_finding
    from passband import weights_io as weights_io
    from passband.comparison import compare as compare
    from passband.data.degradations import degrade as degrade
    from passband.evaluation import evaluate as evaluate
    from passband.finetuning import finetune as finetune
    from passband.inference import Classifier as Classifier
    from passband.inference import Inspector as Inspector
    from passband.inference import InstanceFinder as InstanceFinder
    from passband.inference import Restorer as Restorer
    from passband.inference import Segmenter as Segmenter
    from passband.io.conversion import as_tensor as as_tensor
    from passband.io.image import read_image as read_image
    from passband.io.image import write_image as write_image
    from passband.models import SFNet as SFNet
    from passband.models import load_model as load_model
    from passband.models import sfnet as sfnet
    from passband.models import sfnet_small as sfnet_small
    from passband.studies.running import study as study
    from passband.training import train as train

    __version__: str

_HOMES = {
    "Classifier": "inference",
    "Inspector": "inference",
    "InstanceFinder": "inference",
    "Restorer": "inference",
    "SFNet": "models",
    "Segmenter": "inference",
    "as_tensor": "io.conversion",
    "compare": "comparison",
    "degrade": "data.degradations",
    "evaluate": "evaluation",
    "finetune": "finetuning",
    "load_model": "models",
    "read_image": "io.image",
    "sfnet": "models",
    "sfnet_small": "models",
    "study": "studies.running",
    "train": "training",
    "write_image": "io.image",
}
"""Modules that define the public names, by name."""
_ROOMS = (
    *(
        "analysis",
        "app",
        "catalog",
        "checkpoints",
        "comparison",
        "config",
        "curriculum",
        "data",
        "demos",
        "drawing",
        "evaluation",
        "export",
    ),
    *("finetuning", "hardware", "inference", "integrations", "io", "layers", "losses", "metrics", "mixed_precision"),
    *("models", "naming", "ops"),
    *("optimizers", "processes", "provenance", "reports", "run_length", "runs", "scale", "state_dicts", "studies"),
    *("tasks", "training", "weights_finding", "weights_io"),
)
"""Modules that are available as attributes of `passband`. There is no `__all__`, because with it `help(passband)`
would print every class in full."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import passband` is fast."""
    if name in _ROOMS:
        return import_module(f"passband.{name}")
    if name == "__version__":  # reading the metadata takes longer than the rest of this import
        from passband.naming import package_version

        return package_version()
    if name not in _HOMES:
        from passband.naming import suggestion

        near = suggestion(name, __dir__()) if not name.startswith("_") else ""
        raise AttributeError(f"module 'passband' has no attribute {name!r}.{near}")
    value = getattr(import_module(f"passband.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*_HOMES, *_ROOMS, "__version__"])
