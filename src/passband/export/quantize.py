"""Quantizes networks to int8 for OpenVINO, after training."""

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

from passband.data.images import find_images
from passband.export.network_writer import FILTER_SCOPE, INPUT, ExportError
from passband.export.onnx.restoration_graph import restoration_graph
from passband.export.packages import require
from passband.export.runtimes import openvino_model, read_openvino, set_sizes, sizes_of
from passband.io.arrays import from_array
from passband.io.image import read_image
from passband.io.paths import cache_folder
from passband.metrics import psnr
from passband.naming import package_version
from passband.ops.tiling import pad_to_fit, pad_to_multiple

FLOAT_NODES = (
    f".*{FILTER_SCOPE}.*",
    r"^stem\.0.*",
    "^shallow.*",
    "^fuse.*",
    "^merge.*",
    r"^encoder\.\d\.(blocks\.)?0\..*",
    r"^(encoder|decoder)\.\d\.join.*",
    r".*\.(pool|enlarge)(\.\d)?$",
    r"^head\.0.*",
)
"""Patterns of the nodes that are not quantized: filters, whose kernels depend on the image; the first features and the
first block of each scale, in which a hazy image differs little from its mean; layers that join maps of different
ranges; the averages and enlargements of ConvIR and FSNet; and the last layer, whose rounding would be visible. On haze
the first blocks saved 1.9 dB and the joining layers another 0.8 dB, measured on photos that were not used for scores
later."""
FLOAT_TYPES = ("Add", "Concat", "MVN", "Multiply", "Pad", "ReduceMean", "Subtract")
"""Types of nodes that are not quantized, because they cost little time. When the sums of the residual blocks were
rounded as well, hazy crops lost several dB. MVN is the instance normalization of OpenVINO."""
CROP = 128
"""Side in pixels of the images on which the ranges of maps are measured."""


