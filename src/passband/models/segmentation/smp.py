"""Networks of segmentation-models-pytorch by name: any of its architectures on any of its encoders."""

import inspect
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.base import SegmentationNetwork
from passband.models.encoder_weights import ENCODER_WEIGHTS, EncoderWeights
from passband.naming import entry
from passband.state_dicts import CheckpointError


class SMPNetwork(SegmentationNetwork):
    """A network of segmentation-models-pytorch that takes images in [0, 1].

    The mean and std with which an encoder's weights were trained are applied inside and saved with the weights. Without
    `encoder_weights`, images are not normalized.

    Args:
        architecture: name in segmentation-models-pytorch, such as "Unet", "FPN" or "DeepLabV3Plus".
        encoder: name in segmentation-models-pytorch, such as "resnet34", or "tu-" and a name in timm.
        encoder_weights: name of the encoder's weights to start from: a package of `encoder_weights.ENCODER_WEIGHTS`,
            which holds them, or a name such as "imagenet", by which they are downloaded. None starts from random
            weights. Weights that are loaded afterwards replace them.
        in_channels: number of input channels.
        classes: 1 for foreground and background, otherwise the number of classes including the background.
        multiple: number by which sides of the input must be divisible; encoders with five halvings need 32.
        options: other keywords of the architecture, such as {"decoder_channels": [64, 32, 16, 8, 4]}.

    Raises:
        ImportError: if a package is not installed; the message says how to install it.
        CheckpointError: if the encoder's weights do not fit the encoder.
        ValueError: if an architecture, encoder or option is unknown, or the weights are of another encoder.
    """

    def __init__(
        self,
        architecture: str = "Unet",
        encoder: str = "resnet34",
        encoder_weights: str | None = None,
        in_channels: int = 3,
        classes: int = 1,
        multiple: int = 32,
        options: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.name = "smp"
        self.arguments = {
            "architecture": architecture,
            "encoder": encoder,
            "encoder_weights": None,  # the weights that are saved hold the encoder's
            "in_channels": in_channels,
            "classes": classes,
            "multiple": multiple,
            "options": options or {},
        }
        if min(in_channels, classes, multiple) < 1:
            raise ValueError(
                f"in_channels, classes and multiple are at least 1; got {in_channels}, {classes} and {multiple}"
            )
        self.in_channels, self.classes, self.multiple = in_channels, classes, multiple
        packaged = _packaged(encoder, encoder_weights, in_channels)
        self.network = _build(
            architecture, encoder, None if packaged else encoder_weights, in_channels, classes, options or {}
        )
        if packaged:
            load_encoder(self.network.encoder, packaged)  # type: ignore[arg-type]
        mean, std = _statistics(encoder, encoder_weights, in_channels)
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))

    def compute(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        """Compute the logits at every pixel."""
        return self.network((image - self.mean) / self.std)  # type: ignore[operator]


def smp(**overrides: Any) -> SMPNetwork:
    """Build the U-Net on a ResNet-34 of segmentation-models-pytorch, or what the arguments name: 24.4 M parameters.

    Args:
        overrides: arguments of `SMPNetwork` that differ from this network's.
    """
    return SMPNetwork(**overrides)


def load_encoder(encoder: nn.Module, weights: EncoderWeights) -> None:
    """Load the weights of a package into an encoder.

    Args:
        encoder: encoder of segmentation-models-pytorch, changed in place.
        weights: weights of this encoder. Stages that the encoder leaves out are not needed.

    Raises:
        ImportError: if the package of the weights is not installed.
        CheckpointError: if the package lacks an entry of the encoder, or an entry has another shape.
    """
    state = {f"model.{name}": tensor for name, tensor in weights.read().items()}
    for name, own in encoder.state_dict().items():
        given = state.get(name)
        if given is None or given.shape != own.shape:
            shape = "is missing" if given is None else f"has the shape {tuple(given.shape)}"
            raise CheckpointError(
                f"the encoder needs the entry {name} of the shape {tuple(own.shape)}; in {weights.package} it {shape}: "
                f"set encoder to {weights.encoder!r}, or install {weights.package} again"
            )
    encoder.load_state_dict({name: state[name] for name in encoder.state_dict()})


def _packaged(encoder: str, encoder_weights: str | None, in_channels: int) -> EncoderWeights | None:
    """Return the weights of a package if they are named, after checking that they are of the encoder."""
    weights = ENCODER_WEIGHTS.get(encoder_weights or "")
    if weights is None:
        return None
    if encoder != weights.encoder:
        raise ValueError(
            f"the weights {weights.package} are of the encoder {weights.encoder!r}, got {encoder!r}: set encoder to "
            f"{weights.encoder!r}, or encoder_weights to None"
        )
    if in_channels != 3:
        raise ValueError(
            f"the weights {weights.package} are for RGB images, got in_channels={in_channels}: set in_channels to 3, "
            "or encoder_weights to None"
        )
    return weights


def _build(
    architecture: str,
    encoder: str,
    encoder_weights: str | None,
    in_channels: int,
    classes: int,
    options: dict[str, Any],
) -> nn.Module:
    """Build the package's network, with errors that list the known names."""
    try:
        import segmentation_models_pytorch as package
    except ImportError as error:
        raise ImportError(
            "networks called smp need segmentation-models-pytorch: pip install 'passband[segmentation]', or train the "
            "network called unet"
        ) from error
    architectures = {one.__name__: one for one in package.MODEL_ARCHITECTURES_MAPPING.values()}
    accepted = inspect.signature(entry(architecture, architectures, "architecture")).parameters
    for option in options:  # the package itself ignores unknown options
        entry(option, accepted, f"option of {architecture}")
    if not encoder.startswith("tu-"):  # timm has about a thousand encoders
        entry(encoder, dict.fromkeys(package.encoders.get_encoder_names()), "encoder")
    try:
        return package.create_model(
            architecture, encoder, encoder_weights, in_channels=in_channels, classes=classes, **options
        )
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).strip(chr(34))
        raise ValueError(f"segmentation-models-pytorch cannot build {architecture} on {encoder}: {reason}") from error


def _statistics(
    encoder: str, encoder_weights: str | None, in_channels: int
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Return the mean and the std with which an encoder's weights were trained."""
    if encoder_weights is None or in_channels != 3:
        return torch.zeros(in_channels), torch.ones(in_channels)
    if packaged := ENCODER_WEIGHTS.get(encoder_weights):
        return torch.full((3,), packaged.mean), torch.full((3,), packaged.std)
    from segmentation_models_pytorch.encoders import get_preprocessing_params

    found = get_preprocessing_params(encoder, encoder_weights)
    return torch.tensor(found["mean"] or [0.0] * 3), torch.tensor(found["std"] or [1.0] * 3)
