"""Restoring one picture, in memory or from file to file."""

import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from passband.drawing.before_after import PIXELS, write_comparison
from passband.inference.engines import TorchEngine, load_engine, restore_tiled
from passband.inference.guard import Change, blended
from passband.inference.memory import OVERLAP, parse_memory, plan, restore_within, room
from passband.inference.video.temporal import SmoothedStatistics, Smoother, smoothed_statistics
from passband.io.conversion import read_input
from passband.io.image import DEFAULT_MAX_PIXELS, StoredImage, open_images, write_images
from passband.io.image.size import stored_size
from passband.models import accepted_arguments, load_model
from passband.models.sfnet.bands import MapStatistics
from passband.naming import described, nearest, suggestion
from passband.ops.progress import Report, part_of
from passband.provenance import weights_checksum
from passband.tasks.restoration import check_views
from passband.weights_io import CheckpointError, load_config

TILE = 1536
"""Side in pixels above which engines other than torch get tiles: a square picture of 2.4 MP is whole."""

AUTO = "auto"
"""The weights that stand for a choice of each picture's own."""
Pictured = TypeVar("Pictured", Image.Image, np.ndarray, Tensor)


class Restorer:
    """Restores pictures with one network.

    Args:
        weights: `"auto"`, which inspects each picture and chooses a shipped network or leaves it alone, see
            `automatic.AutomaticRestorer`; a shipped name such as `"general"`, a folder, a published SFNet pickle, a hub
            id, or a file of `passband export`.
        device: see `models.pick_device`.
        memory: what the process may hold at its peak, such as `"2GB"` (on a GPU: what torch may hold on it); None for
            most of what is free. A large picture is restored band by band, which gives the same, or where that does
            not fit in tiles, which come near it. For torch; the other engines take large pictures in tiles that know
            nothing of each other.
        engine: what runs the network: `"torch"`, `"openvino"` or `"onnxruntime"`; see `engines.load_engine`.
        precision: `"auto"`, the fastest that this machine has and that agrees with float32 to 60 dB, or one by name;
            see `engines.load_engine`.
        strength: how much of the change that the network makes is kept: 0 gives the picture as it was, 1 all of it.
        overrides: keywords of the network's constructor that replace those of its config, such as
            `pool_window=210`.

    Raises:
        CheckpointError: for weights that cannot be used.
        ExportError: for an engine that is not installed or that cannot run this network.
        ValueError: for a device that is not here, a memory that is no size, a memory for an engine that has no such
            cap, an unknown engine, precision or option, or a network for several views.
    """

    def __new__(cls, weights: str | Path = "general", *_: Any, **__: Any) -> "Restorer":
        """A restorer; of `"auto"` the kind that chooses a network for each picture."""
        if cls is Restorer and weights == AUTO:
            from passband.inference.automatic import AutomaticRestorer  # which is a restorer itself

            return object.__new__(AutomaticRestorer)
        return object.__new__(cls)

    def __init__(
        self,
        weights: str | Path = "general",
        device: str = "auto",
        memory: int | str | None = None,
        *,
        engine: str = "torch",
        precision: str = "auto",
        strength: float = 1.0,
        **overrides: Any,
    ):
        _check_options(weights, overrides)
        if not 0 <= strength <= 1:
            raise ValueError(f"Restorer needs a strength between 0 (no change) and 1 (all of it), got {strength}")
        self.strength = strength
        self.memory = None if memory is None else parse_memory(memory)
        self.engine = load_engine(weights, engine, precision, device, **overrides)
        self.weights, self._overrides = str(weights), overrides
        self.precision, self.engine_name = self.engine.precision, self.engine.name
        check_views(self.engine, 1, weights)
        if self.memory is not None and not isinstance(self.engine, TorchEngine):
            raise ValueError(f"a cap on memory is for the engine torch; {self.engine.name} has none")
        self.device = self.engine.device if isinstance(self.engine, TorchEngine) else torch.device("cpu")
        self._statistics: MapStatistics | None = None

    def __repr__(self) -> str:
        facts = {"device": str(self.device), "engine": self.engine_name, "precision": self.precision}
        cap = {} if self.memory is None else {"memory": self.memory}
        part = {} if self.strength == 1 else {"strength": self.strength}
        return described(self, self.weights, {**facts, **cap, **part})

    @property
    def model(self) -> nn.Module:
        """The network, where torch runs it.

        Raises:
            ValueError: for another engine.
        """
        if not isinstance(self.engine, TorchEngine):
            raise ValueError(f"{self.engine.name} runs the network outside of torch; use the engine torch for this")
        return self.engine.model

    def checksum(self) -> str:
        """SHA-256 of what decides the restored pictures: weights and structure of the network, or an exported file."""
        if isinstance(self.engine, TorchEngine):
            return hashlib.sha256(f"{self.model!r}{weights_checksum(self.model)}".encode()).hexdigest()
        path = Path(self.weights)
        if path.is_file():
            return hashlib.sha256(path.read_bytes()).hexdigest()
        model = load_model(self.weights, **self._overrides)
        return hashlib.sha256(f"{model!r}{weights_checksum(model)}".encode()).hexdigest()

    def __call__(self, picture: Pictured | str | Path) -> Pictured | Image.Image:
        """Restore a picture and give back what was given.

        Args:
            picture: one of
                a PIL picture, whose mode comes back where it is L, LA, RGB or RGBA (others become RGB or RGBA);
                an array H W, H W 1, H W 3, or with alpha H W 2 or H W 4, uint8 or uint16 or float in [0, 1];
                a tensor 3 H W or B 3 H W, float in [0, 1] or uint8;
                a path, which gives a PIL picture (8 bits; `restore_file` keeps more and the file's metadata).

        Returns:
            The restored picture, of the same kind, shape and dtype. Alpha is passed through.

        Raises:
            ImageError: for a file that is not a picture.
            TypeError: for another kind of thing.
            ValueError: for a shape or dtype that is none of these, or floats of another range.
        """
        source = read_input(picture)
        return source.to_original_kind(self.restore(source.images))

    @contextmanager
    def smoothing(self, strength: float) -> Iterator[Smoother]:
        """Smooth the network's averages over the frames that are restored one by one within the block.

        Args:
            strength: part of an average that comes from the frames before, in [0, 1); see `temporal.STRENGTH`.

        Yields:
            The smoother, whose `begin` announces each frame.

        Raises:
            ValueError: for another strength, or for a network or an engine whose averages cannot be smoothed.
        """
        with smoothed_statistics(self.model, strength) as smoother:
            self._statistics = SmoothedStatistics(smoother, self.model)
            try:
                yield smoother
            finally:
                self._statistics = None

    @torch.inference_mode()
    def restore(self, degraded: Float[Tensor, "B 3 H W"], report: Report | None = None) -> Float[Tensor, "B 3 H W"]:
        """Restore a batch of any size from 1 x 1, in [0, 1] in and out, on the restorer's device.

        Args:
            degraded: the pictures.
            report: called after each band or tile with the share that is done; small pictures have none.

        Raises:
            MemoryError: saying what would fit, and what to do.
        """
        degraded = degraded.to(self.device, torch.float32)
        restored = self._restored(degraded, report)
        # in place, for a large picture counts; but a network may give back what it was given
        given = restored.untyped_storage().data_ptr() == degraded.untyped_storage().data_ptr()
        return restored.clamp(0, 1) if given else restored.clamp_(0, 1)

    def _restored(self, degraded: Float[Tensor, "B 3 H W"], report: Report | None) -> Float[Tensor, "B 3 H W"]:
        """Run the network on pictures on its device; what it gives, mixed by the strength, is not clamped."""
        if isinstance(self.engine, TorchEngine):
            with self.engine.autocast():
                restored, _ = restore_within(self.engine.model, degraded, self.memory, self._statistics, report)
            restored = restored.float()
        else:
            restored = restore_tiled(self.engine, degraded, TILE, OVERLAP, report)
        return blended(degraded, restored.to(degraded.device), self.strength)

    def restore_file(
        self,
        source: Path,
        target: Path,
        *,
        compare: Path | None = None,
        compare_pixels: int | None = PIXELS,
        quality: int = 95,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        report: Report | None = None,
    ) -> tuple[str, ...]:
        """Restore a file into another, keeping bit depth, alpha, metadata and color profile where its type can.

        All pages of a TIFF and all frames of an animation are restored, one by one.

        Args:
            source: the degraded picture.
            target: where the restored one goes; its suffix says the type, and without one the type stays.
            compare: where a before/after picture goes, if anywhere; it shows what was saved, of several pages or
                frames the first.
            compare_pixels: that this has at most; None keeps every pixel.
            quality: of lossy types, 1 to 100.
            max_pixels: larger pictures are refused before they are decoded.
            report: called after each band or tile with the share that is done.

        Returns:
            Sentences about what was lost, damaged or left out, and about a restoration that changed almost nothing or
            something unexpected, see `guard`; empty where there is nothing to say.

        Raises:
            ImageError: for a file that is not a picture, is damaged or too large.
            OSError: for one that cannot be read or written.
            MemoryError: for one that does not fit.
        """
        self._check_room(source, max_pixels)
        file = open_images(source, max_pixels=max_pixels)
        first: list[StoredImage] = []
        told: list[str] = []

        def restored() -> Iterator[StoredImage]:
            for index, picture in enumerate(file.pictures):
                if compare is not None and not first:
                    first.append(picture)
                progress = part_of(report, index / file.count, (index + 1) / file.count)
                with torch.inference_mode():
                    degraded = picture.image[None].to(self.device, torch.float32)
                    image = self._restored(degraded, progress)
                    told.extend(Change.between(degraded, image).notes(self.weights) if self.strength else ())
                yield replace(picture, image=image[0].clamp(0, 1).cpu())

        notes = write_images(target, replace(file, pictures=restored()), quality=quality)
        if compare is not None:
            write_comparison(first[0], target, compare, pixels=compare_pixels, max_pixels=max_pixels)
        return (*notes, *dict.fromkeys(told))

    def _check_room(self, source: Path, max_pixels: int) -> None:
        """Refuse a file that cannot be restored in the memory there is, before it is decoded.

        Raises:
            MemoryError: with the reason.
        """
        if not isinstance(self.engine, TorchEngine):
            return
        size = stored_size(source)
        if size is None or size[0] * size[1] > max_pixels:  # reading the file says so
            return
        width, height = size
        # the decoded picture in bytes and in float32, on the host and on the device
        picture = (3 + 12) * width * height
        try:
            with self.engine.autocast():
                plan(self.engine.model, (1, 3, height, width), room(self.device, self.memory) - picture)
        except MemoryError as error:
            raise MemoryError(f"{source}: {error}") from error


# what help and completion show: the options, and not those of `__new__`
Restorer.__signature__ = inspect.signature(partial(Restorer.__init__, None))  # type: ignore[attr-defined]


def _check_options(weights: str | Path, overrides: dict[str, Any]) -> None:
    """Refuse keywords that neither the restorer nor the network of the weights has.

    Raises:
        ValueError: naming the nearest.
    """
    if not overrides:
        return
    own = [name for name in inspect.signature(Restorer).parameters if name != "overrides"]
    try:
        arguments = list(accepted_arguments(load_config(weights)["model"]))
    except CheckpointError:
        arguments = []  # of another project, or an exported file: whoever loads it says what it takes
    for option in overrides:
        if option not in arguments and (arguments or nearest(option, own)):
            known = [*own, *arguments]
            near = suggestion(option, known)
            raise ValueError(f"Restorer has no option {option!r}.{near} Options: {', '.join(known)}.")
