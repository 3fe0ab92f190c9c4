"""Adds SFNet, FSNet and ConvIR to spandrel, and through it to chaiNNer and ComfyUI.

    from passband.integrations.spandrel import install

    install()
    spandrel.ModelLoader().load_from_file("model.safetensors")

Spandrel passes on only the weights in a file. The local pooling of some published weights (`pool_window` in their
config) is therefore not known here. Networks pool globally, as in their training, unless `install` is given a window.
That window then applies to every SFNet and FSNet that is loaded. The dilations of a ConvIR are not in its weights
either: they are those of the published networks, unless `install` is given others.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from passband.layers.pooling import PoolMode
from passband.models import ConvIR, FSNet, SFNet
from passband.models.restoration.three_scales import ThreeScaleNetwork
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


class ThreeScaleArch(Architecture[ThreeScaleNetwork]):
    """Recognizes and loads one of the networks of three scales, from files of passband and from published files.

    Args:
        network: class of the network.
        arguments: keywords of its constructor that weights do not tell.

    Raises:
        ValueError: if an argument is not valid.
    """

    def __init__(self, network: type[ThreeScaleNetwork], **arguments: Any) -> None:
        super().__init__(id=network.__name__, detect=lambda state: self._config(rename_published(state)) is not None)
        with torch.device("meta"):
            network(**arguments)  # raises an error now rather than when a file is loaded
        self.network, self.arguments = network, arguments

    def load(self, state_dict: dict[str, Any]) -> ImageModelDescriptor[ThreeScaleNetwork]:
        """Build the network of a state dict.

        Args:
            state_dict: tensors by name, with the names of passband or the published names.

        Returns:
            Descriptor of spandrel. The network takes RGB images (or several views) in [0, 1] of any size, and returns
            RGB images in [0, 1].

        Raises:
            RuntimeError: if entries are missing, unknown, or of another shape.
            ValueError: if no such network has these sizes.
        """
        state = rename_published(state_dict)
        config = self._config(state)
        if config is None:
            raise ValueError(f"this state dict holds no {self.network.__name__}; ask detect before load")
        model = self.network(**{key: value for key, value in config.items() if key != "model"}, **self.arguments)
        counters = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
        window = self.arguments.get("pool_window")
        return ImageModelDescriptor(
            model,
            {**counters, **state},  # published files may lack the counters of BatchNorm, which evaluation does not use
            architecture=self,
            purpose="Restoration",
            tags=[
                f"{config['width']}w",
                f"{config['depth']}d",
                *([] if window is None else [f"pool {window}"]),
            ],
            supports_half=False,  # running statistics can exceed the range of float16
            supports_bfloat16=True,
            scale=1,
            input_channels=config["in_channels"],
            output_channels=3,
            size_requirements=SizeRequirements(minimum=model.minimum, multiple_of=model.multiple),
            tiling=ModelTiling.DISCOURAGED,  # the network uses averages over the whole image
            call_fn=lambda model, image: model(image)[-1],
        )

    def _config(self, state: dict[str, Tensor]) -> dict[str, Any] | None:
        """Return the config of a network of any size, from its weights by our names; None for any other network."""
        config = published_config(state)
        return config if config is not None and config["model"] == self.network.model_name else None


class SFNetArch(ThreeScaleArch):
    """Recognizes and loads SFNets, from files of passband and from published files.

    Args:
        pool_window: pooling window in pixels of all SFNets at test time, see `layers.LocalAvgPool2d`. None pools
            globally.
        pool_mode: interpretation of the window, see `layers.LocalAvgPool2d`.

    Raises:
        ValueError: if the window or the mode is not valid.
    """

    def __init__(self, pool_window: int | None = None, pool_mode: PoolMode = "fraction") -> None:
        super().__init__(SFNet, pool_window=pool_window, pool_mode=pool_mode)


class FSNetArch(ThreeScaleArch):
    """Recognizes and loads FSNets, from files of passband and from published files.

    Args:
        pool_window: pooling window in pixels of all FSNets at test time, see `layers.LocalAvgPool2d`. None pools
            globally.
        pool_mode: interpretation of the window, see `layers.LocalAvgPool2d`.

    Raises:
        ValueError: if the window or the mode is not valid.
    """

    def __init__(self, pool_window: int | None = None, pool_mode: PoolMode = "fraction") -> None:
        super().__init__(FSNet, pool_window=pool_window, pool_mode=pool_mode)


class ConvIRArch(ThreeScaleArch):
    """Recognizes and loads ConvIRs, from files of passband and from published files.

    Args:
        dilations: distances of the filters' positions, which no weights tell, see `models.ConvIR`.

    Raises:
        ValueError: if the dilations are not valid.
    """

    def __init__(self, dilations: Sequence[int] = (7, 9, 11)) -> None:
        super().__init__(ConvIR, dilations=dilations)


def install(
    *,
    pool_window: int | None = None,
    pool_mode: PoolMode = "fraction",
    dilations: Sequence[int] = (7, 9, 11),
    ignore_duplicates: bool = False,
) -> list[ArchSupport]:
    """Add SFNet, FSNet and ConvIR to the main registry of spandrel, which every `ModelLoader` uses by default.

    Args:
        pool_window: pooling window in pixels of all SFNets and FSNets at test time. None pools globally.
        pool_mode: interpretation of the window, see `layers.LocalAvgPool2d`.
        dilations: distances of the filters' positions of all ConvIRs; the default is that of the published networks.
        ignore_duplicates: whether a second call is accepted. It then has no effect, and the arguments do not change.

    Returns:
        The added entries of the registry.

    Raises:
        spandrel.DuplicateArchitectureError: if this is the second call, and `ignore_duplicates` is not set.
        ValueError: if the window, the mode or the dilations are not valid.
    """
    pooling: dict[str, Any] = {"pool_window": pool_window, "pool_mode": pool_mode}
    architectures = (SFNetArch(**pooling), FSNetArch(**pooling), ConvIRArch(dilations))
    entries = [ArchSupport.from_architecture(architecture) for architecture in architectures]
    return MAIN_REGISTRY.add(*entries, ignore_duplicates=ignore_duplicates)
