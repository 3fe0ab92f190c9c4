"""A classifier behind a gate that learns which frequency channels it needs (Xu et al., CVPR 2020, section 3.3).

After training with a cost on open gates, `gate.keep_probability` and `gate.to_static` tell which channels to keep. A
network without a gate is then trained on those.
"""

import re
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from passband.layers.gate import ChannelGate
from passband.models.base import ClassifierNetwork
from passband.models.classification.dct_resnet import FrequencyResNet
from passband.state_dicts import CheckpointError
from passband.weights_io import load_state

PUBLISHED_KEYS = (
    (r"^module\.", ""),  # saved from DataParallel
    (r"^model\.0\.", "layer1."),
    (r"^model\.1\.", "layer2."),
    (r"^model\.2\.", "layer3."),
    (r"^model\.3\.", "layer4."),
    (r"^inp_GM\.inp_gate\.0\.", "gate.squeeze."),
    (r"^inp_GM\.inp_gate\.1\.", "gate.norm."),
    (r"^inp_GM\.inp_gate_l\.", "gate.pair."),
)
"""Patterns of published names and their replacements, applied in this order.

The released class keeps torchvision's four layers as entries 0 to 3 of `model`, the last layer as `fc`, and the gate as
`inp_GM`. Its layer2 keeps the resolution.
"""


class Gated(NamedTuple):
    """The output of a gated classifier."""

    logits: Float[Tensor, "B K"]
    """A logit per class."""
    open: Float[Tensor, "B C"]
    """1 for each channel that was let through, else 0; with a gradient in training, for a cost on open channels."""


def logits_of(output: Float[Tensor, "B K ..."] | Gated) -> Float[Tensor, "B K ..."]:
    """Return the logits in the output of a network, with a gate or without.

    Args:
        output: output of a classifier or a segmentation network.

    Returns:
        Logits, unchanged if there is no gate.
    """
    return output.logits if isinstance(output, Gated) else output


class GatedClassifier(ClassifierNetwork):
    """A gate, and a classifier of the channels that it lets through.

    Args:
        gate: gate that chooses channels of the cube.
        network: classifier that takes as many channels.

    Raises:
        ValueError: if the numbers of channels differ, or the network takes images.
    """

    def __init__(self, gate: ChannelGate, network: FrequencyResNet):
        super().__init__()
        if network.arguments["stem"]:
            raise ValueError(f"a gate chooses frequency channels, which {network.name} does not take")
        if gate.channels != network.channels:
            raise ValueError(
                f"gate and network need the same channels; got {gate.channels} and {network.channels}: build both with "
                "the same number"
            )
        self.gate, self.network = gate, network
        self.name = f"gated-{network.name}"
        self.channels, self.classes, self.input_shape = network.channels, network.classes, network.input_shape
        self.arguments = {
            **{name: value for name, value in network.arguments.items() if name != "stem"},
            "pool": gate.pool,
        }

    @classmethod
    def from_arguments(
        cls,
        channels: int = 192,
        classes: int = 1000,
        depth: int = 50,
        width: int = 64,
        grid: int = 56,
        published_stride: bool = False,
        pool: str = "magnitude",
    ) -> "GatedClassifier":
        """Build gate and network from their arguments, see `ChannelGate` and `FrequencyResNet`.

        Args:
            channels: number of frequency channels.
            classes: number of classes.
            depth: depth of the ResNet, as `FrequencyResNet` has it.
            width: number of channels of the first stage.
            grid: height and width of the cube in blocks.
            published_stride: whether strides are where the released code has them.
            pool: statistic of each channel that the gate sees, one of `layers.gate.POOLS`.

        Returns:
            The network with fresh weights.

        Raises:
            ValueError: if an argument of `ChannelGate` or `FrequencyResNet` is out of range.
        """
        return cls(
            ChannelGate(channels, pool), FrequencyResNet(channels, classes, depth, width, grid, published_stride)
        )

    def compute(self, x: Float[Tensor, "B C H W"]) -> Gated:
        """Compute the logits, and which channels were open."""
        cube, decision = self.gate(x)
        return Gated(self.network(cube), decision)


def gated_dct_resnet18(**overrides: Any) -> GatedClassifier:
    """Build ResNet-18 behind a gate on all 192 frequency channels.

    Args:
        overrides: arguments of `GatedClassifier.from_arguments` that differ from this network's.
    """
    return GatedClassifier.from_arguments(**{"depth": 18, **overrides})


def gated_dct_resnet50(**overrides: Any) -> GatedClassifier:
    """Build ResNet-50 behind a gate on all 192 frequency channels.

    Args:
        overrides: arguments of `GatedClassifier.from_arguments` that differ from this network's.
    """
    return GatedClassifier.from_arguments(**overrides)


def from_published(state: dict[str, Tensor], source: str = "the checkpoint") -> FrequencyResNet | GatedClassifier:
    """Build a network from a checkpoint of the released code (Xu et al., CVPR 2020), with its weights.

    Args:
        state: tensors by name, as `state_dicts.read_state` returns them.
        source: name of the weights for error messages.

    Returns:
        The network with `published_stride` in evaluation mode. It has a gate of signed means if the checkpoint has a
        gate.

    Raises:
        CheckpointError: if the entries are not those of the released class.
    """
    named = {}
    for key, value in state.items():
        new = key
        for pattern, replacement in PUBLISHED_KEYS:
            new = re.sub(pattern, replacement, new)
        named[new] = value
    first, last = named.get("layer1.0.conv1.weight"), named.get("fc.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 2:
        raise CheckpointError(
            f"a published ResNet-50 of frequency channels has model.0.0.conv1.weight and fc.weight; {source} does not"
        )
    arguments = {"channels": first.shape[1], "classes": last.shape[0], "published_stride": True}
    if not any(key.startswith("gate.") for key in named):
        network = FrequencyResNet(**arguments)
        load_state(network, named, source)
        return network.eval()
    gated = GatedClassifier(ChannelGate(arguments["channels"], pool="signed"), FrequencyResNet(**arguments))
    counts = {name: getattr(gated.gate, name) for name in ("opened", "seen")}  # the released gate does not store them
    renamed = {key if key.startswith("gate.") else f"network.{key}": value for key, value in named.items()}
    load_state(gated, {**renamed, **{f"gate.{name}": count for name, count in counts.items()}}, source)
    return gated.eval()
