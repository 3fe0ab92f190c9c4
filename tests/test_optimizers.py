import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from passband.config import OptimConfig
from passband.optimizers import Muon, learning_rate, moving_average, orthogonalize


def random(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("shape", [(7, 7), (5, 31), (31, 5), (16, 144), (1, 13)])
def test_an_orthogonalized_matrix_has_singular_values_near_one_and_the_same_vectors(shape):
    matrix = random(*shape)
    u, values, vh = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalize(matrix) @ vh.T
    diagonal = inner.diagonal()
    # the quintic is not meant to converge: 5 steps leave 0.6 to 1.3, where a value was above a hundredth of the norm
    assert values.min() / matrix.norm() > 0.01
    assert diagonal.min() > 0.55
    assert diagonal.max() < 1.35
    assert (inner - torch.diag(diagonal)).abs().max() < 1e-4


def test_scale_does_not_matter_and_zero_stays_zero():
    matrix = random(6, 20)
    torch.testing.assert_close(orthogonalize(1e4 * matrix), orthogonalize(matrix), atol=1e-5, rtol=0)
    assert not orthogonalize(torch.zeros(4, 9)).any()


def test_what_is_no_matrix_moves_as_by_adam():
    torch.manual_seed(0)
    ours, theirs = (
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.GELU(), nn.InstanceNorm2d(8, affine=True), nn.Conv2d(8, 3, 3))
        for _ in range(2)
    )
    theirs.load_state_dict(ours.state_dict())
    optimizers = [
        Muon(ours.parameters(), lr=3e-3, betas=(0.8, 0.95)),
        torch.optim.Adam(theirs.parameters(), lr=3e-3, betas=(0.8, 0.95)),
    ]
    for step in range(4):
        for network, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            network(random(2, 3, 9, 11, seed=step)).square().mean().backward()
            optimizer.step()
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, atol=1e-6, rtol=1e-5)


def test_a_convolution_inside_moves_by_the_orthogonal_part_of_its_gradient():
    kernel = nn.Parameter(random(8, 6, 3, 3))
    before, gradient = kernel.detach().clone(), random(8, 6, 3, 3, seed=1)
    kernel.grad = gradient.clone()
    Muon([kernel], lr=0.01).step()
    moved = (before - kernel.detach()).flatten(1)
    u, _, vh = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    scale = 0.2 * 0.01 * 54**0.5
    along = (u.T @ moved @ vh.T).diagonal() / scale
    assert along.min() > 0.55
    assert along.max() < 1.35


def test_a_parameter_without_gradient_stays():
    used, unused = nn.Parameter(random(8, 8)), nn.Parameter(random(8, 8))
    before = unused.detach().clone()
    used.grad = torch.ones_like(used)
    Muon([used, unused]).step()
    torch.testing.assert_close(unused.detach(), before, atol=0, rtol=0)


def test_matrices_of_one_shape_move_as_each_of_them_alone():
    kernels = [random(8, 6, 3, 3, seed=number) for number in range(3)]
    together, alone = ([nn.Parameter(kernel.clone()) for kernel in kernels] for _ in range(2))
    optimizers = [Muon(together, lr=0.01), *(Muon([parameter], lr=0.01) for parameter in alone)]
    for step in range(3):
        for parameters in (together, alone):
            for number, parameter in enumerate(parameters):
                parameter.grad = (0.1 + number) * random(8, 6, 3, 3, seed=10 * step + number)
        for optimizer in optimizers:
            optimizer.step()
    for parameter, single in zip(together, alone, strict=True):
        torch.testing.assert_close(parameter, single, atol=1e-6, rtol=1e-5)


def test_the_learning_rate_warms_up_then_falls_along_a_cosine():
    optim = OptimConfig(steps=100, learning_rate=1e-3, final_learning_rate=1e-5)
    rates = [learning_rate(step, 100, 10, optim) for step in range(101)]
    assert rates[:10] == pytest.approx([1e-4 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[100] == pytest.approx(1e-5)
    assert all(earlier > later for earlier, later in pairwise(rates[10:]))
    assert rates[32] == pytest.approx(1e-5 + (1e-3 - 1e-5) * (1 + math.cos(math.pi * 22 / 90)) / 2)


def test_the_learning_rate_is_a_tenth_after_each_milestone():
    optim = OptimConfig(steps=100, learning_rate=1e-3, milestones=(0.3, 0.6, 0.9))
    rates = [learning_rate(step, 100, 10, optim) for step in (10, 29, 30, 59, 60, 89, 90, 99)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])
    with pytest.raises(ValueError, match="ascending shares"):
        OptimConfig(steps=1, milestones=(0.6, 0.3))


def test_numbers_of_channels_are_copied_to_the_averaged_network_and_weights_are_averaged():
    network = nn.Linear(1, 1, bias=False)
    network.register_buffer("channels", torch.arange(1000))
    averaged = AveragedModel(network, multi_avg_fn=moving_average(0.995), use_buffers=True)
    for step in range(100):
        nn.init.constant_(network.weight, step)
        averaged.update_parameters(network)
        assert torch.equal(averaged.module.channels, network.channels)
    assert 50 < averaged.module.weight.item() < 99
