"""Describes the input and the output of exported classifiers and segmentation networks in the metadata of their files.

The entries `task`, `network`, `classes`, `input` and `preprocessing` are for programs of other people. The entry
`config` is for passband, which reads it as the config of the network.
"""

import json
from typing import Any

from passband.data.classifier_input import PIXELS, Preprocessing
from passband.models.base import ClassifierNetwork, SegmentationNetwork
from passband.models.class_names import class_names, mask_names

COEFFICIENTS, IMAGE = "coefficients", "image"
"""Names of the inputs: cubes of frequency channels, and pixels."""


def input_name(model: ClassifierNetwork | SegmentationNetwork) -> str:
    """Return the name of the input of an exported network.

    Args:
        model: the network.
    """
    is_cube = isinstance(model, ClassifierNetwork) and not model.arguments.get("stem", False)
    return COEFFICIENTS if is_cube else IMAGE


def logits_metadata(
    model: ClassifierNetwork | SegmentationNetwork, config: dict[str, Any], weights: str
) -> dict[str, str]:
    """Return the entries of the metadata of an exported network.

    Args:
        model: the network.
        config: its config, as `weights_io.load_config` returns it.
        weights: name of the weights for the error.

    Returns:
        Texts by name: `task`, `network`, `precision`, `classes` (a JSON list of names, in the order of the logits),
        `input` (a description in English), `config` (JSON), for a segmentation network `multiple` (pixels), and if the
        config has it `preprocessing` (JSON): `size`, and for a classifier `input`, `channels`, `stride`, `mean` and
        `std`.

    Raises:
        CheckpointError: if the config names more or fewer classes than the network has.
    """
    numbered = (
        mask_names(model.classes)
        if isinstance(model, SegmentationNetwork)
        else [str(number) for number in range(model.classes)]
    )
    names = class_names(config, numbered, weights)
    entries: dict[str, Any] = {
        "task": model.task,
        "network": model.name,
        "precision": "float32",
        "classes": json.dumps(names),
        "input": _description(model, config.get("preprocessing")),
        "config": json.dumps({**config, "model": model.name, **model.arguments, "classes_named": names}),
    }
    if isinstance(model, SegmentationNetwork):
        entries["multiple"] = str(model.multiple)
    if "preprocessing" in config:
        entries["preprocessing"] = json.dumps(config["preprocessing"])
    return entries


def _description(model: ClassifierNetwork | SegmentationNetwork, preprocessing: Any) -> str:
    """Return sentences that say how the input is made."""
    name = input_name(model)
    if isinstance(model, SegmentationNetwork):
        sides = f"sides are multiples of {model.multiple} pixels"
        size = preprocessing.get("size") if isinstance(preprocessing, dict) else None
        if size is not None:
            sides += f", and the network was trained on images that were resized to {size} x {size} pixels"
        return f"{name}: batch, {model.in_channels}, height, width; float32. RGB in [0, 1]; {sides}."
    shape = f"{name}: batch, {model.channels}, height, width; float32."
    if preprocessing is None:
        return f"{shape} The weights do not say how images are prepared."
    steps = Preprocessing.from_config(preprocessing)
    channels, height, width = steps.input_shape
    trained = f"Trained on {channels} x {height} x {width}: the center of an image as a square of {steps.size} pixels."
    normalized = "Subtract `mean` from each channel and divide it by `std`; both are in `preprocessing`."
    if steps.input in PIXELS:
        colors = "RGB" if steps.input == "rgb" else "YCbCr (full range, as in JPEG)"
        return f"{shape} {colors} in [0, 1]. {trained} {normalized}"
    return (
        f"{shape} DCT coefficients of Y, Cb and Cr, one cell for {steps.stride} x {steps.stride} pixels. `channels` in "
        "`preprocessing` numbers them: component * 64 + vertical frequency * 8 + horizontal frequency. "
        f"{trained} {normalized} passband.data.classifier_input.Preprocessing makes them from a file."
    )
