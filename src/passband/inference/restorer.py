"""Restores images, in memory or from file to file."""

import hashlib
import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager
from copy import copy
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from passband.drawing.before_after import PIXELS
from passband.inference.engines import Engine
from passband.inference.files.image_file import ImageFile
from passband.inference.rebuilding import Rebuilt
from passband.inference.restoration.chain import NetworkChain, chained_names
from passband.inference.restoration.change_check import blended
from passband.inference.restoration.choice import Decision, FixedChoice, NetworkChoice, VideoDecision, choice_of
from passband.inference.restoration.memory import MemoryPlan, parse_memory
from passband.inference.restoration.network import RestorationNetwork
from passband.inference.video.temporal import Smoother
from passband.io.arrays import check_range
from passband.io.conversion import AnyImage, Given, ImageSource, read_input
from passband.io.image import DEFAULT_MAX_PIXELS
from passband.models import pick_device
from passband.naming import described, listed
from passband.ops.checks import check_images
from passband.ops.progress import Report
from passband.state_dicts import CheckpointError
from passband.weights_finding import JOINT, checked_name, one_network_needed


class Restorer(Rebuilt):
    """Restores images with one network, with several in turn, or with those that are chosen for each image.

    Args:
        weights: weights to load: a shipped name such as `"general"`, a folder, a published SFNet pickle, a hub id, or
            a file of `passband export`. Several joined by `+`, such as `"dehaze-small+derain-small"`, run one after
            the other. `"auto"` inspects each image, chooses shipped networks, and leaves the image alone if none would
            help, see `choice.InspectedChoice`.
        device: name of a device, see `models.pick_device`.
        memory: largest amount of memory that the process may hold, such as `"2GB"` (on a GPU: that torch may hold on
            it); None for most of the free memory. A large image is restored in bands, which give the same result, or
            if bands do not fit in tiles, whose result is close. The cap is for torch; the other engines restore large
            images in independent tiles.
        engine: engine that runs the network: `"torch"`, `"openvino"`, `"onnxruntime"` or `"ncnn"`; see
            `engines.load_engine`. `"auto"` measures once which one is fastest on this machine among those that agree
            with torch, see `engines.choice.choose_engine`.
        precision: `"auto"`, which takes the fastest precision of this machine that agrees with float32 to 60 dB, or
            the name of one; see `engines.load_engine`.
        provider: execution provider of ONNX Runtime, see `engines.load_engine`; None for the CPU.
        strength: share of the network's change that is kept: 0 gives the image as it was, 1 the whole change.
        choice: choice of the network for each image, instead of the choice that `weights` stands for.
        views: number of images of a scene that the network must take: 1, or 2 for left and right views, which
            `restore_views` takes; None accepts both.
        overrides: keywords of the network's constructor that replace those of its config, such as
            `pool_window=210`.

    Attributes:
        choice: the choice of the network.
        engine_lines: a line about the engine that was chosen for each network, by the name of its weights; empty if the
            engine was named.

    Raises:
        CheckpointError: if the weights cannot be used.
        ExportError: if the engine is not installed, or cannot run this network.
        ValueError: if this machine does not have the device, the memory is not a size, the engine takes no cap, the
            engine, precision or option is unknown, or the network takes several views. With a choice for each image,
            the first network that may be chosen is loaded to tell.
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
        strength: float = 1.0,
        choice: NetworkChoice | None = None,
        views: int | None = 1,
        **overrides: Any,
    ):
        if not isinstance(strength, Real) or not 0 <= strength <= 1:
            raise ValueError(f"Restorer needs a strength between 0 (no change) and 1 (all of it), got {strength!r}")
        self.weights, self.strength = str(checked_name(weights)), strength
        self.memory = None if memory is None else parse_memory(memory)
        self.engine_name, self.precision = engine, precision
        self._options = {"device": device, "memory": memory, "engine": engine, "precision": precision}
        self._options |= {"provider": provider, "views": views, **overrides}
        self._overrides = overrides
        self._networks: dict[str, RestorationNetwork | NetworkChain] = {}
        self.engine_lines: dict[str, str] = {}
        self._given_choice = choice
        self.choice = choice or choice_of(self.weights)
        self._scenes: VideoDecision | None = None
        if self.choice.fixed is None:
            self._refuse_options()
            self.device = pick_device(device)
        else:
            self._take_facts(self.network())

    def __repr__(self) -> str:
        facts = {"device": str(self.device), "engine": self.engine_name, "precision": self.precision}
        cap = {} if self.memory is None else {"memory": self.memory}
        part = {} if self.strength == 1 else {"strength": self.strength}
        return described(self, self.weights, {**facts, **cap, **part})

    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Engine and precision are those that this machine has chosen, unless several networks got different ones.
        """
        own = {"weights": self.weights, **self._options, "strength": self.strength, "choice": self._given_choice}
        if self.choice.fixed is None:
            return own
        chosen = {"engine": self.engine_name, "precision": self.precision}
        return {**own, **{name: value for name, value in chosen.items() if JOINT not in value}}

    def network(self, name: str | None = None) -> RestorationNetwork | NetworkChain:
        """Return a network, or several that run one after the other; they are loaded when first asked for.

        Args:
            name: name of the weights, or names joined by `+`; None for the only ones.

        Raises:
            CheckpointError, ExportError: if it cannot be loaded.
            ValueError: if no name is given, and each image has its own choice.
        """
        name = name or self.choice.fixed
        if name is None:
            raise ValueError(f"{one_network_needed(self.weights)} Name it, such as general.")
        if name not in self._networks:
            names = chained_names(name)
            self._networks[name] = self._loaded(name) if len(names) == 1 else self._chain(names)
        return self._networks[name]

    def _refuse_options(self) -> None:
        """Refuse options that the networks do not take here, and not for each image again.

        Raises:
            CheckpointError, ExportError, ValueError: as `network` raises them. For `"auto"`, an error about the user's
                own arguments does not name a network, because the user named none.
        """
        first = self.choice.names[0]
        try:
            self.network(first)
        except CheckpointError as error:
            if not self._overrides or self._given_choice is not None:  # whose networks the user may have named
                raise
            given = listed([f"{name}={value}" for name, value in self._overrides.items()])
            reason = str(error).removeprefix(f"{first}: ")
            raise CheckpointError(
                f"the networks of the weights {self.weights!r} do not take {given}: {reason}"
            ) from error

    def _chain(self, names: tuple[str, ...]) -> NetworkChain:
        """Return networks that run one after the other."""
        return NetworkChain([part for name in names for part in self.network(name).parts])

    def _loaded(self, name: str) -> RestorationNetwork:
        """Load a network."""
        network = RestorationNetwork(name, options=_OPTIONS, **self._options)
        if network.engine_choice is not None:
            self.engine_lines[name] = f"{name}, {network.engine_choice.line}"
        return network

    @property
    def engine(self) -> Engine:
        """The engine of the only network, or of the first of several.

        Raises:
            ValueError: if each image has its own choice.
        """
        return self.network().engine

    @property
    def model(self) -> nn.Module:
        """The only network, in torch.

        Raises:
            ValueError: if another engine runs it, there are several, or each image has its own choice.
        """
        return self.network().model

    def checksum(self) -> str:
        """Return the SHA-256 of all that decides the restored images: the network, or all that may be chosen."""
        if self._scenes is not None:
            return self._scenes.checksum(lambda name: self.network(name).checksum())
        chosen = self.choice.checksum()
        if chosen is None:
            return self.network().checksum()
        changes = repr(sorted(self._overrides.items())) if self._overrides else ""
        return hashlib.sha256(f"{chosen}{changes}".encode()).hexdigest()

    @overload
    def __call__(self, image: Given) -> Given: ...
    @overload
    def __call__(self, image: ImageSource) -> Image.Image: ...
    def __call__(self, image: AnyImage) -> Any:
        """Restore an image and return it in the form in which it came.

        Args:
            image: one of
                a PIL image, whose mode is kept if it is L, LA, RGB or RGBA (others become RGB or RGBA);
                an array H W, H W 1, H W 3, or with alpha H W 2 or H W 4, uint8 or uint16 or float in [0, 1];
                a tensor 3 H W or B 3 H W, float in [0, 1] or uint8;
                a path, or the content of an image file as bytes, which give a PIL image of 8 bits (`restore_file` keeps
                more bits and the file's metadata). The networks are chosen as `restore_file` chooses them, from the
                coefficients of a JPEG file.

        Returns:
            The restored image, of the same kind, shape and dtype. Alpha stays as it is.

        Raises:
            ImageError: if the file is not an image, damaged, or has more than 200 million pixels.
            TypeError: if the argument is none of these.
            ValueError: if the shape, the dtype or the range of the values is none of these.
        """
        source = read_input(image)
        if self.choice.fixed is None and isinstance(image, str | PathLike | bytes):
            decision = self.choice.of_file(image if isinstance(image, bytes) else Path(image), DEFAULT_MAX_PIXELS)
            return source.to_original_kind(self._chosen(decision, source.images.to(self.device), None))
        return source.to_original_kind(self.restore(source.images))

    def smoothing(self, strength: float) -> AbstractContextManager[Smoother]:
        """Smooth the network's averages over the frames that are restored one by one within the block.

        Args:
            strength: weight of the frames before in an average, in [0, 1); see `temporal.STRENGTH`.

        Returns:
            The context, which gives the smoother; see `RestorationNetwork.smoothing`.

        Raises:
            ValueError: if the weights are several networks, or choose a network for each image.
        """
        return self.network().smoothing(strength)

    @torch.no_grad()
    def restore(self, degraded: Float[Tensor, "B 3 H W"], report: Report | None = None) -> Float[Tensor, "B 3 H W"]:
        """Restore a batch of any size from 1 x 1, on the restorer's device.

        Args:
            degraded: images in [0, 1].
            report: function that is called after each band or tile with the share that is done; it is not called for
                small images.

        Returns:
            The restored images in [0, 1].

        Raises:
            MemoryError: if the images do not fit; the message says what would fit and what to do.
            TypeError: if the images are not a tensor of floating-point values.
            ValueError: if the shape or the range of the values is another.
        """
        if self.choice.fixed is not None:
            return self.restore_views(degraded, report)[0]
        _check_batch(degraded)
        degraded = degraded.to(self.device, torch.float32)
        restored = []
        for image in degraded:
            restored.append(self._chosen(self.choice.of_image(image), image[None], report))
        return torch.cat(restored)

    @torch.no_grad()
    def _chosen(self, decision: Decision, degraded: Tensor, report: Report | None) -> Tensor:
        """Restore images as a decision says."""
        return degraded if decision.weights is None else self._restored(decision.weights, degraded, report)[0]

    @torch.no_grad()
    def restore_views(
        self, degraded: Float[Tensor, "B C H W"], report: Report | None = None
    ) -> tuple[Float[Tensor, "B 3 H W"], MemoryPlan]:
        """Restore a batch with the only network, and return also how it was computed.

        Args:
            degraded: images in [0, 1], or left and right views of each scene in 6 channels.
            report: function that is called after each band or tile with the share that is done.

        Returns:
            The restored images in [0, 1], on the restorer's device, and the plan by which they were computed.

        Raises:
            MemoryError: if the images do not fit; the message says what would fit and what to do.
            TypeError: if the images are not a tensor of floating-point values.
            ValueError: if each image has its own choice, or the shape or the range of the values is another.
        """
        _check_batch(degraded)
        return self._restored(self.network().weights, degraded.to(self.device, torch.float32), report)

    def _restored(self, name: str, degraded: Tensor, report: Report | None) -> tuple[Tensor, MemoryPlan]:
        """Restore images with a network."""
        restored, plan = self.network(name).predict(degraded, report)
        restored = blended(degraded, restored, self.strength)
        # in place to save the memory of a large image, but not if the network returned its own input
        is_input = restored.untyped_storage().data_ptr() == degraded.untyped_storage().data_ptr()
        return restored.clamp(0, 1) if is_input else restored.clamp_(0, 1), plan

    def restore_file(
        self,
        source: Path,
        target: Path,
        *,
        compare: Path | None = None,
        compare_pixels: int | None = PIXELS,
        quality: int = 95,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        name_weights: bool = False,
        report: Report | None = None,
    ) -> tuple[str, ...]:
        """Restore a file into another, and keep bit depth, alpha, metadata and color profile if the target can.

        All pages of a TIFF and all frames of an animation are restored, one by one. A file that is left alone is copied
        if the target has its type; otherwise its pixels are written into the other type.

        Args:
            source: path of the degraded image.
            target: path of the restored image; its suffix decides the type, and without a suffix the type stays.
            compare: path of an image that shows both, or None; it shows the first page or frame, as it was saved.
            compare_pixels: largest number of pixels of that image; None keeps every pixel.
            quality: quality of lossy types, 1 to 100.
            max_pixels: number of pixels above which an image is refused before it is decoded.
            name_weights: whether the metadata name passband and the weights as the program that made the image: EXIF
                Software, the text Software of PNG, and an existing CreatorTool of XMP. An image that is left alone
                names none.
            report: function that is called after each band or tile with the share that is done.

        Returns:
            Sentences about the choice of the network, about losses and damage, and about a restoration that changed
            almost nothing or something unexpected, see `restoration.change_check.Change`; empty if nothing has to be
            said.

        Raises:
            ImageError: if the file is not an image, damaged or too large.
            OSError: if a file cannot be read or written.
            MemoryError: if the image does not fit.
        """
        file = ImageFile(Path(source), target, compare, compare_pixels, quality, max_pixels)
        decision = self.choice.of_file(file.source, max_pixels)
        lines = (decision.line,) if decision.line else ()
        if decision.weights is None:
            return (*lines, *file.leave_alone())
        network = self.network(decision.weights)
        return (*lines, *file.restore(network, self.strength, name_weights=name_weights, report=report))

    @torch.no_grad()
    def restore_frames(self, frames: Float[Tensor, "B 3 H W"], first: int) -> Float[Tensor, "B 3 H W"]:
        """Restore consecutive frames of a video, each with the network of its scene.

        Args:
            frames: frames in [0, 1].
            first: number of the first of these frames in the video, from 0.

        Returns:
            The restored frames in [0, 1], on the restorer's device.

        Raises:
            MemoryError: if the frames do not fit.
            ValueError: if each image has its own choice.
        """
        if self._scenes is None:
            return self.restore(frames)
        frames = frames.to(self.device, torch.float32)
        parts = [
            frames[part] if name is None else self._restored(name, frames[part], None)[0]
            for name, part in self._scenes.spans(first, len(frames))
        ]
        return torch.cat(parts)

    def for_video(
        self, source: Path | str, target: Path | str | None = None, *, as_one: bool = False
    ) -> tuple["Restorer | None", str]:
        """Choose the network for each scene of a video.

        Args:
            source: path of the video.
            target: path of the restored video. If a video is left alone but goes into another container, it must be
                encoded again; it then gets a restorer that changes nothing. None for a target in the container of the
                source.
            as_one: whether all scenes get the same network, which smoothing over frames needs.

        Returns:
            The restorer for all frames, whose `restore_frames` takes the network of the scene, or None if the video is
            better left alone; and a sentence about the choice, which is empty if nothing had to be chosen.

        Raises:
            VideoError: if the file is not a video.
            OSError: if the file cannot be read.
        """
        if self.choice.fixed is not None:
            return self, ""
        source, target = Path(source), None if target is None else Path(target)
        decision = self.choice.of_video(source, as_one=as_one)
        names = [name for name in decision.weights if name is not None]
        if not names:
            is_same_type = target is None or target.suffix.lower() == source.suffix.lower()
            return None if is_same_type else self._only(self.choice.names[0], strength=0.0), decision.line
        restorer = self._only(names[0])
        restorer._scenes = decision if len(decision.weights) > 1 else None
        return restorer, decision.line

    def _only(self, name: str, strength: float | None = None) -> "Restorer":
        """Return a restorer of one of the networks, which shares them with this restorer."""
        one = copy(self)
        one.weights, one.choice, one._given_choice = name, FixedChoice(name), None
        one.strength = self.strength if strength is None else strength
        one._take_facts(one.network())
        return one

    def _take_facts(self, network: RestorationNetwork | NetworkChain) -> None:
        """Take over the device, the engine and the precision; those of several networks are joined if they differ."""
        self.device = network.device
        engines = [part.engine for part in network.parts]
        self.precision = _joined([engine.precision for engine in engines])
        self.engine_name = _joined([engine.name for engine in engines])


def _check_batch(images: Any) -> None:
    """Refuse images that a network would not restore as the user expects."""
    check_images(images, "Restorer.restore")
    check_range(images)


def _joined(names: Sequence[str]) -> str:
    """Return the name that all networks share, or the name of each, joined by `+`."""
    return names[0] if len(set(names)) == 1 else JOINT.join(names)


_OPTIONS = tuple(name for name in inspect.signature(Restorer).parameters if name != "overrides")
"""Names of the options of a restorer."""
