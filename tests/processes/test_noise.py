import pytest
import torch
import torch.nn.functional as F
from torch import nn

from passband.processes import shared_noise
from passband.processes.noise import _OwnRows

LAYERS = {
    "dropout": nn.Dropout(0.4),
    "dropout2d": nn.Dropout2d(0.4),
    "gumbel": lambda x: F.gumbel_softmax(x, tau=0.7, dim=1),
    "hard gumbel": lambda x: F.gumbel_softmax(x, hard=True, dim=1),
    "stochastic depth": lambda x: x * torch.empty(len(x), 1, 1, 1).bernoulli_(0.6),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("processes", [2, 3])
def test_the_noise_of_several_processes_is_that_of_one(name, processes):
    x, layer = torch.randn(6, 5, 4, 3), LAYERS[name]
    with shared_noise(7):
        whole = layer(x)
    parts = []
    for number, part in enumerate(x.chunk(processes)):
        torch.manual_seed(7)
        with _OwnRows(number, processes):
            parts.append(layer(part))
        after = torch.rand(())
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)
    torch.manual_seed(7)
    layer(x)
    assert torch.rand(()) == after  # all processes leave the same random state


def test_evaluation_has_no_noise_and_gradients_pass_the_mask():
    x = torch.ones(4, 3, requires_grad=True)
    with _OwnRows(0, 2):
        assert torch.equal(F.dropout(x, 0.5, training=False), x)
        F.dropout(x, 0.5).sum().backward()
    assert set(x.grad.unique().tolist()) <= {0.0, 2.0}


def test_the_noise_of_a_step_depends_on_its_seed_alone():
    drawn = []
    for seed in (1, 1, 2):
        torch.rand(seed + len(drawn))
        with shared_noise(seed):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
