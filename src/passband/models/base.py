"""The base classes of networks: saving, loading and checking the input."""

from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import ModelHubMixin
from jaxtyping import Float
from torch import Tensor, nn

from passband.io.files import results_folder
from passband.models.inputs import check_batch
from passband.naming import with_article
from passband.state_dicts import CheckpointError
from passband.weights_io import save_weights

HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token")
"""Keywords of `from_pretrained` that go to the Hugging Face hub rather than to the network."""
INITIAL_WEIGHTS = ("encoder_weights", "backbone_weights")
"""Arguments of networks that name the weights to start from. Saved weights replace those."""

Network = TypeVar("Network", bound="HubNetwork")


class HubNetwork(nn.Module, ModelHubMixin):
    """A network whose `from_pretrained` also takes shipped names, and asks the hub only for hub ids."""

    @classmethod
    def from_pretrained(cls: type[Network], pretrained_model_name_or_path: str | Path, **options: Any) -> Network:
        """Load a network of this class, ready for evaluation.

        Args:
            pretrained_model_name_or_path: weights as `models.load_model` takes them.
            options: options of `huggingface_hub.hf_hub_download` (`HUB_OPTIONS`), and arguments of the network that
                replace those of its config.

        Returns:
            The network in evaluation mode.

        Raises:
            CheckpointError: if the weights are missing, damaged, or of another network.
            ValueError: if an argument of the network is unknown.
        """
        from passband.models import load_with_config  # the builders need this class, so they are imported later

        source, hub = pretrained_model_name_or_path, {key: options.pop(key) for key in HUB_OPTIONS if key in options}
        model, config = load_with_config(source, hub_options=hub, **options)
        if not isinstance(model, cls):
            raise CheckpointError(
                f"{with_article(cls.__name__)} is needed, but {source} holds "
                f"{with_article(config.get('model', type(model).__name__))}; load it with models.load_model"
            )
        return model

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Save the network in a folder, with its config and a model card.

        Args:
            save_directory: folder to write to, which is created if it does not exist.
            options: options of `huggingface_hub.ModelHubMixin`, such as `push_to_hub`.

        Returns:
            The address of the commit on the hub, or None if nothing is pushed.

        Raises:
            TypeError, ValueError: if the folder is neither a text nor a path, or an empty text.
            OSError: if the folder cannot be written.
        """
        return super().save_pretrained(results_folder(save_directory), **options)


class SavedNetwork(HubNetwork):
    """A network whose weights are saved beside a config that builds it again.

    Attributes:
        name: key of `models.MODELS`; its builder makes this network again from `arguments`.
        arguments: keywords of that builder.
    """

    name: str
    arguments: dict[str, Any]

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights for `save_pretrained`; the mixin writes the model card."""
        save_weights(self, save_directory, config={"model": self.name, **self.arguments})


class ClassifierNetwork(
    SavedNetwork,
    library_name="passband",
    pipeline_tag="image-classification",
    license="mit",
    paper_url="https://arxiv.org/abs/2002.12416",
    tags=["image-classification", "dct", "frequency-domain"],
):
    """A network that classifies images, given as cubes of frequency channels or, for comparison, as pixels.

    The constructor's keywords are the network's arguments. A class that is composed of several networks has a class
    method `from_arguments` whose keywords are the arguments.

    Attributes:
        channels: number of input channels.
        classes: number of classes.
        input_shape: channels, height and width of the input that the published figures are measured on. The network
            also takes other heights and widths, because it averages the last map.
    """

    task = "classification"

    channels: int
    classes: int
    input_shape: tuple[int, int, int]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Any:
        """Compute the logits of every class.

        Args:
            x: normalized cubes, or images if the network has its own first layers (`stem`).

        Returns:
            A logit per class, shape B K; with a gate a `models.classification.gated.Gated`.

        Raises:
            TypeError: if the input is not a tensor, or its type is not that of the weights.
            ValueError: if the number of channels differs.
        """
        self.check_input(x)
        return self.compute(x)

    def compute(self, x: Float[Tensor, "B C H W"]) -> Any:
        """Compute the output for an input that was checked; each network defines it.

        Args:
            x: batch of the network's `input_shape`.

        Returns:
            Logits B x K, or an output that holds them, such as `Gated`.
        """
        raise NotImplementedError

    def check_input(self, x: Tensor) -> None:
        """Raise an error that says what to do if the network cannot take this input.

        Args:
            x: input of `forward`.

        Raises:
            TypeError: if the input is not a tensor, or its type is not that of the weights.
            ValueError: if the shape or the number of channels does not fit.
        """
        check_batch(x, self, self.name)
        if x.shape[1] != self.channels:
            raise ValueError(
                f"{self.name} takes {self.channels} channels, got {x.shape[1]}; select {self.channels} of them, or "
                f"build the network with channels={x.shape[1]}"
            )


class SegmentationNetwork(
    SavedNetwork,
    library_name="passband",
    pipeline_tag="image-segmentation",
    license="mit",
    tags=["image-segmentation", "semantic-segmentation"],
):
    """A network that classifies every pixel of an image.

    The constructor's keywords are the network's arguments.

    Attributes:
        in_channels: number of input channels.
        classes: number of output maps of logits: 1 for foreground and background, otherwise one for each class,
            including the background.
        multiple: number by which the height and the width of the input must be divisible; see
            `ops.tiling.pad_to_multiple`.
    """

    task = "segmentation"

    in_channels: int
    classes: int
    multiple: int

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        """Compute the logits of every class at every pixel.

        Args:
            image: images in [0, 1], with sides that are multiples of `multiple`.

        Returns:
            A logit per class and pixel.

        Raises:
            TypeError: if the input is not a tensor, or its type is not that of the weights.
            ValueError: if the number of channels or the sides do not fit.
        """
        self.check_input(image)
        return self.compute(image)

    def compute(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        """Compute the logits of images that were checked; each network defines it.

        Args:
            image: images of 3 channels, of a size that the network takes.

        Returns:
            Logits of each class at each pixel.
        """
        raise NotImplementedError

    def check_input(self, image: Tensor) -> None:
        """Raise an error that says what to do if the network cannot take this input.

        Args:
            image: input of `forward`.

        Raises:
            TypeError: if the input is not a tensor, or its type is not that of the weights.
            ValueError: if the shape, the number of channels, the height or the width does not fit.
        """
        check_batch(image, self, self.name)
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


def without_initial_weights(config: dict[str, Any]) -> dict[str, Any]:
    """Remove the weights to start from in a network's config, so that building the network downloads nothing.

    Args:
        config: config of a network; it is not changed.

    Returns:
        A copy with None for each of `INITIAL_WEIGHTS`.
    """
    return {name: None if name in INITIAL_WEIGHTS else value for name, value in config.items()}
