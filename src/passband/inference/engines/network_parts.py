"""Lists the layers and weights of a network quickly, because this is done for each image."""

from collections.abc import Iterable
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from torch import Tensor, nn

_KEY = "_known_parts"
_held = itemgetter("_modules", "_parameters", "_buffers")


class NetworkParts(NamedTuple):
    """The layers and tensors of a network, each once, in the order of `modules`, `parameters` and `buffers`."""

    modules: tuple[nn.Module, ...]
    parameters: tuple[Tensor, ...]
    buffers: tuple[Tensor, ...]


def network_parts(model: nn.Module) -> NetworkParts:
    """Return the present layers and tensors of a network.

    torch takes milliseconds to walk through a network of a thousand layers. The lists are therefore kept with the
    network, and made again after a layer, weight or buffer was added, replaced or removed.

    Args:
        model: network.
    """
    known: tuple[NetworkParts, list[int] | None] | None = model.__dict__.get(_KEY)
    if known is not None:
        parts, held = known
        modules = (model, *parts.modules)
        if held is not None and held == _identities(modules):
            return parts._replace(modules=modules)
    parts = NetworkParts(tuple(model.modules()), tuple(model.parameters()), tuple(model.buffers()))
    # without the network itself, which would otherwise refer to itself and stay in memory after its last use
    model.__dict__[_KEY] = parts._replace(modules=parts.modules[1:]), _identities(parts.modules)
    return parts


def _identities(modules: Iterable[nn.Module]) -> list[int] | None:
    """Return the identities of all that layers hold; None if a layer keeps it elsewhere, as those of TorchScript do.

    Functions of C go through the layers, because loops in Python take several times as long.
    """
    try:
        held = filter(None, chain.from_iterable(map(_held, map(vars, modules))))
        return [*map(id, chain.from_iterable(map(dict.values, held)))]
    except (KeyError, TypeError):
        return None
