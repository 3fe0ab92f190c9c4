"""FSNet and ConvIR against the published networks."""

import json

import pytest
import torch

from passband.analysis.cost import macs
from passband.layers import DynamicFilter
from passband.models import (
    ConvIR,
    FSNet,
    build_model,
    convir_b,
    convir_s,
    fsnet,
    load_model,
)
from passband.state_dicts import CheckpointError, published_config
from passband.weights_io import load_config, load_state, load_weights
from tests import golden


def whole(network):
    """The network of a golden, its file as the authors save theirs, and what is subsampled in the golden."""
    return {"fsnet": fsnet, "convir_small": convir_s, "convir_base": convir_b}[network]()


@pytest.mark.parametrize(
    ("file", "network", "name", "size", "gain", "steps"),
    [
        ("fsnet_64x96", "fsnet", "fs-a", (64, 96), 1, (1, 2, 4)),
        ("fsnet_strong_72x88", "fsnet", "fs-b", (72, 88), 4, (1, 2, 4)),
        ("convir_small_256x288", "convir_small", "cv-a", (256, 288), 1, (3, 6, 12)),
        ("convir_base_256x256", "convir_base", "cv-b", (256, 256), 2, (3, 6, 12)),
    ],
)
@torch.no_grad()
def test_the_published_weights_load_by_name_and_give_the_published_pictures(
    tmp_path, file, network, name, size, gain, steps
):
    path = tmp_path / "best.pkl"
    torch.save({"model": golden.published_state(network, gain)}, path)
    model, expected = load_model(path), golden.outputs(file)
    assert type(model) is type(whole(network))
    for out, scale, step in zip(model(golden.image(name, *size)), ("quarter", "half", "full"), steps, strict=True):
        torch.testing.assert_close(out[..., ::step, ::step], expected[scale], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "config"),
    [
        ("fsnet", {"model": "fsnet", "width": 32, "depth": 16, "in_channels": 3, "full_depth": 16}),
        ("convir_small", {"model": "convir", "width": 32, "depth": 4, "in_channels": 3}),
        ("convir_base", {"model": "convir", "width": 32, "depth": 8, "in_channels": 3}),
        ("sfnet", {"model": "sfnet", "width": 32, "depth": 16, "in_channels": 3}),
    ],
)
def test_every_published_name_has_a_place_of_its_shape_and_the_size_is_found(tmp_path, network, config):
    shapes = golden.published_shapes(network)
    torch.save({f"module.{name}": torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "a.pkl")
    state = load_weights(tmp_path / "a.pkl")
    with torch.device("meta"):
        own = build_model(
            config["model"], **{key: value for key, value in config.items() if key != "model"}
        ).state_dict()
    assert {name: value.shape for name, value in state.items()} == {name: value.shape for name, value in own.items()}
    assert load_config(tmp_path / "a.pkl") == config


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs", "published"),
    [
        ("fsnet", 13_275_689, 106.98, 111),
        ("convir-s", 5_530_505, 38.75, 42),
        ("convir-b", 8_630_665, 67.75, 71),
        ("convir-l", 14_830_985, 125.73, 129),
    ],
)
def test_the_published_networks_have_the_published_parameters_and_cost(name, parameters, gmacs, published):
    with torch.device("meta"):
        model = build_model(name)
    # per dynamic filter, FSNet's published count contains two vectors that are never used
    unused = sum(2 * module.predict.in_channels for module in model.modules() if isinstance(module, DynamicFilter))
    assert sum(parameter.numel() for parameter in model.parameters()) + unused == parameters
    assert macs(model, (3, 256, 256)) / 1e9 == pytest.approx(gmacs, abs=0.01)
    # published counts take a transposed convolution at its output, four times as many positions as it computes
    growing = 3 * sum(grow.weight.numel() * (128 >> scale) ** 2 for scale, grow in enumerate(model.grow)) / 1e9
    assert gmacs + growing == pytest.approx(published, abs=0.9)


def test_the_small_networks_cost_what_sfnet_small_costs():
    with torch.device("meta"):
        small, *others = (
            macs(build_model(name), (3, 256, 256)) for name in ("sfnet-small", "fsnet-small", "convir-tiny")
        )
    for other in others:
        assert other == pytest.approx(small, rel=0.05)


@pytest.mark.parametrize(
    "model",
    [FSNet(width=16, depth=1), ConvIR(width=8, depth=1, full_depth=2, dilations=(1, 2, 2))],
    ids=["FSNet", "ConvIR"],
)
def test_every_parameter_gets_a_gradient_and_weights_come_back_from_a_folder(tmp_path, model):
    _randomize(model)
    side = max(64, model.minimum)
    sum(out.square().mean() for out in model.train()(torch.rand(2, 3, side, side))).backward()
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    # InstanceNorm removes a constant before it
    assert [name for name in without if not name.endswith("shallow.0.6.bias")] == []

    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model"] == type(model).__name__.lower()
    again = load_model(tmp_path)
    assert type(again) is type(model)
    assert again.arguments == model.arguments
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    with pytest.raises(CheckpointError, match="is needed, but .* holds an? .*; load it"):
        (ConvIR if isinstance(model, FSNet) else FSNet).from_pretrained(tmp_path)


def test_fsnet_pools_locally_where_its_weights_ask_for_it():
    model, local = FSNet(width=16, depth=1).eval(), FSNet(width=16, depth=1, pool_window=80).eval()
    _randomize(model)
    load_state(local, model.state_dict(), "golden")
    image = torch.rand(1, 3, 48, 64) * torch.linspace(0, 1, 64)
    with torch.no_grad():
        assert (model(image)[-1] - local(image)[-1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("build", "numbers", "message"),
    [
        (FSNet, {"full_depth": 2}, "full_depth is at least 3: .* got 2"),
        (FSNet, {"width": 24}, "width is a positive multiple of 16 .*FSNet.* got 24"),
        (FSNet, {"blend_windows": True, "pool_window": 80}, "blend_windows needs global pooling"),
        (ConvIR, {"width": 20}, "width is a positive multiple of 8 .*ConvIR.* got 20"),
        (ConvIR, {"dilations": (7, 9)}, r"dilations are three numbers from 1; got \[7, 9\]"),
        (ConvIR, {"depth": 2, "full_depth": 0}, "at least 1 residual block per stage; got 0"),
        (ConvIR, {"in_channels": 4}, "in_channels is 3 per view of the scene; got 4"),
    ],
)
def test_a_number_that_does_not_fit_is_refused(build, numbers, message):
    with pytest.raises(ValueError, match=message):
        build(**numbers)


def test_convir_refuses_sides_below_its_least_and_says_how_to_pad():
    model = ConvIR(width=8, depth=1)
    assert (model.multiple, model.minimum) == (32, 256)
    with pytest.raises(
        ValueError, match=r"ConvIR needs .*divisible by 32 and at least 256, got 224x256; use .*\(image, 32, 256\)"
    ):
        model(torch.rand(1, 3, 224, 256))


def test_a_state_dict_of_another_network_is_not_taken_for_one_of_these():
    assert published_config({"stem.0.weight": torch.zeros(4, 3, 3, 3)}) is None
    state = FSNet(width=16, depth=1).state_dict()
    assert published_config({key: value for key, value in state.items() if ".filters." not in key}) is None


def _randomize(model):
    """Give the vectors that start at zero values, so that every branch matters."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim in (1, 3) and not parameter.any():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
