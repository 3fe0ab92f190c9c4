"""What the classifiers share: what they say of themselves, and how they are saved and come back."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin
from torch import Tensor, nn

from passband.checkpoint import CheckpointError, load_config, load_state, load_weights, save_weights

HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token")


class ClassifierNetwork(
    nn.Module,
    ModelHubMixin,
    library_name="passband",
    pipeline_tag="image-classification",
    license="mit",
    paper_url="https://arxiv.org/abs/2002.12416",
    tags=["image-classification", "dct", "frequency-domain"],
):
    """A network that tells classes apart: of a cube of frequency channels or, for comparison, of a picture.

    The constructor's keywords are the network's numbers; those of a class that is put together from parts are its class
    method `from_numbers`'.

    Attributes:
        name: a key of `models.MODELS`, whose builder makes this network again from `numbers`.
        numbers: keywords of that builder.
        channels: of the input.
        classes: how many it tells apart.
        input_shape: channels, height and width of the input that the published figures are of. Other heights and
            widths are taken, too, because the last map is averaged.
    """

    task = "classification"

    name: str
    numbers: dict[str, Any]
    channels: int
    classes: int
    input_shape: tuple[int, int, int]

    def check_input(self, x: Tensor) -> None:
        """Raise a ValueError, which says what to do, for an input of other channels than the network takes."""
        if x.shape[1] != self.channels:
            raise ValueError(
                f"{self.name} takes {self.channels} channels, got {x.shape[1]}; select {self.channels} of them, or "
                f"build the network with channels={x.shape[1]}"
            )

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights for `save_pretrained`; the mixin writes the model card."""
        save_weights(self, save_directory, config={"model": self.name, **self.numbers})

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **kwargs: Any) -> "ClassifierNetwork":
        """Read the weights for `from_pretrained`: from a folder, or from the hub with the mixin's own options."""
        options = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
        from passband.models import build_from  # whose builders need this class first

        config = {**load_config(model_id, **options), **kwargs}
        try:
            model = build_from(config)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{model_id}: {error}") from error
        if not isinstance(model, cls):
            raise CheckpointError(f"{model_id} holds no {cls.__name__} but a {config['model']}; use models.load_model")
        load_state(model, load_weights(model_id, **options), source=model_id)
        return model.eval()
