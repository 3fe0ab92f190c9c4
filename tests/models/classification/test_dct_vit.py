import pytest
import torch
from torch import nn

from passband.analysis.cost import cost
from passband.models import FrequencyViT, dct_vit
from passband.models.classification.dct_vit import positions


def test_parameters_and_macs_are_those_of_the_layers():
    channels, width, depth, tokens = 192, 192, 12, 14 * 14
    block = 4 * width * width + 2 * 4 * width * width
    embed, head = channels * 4 * width, width * 1000
    with torch.device("meta"):
        counted = cost(dct_vit(), (channels, 28, 28))
    linear = tokens * (embed + depth * block) + head
    attention = depth * 2 * tokens * tokens * width
    assert counted.macs == linear + attention
    # each block also has the biases of four linear layers and two normalizations
    vectors = depth * (3 + 1 + 4 + 1 + 4) * width + 2 * width + width + 1000
    assert counted.parameters == embed + depth * block + head + vectors
    assert (round(counted.parameters / 1e6, 1), round(counted.macs / 1e9, 2)) == (5.7, 1.25)


def test_the_small_network_has_the_cost_that_its_docstring_states():
    with torch.device("meta"):
        counted = cost(dct_vit(width=384, heads=6), (192, 28, 28))
    assert (round(counted.parameters / 1e6, 1), round(counted.macs / 1e9, 2)) == (22.0, 4.57)


def test_positions_are_computed_on_the_device_of_the_tokens():
    assert positions(8, 2, 3, torch.device("meta")).is_meta
    cubes = torch.zeros(1, 6, 4, 4, dtype=torch.float64)
    assert FrequencyViT(6, 3, width=8, depth=1, heads=1).double()(cubes).dtype == torch.float64


@torch.no_grad()
def test_a_block_is_torchs_transformer_layer():
    block = FrequencyViT(6, 3, width=24, depth=1, heads=3).blocks[0].eval()
    reference = nn.TransformerEncoderLayer(
        24, 3, 96, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    pairs = {
        "self_attn.in_proj_": block.mix,
        "self_attn.out_proj.": block.join,
        "linear1.": block.widen,
        "linear2.": block.narrow,
        "norm1.": block.norm1,
        "norm2.": block.norm2,
    }
    state = {f"{name}{kind}": getattr(layer, kind) for name, layer in pairs.items() for kind in ("weight", "bias")}
    reference.load_state_dict(state)
    tokens = torch.randn(2, 7, 24)
    torch.testing.assert_close(block(tokens), reference(tokens))


@torch.no_grad()
def test_a_patch_is_a_group_of_blocks_and_other_blocks_do_not_reach_its_token():
    model = FrequencyViT(6, 3, width=8, depth=1, heads=1, group=2)
    cube = torch.randn(1, 6, 6, 8)
    changed = cube.clone()
    changed[..., 2:4, 4:6] += 1
    difference = (model.embed(changed) - model.embed(cube)).abs().amax((0, 1))
    assert difference.shape == (3, 4)
    assert difference.nonzero().tolist() == [[1, 2]]


@torch.no_grad()
def test_sides_that_are_no_multiple_of_the_group_are_padded_with_zeros():
    model = FrequencyViT(6, 3, width=8, depth=2, heads=1).eval()
    nn.init.normal_(model.head.weight)
    cube = torch.randn(2, 6, 5, 3)
    padded = torch.zeros(2, 6, 6, 4)
    padded[..., :5, :3] = cube
    torch.testing.assert_close(model(cube), model(padded))


def test_positions_differ_for_all_tokens_and_are_products_of_both_directions():
    table = positions(16, 9, 5)
    tokens = table.flatten(1).T
    assert (torch.cdist(tokens, tokens) + 9 * torch.eye(45)).min() > 0.1
    assert torch.equal(table[:8, 0], table[:8, 8])
    assert torch.equal(table[8:, :, 0], table[8:, :, 4])


def test_stochastic_depth_leaves_the_mean_as_it_is_and_evaluation_alone():
    torch.manual_seed(0)
    block = FrequencyViT(6, 3, width=8, depth=2, heads=1, drop_path=0.5).blocks[1]
    branch = torch.ones(20_000, 1, 8)
    dropped = block.train()._dropped(branch)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)  # four standard errors
    assert torch.equal(block.eval()._dropped(branch), branch)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"width": 10}, "a multiple of 4 and of heads; got width=10"),
        ({"width": 8, "heads": 3}, "heads=3"),
        ({"group": 0}, "at least 1"),
        ({"drop_path": 1.0}, "below 1; got 1.0"),
    ],
)
def test_a_number_that_does_not_fit_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        FrequencyViT(**numbers)
