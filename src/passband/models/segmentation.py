"""What the segmentation networks share: what they say of themselves, and how they are saved and come back."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin
from torch import Tensor, nn

from passband.checkpoint import CheckpointError, load_config, load_state, load_weights, save_weights
from passband.models.classifier import HUB_OPTIONS


class SegmentationNetwork(
    nn.Module,
    ModelHubMixin,
    library_name="passband",
    pipeline_tag="image-segmentation",
    license="mit",
    tags=["image-segmentation", "semantic-segmentation"],
):
    """A network that tells for every pixel of a picture what it shows.

    The constructor's keywords are the network's numbers.

    Attributes:
        name: a key of `models.MODELS`, whose builder makes this network again from `numbers`.
        numbers: keywords of that builder.
        in_channels: of the picture.
        classes: maps of logits that it gives: 1 for foreground or not, else one for each class with the background.
        multiple: sides of the input are divisible by this; see `ops.tiling.pad_to_multiple`.
    """

    task = "segmentation"

    name: str
    numbers: dict[str, Any]
    in_channels: int
    classes: int
    multiple: int

    def check_input(self, image: Tensor) -> None:
        """Raise a ValueError, which says what to do, for an input that the network cannot take."""
        channels, height, width = image.shape[1:]
        if channels != self.in_channels:
            raise ValueError(
                f"{self.name} takes {self.in_channels} channels, got {channels}; build the network with "
                f"in_channels={channels}"
            )
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"{self.name} takes sides that are multiples of {self.multiple}, got {height}x{width}; use "
                "ops.tiling.pad_to_multiple"
            )

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights for `save_pretrained`; the mixin writes the model card."""
        save_weights(self, save_directory, config={"model": self.name, **self.numbers})

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **kwargs: Any) -> "SegmentationNetwork":
        """Read the weights for `from_pretrained`: from a folder, or from the hub with the mixin's own options."""
        options = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
        from passband.models import build_from  # whose builders need this class first

        config = {**load_config(model_id, **options), **kwargs}
        try:
            model = build_from({**config, **({"encoder_weights": None} if "encoder_weights" in config else {})})
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{model_id}: {error}") from error
        if not isinstance(model, cls):
            raise CheckpointError(f"{model_id} holds no {cls.__name__} but a {config['model']}; use models.load_model")
        load_state(model, load_weights(model_id, **options), source=model_id)
        return model.eval()
