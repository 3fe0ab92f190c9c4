"""SFNet for spandrel, and with it for chaiNNer and ComfyUI.

    from passband.integrations.spandrel import install

    install()
    spandrel.ModelLoader().load_from_file("model.safetensors")

A file holds weights alone, and spandrel hands on nothing but them, so that the local pooling of some published weights
(`pool_window` in their config) is not known here: networks pool globally, as in their training, unless `install` is
told a window, which is then that of every SFNet it loads.
"""

import re
from typing import Any

from torch import Tensor

from passband.layers.pooling import LocalAvgPool2d, PoolMode
from passband.models import SFNet
from passband.state_dicts import is_sfnet, rename_published_sfnet

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
    """Tells and loads SFNets: files of ours, and published ones under their own names.

    Args:
        pool_window: test-time pooling window of all of them, see `layers.LocalAvgPool2d`; None for the global average.
        pool_mode: how the window is read.

    Raises:
        ValueError: for a window or a mode that no network has.
    """

    def __init__(self, pool_window: int | None = None, pool_mode: PoolMode = "fraction") -> None:
        super().__init__(id="SFNet", detect=lambda state: is_sfnet(rename_published_sfnet(state)))
        LocalAvgPool2d(pool_window, pool_mode)  # refuses now what would be refused when a file is loaded
        self.pool_window = pool_window
        self.pool_mode: PoolMode = pool_mode

    def load(self, state_dict: dict[str, Any]) -> ImageModelDescriptor[SFNet]:
        """Build the network that a state dict is for.

        Args:
            state_dict: name to tensor, with our names or the published ones.

        Returns:
            Spandrel's descriptor: RGB (or several views) in [0, 1] in, RGB in [0, 1] out, any size.

        Raises:
            RuntimeError: listing entries that miss, are left over or have another shape.
            ValueError: for sizes that no SFNet has.
        """
        state = rename_published_sfnet(state_dict)
        width, depth, in_channels = sfnet_numbers(state)
        model = SFNet(width, depth, in_channels, pool_window=self.pool_window, pool_mode=self.pool_mode)
        counters = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
        return ImageModelDescriptor(
            model,
            {**counters, **state},  # published files may lack the counters, which evaluation does not use
            architecture=self,
            purpose="Restoration",
            tags=[f"{width}w", f"{depth}d", *([] if self.pool_window is None else [f"pool {self.pool_window}"])],
            supports_half=False,  # running statistics can leave its range
            supports_bfloat16=True,
            scale=1,
            input_channels=in_channels,
            output_channels=3,
            size_requirements=SizeRequirements(minimum=SFNet.minimum, multiple_of=SFNet.multiple),
            tiling=ModelTiling.DISCOURAGED,  # the network looks at averages of the whole picture
            call_fn=lambda model, image: model(image)[-1],
        )


def sfnet_numbers(state: dict[str, Tensor]) -> tuple[int, int, int]:
    """Width, depth and input channels of the SFNet that these weights, under our names, are for."""
    width, in_channels = state["stem.0.weight"].shape[:2]
    blocks = [int(match[1]) for key in state if (match := re.match(r"encoder\.0\.(\d+)\.", key))]
    return width, 1 + max(blocks), in_channels


def install(
    *, pool_window: int | None = None, pool_mode: PoolMode = "fraction", ignore_duplicates: bool = False
) -> list[ArchSupport]:
    """Add SFNet to spandrel's main registry, which every `ModelLoader` uses unless it is given another.

    Args:
        pool_window: test-time pooling window of all SFNets that are loaded; None for the global average.
        pool_mode: how the window is read, see `layers.LocalAvgPool2d`.
        ignore_duplicates: whether a second call is no mistake; it changes nothing, the window neither.

    Returns:
        What was added.

    Raises:
        spandrel.DuplicateArchitectureError: on a second call, without `ignore_duplicates`.
        ValueError: for a window or a mode that no network has.
    """
    architecture = SFNetArch(pool_window, pool_mode)
    return MAIN_REGISTRY.add(ArchSupport.from_architecture(architecture), ignore_duplicates=ignore_duplicates)