def quantize(model: nn.Module, images: Sequence[Float[Tensor, "C _ _"]]) -> Any:
    """Quantize the weights and the maps of the convolutions of a network to int8.

    Args:
        model: SFNet, FSNet or ConvIR.
        images: degraded images in [0, 1] of any size, on which the ranges of the maps are measured. Only the middle
            `CROP` x `CROP` pixels of each image are used.

    Returns:
        An OpenVINO model.

    Raises:
        ExportError: if a package is missing, the network cannot be exported, or an image has another number of
            channels.
    """
    require("openvino", "openvino", "onnx", "nncf")
    import nncf

    converted = openvino_model(model)
    channels = converted.input(0).partial_shape[1].get_length()
    sizes = sizes_of(converted)
    samples = []
    for image in images:
        if image.shape[0] != channels:
            raise ExportError(f"these weights take {channels} channels, and a calibration image has {image.shape[0]}")
        height, width = image.shape[-2:]
        top, left = (max(0, (side - CROP) // 2) for side in (height, width))
        crop = image[None, :, top : top + CROP, left : left + CROP]
        samples.append({INPUT: pad_to_multiple(crop, sizes.multiple, sizes.minimum)[0].numpy()})
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(sys.stderr):  # nncf prints its progress on standard output
        quantized = nncf.quantize(
            converted,
            nncf.Dataset(samples),
            preset=nncf.QuantizationPreset.MIXED,  # nearly all values after GELU are positive
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(patterns=list(FLOAT_NODES), types=list(FLOAT_TYPES), validate=False),
        )
    set_sizes(quantized, sizes)
    return quantized


def calibration_images(folder: Path | None = None, views: int = 1) -> list[Tensor]:
    """Return images for the calibration of a quantized network.

    Args:
        folder: folder of degraded images like those to restore. None uses three photos that come with scikit-image,
            with all degradations of version 1 of the simulators.
        views: number of views of the network, with 3 channels each. Each image is repeated for all views.

    Returns:
        Images C H W in [0, 1]: at most 64, spread evenly over the folder.

    Raises:
        ExportError: if the folder holds no images.
        ImageError: if a file is not an image.
        OSError: if the folder or a file cannot be read.
    """
    if folder is not None:
        paths = find_images(folder)
        if not paths:
            raise ExportError(f"--calibration needs a folder of degraded images, and {folder} holds none")
        chosen = paths[:: -(-len(paths) // 64)]
        return [read_image(path).repeat(views, 1, 1) for path in chosen]
    from skimage import data

    from passband.data.degradations import VERSIONS, degrade

    crops = [
        from_array(photograph)[0][:, 90:290, 120:360] for photograph in (data.astronaut(), data.coffee(), data.rocket())
    ]
    return [
        degrade(crop, kind, seed=5, index=index, version=1).repeat(views, 1, 1)
        for index, crop in enumerate(crops)
        for kind in VERSIONS[1]
    ]


def quantized(model: nn.Module) -> Any:
    """Return the int8 form of a network from the cache folder of the user. It is made and stored if it is missing.

    The name of the cached file depends on the weights, the settings, and the versions of the packages. A file that
    cannot be loaded is made again.

    Args:
        model: SFNet, FSNet or ConvIR.

    Returns:
        An OpenVINO model.

    Raises:
        ExportError: if a package is missing, or the network cannot be exported.
    """
    require("openvino", "openvino", "onnx", "nncf")
    digest = hashlib.sha256(restoration_graph(model).SerializeToString())
    settings = (FLOAT_NODES, FLOAT_TYPES, CROP, package_version(), *(version(name) for name in ("openvino", "nncf")))
    digest.update(repr(settings).encode())
    path = cache_folder() / f"int8-{digest.hexdigest()[:32]}.xml"
    if path.exists():
        try:
            return read_openvino(path)
        except ExportError:
            pass  # the file is damaged, and is made again below
    converted = quantize(model, calibration_images(views=int(model.in_channels) // 3))  # type: ignore[arg-type]
    # without a writable cache folder, the next call quantizes again; OpenVINO raises a RuntimeError for a full disk
    with suppress(OSError, RuntimeError):
        save_openvino(converted, path)
    return converted


def save_openvino(model: Any, path: Path, half: bool = False) -> None:
    """Write an OpenVINO model as an .xml file, and its parameters as a .bin file beside it.

    Args:
        model: OpenVINO model to write.
        path: path of the .xml file.
        half: whether parameters are stored in float16.

    Raises:
        OSError: if the folder cannot be written.
        RuntimeError: if the disk is full.
    """
    import openvino as ov

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        ov.save_model(model, temporary, compress_to_fp16=half)
        # the .xml file comes last, so that its parameters exist as soon as it does
        temporary.with_suffix(".bin").replace(path.with_suffix(".bin"))
        temporary.replace(path)


def restored_gain(
    restore: Any, views: int = 1, multiple: int = 8, minimum: int = 16, size: tuple[int, int] | None = None
) -> float:
    """Return the mean PSNR in dB of a restored photo, over all degradations of version 1 of the simulators.

    The calibration does not use this part of the photo.

    Args:
        restore: function that restores a padded image, 1 C H W.
        views: number of views of the network, with 3 channels each. The image is repeated for all views.
        multiple: number by which the sides of a padded image are divisible, in pixels.
        minimum: smallest side of a padded image, in pixels.
        size: height and width of a padded image, in pixels; None for the next size that fits.
    """
    from skimage.data import coffee

    from passband.data.degradations import VERSIONS, degrade

    clean = from_array(coffee())[0][:, 40:200, 400:592]
    if size is not None:
        clean = clean[:, : size[0], : size[1]]
    scores = []
    for kind in VERSIONS[1]:
        degraded = degrade(clean, kind, seed=1, index=0, version=1).repeat(views, 1, 1)
        height, width = degraded.shape[-2:]
        padded = pad_to_fit(degraded[None], multiple, minimum, size)
        scores.append(psnr(restore(padded)[..., :height, :width].clamp(0, 1), clean[None]).item())
    return sum(scores) / len(scores)
