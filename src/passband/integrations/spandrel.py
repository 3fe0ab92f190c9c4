"""Adds SFNet to spandrel, and through it to chaiNNer and ComfyUI.

    from passband.integrations.spandrel import install

    install()
    spandrel.ModelLoader().load_from_file("model.safetensors")

Spandrel passes on only the weights in a file. The local pooling of some published weights (`pool_window` in their
config) is therefore not known here. Networks pool globally, as in their training, unless `install` is given a window.
That window then applies to every SFNet that is loaded.
"""

from typing import Any

from torch import Tensor

from passband.layers.pooling import LocalAvgPool2d, PoolMode
from passband.models import SFNet
from passband.state_dicts import published_config, rename_published

try:
    from spandrel import (
        MAIN_REGISTRY,
        Architecture,
        ArchSupport,
        ImageModelDescriptor,
        ModelTiling,
        SizeRequirements,
    )
except ImportError as missing:
    raise ImportError("passband.integrations.spandrel needs spandrel: pip install 'passband[spandrel]'") from missing


class SFNetArch(Architecture[SFNet]):
    """Recognizes and loads SFNets, from files of passband and from published files.

    Args:
        pool_window: pooling window in pixels of all SFNets at test time, see `layers.LocalAvgPool2d`. None pools
            globally.
        pool_mode: interpretation of the window, see `layers.LocalAvgPool2d`.

    Raises:
        ValueError: if the window or the mode is not valid.
    """

    def __init__(self, pool_window: int | None = None, pool_mode: PoolMode = "fraction") -> None:
        super().__init__(id="SFNet", detect=lambda state: _sfnet_config(rename_published(state)) is not None)
        LocalAvgPool2d(pool_window, pool_mode)  # raises an error now rather than when a file is loaded
        self.pool_window = pool_window
        self.pool_mode: PoolMode = pool_mode

    def load(self, state_dict: dict[str, Any]) -> ImageModelDescriptor[SFNet]:
        """Build the network of a state dict.

        Args:
            state_dict: tensors by name, with the names of passband or the published names.

        Returns:
            Descriptor of spandrel. The network takes RGB images (or several views) in [0, 1] of any size, and returns
            RGB images in [0, 1].

        Raises:
            RuntimeError: if entries are missing, unknown, or of another shape.
            ValueError: if no SFNet has such sizes.
        """
        state = rename_published(state_dict)
        config = _sfnet_config(state)
        if config is None:
            raise ValueError("this state dict holds no SFNet; ask detect before load")
        width, depth, in_channels = (config[name] for name in ("width", "depth", "in_channels"))
        model = SFNet(width, depth, in_channels, pool_window=self.pool_window, pool_mode=self.pool_mode)
        counters = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
        return ImageModelDescriptor(
            model,
            {**counters, **state},  # published files may lack the counters of BatchNorm, which evaluation does not use
            architecture=self,
            purpose="Restoration",
            tags=[f"{width}w", f"{depth}d", *([] if self.pool_window is None else [f"pool {self.pool_window}"])],
            supports_half=False,  # running statistics can exceed the range of float16
            supports_bfloat16=True,
            scale=1,
            input_channels=in_channels,
            output_channels=3,
            size_requirements=SizeRequirements(minimum=SFNet.minimum, multiple_of=SFNet.multiple),
            tiling=ModelTiling.DISCOURAGED,  # the network uses averages over the whole image
            call_fn=lambda model, image: model(image)[-1],
        )


def _sfnet_config(state: dict[str, Tensor]) -> dict[str, Any] | None:
    """Return the config of an SFNet of any size, from its weights by our names; None for any other network."""
    config = published_config(state)
    return config if config is not None and config["model"] == "sfnet" else None


def install(
    *, pool_window: int | None = None, pool_mode: PoolMode = "fraction", ignore_duplicates: bool = False
) -> list[ArchSupport]:
    """Add SFNet to the main registry of spandrel, which every `ModelLoader` uses by default.

    Args:
        pool_window: pooling window in pixels of all SFNets at test time. None pools globally.
        pool_mode: interpretation of the window, see `layers.LocalAvgPool2d`.
        ignore_duplicates: whether a second call is accepted. It then has no effect, and the window does not change.

    Returns:
        The added entries of the registry.

    Raises:
        spandrel.DuplicateArchitectureError: if this is the second call, and `ignore_duplicates` is not set.
        ValueError: if the window or the mode is not valid.
    """
    architecture = SFNetArch(pool_window, pool_mode)
    return MAIN_REGISTRY.add(ArchSupport.from_architecture(architecture), ignore_duplicates=ignore_duplicates)
