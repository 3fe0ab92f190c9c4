"""Calls of everything public that takes tensors, for tests that compare devices.

Each call gets `Inputs`, which make the same tensors for every device, and returns tensors. `CALLS` has the calls by
name.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passband import curriculum, layers, losses, metrics, ops
from passband.curriculum.objective import BandTerms
from passband.curriculum.stages import Curriculum
from passband.data.batch_augmentation import BatchAugmentation
from passband.layers.pooling import local_average
from passband.layers.shape_filter import MultiShapeFilter
from passband.losses.mask_losses import SEGMENTATION_LOSSES
from passband.metrics import instance_scores, mask_scores
from passband.metrics.restoration_protocols import PROTOCOLS
from passband.models import build_model
from passband.models.inspection.inspector import InspectorNetwork
from passband.models.restoration.bands import restore_in_bands
from passband.models.restoration.tiles import restore_in_tiles
from passband.ops import color, cube, dct, dct_geometry, fourier, frequency_distance, tiling
from passband.optimizers import Muon, orthogonalize


class Inputs:
    """Makes tensors and networks on a device, from the same random numbers for every device.

    Args:
        move: function that moves a tensor to the device.
        move_model: function that moves a network to the device.
    """

    def __init__(self, move: Callable[[Tensor], Tensor], move_model: Callable[[nn.Module], nn.Module]):
        self.move, self.move_model = move, move_model

    def floats(self, *shape: int, seed: int = 0) -> Tensor:
        """Return random numbers in [0, 1)."""
        return self.move(torch.rand(*shape, generator=torch.Generator().manual_seed(seed)))

    def numbers(self, *shape: int, below: int, seed: int = 0) -> Tensor:
        """Return random whole numbers from 0."""
        return self.move(torch.randint(below, shape, generator=torch.Generator().manual_seed(seed)))

    def images(self) -> Tensor:
        """Return two images, 48 x 64 pixels."""
        return self.floats(2, 3, 48, 64)

    def pair(self) -> tuple[Tensor, Tensor]:
        """Return two images and slightly different ones."""
        return self.images(), 0.9 * self.images() + 0.1 * self.floats(2, 3, 48, 64, seed=1)

    def coefficients(self) -> Tensor:
        """Return coefficients of two images, with 3 x 64 channels."""
        return self.floats(2, 192, 6, 8) - 0.5

    def masks(self, classes: int = 2) -> Tensor:
        """Return two masks."""
        return self.numbers(2, 48, 64, below=classes, seed=3)

    def model(self, name: str, **arguments: Any) -> nn.Module:
        """Return a network in evaluation mode whose branches all matter."""
        return self.layer(build_model(name, **arguments))

    def layer(self, layer: nn.Module) -> nn.Module:
        """Return a layer in evaluation mode whose parameters are not zero."""
        generator = torch.Generator().manual_seed(5)
        for parameter in layer.parameters():
            if not parameter.detach().any():
                parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
        return self.move_model(layer.eval())


SMALL = {
    "sfnet": {"width": 16, "depth": 1},
    "fsnet-small": {"width": 16, "depth": 1},
    "convir-tiny": {"width": 8, "dilations": [1, 1, 1]},
}
Call = Callable[[Inputs], Any]
CROPS = Curriculum(curriculum.RatioSchedule(steps=10, start=0.5), sizes=(24,))
STRONG = BatchAugmentation(rotation=30, zoom=(0.8, 1.2), shift=0.1, contrast=0.2, hue=0.1, blur=1.0, noise=0.1)


def _pairwise(function: Callable[..., Any], **options: Any) -> Call:
    return lambda make: function(*make.pair(), **options)


def _of_images(function: Callable[..., Any], *arguments: Any, **options: Any) -> Call:
    return lambda make: function(make.images(), *arguments, **options)


def _of_coefficients(function: Callable[..., Any], *arguments: Any, **options: Any) -> Call:
    return lambda make: function(make.coefficients(), *arguments, **options)


def _layer(build: Callable[[], nn.Module], *shape: int) -> Call:
    return lambda make: make.layer(build())(make.floats(*shape))


def _network(name: str, *shape: int, **arguments: Any) -> Call:
    def call(make: Inputs) -> Any:
        output = make.model(name, **arguments)(make.floats(*shape))
        return list(output) if isinstance(output, tuple) else output

    return call


def _gradients(name: str, *shape: int, **arguments: Any) -> Call:
    """Return the gradients of one training step, of which a few are enough."""

    def call(make: Inputs) -> Any:
        model = make.model(name, **arguments).train()
        output = model(make.floats(*shape))
        output = output[-1] if isinstance(output, list) else output[0] if isinstance(output, tuple) else output
        output.float().square().mean().backward()
        return [parameter.grad for parameter in list(model.parameters())[:3]]

    return call


def _mixed_sizes(function: Callable[..., Any], **options: Any) -> Call:
    def call(make: Inputs) -> Any:
        image, clean = make.pair()
        return function([F.interpolate(image, scale_factor=0.5), image], clean, **options)

    return call


def _mask_loss(name: str, classes: int) -> Call:
    def call(make: Inputs) -> Any:
        return SEGMENTATION_LOSSES[name][classes > 1](make.floats(2, classes, 48, 64), make.masks(max(2, classes)))

    return call


def _subset(make: Inputs) -> Any:
    subset = layers.channel_subset("24S")
    selected = subset.select(make.coefficients())
    return [selected, subset.flip(selected), subset.embed(selected)]


def _bands(name: str, blend: bool = False, window: int | None = None) -> Call:
    def call(make: Inputs) -> Any:
        arguments = {"blend_windows": blend, "pool_window": window} if name == "sfnet" else {}
        model = make.model(name, **SMALL[name], **arguments)
        with torch.no_grad():
            return restore_in_bands(model, make.floats(1, 3, 96, 128), rows=16)

    return call


def _tiles(make: Inputs) -> Any:
    model = make.model("sfnet", width=16, depth=1)
    return restore_in_tiles(model, make.floats(1, 3, 64, 96), 64, 16, rows=64)


def _tiles_of_blended_windows(make: Inputs) -> Any:
    model = make.model("sfnet", width=16, depth=1, blend_windows=True)
    return restore_in_tiles(model, make.floats(1, 3, 64, 96), 64, 16, rows=64)


def _inspector(make: Inputs) -> Any:
    model = make.layer(InspectorNetwork(["rain", "clean"], ["general"], width=8, hidden=8))
    findings = model(make.floats(2, 3, 96, 6, 8))
    return [findings.kinds, findings.psnr, findings.gains]


def _band_terms(make: Inputs) -> Any:
    model = make.model("unet", width=4, depth=2)
    terms = BandTerms(model, make.images(), "total-variation")
    return terms.at(0.4, make.floats(2))


def _muon(make: Inputs) -> Any:
    layer = make.layer(nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)))
    optimizer = Muon(layer.parameters(), 1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        layer(make.floats(2, 4, 16, 16)).square().mean().backward()
        optimizer.step()
    return [parameter.detach() for parameter in layer.parameters()]


def _gate_counts(make: Inputs) -> Any:
    gate = make.layer(layers.ChannelGate(192))
    cube_out, decision = gate(make.coefficients())
    return [cube_out, decision, gate.opened, gate.keep_probability()]


def _frequency_loss_module(make: Inputs) -> Any:
    return make.move_model(losses.FrequencyLoss("jpeg"))(*make.pair())


CALLS: dict[str, Call] = {
    # colors and the Fourier transform
    **{
        name: _of_images(getattr(color, name))
        for name in (
            *("srgb_to_linear", "linear_to_srgb", "rgb_to_ycbcr", "ycbcr_to_rgb", "jpeg_samples", "studio_luma"),
            "studio_luma_8bit",
        )
    },
    "low_pass": _of_images(fourier.low_pass, 0.3, softness=0.05),
    "low_pass of each": lambda make: fourier.low_pass(make.images(), make.floats(2)),
    "band_split": _of_images(fourier.band_split, 0.4),
    "spectral_crop": _of_images(fourier.spectral_crop, (31, 40)),
    "spectral_pad": _of_images(fourier.spectral_pad, (65, 80)),
    "radial_spectrum": _of_images(fourier.radial_spectrum),
    "half_spectrum": lambda make: fourier.from_half_spectrum(fourier.half_spectrum(make.images()), (48, 64)),
    # the discrete cosine transform
    "dct2": lambda make: dct.idct2(dct.dct2(make.images())[..., :48]),
    "block_dct": _of_images(dct.block_dct),
    "block_dct of channels": _of_images(dct.block_dct, channels=[[0, 1, 9], [0], [63]]),
    "inverse_block_dct": _of_coefficients(dct.inverse_block_dct),
    "split_components": _of_coefficients(dct.split_components),
    "group_frequencies": lambda make: dct.group_frequencies(dct.ungroup_frequencies(make.coefficients())),
    "raster_to_zigzag": _of_coefficients(dct.raster_to_zigzag),
    "zigzag_to_raster": _of_coefficients(dct.zigzag_to_raster),
    **{
        name: _of_coefficients(getattr(dct_geometry, name))
        for name in ("flip_horizontal", "flip_vertical", "transpose", "rotate90", "downscale_by_two", "split_blocks")
    },
    "orient": _of_coefficients(dct_geometry.orient, 7),
    "crop_blocks": _of_coefficients(dct_geometry.crop_blocks, 1, 2, 3, 4),
    "join_blocks": lambda make: dct_geometry.join_blocks(dct_geometry.split_blocks(make.coefficients())),
    "image_cube": _of_images(cube.image_cube, ratio=(2, 2)),
    "image_cube of channels": _of_images(cube.image_cube, 4, channels=[[0, 1, 2], [0], [0]]),
    "pad_to_multiple": lambda make: tiling.pad_to_multiple(make.images(), 40)[0],
    "pad_to_size": lambda make: tiling.pad_to_size(make.images(), 140, 150),
    "map_tiles": lambda make: tiling.map_tiles(lambda tile: 2 * tile, make.images(), 32, 16, 8),
    # distances, losses and metrics
    **{
        f"frequency_distances {name}": _pairwise(frequency_distance.frequency_distances, weights=name)
        for name in ("csf", "jpeg", "flat", "low-pass")
    },
    "frequency_distances masked": _pairwise(ops.frequency_distance.frequency_distances, masking=True),
    "spectral_l1": _pairwise(losses.spectral_l1),
    "frequency_loss": _pairwise(losses.frequency_loss),
    "FrequencyLoss": _frequency_loss_module,
    "focal_frequency_loss": _pairwise(losses.focal_frequency_loss, patch_factor=2),
    "focal_frequency_loss log": _pairwise(losses.focal_frequency_loss, log_matrix=True, batch_matrix=True),
    "ring_distances": _pairwise(losses.ring_distances),
    "ring_distances of amplitudes": _pairwise(losses.ring_distances, power=1),
    "multiscale_loss": _mixed_sizes(losses.multiscale_loss, added=losses.focal_frequency_loss),
    "relative_multiscale_loss": _mixed_sizes(losses.relative_multiscale_loss),
    **{f"{name} of {count}": _mask_loss(name, count) for name in SEGMENTATION_LOSSES for count in (1, 3)},
    **{name: _pairwise(getattr(metrics, name)) for name in ("psnr", "ssim", "psnr_hvs", "psnr_hvs_m")},
    "ranking": lambda make: metrics.ranking(make.floats(5, 7)),
    "rank_of": lambda make: metrics.rank_of(make.floats(5, 7), make.numbers(5, below=7)),
    "confusion_matrix": lambda make: metrics.confusion_matrix(
        make.numbers(9, below=4), make.numbers(9, below=4, seed=1), 4
    ),
    "class_accuracy": lambda make: metrics.class_accuracy(make.numbers(4, 4, below=9) + 1),
    "class_counts": lambda make: mask_scores.class_counts(make.masks(3), make.masks(3).flip(0), 3),
    "predicted_classes": lambda make: mask_scores.predicted_classes(make.floats(2, 3, 9, 11)),
    "resized_logits": lambda make: mask_scores.resized_logits(make.floats(2, 1, 9, 11), (18, 25)),
    "stretched_levels": lambda make: mask_scores.stretched_levels(make.floats(17, 13)),
    # curricula
    **{f"low_pass_ratio {name}": _of_images(curriculum.low_pass_ratio, 0.5, name) for name in curriculum.DEFINITIONS},
    **{f"ratios_of {name}": _of_images(curriculum.ratios_of, 0.3, name) for name in curriculum.DEFINITIONS},
    "curriculum_batch": lambda make: curriculum.curriculum_batch(
        make.images(), [make.masks(3), make.floats(2, 48, 64)], CROPS, 0.0, resize_targets=True
    ),
    "enlarged": lambda make: curriculum.enlarged(make.floats(2, 1, 24, 32), make.masks()),
    "BatchAugmentation": lambda make: STRONG(make.images(), make.masks(), [3, 4])[0],
    "saliency": lambda make: curriculum.saliency(make.model("unet", width=4, depth=2), make.images()),
    "BandTerms": _band_terms,
    # layers
    "LocalAvgPool2d": _layer(lambda: layers.LocalAvgPool2d(100), 2, 4, 40, 48),
    "local_average": lambda make: local_average(make.images(), (20, 31)),
    "DynamicFilter": _layer(lambda: layers.DynamicFilter(16, 5), 2, 16, 20, 24),
    "Modulator": lambda make: make.layer(layers.Modulator(16))(make.floats(2, 16, 9, 8), make.floats(2, 16, 9, 8)),
    "GlobalModulation": _layer(lambda: layers.GlobalModulation(16), 2, 16, 20, 24),
    "WindowModulation": _layer(lambda: layers.WindowModulation(16), 2, 16, 20, 24),
    "WindowModulation blended": _layer(lambda: layers.WindowModulation(16, blended=True), 2, 16, 20, 24),
    "MultiShapeFilter": _layer(lambda: MultiShapeFilter(16, 3), 2, 16, 20, 24),
    "ChannelGate": _gate_counts,
    "ChannelSubset": _subset,
    # networks
    "sfnet": _network("sfnet", 2, 3, 48, 64, width=16, depth=1),
    "sfnet blended": _network("sfnet", 2, 3, 48, 64, width=16, depth=1, blend_windows=True),
    "sfnet of windows": _network("sfnet", 2, 3, 48, 64, width=16, depth=1, pool_window=80),
    "sfnet of two views": _network("sfnet", 2, 6, 48, 64, width=16, depth=1, in_channels=6),
    "fsnet-small": _network("fsnet-small", 2, 3, 64, 96, **SMALL["fsnet-small"]),
    "convir-tiny": _network("convir-tiny", 2, 3, 96, 128, **SMALL["convir-tiny"]),
    "dct-resnet18": _network("dct-resnet18", 2, 24, 28, 28, channels=24, classes=5, width=8),
    "dct-mobilenet-v2": _network("dct-mobilenet-v2", 2, 24, 28, 28, channels=24, classes=5),
    "dct-efficientnet-lite0": _network("dct-efficientnet-lite0", 2, 24, 28, 28, channels=24, classes=5),
    "dct-vit": _network("dct-vit", 2, 24, 28, 28, channels=24, classes=5, width=24, depth=2, heads=2),
    "gated-dct-resnet18": _network("gated-dct-resnet18", 2, 24, 28, 28, channels=24, classes=5, width=8),
    "unet": _network("unet", 2, 3, 48, 64, width=4, depth=2),
    "inspector": _inspector,
    "gradients of sfnet": _gradients("sfnet", 2, 3, 48, 64, width=16, depth=1),
    "gradients of fsnet-small": _gradients("fsnet-small", 2, 3, 64, 96, **SMALL["fsnet-small"]),
    "gradients of convir-tiny": _gradients("convir-tiny", 2, 3, 96, 128, **SMALL["convir-tiny"]),
    "gradients of unet": _gradients("unet", 2, 3, 48, 64, width=4, depth=2),
    "gradients of dct-resnet18": _gradients("dct-resnet18", 2, 24, 28, 28, channels=24, classes=5, width=8),
    # parts of images
    "bands of sfnet": _bands("sfnet"),
    "bands of blended windows": _bands("sfnet", blend=True),
    "bands of windows": _bands("sfnet", window=80),
    "bands of fsnet-small": _bands("fsnet-small"),
    "bands of convir-tiny": _bands("convir-tiny"),
    # optimizers
    "orthogonalize": lambda make: orthogonalize(make.floats(9, 14)),
    "Muon": _muon,
    # scores of whole images
    "tiles": _tiles,
    "tiles of blended windows": _tiles_of_blended_windows,
    "spectral_errors": lambda make: [
        value for value in vars(metrics.spectral_errors(*make.pair())).values() if isinstance(value, Tensor)
    ],
    **{
        f"protocol {name}": lambda make, name=name: [torch.as_tensor(value) for value in PROTOCOLS[name](*make.pair())]
        for name in PROTOCOLS
    },
    **{f"mask protocol {name}": lambda make, name=name: _mask_protocol(make, name) for name in ("lab_macro", "pranet")},
    "RadialProfile": lambda make: torch.tensor(
        [curriculum.RadialProfile.of([make.images()]).radius(ratio) for ratio in (0.2, 0.5, 0.9)]
    ),
    "RatioSearch": lambda make: torch.tensor(
        curriculum.RatioSearch(radii=3)(make.model("unet", width=4, depth=2), make.images()).ratio
    ),
    "Curriculum": lambda make: _curriculum(make),
    "paste_masks": lambda make: torch.tensor(
        [
            len(rle["counts"])
            for rle in instance_scores.paste_masks(
                make.floats(1, 1, 28, 28), make.move(torch.tensor([[2.0, 3.0, 20.0, 17.0]])), (24, 32)
            )
        ]
    ),
}


def _mask_protocol(make: Inputs, name: str) -> Any:
    logits, mask = 4 * make.floats(1, 48, 64) - 2, make.masks()[0]
    return [torch.as_tensor(float(value)) for value in getattr(mask_scores, name)(logits, mask).values()]


def _curriculum(make: Inputs) -> Any:
    stages = Curriculum(curriculum.RatioSchedule(steps=10, start=0.3), mode="mask")
    return stages.apply(make.images(), 0.2)


def tensors_from(name: str, make: Inputs) -> list[Tensor]:
    """Return the tensors that a call returns, with the same random weights each time."""
    torch.manual_seed(0)
    return tensors_of(CALLS[name](make))


def on_device(device: str) -> Inputs:
    """Return inputs for a device of torch."""
    return Inputs(lambda tensor: tensor.to(device), lambda model: copy.deepcopy(model).to(device))


def tensors_of(result: Any) -> list[Tensor]:
    """Return the tensors of a result in order."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        return [tensor for value in result.values() for tensor in tensors_of(value)]
    if isinstance(result, list | tuple):
        return [tensor for value in result for tensor in tensors_of(value)]
    return []
