"""Post-training quantization to int8, for OpenVINO."""

import hashlib
import logging
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from passband.data.degradations import VERSIONS, degrade
from passband.data.images import find_images
from passband.export.graph import FILTER_SCOPE, INPUT, ExportError, sfnet_graph
from passband.export.runtimes import openvino_model, read_openvino, require
from passband.io.arrays import from_array
from passband.io.files import cache_folder
from passband.io.image import read_image
from passband.metrics import psnr
from passband.ops.tiling import pad_to_multiple

FLOAT_NODES = (
    f".*{FILTER_SCOPE}.*",
    r"^stem\.0.*",
    "^shallow.*",
    "^fuse.*",
    "^merge.*",
    r"^encoder\.\d\.0\..*",
    r"^head\.0.*",
)
"""Patterns of the nodes that stay as they are: filters whose kernels change with the picture; the first features and
the first block of each scale, in which a hazy picture differs little from its mean; the layers that join maps of
unlike ranges; and the last layer, whose steps would be seen. Of these, on other photographs than any that were scored
afterwards, the first blocks saved 1.9 dB of haze, the joining layers another .8."""
FLOAT_TYPES = ("Add", "Concat", "MVN", "Multiply", "Pad", "ReduceMean", "Subtract")
"""Kinds of nodes that stay: they cost little, and where the sums of the residual blocks were rounded, too, hazy
crops lost several dB. MVN is OpenVINO's instance normalization."""
CROP = 128
"""Sides, in pixels, of the pictures that the ranges are measured on."""


def quantize(model: nn.Module, pictures: Sequence[Float[Tensor, "C _ _"]]) -> Any:
    """Quantize the convolutions of a network to int8, weights and maps.

    Args:
        model: an SFNet with global pooling.
        pictures: degraded ones in [0, 1], any size from 1 x 1, to measure the ranges of the maps on; the middle of
            each is used.

    Returns:
        An OpenVINO model.

    Raises:
        ExportError: where a package is missing, the network has no form here, or a picture has other channels.
    """
    require("openvino", "openvino", "onnx", "nncf")
    import nncf

    converted = openvino_model(model)
    channels = converted.input(0).partial_shape[1].get_length()
    samples = []
    for picture in pictures:
        if picture.shape[0] != channels:
            raise ExportError(
                f"these weights take {channels} channels, and a calibration picture has {picture.shape[0]}"
            )
        height, width = picture.shape[-2:]
        top, left = (max(0, (side - CROP) // 2) for side in (height, width))
        crop = picture[None, :, top : top + CROP, left : left + CROP]
        samples.append({INPUT: pad_to_multiple(crop, 8, 16)[0].numpy()})
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(sys.stderr):  # where its progress belongs
        return nncf.quantize(
            converted,
            nncf.Dataset(samples),
            preset=nncf.QuantizationPreset.MIXED,  # GELU gives maps that are nearly all positive
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(patterns=list(FLOAT_NODES), types=list(FLOAT_TYPES), validate=False),
        )


def calibration_pictures(folder: Path | None = None, views: int = 1) -> list[Tensor]:
    """Pictures to quantize with.

    Args:
        folder: degraded pictures of the kind that will be restored; None for three photographs that come with
            scikit-image, degraded in all ways of the first simulators.
        views: of 3 channels each, in which each picture is repeated.

    Returns:
        C H W, in [0, 1]; at most 64, spread over the folder.

    Raises:
        ExportError: for a folder without pictures.
        ImageError: for a file that is not a picture.
    """
    if folder is not None:
        paths = find_images(folder)
        if not paths:
            raise ExportError(f"--calibration needs a folder of degraded pictures, and {folder} holds none")
        chosen = paths[:: -(-len(paths) // 64)]
        return [read_image(path).repeat(views, 1, 1) for path in chosen]
    from skimage import data

    crops = [
        from_array(photograph)[0][:, 90:290, 120:360] for photograph in (data.astronaut(), data.coffee(), data.rocket())
    ]
    return [
        degrade(crop, kind, seed=5, index=index, version=1).repeat(views, 1, 1)
        for index, crop in enumerate(crops)
        for kind in VERSIONS[1]
    ]


def quantized(model: nn.Module) -> Any:
    """The int8 form of a network, from the user's cache folder or made and put there.

    The name in the cache says the weights, the versions of what made it and how; a file that does not load is made
    again.

    Args:
        model: an SFNet with global pooling.

    Returns:
        An OpenVINO model.

    Raises:
        ExportError: as `quantize`.
    """
    require("openvino", "openvino", "onnx", "nncf")
    digest = hashlib.sha256(sfnet_graph(model).SerializeToString())
    settings = (FLOAT_NODES, FLOAT_TYPES, CROP, *(version(name) for name in ("passband", "openvino", "nncf")))
    digest.update(repr(settings).encode())
    path = cache_folder() / f"int8-{digest.hexdigest()[:32]}.xml"
    if path.exists():
        try:
            return read_openvino(path)
        except ExportError:
            pass  # damaged: made again below
    made = quantize(model, calibration_pictures(views=int(model.in_channels) // 3))  # type: ignore[arg-type]
    with suppress(OSError):  # a folder that cannot be written costs the minutes again
        save_openvino(made, path)
    return made


def save_openvino(model: Any, path: Path, half: bool = False) -> None:
    """Write an OpenVINO model: `path`, and its parameters beside it in a .bin, each whole.

    Args:
        model: the model.
        path: ends in .xml.
        half: store parameters in float16.

    Raises:
        OSError: where the folder cannot be written.
    """
    import openvino as ov

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        ov.save_model(model, temporary, compress_to_fp16=half)
        # the .xml last: whoever finds it finds its parameters
        temporary.with_suffix(".bin").replace(path.with_suffix(".bin"))
        temporary.replace(path)


def restored_gain(restore: Any, views: int = 1) -> float:
    """Mean PSNR, in dB, of part of a photograph that calibration does not see, degraded in all ways and restored.

    Args:
        restore: takes a padded picture, 1 C H W, and gives the restored one.
        views: of 3 channels each, in which the picture is repeated.
    """
    from skimage.data import coffee

    clean = from_array(coffee())[0][:, 40:200, 400:592]
    scores = []
    for kind in VERSIONS[1]:
        degraded = degrade(clean, kind, seed=1, index=0, version=1).repeat(views, 1, 1)
        scores.append(psnr(restore(degraded[None]).clamp(0, 1), clean[None]).item())
    return sum(scores) / len(scores)
