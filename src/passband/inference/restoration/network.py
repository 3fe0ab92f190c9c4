"""Runs one restoration network on one engine, within a cap on memory."""

import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.export.runtimes import runtime_of
from passband.inference.engines import ENGINES, TorchEngine, load_engine
from passband.inference.engines.choice import AUTO_ENGINE, EngineChoice, choose_engine
from passband.inference.engines.tiled import own_overlap, restore_tiled
from passband.inference.restoration.memory import (
    OVERLAP,
    MemoryPlan,
    free_memory,
    parse_memory,
    plan_memory,
    plan_tiles,
)
from passband.inference.restoration.memory_probe import live_bytes_per_pixel
from passband.inference.restoration.planned import restore_within, told_of_memory
from passband.inference.video.temporal import SmoothedStatistics, Smoother, smoothed_statistics
from passband.io.files import file_checksum
from passband.io.image.size import stored_size
from passband.models import accepted_arguments, load_model, task_of
from passband.models.inputs import check_views, input_views
from passband.models.network_task import network_name
from passband.models.restoration.bands.statistics import MapStatistics
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.naming import nearest, package_version, short_name, suggestion, with_article
from passband.ops.progress import Report
from passband.provenance import weights_checksum
from passband.weights_io import load_config

SHOWN_DIGITS = 16
"""Number of digits of a checksum in the metadata of an image."""
TILE = 1536
"""Side of an image in pixels above which engines other than torch get tiles: a square of 2.4 MP is whole."""


