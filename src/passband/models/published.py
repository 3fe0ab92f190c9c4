"""ResNet-50 of frequency channels as its authors save it (released code of Xu et al., CVPR 2020).

The released class keeps torchvision's four layers as entries 0 to 3 of `model`, the last layer as `fc`, and the gate as
`inp_GM`; its layer2 keeps the resolution.
"""

import re

from torch import Tensor

from passband.layers.gate import ChannelGate
from passband.models.dct_resnet import FrequencyResNet
from passband.models.gated import GatedClassifier
from passband.weights_io import CheckpointError, load_state

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
"""Published names to ours: every pattern that matches is replaced, in this order."""


def from_published(state: dict[str, Tensor], source: str = "the checkpoint") -> FrequencyResNet | GatedClassifier:
    """Build the network that a published checkpoint is of, with its weights.

    Args:
        state: name to tensor, as `checkpoint.read_state` gives it.
        source: what to call the weights in an error.

    Returns:
        The network with `published_stride`, ready for evaluation; with a gate of signed means where the checkpoint has
        one.

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
            f"{source} is no published ResNet-50 of frequency channels: it needs model.0.0.conv1.weight and fc.weight"
        )
    arguments = {"channels": first.shape[1], "classes": last.shape[0], "published_stride": True}
    if not any(key.startswith("gate.") for key in named):
        network = FrequencyResNet(**arguments)
        load_state(network, named, source)
        return network.eval()
    gated = GatedClassifier(ChannelGate(arguments["channels"], pool="signed"), FrequencyResNet(**arguments))
    counts = {name: getattr(gated.gate, name) for name in ("opened", "seen")}  # which the released gate does not keep
    renamed = {key if key.startswith("gate.") else f"network.{key}": value for key, value in named.items()}
    load_state(gated, {**renamed, **{f"gate.{name}": count for name, count in counts.items()}}, source)
    return gated.eval()
