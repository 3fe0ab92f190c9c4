"""Restoration networks of other projects that spandrel knows, with the interface of ours.

Files are read by our own reader, which builds only tensors. Spandrel then recognizes the architecture by names and
shapes. Architectures whose licenses forbid commercial use, such as Restormer, are in a package of their own,
spandrel_extra_arches, and are known where it is installed.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.inputs import check_batch
from passband.models.restoration.published import network_by_markers, published_network
from passband.naming import counted, with_article
from passband.state_dicts import CheckpointError

EXTRA_PACKAGE = "spandrel_extra_arches"
"""Package of the architectures whose licenses forbid commercial use, or have other conditions."""
MAIN_LICENSE = "permissive (MIT, Apache 2.0 or public domain), as spandrel states"
"""License of architectures in spandrel itself that the list of published networks does not have."""
EXTRA_LICENSE = "one that may forbid commercial use; see the page of its authors"
"""License of architectures in the further package that the list of published networks does not have."""


class Foreign(nn.Module):
    """A network of spandrel for restoring and scoring.

    Args:
        descriptor: spandrel's description of a network for RGB images that keeps their size.
    """

    def __init__(self, descriptor: Any):
        super().__init__()
        self.network = descriptor.model
        self.descriptor = descriptor
        self.name: str = descriptor.architecture.name
        """Spandrel's name of the architecture."""
        self.multiple: int = descriptor.size_requirements.multiple_of
        """Number by which sides of the input must be divisible."""
        self.minimum: int = max(1, descriptor.size_requirements.minimum)
        """Least side of the input, in pixels."""
        self.is_square: bool = bool(getattr(descriptor.size_requirements, "square", False))
        """Whether the network pads each image to a square."""
        self.license: str = _license(descriptor)
        """License of the code and of published weights in words, as their authors state it."""

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B 3 H W"]]:
        """Restore a batch image by image, because spandrel guarantees no more; no gradient flows.

        Args:
            image: degraded images in [0, 1], with sides that `multiple` and `minimum` allow.

        Returns:
            One entry: the restored images in [0, 1].

        Raises:
            TypeError, ValueError: if the input is not such a batch, see `models.inputs.check_batch`.
        """
        check_batch(image, self, self.name, 3)
        return [torch.cat([self.descriptor(picture[None]) for picture in image])]


def load_foreign(state: dict[str, Tensor], source: Any, **overrides: Any) -> Foreign | None:
    """Recognize the architecture of weights, and build their network.

    Args:
        state: tensors by name, as in the file.
        source: name of the weights for error messages.
        overrides: must be empty, because these networks have no arguments to choose.

    Returns:
        The network, or None if spandrel knows no such architecture.

    Raises:
        CheckpointError: if spandrel, or the package that holds the architecture, is not installed, the network does not
            restore RGB images in their own size, an override is given, or the weights do not fit the architecture.
    """
    _check_packages(state, source)
    from spandrel import ImageModelDescriptor, UnsupportedModelError

    descriptor = None
    for registry in _registries():
        try:
            descriptor = registry.load(state)
            break
        except UnsupportedModelError:
            continue
        except Exception as error:  # an architecture that is recognized by a few names may raise any error for others
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise CheckpointError(
                f"{source}: spandrel knows the architecture, but not these weights: {reason}"
            ) from error
    if descriptor is None:
        return None
    name = with_article(descriptor.architecture.name)
    if not isinstance(descriptor, ImageModelDescriptor):
        raise CheckpointError(f"a network that restores images is needed, but {source} is {name}, which fills masks")
    if descriptor.scale != 1:
        raise CheckpointError(
            f"a network that keeps the size is needed, but {source} is {name} that enlarges {descriptor.scale} times"
        )
    channels = descriptor.input_channels, descriptor.output_channels
    if channels != (3, 3):
        raise CheckpointError(
            f"a network for RGB images is needed, but {source} is {name} of {channels[0]} channels in and "
            f"{channels[1]} out"
        )
    if overrides:
        raise CheckpointError(f"{source} is {name}, which has no {', '.join(overrides)}: leave it out")
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"{source}: {counted(len(broken), 'entry holds', 'entries hold')} NaN or infinity: {', '.join(broken[:6])}"
        )
    return Foreign(descriptor)


def _check_packages(state: dict[str, Tensor], source: Any) -> None:
    """Raise an error that says what to install if a package that the weights need is missing."""
    known = network_by_markers(state)
    try:
        import spandrel as spandrel
    except ImportError as error:
        what = "these weights are not for an SFNet" if known is None else f"these weights are for {known.name}"
        extra = "spandrel" if known is None or known.package != EXTRA_PACKAGE else "spandrel-extra"
        license = "" if known is None or known.commercial else f" Its license: {known.license_words}."
        raise CheckpointError(
            f"{source}: {what}; restoration networks of other projects need spandrel: pip install 'passband[{extra}]'."
            f"{license}"
        ) from error
    if known is not None and known.package == EXTRA_PACKAGE and not _extra_registries():
        raise CheckpointError(
            f"{source}: these weights are for {known.name}, whose code is in a package of its own because of its "
            f"license ({known.license_words}): pip install {EXTRA_PACKAGE}"
        )


def _registries() -> Iterator[Any]:
    """Yield the registries of architectures: that of spandrel, and that of the further package if it is installed."""
    from spandrel import MAIN_REGISTRY

    yield MAIN_REGISTRY
    yield from _extra_registries()


def _extra_registries() -> list[Any]:
    """Return the registry of the further package; an empty list if it is not installed."""
    try:
        with warnings.catch_warnings():  # it imports parts of torch that newer versions discourage
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError:
        return []
    return [EXTRA_REGISTRY]


def _license(descriptor: Any) -> str:
    """Return the license of a network in words."""
    known = published_network(descriptor.architecture.name)
    if known is not None:
        return known.license_words
    is_extra = type(descriptor.architecture).__module__.split(".")[0] == EXTRA_PACKAGE
    return EXTRA_LICENSE if is_extra else MAIN_LICENSE
