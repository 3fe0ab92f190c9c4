"""Restoration networks of other projects that spandrel knows, with the interface of ours.

Files are read by our own reader, which builds only tensors. Spandrel then recognizes the architecture by names and
shapes.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.inputs import check_batch
from passband.weights_io import CheckpointError


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
        CheckpointError: if spandrel is not installed, the network does not restore RGB images in their own size, an
            override is given, or the weights do not fit the architecture.
    """
    try:
        from spandrel import MAIN_REGISTRY, ImageModelDescriptor, UnsupportedModelError
    except ImportError as error:
        raise CheckpointError(
            f"{source}: these weights are not for an SFNet; restoration networks of other projects need spandrel: "
            "pip install 'passband[spandrel]'"
        ) from error
    try:
        descriptor = MAIN_REGISTRY.load(state)
    except UnsupportedModelError:
        return None
    except Exception as error:  # an architecture that is recognized by a few names may raise any error for the others
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{source}: spandrel knows the architecture, but not these weights: {reason}") from error
    name = descriptor.architecture.name
    if not isinstance(descriptor, ImageModelDescriptor):
        raise CheckpointError(f"a network that restores images is needed, but {source} is a {name}, which fills masks")
    if descriptor.scale != 1:
        raise CheckpointError(
            f"a network that keeps the size is needed, but {source} is a {name} that enlarges {descriptor.scale} times"
        )
    channels = descriptor.input_channels, descriptor.output_channels
    if channels != (3, 3):
        raise CheckpointError(
            f"a network for RGB images is needed, but {source} is a {name} of {channels[0]} channels in and "
            f"{channels[1]} out"
        )
    if overrides:
        raise CheckpointError(f"{source} is a {name}, which has no {', '.join(overrides)}: leave it out")
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise CheckpointError(f"{source}: {len(broken)} entries hold NaN or infinity: {', '.join(broken[:6])}")
    return Foreign(descriptor)
