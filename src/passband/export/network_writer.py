"""Walks through the networks of three scales (SFNet, FSNet and ConvIR), and writes each part in some format."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from torch import Tensor, nn

from passband.layers import DynamicFilter, GlobalModulation, WindowModulation
from passband.models.network_task import network_name
from passband.models.restoration.convir import ConvBlock, MultiScaleFilter
from passband.models.restoration.fsnet import UStage
from passband.models.restoration.three_scales import ThreeScaleNetwork

INPUT, OUTPUT = "degraded", "restored"
FRONT = ("front.full", "front.half", "front.quarter")
"""Names of the first features of the image. They take 1 % of the computation and cause most of the error of bfloat16: a
hazy image varies little around a large mean, and bfloat16 keeps only three digits."""
FILTER_SCOPE = "filters"
"""Part of the names of all nodes of dynamic filters."""


class ExportError(ValueError):
    """Raised if a network, a file or a setting cannot be exported. The message gives the reason."""


def check_network(model: nn.Module) -> ThreeScaleNetwork:
    """Return a network that can be exported.

    Args:
        model: network to export.

    Returns:
        The same network.

    Raises:
        ExportError: if the network is not of three scales, or if its pooling depends on earlier images.
    """
    if not isinstance(model, ThreeScaleNetwork):
        raise ExportError(
            f"export needs an SFNet, FSNet or ConvIR, got {network_name(model)}; run this network with --engine torch"
        )
    if model.arguments.get("pool_window") is not None and model.arguments["pool_mode"] == "first":
        raise ExportError(
            "export needs pooling windows that depend on the image alone, and pool_mode='first' keeps the window of "
            "the first image; use pool_mode='fraction', or run these weights with --engine torch"
        )
    return model


def check_size(network: ThreeScaleNetwork, height: int, width: int) -> None:
    """Refuse a size of images that a network does not take.

    Args:
        network: network for images of this size only.
        height: height of the images in pixels.
        width: width of the images in pixels.

    Raises:
        ExportError: if a side is too short or not divisible; the message gives the next larger size.
    """
    multiple, minimum = network.multiple, network.minimum
    if height % multiple or width % multiple or min(height, width) < minimum:
        tall, wide = (-(-max(side, minimum) // multiple) * multiple for side in (height, width))
        raise ExportError(
            f"this network needs sides divisible by {multiple} and at least {minimum} pixels, got {width}x{height}; "
            f"use --size {wide}x{tall} and pad the images"
        )


class NetworkWriter(ABC):
    """Writes a network part by part. Each method adds a part, and returns the name of its output.

    The methods of this class describe how the parts are connected. A format provides the parts.
    """

    def front(self, model: ThreeScaleNetwork, image: str) -> list[str]:
        """Write the first features of the image at full, half and quarter size, with the names `FRONT`.

        Args:
            model: network.
            image: name of the input, 1 C H W.

        Returns:
            The names `FRONT`, from full to quarter size.
        """
        half = self.halve(image)
        return [
            self.gelu(self.conv("stem.0", model.stem[0], image), name=FRONT[0]),
            self.shallow("shallow.0", model.shallow[0], half, name=FRONT[1]),
            self.shallow("shallow.1", model.shallow[1], self.halve(half), name=FRONT[2]),
        ]

    def trunk(self, model: ThreeScaleNetwork, image: str, full: str, half: str, quarter: str) -> str:
        """Write everything after the first features; the output is the restored image.

        Args:
            model: network.
            image: name of the input.
            full: name of the first features at full size.
            half: name of those at half size.
            quarter: name of those at quarter size.
        """
        full = self.stage("encoder.0", model.encoder[0], full)
        x = self.join(self.gelu(self.conv("stem.1", model.stem[1], full)), half)
        half = self.stage("encoder.1", model.encoder[1], self.conv("fuse.0", model.fuse[0], x))
        x = self.join(self.gelu(self.conv("stem.2", model.stem[2], half)), quarter)
        x = self.stage("encoder.2", model.encoder[2], self.conv("fuse.1", model.fuse[1], x))

        x = self.stage("decoder.2", model.decoder[2], x)
        for scale, features in ((1, half), (0, full)):
            x = self.join(self.gelu(self.conv(f"grow.{scale}", model.grow[scale], x)), features)
            x = self.gelu(self.conv(f"merge.{scale}", model.merge[scale], x))
            x = self.stage(f"decoder.{scale}", model.decoder[scale], x)
        if model.in_channels > 3:
            image = self.mean_view(image, model.in_channels // 3)
        return self.add(self.conv("head.0", model.head[0], x), image)

    def stage(self, name: str, stage: nn.Module, x: str) -> str:
        """Write the blocks of a stage.

        Args:
            name: name of the stage in the network.
            stage: sequence of blocks, or a `UStage`.
            x: name of the input.
        """
        if isinstance(stage, UStage):
            return self.u_stage(name, stage, x)
        for number, block in enumerate(stage.children()):
            x = self.block(f"{name}.{number}", block, x)
        return x

    def u_stage(self, name: str, stage: UStage, x: str) -> str:
        """Write a stage of FSNet at full size.

        Args:
            name: name of the stage in the network.
            stage: stage, part of which runs at half size.
            x: name of the input.
        """
        y = skip = x
        for number, block in enumerate(stage.blocks):
            if number == stage.halved.start:
                skip, y = y, self.conv(f"{name}.down", stage.down, y)
            if number == stage.halved.stop:
                y = self.join(self.enlarge(y, skip, f"{name}.enlarge"), skip)
                y = self.conv(f"{name}.join", stage.join, y)
            y = self.block(f"{name}.blocks.{number}", block, y)
        return self.add(y, x)

    def block(self, name: str, block: Any, x: str) -> str:
        """Write a residual block.

        Args:
            name: name of the block in the network.
            block: block of SFNet, FSNet or ConvIR.
            x: name of the input.
        """
        y = self.gelu(self.conv(f"{name}.conv_in", block.conv_in, x))
        if not isinstance(block, ConvBlock):
            y = self.modulate(name, block, y)
        elif block.scales is not None:
            y = self.scales(f"{name}.scales", block.scales, y)
        return self.add(self.conv(f"{name}.conv_out", block.conv_out, y), x)

    def modulate(self, name: str, block: Any, x: str) -> str:
        """Write the dynamic filters and the modulation of a block of SFNet or FSNet.

        Args:
            name: name of the block in the network.
            block: block of SFNet or FSNet.
            x: name of the input, whose channels are split in two halves.
        """
        first, second = self.split(x, 2)
        if block.filters is not None:
            first = self.filter(f"{name}.{FILTER_SCOPE}.0", block.filters[0], first)
            second = self.filter(f"{name}.{FILTER_SCOPE}.1", block.filters[1], second)
        first = self.modulate_global(f"{name}.modulate_global", block.modulate_global, first)
        second = self.modulate_window(f"{name}.modulate_window", block.modulate_window, second)
        return self.join(first, second)

    @abstractmethod
    def conv(self, name: str, layer: Any, x: str) -> str:
        """Write a convolution or a transposed convolution.

        Args:
            name: name of the layer in the network.
            layer: `nn.Conv2d` or `nn.ConvTranspose2d`.
            x: name of the input.
        """

    @abstractmethod
    def gelu(self, x: str, name: str = "") -> str:
        """Write GELU in its exact form.

        Args:
            x: name of the input.
            name: name of the output; empty for any.
        """

    @abstractmethod
    def add(self, x: str, y: str, name: str = "") -> str:
        """Write the sum of two maps of one shape.

        Args:
            x: name of one map.
            y: name of the other map.
            name: name of the output; empty for any.
        """

    @abstractmethod
    def join(self, *maps: str) -> str:
        """Write maps as the channels of one map.

        Args:
            maps: names of maps of the same height and width, in the order of the channels.
        """

    @abstractmethod
    def split(self, x: str, parts: int) -> list[str]:
        """Write the channels of a map as several maps with equally many channels.

        Args:
            x: name of the input.
            parts: number of maps, which divides the number of channels.

        Returns:
            The names of the maps.
        """

    @abstractmethod
    def mean_view(self, image: str, views: int) -> str:
        """Write the mean of several views of 3 channels.

        Args:
            image: name of the views, 3 channels each, one after the other.
            views: number of views, at least 2.
        """

    @abstractmethod
    def halve(self, x: str) -> str:
        """Write every second row and column, as nearest-neighbor interpolation by one half takes them.

        Args:
            x: name of the input, whose height and width are even.
        """

    @abstractmethod
    def enlarge(self, x: str, like: str, name: str, mode: str = "half_pixel") -> str:
        """Write a bilinear interpolation to the size of another map.

        Args:
            x: name of the input.
            like: name of a map of the new size.
            name: name of the output.
            mode: `"half_pixel"` to interpolate as `window_shares` does, or `"align_corners"` as `convir.enlarge` does.
        """

    @abstractmethod
    def shallow(self, prefix: str, layers: Any, x: str, name: str) -> str:
        """Write the features of a smaller image, which end with an instance normalization.

        Args:
            prefix: name of the layers in the network.
            layers: convolutions, activations and an `nn.InstanceNorm2d`.
            x: name of the input.
            name: name of the output.
        """

    @abstractmethod
    def filter(self, name: str, dynamic: DynamicFilter, x: str) -> str:
        """Write a dynamic filter and its modulator.

        Args:
            name: name of the filter in the network.
            dynamic: filter, with a modulator.
            x: name of the input.
        """

    @abstractmethod
    def modulate_global(self, name: str, modulation: GlobalModulation, x: str) -> str:
        """Write a global modulation.

        Args:
            name: name of the layer in the network.
            modulation: layer.
            x: name of the input.
        """

    @abstractmethod
    def modulate_window(self, name: str, modulation: WindowModulation, x: str) -> str:
        """Write a window modulation.

        Args:
            name: name of the layer in the network.
            modulation: layer, blended or not.
            x: name of the input.
        """

    @abstractmethod
    def scales(self, name: str, scales: MultiScaleFilter, x: str) -> str:
        """Write the multi-scale filter of ConvIR.

        Args:
            name: name of the filter in the network.
            scales: filter.
            x: name of the input.
        """


def folded(predict: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and the bias of a 1x1 convolution and the BatchNorm after it.

    In evaluation, BatchNorm multiplies and adds constants, so that both are one convolution.

    Args:
        predict: convolution without a bias.
        norm: normalization of its output.

    Returns:
        Weights, outputs x inputs x 1 x 1, and one bias for each output, in float64.
    """
    scale = array(norm.weight) / np.sqrt(array(norm.running_var) + norm.eps)
    weight = array(predict.weight) * scale[:, None, None, None]
    return weight, array(norm.bias) - array(norm.running_mean) * scale


def array(tensor: Tensor | nn.Parameter | None) -> np.ndarray:
    """Return a parameter in float64, so that folded parameters are rounded only once.

    Args:
        tensor: parameter or buffer, which must not be None.

    Returns:
        A copy on the CPU, of the same shape.
    """
    assert tensor is not None
    return tensor.detach().double().cpu().numpy()
