import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from passband.layers.gate import ChannelGate, temperature


def gate(channels=12, **options):
    torch.manual_seed(0)
    return ChannelGate(channels, **options)


def undecided(channels=12, **options):
    """A gate whose decisions depend on the picture."""
    module = gate(channels, **options)
    with torch.no_grad():
        module.pair.weight.normal_(std=2)
        module.pair.bias.normal_()
    return module


def test_a_picture_is_judged_the_same_twice_alone_and_in_a_batch_in_evaluation():
    module = undecided().eval()
    cubes = torch.randn(7, 12, 5, 9) * torch.rand(7, 12, 1, 1) * 3
    through, decision = module(cubes)
    again, alone = module(cubes)[1], torch.cat([module(cube[None])[1] for cube in cubes])
    assert torch.equal(decision, again)
    assert torch.equal(decision, alone)
    assert 0 < decision.mean() < 1
    assert decision.std(0).max() > 0
    assert torch.equal(through, torch.where(decision[:, :, None, None] == 1, cubes, 0.0))


def test_in_training_noise_decides_and_gates_are_exactly_open_or_closed():
    module = undecided().train()
    module.temperature = 0.7
    cubes = torch.randn(50, 12, 3, 5)
    first, second = module(cubes)[1], module(cubes)[1]
    assert not torch.equal(first, second)
    assert set(first.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("tau", [0.5, 5.0])
def test_at_the_start_a_gate_is_open_as_often_as_its_biases_say_whatever_the_temperature(tau):
    module = gate(192).train()
    module.temperature = tau
    decision = module(torch.randn(800, 192, 1, 2))[1]
    expected = 1 / (1 + math.exp(-1.9))
    # 153,600 draws have a standard error of .0009; weights of 1e-3 move a logit by less than .01
    assert decision.mean().item() == pytest.approx(expected, abs=0.006)
    assert module.keep_probability().mean().item() == pytest.approx(decision.mean().item())


def test_forward_is_rounded_and_backward_is_the_soft_decisions():
    module = undecided(6).double().train()
    module.temperature = 1.3
    cube, weight = torch.randn(9, 6, 3, 5, dtype=torch.float64), torch.randn(9, 6, dtype=torch.float64)
    logits = module.logits(cube)
    torch.manual_seed(3)
    soft = F.gumbel_softmax(logits, tau=1.3, dim=-1)
    expected = torch.autograd.grad((soft[..., 1] * weight).sum(), list(module.parameters()))
    torch.manual_seed(3)
    decision = module(cube)[1]
    assert torch.equal(decision, (soft.argmax(-1) == 1).double())
    got = torch.autograd.grad((decision * weight).sum(), list(module.parameters()))
    for name, ours, theirs in zip(dict(module.named_parameters()), got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


def test_the_gradient_of_a_pair_is_that_of_a_sigmoid_of_its_difference_and_logistic_noise():
    module = gate(1).double().train()
    module.temperature = 2.0
    cube = torch.ones(4, 1, 1, 1, dtype=torch.float64)
    torch.manual_seed(5)
    noise = -torch.empty(4, 1, 2, dtype=torch.float64).exponential_().log()
    with torch.no_grad():
        module.pair.weight.zero_()
    torch.manual_seed(5)
    module(cube)[1].sum().backward()
    on = torch.sigmoid((1.9 + noise[..., 1] - noise[..., 0]) / 2.0)
    slope = (on * (1 - on) / 2.0).sum()
    torch.testing.assert_close(module.pair.bias.grad, torch.stack([-slope, slope]))


def test_magnitude_does_not_see_signs_and_signed_means_do():
    cube = torch.randn(3, 12, 7, 5)
    flipped = cube * torch.where(torch.rand(7, 5) < 0.5, -1.0, 1.0)
    magnitude, signed = undecided(pool="magnitude").eval(), undecided(pool="signed").eval()
    torch.testing.assert_close(magnitude.logits(cube), magnitude.logits(flipped))
    assert not torch.allclose(signed.logits(cube), signed.logits(flipped), atol=1e-3)
    torch.testing.assert_close(signed.logits(cube), signed.logits(cube.flip(2, 3)), rtol=0, atol=1e-5)


def test_what_was_opened_is_counted_in_training_and_evaluation_until_reset():
    module = undecided()
    total = torch.zeros(12)
    for training, batch in ((True, 5), (False, 3), (True, 1)):
        total += module.train(training)(torch.randn(batch, 12, 3, 3))[1].detach().sum(0)
    assert torch.equal(module.opened, total.long())
    assert int(module.seen) == 9
    torch.testing.assert_close(module.keep_probability(), total / 9)
    module.reset()
    assert (int(module.opened.sum()), int(module.seen)) == (0, 0)
    with pytest.raises(ValueError, match="seen no images"):
        module.keep_probability()


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_a_static_subset_has_exactly_as_many_channels_and_none_left_out_was_open_more_often(counts, data):
    module = ChannelGate(len(counts))
    module.opened.copy_(torch.tensor(counts))
    module.seen.fill_(4)
    count = data.draw(st.integers(1, len(counts)))
    kept = module.to_static(count)
    assert kept == sorted(sorted(range(len(counts)), key=lambda index: (-counts[index], index))[:count])


def test_channels_that_were_open_equally_often_are_taken_in_the_order_that_is_given():
    module = gate(5)
    module.opened.copy_(torch.tensor([3, 4, 3, 3, 1]))
    module.seen.fill_(4)
    assert module.to_static(3, [4, 3, 2, 1, 0]) == [1, 2, 3]
    with pytest.raises(ValueError, match="order must name each of 5 channels once"):
        module.to_static(3, [4, 3, 2, 1])


def test_a_subset_of_no_or_too_many_channels_is_refused():
    for count in (0, 13):
        with pytest.raises(ValueError, match=f"1 to 12 channels; got {count}"):
            gate().to_static(count)


def test_a_cost_closes_the_gates_of_channels_that_nothing_needs():
    module = gate(8).train()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for step in range(100):
        module.temperature = temperature(step / 100)
        cube = torch.randn(16, 8, 3, 3)
        through, decision = module(cube)
        # what is left out of channel 5 is lost, the others are not asked for
        loss = (through - cube)[:, 5].square().mean() + 0.5 * decision.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.reset()
    module.eval()(torch.randn(64, 8, 3, 3))
    assert module.keep_probability().tolist() == [0, 0, 0, 0, 0, 1, 0, 0]
    assert module.to_static(1) == [5]


def test_one_picture_trains_and_half_precision_decides_as_single_does():
    module = undecided()
    module.train()(torch.randn(1, 12, 4, 4))[1].sum().backward()
    assert module.pair.bias.grad.any()
    cube = torch.randn(6, 12, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        through, decision = module(cube.bfloat16())
    assert (through.dtype, decision.dtype) == (torch.bfloat16, torch.float32)


def test_the_temperature_falls_by_the_same_factor_in_equal_times():
    values = [temperature(step / 4) for step in range(5)]
    assert (values[0], values[-1]) == (5.0, pytest.approx(0.5))
    assert [after / before for before, after in pairwise(values)] == pytest.approx([0.1**0.25] * 4)
    assert temperature(0.5, start=4, end=1) == pytest.approx(2)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one of magnitude, signed; got 'mean'"):
        gate(pool="mean")
    with pytest.raises(ValueError, match="at least 1 channel; got 0"):
        ChannelGate(0)
    with pytest.raises(ValueError, match="built for 12 channels, got 5"):
        gate()(torch.randn(2, 5, 3, 3))
    cold = gate().train()
    cold.temperature = 0
    with pytest.raises(ValueError, match="above 0; got 0"):
        cold(torch.randn(2, 12, 3, 3))
    with pytest.raises(ValueError, match="0 to 1; got 1.5"):
        temperature(1.5)
    with pytest.raises(ValueError, match="above 0; got 5.0 to 0"):
        temperature(0.5, end=0)
