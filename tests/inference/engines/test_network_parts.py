"""The kept list of a network's layers and weights is always that of torch."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from passband.inference.engines.network_parts import network_parts


def make():
    """Return a network with a nested layer, one that is used twice, a buffer, and a layer without a bias."""
    shared = nn.Conv2d(3, 3, 1)
    return nn.Sequential(shared, nn.Sequential(nn.BatchNorm2d(3), shared), nn.Conv2d(3, 5, 3, bias=False))


def check(model):
    """Compare all lists with those of torch."""
    parts = network_parts(model)
    for found, expected in zip(parts, (model.modules(), model.parameters(), model.buffers()), strict=True):
        assert [*map(id, found)] == [*map(id, expected)]


def replace_buffer(model):
    model[1][0].running_mean = model[1][0].running_mean.clone()


def parametrize_weight(model):
    nn.utils.parametrize.register_parametrization(model[2], "weight", nn.Tanh())


CHANGES = {
    "layer replaced": lambda model: model.__setitem__(2, nn.Conv2d(3, 5, 3)),
    "nested layer replaced": lambda model: setattr(model[1], "0", nn.GELU()),
    "layer added": lambda model: model[1].append(nn.GELU()),
    "layer removed": lambda model: model.__delitem__(1),
    "layers swapped": lambda model: model._modules.update({"0": model[2], "2": model[0]}),
    "weight replaced": lambda model: setattr(model[2], "weight", nn.Parameter(model[2].weight * 2)),
    "bias added": lambda model: setattr(model[2], "bias", nn.Parameter(torch.zeros(5))),
    "bias removed": lambda model: setattr(model[0], "bias", None),
    "buffer replaced": replace_buffer,
    "buffer added": lambda model: model[0].register_buffer("mean", torch.zeros(3)),
    "dictionary replaced": lambda model: setattr(model[1], "_modules", {"0": nn.GELU()}),
    "weight parametrized": parametrize_weight,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_lists_are_those_of_torch_after_every_change(change):
    model = make()
    check(model)
    change(model)
    check(model)
    check(model)


def test_an_unchanged_network_is_walked_through_once(monkeypatch):
    model = make()
    first = network_parts(model)
    for walk in ("modules", "parameters", "buffers"):
        monkeypatch.setattr(nn.Module, walk, lambda *_: pytest.fail("walked again"))
    weight = first.parameters[0]
    weight.data = weight.data.half()  # the same weight in another type
    assert network_parts(model) == first
    assert network_parts(model).parameters[0].dtype == torch.float16


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_lists_of_their_own(copied):
    model = make()
    check(model)
    other = copied(model)
    check(other)
    other[1] = nn.GELU()
    check(other)
    check(model)


@pytest.mark.parametrize("compiled", [torch.jit.script, lambda layer: torch.jit.trace(layer, torch.rand(1, 3, 4, 4))])
@pytest.mark.filterwarnings("ignore:.torch.jit")  # its deprecation
def test_layers_of_torchscript_are_listed_anew_each_time(compiled):
    model = nn.Sequential(nn.Conv2d(3, 3, 1), compiled(nn.Conv2d(3, 3, 1)))
    for _ in range(2):
        parts = network_parts(model)
        assert [tensor.shape for tensor in parts.parameters] == [tensor.shape for tensor in model.parameters()]
        assert len(parts.modules) == 3
        model[0] = nn.Conv2d(3, 3, 1, bias=False)


def test_the_list_keeps_no_network_in_memory():
    model = make()
    network_parts(model)
    seen = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert seen() is None
    finally:
        gc.enable()
