"""How networks are saved and come back: `save_pretrained`, `from_pretrained`, `push_to_hub`."""

from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import ModelHubMixin
from torch import nn

from passband.weights_io import CheckpointError, here_or_hub, load_config, load_state, load_weights, save_weights

HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token")
"""Keywords of `from_pretrained` that are the hub's, and not the network's."""
STARTS = ("encoder_weights", "backbone_weights")
"""Numbers of networks that say what they start from, which saved weights replace."""


Network = TypeVar("Network", bound="HubNetwork")


class HubNetwork(nn.Module, ModelHubMixin):
    """A network that `from_pretrained` finds by a shipped name, too, and asks the hub for ids alone."""

    @classmethod
    def from_pretrained(cls: type[Network], pretrained_model_name_or_path: str | Path, **options: Any) -> Network:
        """Load a network from a folder, a shipped name or the hub, ready for evaluation.

        Args:
            pretrained_model_name_or_path: which.
            options: those of `huggingface_hub.ModelHubMixin`, and keywords of the network that replace its config's.

        Raises:
            CheckpointError: for weights that cannot be used.
        """
        return super().from_pretrained(here_or_hub(pretrained_model_name_or_path), **options)


class SavedNetwork(HubNetwork):
    """A network whose weights lie beside a config that builds it again.

    Attributes:
        name: a key of `models.MODELS`, whose builder makes this network again from `arguments`.
        arguments: keywords of that builder.
    """

    name: str
    arguments: dict[str, Any]

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights for `save_pretrained`; the mixin writes the model card."""
        save_weights(self, save_directory, config={"model": self.name, **self.arguments})

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **kwargs: Any) -> "SavedNetwork":
        """Read the weights for `from_pretrained`: from a folder, or from the hub with the mixin's own options."""
        options = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
        from passband.models import build_from  # whose builders need this class first

        config = without_starts({**load_config(model_id, **options), **kwargs})
        try:
            model = build_from(config)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{model_id}: {error}") from error
        if not isinstance(model, cls):
            raise CheckpointError(f"{model_id} holds no {cls.__name__} but a {config['model']}; use models.load_model")
        load_state(model, load_weights(model_id, **options), source=model_id)
        return model.eval()


def without_starts(config: dict[str, Any]) -> dict[str, Any]:
    """A network's config for weights that are there: it starts from nothing else, and downloads nothing."""
    return {name: None if name in STARTS else value for name, value in config.items()}
