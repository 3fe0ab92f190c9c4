"""Measures mean and standard deviation of a detector's channels in the images that it learns from."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.config.detection import DetectionData
from passband.data.coco import CocoImages
from passband.data.cubes.channel_statistics import ChannelStatistics
from passband.data.cubes.native_size import NativeFormat, read_native_cube
from passband.io.image import ImageError, read_image
from passband.layers.channels import channel_subset
from passband.models.detection.stem import DIVISIBLE, GRAY, STRIDE, CubeStem


def fitted_statistics(data: DetectionData, images: CocoImages) -> tuple[list[float], list[float], dict[str, Any]]:
    """Measure the input of a detector: images in the size that it resizes them to, or coefficients of files.

    Args:
        data: data settings of a recipe whose input is not RGB.
        images: images to measure; those that cannot be read are left out.

    Returns:
        Mean and standard deviation of each channel, and the number of images.

    Raises:
        ImageError: if no image can be read.
    """
    subset = channel_subset(data.channels)
    count = len(subset)
    stem = CubeStem(subset, [0.0] * count, [1.0] * count, chroma_ratio=data.chroma_ratio, doubled=data.doubled)
    form = (
        NativeFormat(tuple(subset.indices()), chroma_ratio=data.chroma_ratio) if data.input == "coefficients" else None
    )
    total: ChannelStatistics | None = None
    problem = ""
    for image in images:
        try:
            if form is not None:
                cube = read_native_cube(image.path, form).values[None]
            else:
                cube = _cells(read_image(image.path), data, stem)
        except (ImageError, OSError) as error:
            problem = problem or str(error)
            continue
        if cube.numel():
            part = ChannelStatistics.fit([cube], STRIDE)
            total = part if total is None else total.merge(part)
    if total is None:
        raise ImageError(f"none of {len(images)} images to measure can be read; the first: {problem}")
    std = total.std.where(total.std > 0, torch.ones_like(total.std))
    about = {"statistics": "fit", "statistics_images": total.images, "statistics_positions": total.positions}
    return total.mean.tolist(), std.tolist(), about


def _cells(image: Float[Tensor, "3 H W"], data: DetectionData, stem: CubeStem) -> Float[Tensor, "1 K h w"]:
    """Return the complete cells of the cube of an image that is resized and padded as the network does."""
    sides = image.shape[-2:]
    scale = min(data.min_size[-1] / min(sides), data.max_size / max(sides))
    resized = F.interpolate(
        image[None], scale_factor=scale, mode="bilinear", recompute_scale_factor=True, align_corners=False
    )
    height, width = resized.shape[-2:]
    padded = F.pad(resized - GRAY, (0, -width % DIVISIBLE, 0, -height % DIVISIBLE))
    return stem.cube(padded)[..., : height // STRIDE, : width // STRIDE]