class RestorationNetwork:
    """One network on one engine, which restores images within a cap on memory.

    Args:
        weights: weights to load: a shipped name, a folder, a published pickle, a hub id, or a file of
            `passband export`.
        device: name of a device, see `models.pick_device`.
        memory: cap on the memory of the process, as `inference.Restorer` takes it.
        engine: engine that runs the network, as `engines.load_engine` takes it, or `"auto"` for the fastest engine of
            this machine that agrees, see `engines.choice.choose_engine`. Torch then restores images that another engine
            would cut into tiles.
        precision: precision of the engine, as `engines.load_engine` takes it.
        provider: execution provider of ONNX Runtime, as `engines.load_engine` takes it.
        views: number of images of a scene that the network must take; None accepts any number.
        options: names of the caller's own options, for an error about an unknown one.
        overrides: keywords of the network's constructor that replace those of its config.

    Attributes:
        weights: the weights as they were named.
        engine: the engine.
        device: the device.
        memory: the cap in bytes, or None.
        engine_choice: the engine that was chosen and the reason, or None if the engine was named.

    Raises:
        CheckpointError: if the weights cannot be used, or are for another task.
        ExportError: if the engine is not installed, or cannot run this network.
        ValueError: if this machine does not have the device, the memory is not a size, the engine takes no cap, the
            engine, precision or option is unknown, or the network takes another number of views.
    """

    def __init__(
        self,
        weights: str | Path = "general",
        device: str = "auto",
        memory: int | str | None = None,
        *,
        engine: str = "torch",
        precision: str = "auto",
        provider: str | None = None,
        views: int | None = 1,
        options: tuple[str, ...] = (),
        **overrides: Any,
    ):
        self.memory = None if memory is None else parse_memory(memory)
        self.engine_choice: EngineChoice | None = None
        try:
            if engine == AUTO_ENGINE and provider is None:
                self.engine_choice = choose_engine(weights, precision, device, self.memory is not None, **overrides)
                engine = self.engine_choice.engine
            runtime = runtime_of(weights) if engine == "torch" else engine
            if self.memory is not None and runtime in ENGINES:
                raise ValueError(f"a cap on memory is for the engine torch; {runtime} has none")
            # graphs keep memory that is not counted
            limits: dict[str, Any] = {"graphs": self.memory is None, "memory": self.memory}
            self.engine = load_engine(weights, engine, precision, device, provider=provider, **limits, **overrides)
        except (TypeError, ValueError):
            _check_options(weights, overrides, options)
            raise
        self.weights, self._overrides = str(weights), overrides
        self._for_torch = {"device": device, "precision": precision, **overrides}
        if views is not None:
            check_views(self.engine, views, weights)
        self.device = self.engine.device if isinstance(self.engine, TorchEngine) else torch.device("cpu")
        self._statistics: MapStatistics | None = None

    @property
    def model(self) -> nn.Module:
        """The network in torch.

        Raises:
            ValueError: if another engine runs it.
        """
        if not isinstance(self.engine, TorchEngine):
            raise ValueError(f"{self.engine.name} runs the network outside of torch; use the engine torch for this")
        return self.engine.model

    @property
    def parts(self) -> tuple["RestorationNetwork", ...]:
        """The network as a chain of one, see `chain.NetworkChain`."""
        return (self,)

    @property
    def views(self) -> int:
        """The number of images of a scene that the network takes: 1, or 2 for left and right views."""
        return input_views(self.engine)

    @property
    def shares_statistics(self) -> bool:
        """Whether tiles of a large image share the statistics of the whole image."""
        return isinstance(self.engine, TorchEngine) and isinstance(self.engine.model, ThreeScaleNetwork)

    @cached_property
    def _stored_model(self) -> nn.Module | None:
        """The network as its weights describe it; None for an exported file, which describes none."""
        if isinstance(self.engine, TorchEngine):
            return self.engine.model
        return None if runtime_of(self.weights) else load_model(self.weights, **self._overrides)

    @property
    def description(self) -> dict[str, Any]:
        """The name of the architecture, and the arguments of the network as far as they are known."""
        model = self._stored_model
        if model is None:
            size = {} if self.engine.size is None else {"size": "{1}x{0}".format(*self.engine.size)}
            tile = {} if self.engine.sizes.tile is None else {"tile": self.engine.sizes.tile}
            return {"architecture": "exported", "in_channels": self.engine.in_channels, **size, **tile}
        license = {} if self.license == "" else {"license": self.license}
        return {
            "architecture": network_name(model),
            **license,
            **getattr(model, "arguments", {}),
        }

    @property
    def license(self) -> str:
        """The license of a network of another project, in words; empty for a network of passband."""
        # other engines do not run such networks
        return str(getattr(self.engine.model, "license", "")) if isinstance(self.engine, TorchEngine) else ""

    @property
    def license_note(self) -> str:
        """A sentence about the license of a network of another project; empty for a network of passband."""
        if self.license == "":
            return ""
        return f"{self.weights} is {with_article(self.description['architecture'])}. Its license: {self.license}."

    def weights_checksum(self) -> str:
        """Return the SHA-256 of the weights, or of the exported file."""
        model = self._stored_model
        return weights_checksum(model) if model is not None else file_checksum(Path(self.weights))

    def signature(self) -> str:
        """Return passband with its version, the name of the weights and the beginning of their checksum, in ASCII."""
        name = short_name(self.weights).encode("ascii", "replace").decode()
        return f"passband {package_version()}, weights {name}, sha256 {self.weights_checksum()[:SHOWN_DIGITS]}"

    def checksum(self) -> str:
        """Return the SHA-256 of the weights and the structure of the network, or of the exported file."""
        model = self._stored_model
        if model is None:
            return file_checksum(Path(self.weights))
        tile = "" if self.engine.sizes.tile is None else f"tile {self.engine.sizes.tile}"
        return hashlib.sha256(f"{model!r}{tile}{weights_checksum(model)}".encode()).hexdigest()

    def measure_memory(self) -> None:
        """Find out now how much memory the network needs per pixel, so that no image waits for it."""
        if isinstance(self.engine, TorchEngine):
            with self.engine.autocast():
                live_bytes_per_pixel(self.engine.model)

    @contextmanager
    def smoothing(self, strength: float) -> Iterator[Smoother]:
        """Smooth the network's averages over the frames that are restored one by one within the block.

        Args:
            strength: weight of the frames before in an average, in [0, 1); see `temporal.STRENGTH`.

        Yields:
            The smoother, whose `begin` announces each frame.

        Raises:
            ValueError: if the strength is out of range, or the averages of the network or engine cannot be smoothed.
        """
        with smoothed_statistics(self.model, strength) as smoother:
            self._statistics = SmoothedStatistics(smoother, self.model)
            try:
                yield smoother
            finally:
                self._statistics = None

    @torch.no_grad()
    def predict(
        self, degraded: Float[Tensor, "B C H W"], report: Report | None = None
    ) -> tuple[Float[Tensor, "B 3 H W"], MemoryPlan]:
        """Restore images on the network's device.

        Args:
            degraded: images in [0, 1], on the network's device.
            report: function that is called after each band or tile with the share that is done.

        Returns:
            The restored images, not clamped, and the plan by which they were computed.

        Raises:
            MemoryError: if the images do not fit; the message says what would fit and what to do.
            TypeError: if the weights were converted to another type after loading.
        """
        own_tile = self._own_tile(*degraded.shape[-2:])
        if isinstance(self.engine, TorchEngine):
            self.engine.check_weights()
            if own_tile is not None:
                with self.engine.autocast():
                    free = free_memory(self.device, self.memory)
                    plan = plan_tiles(self.engine.model, tuple(degraded.shape), free, own_tile)
                with told_of_memory(degraded):
                    return self._in_tiles(degraded, own_tile, report), plan
            with self.engine.autocast():
                restored, plan = restore_within(
                    self.engine.model, degraded, self.memory, self._statistics, report, self.engine
                )
            return restored.float(), plan
        if self._leaves_to_torch(max(degraded.shape[-2:])):
            return self._in_torch.predict(degraded, report)
        tile = own_tile or max(TILE, self.engine.sizes.tile or 0)
        restored, (tall, wide) = self._in_tiles(degraded, tile, report), self.engine.size or (tile, tile)
        if degraded.shape[-2] <= tall and degraded.shape[-1] <= wide:
            return restored, MemoryPlan("whole", 0)
        return restored, MemoryPlan("tiles" if own_tile is None else "own tiles", 0, max(tall, wide))

    def _in_tiles(self, degraded: Tensor, tile: int, report: Report | None) -> Tensor:
        """Restore images in tiles of a side; tiles of the network's own overlap by a share of their side."""
        side = min(self.engine.size or (tile,))
        overlap = OVERLAP if self.engine.sizes.tile is None else own_overlap(self.engine, side)
        return restore_tiled(self.engine, degraded, tile, overlap, report)

    def _own_tile(self, height: int, width: int) -> int | None:
        """Return the side of the network's own tiles; None if it restores an image of this size as a whole.

        Averages that are smoothed over frames are those of whole frames.
        """
        tile = self.engine.sizes.tile
        is_whole = tile is None or max(height, width) <= tile or self._statistics is not None
        return None if is_whole or self.engine.size is not None else tile

    def _leaves_to_torch(self, side: int) -> bool:
        """Tell whether torch restores an image because the chosen engine would cut it into independent tiles.

        A network with tiles of its own has them in every engine.
        """
        if self.engine.sizes.tile is not None:
            return False
        is_chosen = self.engine_choice is not None and self.engine.precision != "int8"
        return is_chosen and side > TILE and self._stored_model is not None

    @cached_property
    def _in_torch(self) -> "RestorationNetwork":
        """The same network in torch, which restores large images as a whole or in bands."""
        return RestorationNetwork(self.weights, engine="torch", views=None, **self._for_torch)

    def check_room(self, source: Path, max_pixels: int) -> None:
        """Refuse a file that the free memory is too small for, before it is decoded.

        Args:
            source: path of the image.
            max_pixels: number of pixels above which reading the file refuses it anyway.

        Raises:
            MemoryError: if the image does not fit.
        """
        size = stored_size(source)
        if size is None or size[0] * size[1] > max_pixels:
            return
        if not isinstance(self.engine, TorchEngine):
            if self._leaves_to_torch(max(size)):
                self._in_torch.check_room(source, max_pixels)
            return
        width, height = size
        # the decoded image in bytes and in float32, on the host and on the device
        image = (3 + 12) * width * height
        try:
            with self.engine.autocast():
                free = free_memory(self.device, self.memory) - image
                tile, shape = self._own_tile(height, width), (1, 3, height, width)
                if tile is None:
                    plan_memory(self.engine.model, shape, free)
                else:
                    plan_tiles(self.engine.model, shape, free, tile)
        except MemoryError as error:
            raise MemoryError(f"{source}: {error}") from error


def _check_options(weights: str | Path, overrides: dict[str, Any], options: tuple[str, ...]) -> None:
    """Refuse keywords that are neither options of the caller nor arguments of a restoration network.

    Raises:
        ValueError: if there is one; the message suggests the nearest name.
    """
    if not overrides or task_of(weights) != "restoration":
        return
    own = options or tuple(inspect.signature(RestorationNetwork).parameters)
    try:
        arguments = list(accepted_arguments(load_config(weights)["model"]))
    except ValueError:
        arguments = []  # a network of another project, or an exported file: its loader says what it takes
    for option in overrides:
        if option not in arguments and (arguments or nearest(option, own)):
            known = [*own, *arguments]
            near = suggestion(option, known)
            raise ValueError(f"Restorer has no option {option!r}.{near} Options: {', '.join(known)}.")
