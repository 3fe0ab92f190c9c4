"""The contestants of a comparison: weights of restoration networks, and folders of finished images."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.analysis.cost import macs
from passband.comparison.labels import ContestantError, named_sources
from passband.data.images import find_images
from passband.data.pairs import Pair
from passband.inference.restorer import Restorer
from passband.io.image import read_image
from passband.naming import counted, listed
from passband.state_dicts import CheckpointError
from passband.weights_finding import RUN_FILE, WEIGHTS_FILE, run_weights, shipped_weights

SIDE = 1024
"""Side in pixels of the image for which multiply-accumulates are counted. They are scaled to a megapixel."""
WARM_UP = 64
"""Side in pixels of the image that a network restores before it is timed."""
RESTORED_SUFFIX = "_restored"
"""Ending that `passband restore` gives to the name of a single image."""
NAMED = 5
"""Largest number of files that an error names."""


@dataclass(frozen=True)
class Contestant:
    """A contestant as the user named it.

    Attributes:
        label: name in tables and charts.
        source: weights or folder.
        is_folder: whether the source is a folder of finished images.
    """

    label: str
    source: str
    is_folder: bool


class NetworkContestant:
    """A network that restores the degraded images.

    Args:
        contestant: name and weights.
        options: options of `inference.Restorer`, such as the device and the precision.

    Attributes:
        device: device that the network runs on.
        views: number of images of a scene that the network takes: 1, or 2 for left and right views.

    Raises:
        CheckpointError, ExportError, ValueError: if the weights cannot be used, see `inference.Restorer`.
    """

    def __init__(self, contestant: Contestant, options: Mapping[str, Any]):
        self.contestant = contestant
        self._restorer = Restorer(contestant.source, views=None, **options)
        self._is_chosen = self._restorer.choice.fixed is None
        self.device = self._restorer.device
        self.views = 1 if self._is_chosen else min(2, self._restorer.network().views)

    def facts(self) -> dict[str, Any]:
        """Return the size and the cost of the network, and everything else that decides its images."""
        facts = {
            "kind": "weights",
            "sha256": self._restorer.checksum(),
            "network": None,
            "parameters": None,
            "macs_per_megapixel": None,
            "device": str(self.device),
            "engine": self._restorer.engine_name,
            "precision": self._restorer.precision,
        }
        if self._is_chosen:
            return facts
        network = self._restorer.network()
        facts |= {"network": network.description, "sha256": network.weights_checksum()}
        if self._restorer.engine_name == "torch":
            models = [part.model for part in network.parts]
            facts["parameters"] = sum(parameter.numel() for model in models for parameter in model.parameters())
            facts["macs_per_megapixel"] = _macs_per_megapixel(models, 3 * network.views)
        return facts

    def prepare(self, degraded: Float[Tensor, "1 C H W"]) -> None:
        """Restore a small part of an image, so that the time of the first image contains no preparations.

        Args:
            degraded: degraded image in [0, 1].
        """
        if not self._is_chosen:
            self._restorer.network().measure_memory()
        self.restore(0, degraded[..., :WARM_UP, :WARM_UP])

    def restore(self, number: int, degraded: Float[Tensor, "1 C H W"]) -> tuple[Float[Tensor, "1 3 H W"], str]:
        """Restore an image.

        Args:
            number: number of the pair, which is not needed.
            degraded: degraded image in [0, 1].

        Returns:
            The restored image on the CPU, and a text about the way of computing it, such as `whole`.

        Raises:
            MemoryError: if the image does not fit into the memory.
        """
        if self._is_chosen:
            return self._restorer.restore(degraded).cpu(), "by inspection"
        restored, plan = self._restorer.restore_views(degraded)
        return restored.cpu(), plan.how


class FinishedImages:
    """A folder of images that were restored before, with one image for each pair.

    Args:
        contestant: name and folder.
        pairs: all pairs. Images are found by the name of the degraded or of the clean image.

    Attributes:
        device: device of the tensors, which is the CPU.
        views: number of views of a scene; None, because the images are finished.
        unused: images of the folder that belong to no pair.

    Raises:
        ContestantError: if a pair has no image. The message names the pairs and the images that are left over.
    """

    views = None

    def __init__(self, contestant: Contestant, pairs: Sequence[Pair]):
        self.contestant, self.device = contestant, torch.device("cpu")
        self.paths, self.unused = _matched(contestant, pairs)

    @staticmethod
    def unknown_facts() -> dict[str, Any]:
        """Return facts in the form of `NetworkContestant.facts`; those of the network are unknown."""
        unknown = ("sha256", "network", "parameters", "macs_per_megapixel", "device", "engine", "precision")
        return {"kind": "images", **dict.fromkeys(unknown)}

    def prepare(self, degraded: Float[Tensor, "1 C H W"]) -> None:
        """Do nothing: finished images need no preparation.

        Args:
            degraded: degraded image, which is not used.
        """

    def restore(self, number: int, degraded: Float[Tensor, "1 C H W"]) -> tuple[Float[Tensor, "1 3 H W"], str]:
        """Read the finished image of a pair.

        Args:
            number: number of the pair.
            degraded: degraded image, whose size the finished image must have.

        Returns:
            The finished image, and the text `file`.

        Raises:
            ImageError: if the file cannot be read.
            ValueError: if the finished image has another size.
            OSError: if the file cannot be opened.
        """
        path = self.paths[number]
        image = read_image(path)[None]
        if image.shape[-2:] != degraded.shape[-2:]:
            sizes = [f"{one.shape[-1]}x{one.shape[-2]}" for one in (degraded, image)]
            raise ValueError(f"a finished image must have the size of its pair, {sizes[0]}, but {path} is {sizes[1]}")
        return image, "file"


def named_contestants(sources: Sequence[str | Path] | Mapping[str, str | Path]) -> list[Contestant]:
    """Give each contestant a label of its own, and tell weights from folders of finished images.

    Args:
        sources: weights or folders; each may be written as LABEL=SOURCE. A mapping gives sources by label.

    Returns:
        The contestants in their order. Without a label, a contestant is called by the last part of its path, or by
        more parts if others have the same name.

    Raises:
        ContestantError: if there are fewer than two contestants, one is given twice, labels are equal or reserved, or
            a folder holds neither weights nor images.
        CheckpointError: if a folder is a run without weights.
    """
    return [Contestant(label, source, is_folder_of_images(source)) for label, source in named_sources(sources)]


def release() -> None:
    """Free the memory of a network that is not used any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_folder_of_images(source: str | Path) -> bool:
    """Tell whether a source is a folder of finished images.

    Args:
        source: source of a contestant. The name of shipped weights is never a folder.

    Raises:
        ContestantError: if it is a folder that holds neither weights nor images.
        CheckpointError: if it is a run without weights.
    """
    folder = Path(source)
    if str(source) in shipped_weights() or not folder.is_dir():
        return False
    try:
        run_weights(folder)
    except CheckpointError:
        if (folder / RUN_FILE).exists() or any(folder.glob(f"*/{RUN_FILE}")) or any(folder.glob(f"*/{WEIGHTS_FILE}")):
            raise
        if find_images(folder):
            return True
        raise ContestantError(
            f"{folder} holds neither weights nor images: a contestant is a shipped name, a file or folder of weights, "
            "a run, an exported file, or a folder of finished images"
        ) from None
    return False


