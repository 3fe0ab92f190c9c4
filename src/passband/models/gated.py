"""A classifier behind a gate that learns which frequency channels it needs (Xu et al., CVPR 2020, section 3.3).

Trained with a cost on open gates, it tells by `gate.keep_probability` and `gate.to_static` which channels to keep; a
network without gate is then trained on those.
"""

from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from passband.layers.gate import ChannelGate
from passband.models.classifier import ClassifierNetwork
from passband.models.dct_resnet import FrequencyResNet


class Gated(NamedTuple):
    """What a gated classifier gives."""

    logits: Float[Tensor, "B K"]
    """One per class."""
    open: Float[Tensor, "B C"]
    """1 for each channel that was let through, else 0; with a gradient while training, to put a cost on."""


def logits_of(output: Float[Tensor, "B K"] | Gated) -> Float[Tensor, "B K"]:
    """Return the logits in the output of a classifier, with a gate or without.

    Args:
        output: output of a classifier.
    """
    return output.logits if isinstance(output, Gated) else output


class GatedClassifier(ClassifierNetwork):
    """A gate, and a classifier of what it lets through.

    Args:
        gate: chooses channels of the cube.
        network: takes as many channels.

    Raises:
        ValueError: if the two have not the same channels, or the network is one of pictures.
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
        """Build gate and network from their arguments, see `ChannelGate` and `FrequencyResNet`."""
        return cls(
            ChannelGate(channels, pool), FrequencyResNet(channels, classes, depth, width, grid, published_stride)
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Gated:
        """Score every class, and say which channels were open.

        Args:
            x: normalized cubes.

        Raises:
            ValueError: for another number of channels.
        """
        self.check_input(x)
        cube, decision = self.gate(x)
        return Gated(self.network(cube), decision)


def gated_dct_resnet18(**overrides: Any) -> GatedClassifier:
    """ResNet-18 behind a gate on all 192 frequency channels."""
    return GatedClassifier.from_arguments(**{"depth": 18, **overrides})


def gated_dct_resnet50(**overrides: Any) -> GatedClassifier:
    """ResNet-50 behind a gate on all 192 frequency channels."""
    return GatedClassifier.from_arguments(**overrides)