def _matched(contestant: Contestant, pairs: Sequence[Pair]) -> tuple[list[Path], list[Path]]:
    """Return the finished image of each pair, and the images that belong to no pair."""
    folder = Path(contestant.source)
    by_name: dict[str, Path] = {}
    for path in find_images(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        for name in (stem, stem.removesuffix(RESTORED_SUFFIX)):
            by_name.setdefault(name, path)
    paths = [next((by_name[name] for name in _names(pair) if name in by_name), None) for pair in pairs]
    used = {path for path in paths if path is not None}
    unused = sorted(set(by_name.values()) - used)
    if missing := [pair.name for pair, path in zip(pairs, paths, strict=True) if path is None]:
        left = f" It holds {counted(len(unused), 'image')} without a pair: {_file_names(unused)}." if unused else ""
        raise ContestantError(
            f"{folder} needs an image for each pair, named as the degraded image, and {len(missing)} of {len(pairs)} "
            f"pairs have none: {listed(missing, NAMED)}.{left}"
        )
    return [path for path in paths if path is not None], unused


def _names(pair: Pair) -> tuple[str, ...]:
    """Return the names that the finished image of a pair may have, without suffix."""
    return pair.name, Path(pair.name).name, pair.degraded.stem, pair.clean.stem


def _file_names(paths: Sequence[Path]) -> str:
    """Return the names of files for a message."""
    return listed([path.name for path in paths], NAMED)


def _macs_per_megapixel(models: Sequence[torch.nn.Module], channels: int) -> int | None:
    """Return the multiply-accumulates of networks that run one after the other, for 10^6 pixels.

    None stands for a number that cannot be counted, as for some foreign networks.
    """
    try:
        return round(sum(macs(model, (channels, SIDE, SIDE)) for model in models) * 1e6 / SIDE**2)
    except Exception:  # foreign networks may refuse tensors without values in any way
        return None
