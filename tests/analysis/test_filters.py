import csv

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from passband.analysis.filters import analyze_filters, filter_choices, image_filters, watched_filters
from passband.io.image import read_image, write_image
from passband.layers import DynamicFilter
from passband.models import ConvIR, FSNet, SFNet, load_model
from passband.state_dicts import CheckpointError
from passband.weights_finding import shipped_weights


@pytest.fixture
def model():
    return SFNet(width=16, depth=1).eval()


@pytest.fixture
def image():
    return torch.rand(1, 3, 29, 37)


def test_there_is_a_choice_for_each_filter_in_the_order_of_the_network(model, image):
    choices = filter_choices(model, image)
    places = [(choice.block, choice.kernel_size, choice.scale) for choice in choices]
    sizes = [("full size", 1), ("half size", 2), ("quarter size", 4)]
    order = [("encoder", *size) for size in sizes] + [("decoder", *size) for size in sizes[::-1]]
    assert places == [(f"{part}, {size}", side, scale) for part, size, scale in order for side in (3, 5)]


def test_kernels_are_averages_and_the_attention_is_shared(model, image):
    for choice in filter_choices(model, image):
        assert (choice.kernels >= 0).all()
        torch.testing.assert_close(choice.kernels.sum((-2, -1)), torch.ones(8, dtype=torch.float64), atol=1e-6, rtol=0)
        assert sum(choice.shares) == pytest.approx(1, abs=1e-6)
        assert (choice.attention_low >= 0).all()
        assert (choice.attention_high >= 0).all()


@torch.no_grad()
def test_the_low_and_the_high_part_are_those_of_the_layer(model):
    layer = model.encoder[0][0].filters[1]
    maps = []
    hook = layer.register_forward_pre_hook(lambda layer, inputs: maps.append(inputs[0]))
    with watched_filters(model) as choices:
        model(torch.rand(1, 3, 16, 24))
    hook.remove()
    low = layer.low_pass(maps[0])
    for_low, for_high = layer.modulator.attention(layer.modulator.pool(maps[0]))
    (choice,) = [choice for choice in choices if choice.name == "encoder.0.0.filters.1"]
    torch.testing.assert_close(choice.kernels.float(), layer.kernels(maps[0])[0])
    energies = [float(part.square().mean()) for part in (low, maps[0] - low)]
    assert choice.energy_in == pytest.approx(energies, rel=1e-4)  # the parts are float32
    weighted = [float(part.square().mean()) for part in (low * for_low, (maps[0] - low) * for_high)]
    assert choice.energy_out == pytest.approx(weighted, rel=1e-4)
    # low and high parts with their weights, joined, are the output of the layer
    joined = layer.modulator.join(low * for_low + (maps[0] - low) * for_high)
    torch.testing.assert_close(joined, layer(maps[0]), atol=1e-5, rtol=1e-4)  # one folded filter, in float32


def test_watching_does_not_change_the_results(model):
    image = torch.rand(2, 3, 16, 24)
    with torch.no_grad():
        before = model(image)
        with watched_filters(model) as choices:
            during = model(image)
        after = model(image)
    assert len(choices) == 12
    for one, other, third in zip(before, during, after, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_a_network_in_training_stays_in_training_and_keeps_its_statistics(image):
    model = SFNet(width=16, depth=1).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    filter_choices(model, image)
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_response_is_the_transform_of_the_kernel(model, image):
    choice = filter_choices(model, image)[1]
    placed = F.pad(choice.kernels, (0, 64 - 5, 0, 64 - 5)).roll((-2, -2), (-2, -1))
    whole = torch.fft.fft2(placed).real
    radii = torch.tensor([0.0, 0.5, 1.0])
    responses = choice.responses(radii)
    torch.testing.assert_close(responses[:, 0], torch.ones(8, dtype=torch.float64), atol=1e-6, rtol=0)
    for column, radius in ((1, 16), (2, 32)):
        # along four directions of the grid; the mean over all directions lies between the extremes of a finer circle
        angles = torch.arange(256) * torch.pi / 256
        y, x = (radius * torch.sin(angles)).round().long(), (radius * torch.cos(angles)).round().long()
        literal = whole[:, y % 64, x % 64].mean(1)
        torch.testing.assert_close(responses[:, column], literal, atol=0.02, rtol=0)  # rounded to the grid


def test_a_kernel_that_lets_everything_through_has_no_cutoff_and_a_wide_one_has_a_low_one(model, image):
    choice = filter_choices(model, image)[1]
    one, wide = (type(choice)(**{**vars(choice), "kernels": kernels}) for kernels in (impulse(5), box(5)))
    assert one.cutoff() == pytest.approx(2**0.5)
    assert one.width() == 0
    assert one.responses(torch.tensor([0.7])).flatten().tolist() == pytest.approx([1.0])
    assert 0.2 < wide.cutoff() < 0.3
    assert wide.width() == pytest.approx(2.0)  # the root of twice the variance of -2 to 2, which is 2


def impulse(side):
    kernels = torch.zeros(1, side, side, dtype=torch.float64)
    kernels[:, side // 2, side // 2] = 1
    return kernels


def box(side):
    return torch.full((1, side, side), 1 / side**2, dtype=torch.float64)


@pytest.mark.parametrize("name", sorted(shipped_weights()))
def test_every_shipped_network_shows_its_filters(name, photograph):
    analysis = image_filters(photograph[:, :32, :48], name, device="cpu")
    assert len(analysis.choices) == sum(isinstance(layer, DynamicFilter) for layer in load_model(name).modules())
    assert analysis.image.shape == (3, 32, 48)
    assert not analysis.is_part


def test_of_a_large_image_the_middle_is_taken(tiny_weights):
    image = torch.rand(3, 40, 90)
    analysis = image_filters(image, tiny_weights, side=24, device="cpu")
    assert torch.equal(analysis.image, image[:, 8:32, 33:57])
    assert analysis.is_part


def test_local_pooling_is_averaged_over_the_map(image):
    model = SFNet(width=16, depth=1, pool_window=64).eval()
    for choice in filter_choices(model, image):
        assert sum(choice.shares) == pytest.approx(1, abs=1e-5)


def test_files_hold_each_filter_each_weight_and_each_response(tiny_weights, tmp_path, photograph):
    write_image(tmp_path / "photo.png", photograph[:, :32, :48])
    analysis = analyze_filters(tmp_path / "photo.png", tmp_path / "out", weights=tiny_weights, device="cpu")
    tables = {
        name: list(csv.DictReader((tmp_path / "out" / f"{name}.csv").read_text().splitlines()))
        for name in ("filters", "filters_kernels", "filters_responses")
    }
    assert [row["filter"] for row in tables["filters"]] == [choice.name for choice in analysis.choices]
    assert len(tables["filters_kernels"]) == sum(choice.kernels.numel() for choice in analysis.choices)
    row = next(row for row in tables["filters_kernels"] if (row["group"], row["y"], row["x"]) == ("2", "0", "1"))
    assert float(row["weight"]) == analysis.choices[0].kernels[2, 0, 1].item()
    assert all(float(one["least"]) <= float(one["mean"]) <= float(one["most"]) for one in tables["filters_responses"])
    assert read_image(tmp_path / "out" / "filters.png").shape[-1] > 1000
    assert (tmp_path / "out" / "filters.svg").read_text().startswith("<?xml")


def test_mistakes_are_named(tmp_path, image):
    with pytest.raises(CheckpointError, match="inspector holds the network .*, which has none: take general"):
        image_filters(image[0], "inspector", device="cpu")
    with pytest.raises(ValueError, match="SFNet or FSNet, but Conv2d has none"):
        filter_choices(nn.Conv2d(3, 3, 1), image)
    with pytest.raises(ValueError, match="needs one image; got a batch of 2"):
        filter_choices(SFNet(width=16, depth=1), torch.rand(2, 3, 16, 16))
    with pytest.raises(CheckpointError, match="takes 6 channels at once"):
        image_filters(image[0], SFNet(width=16, depth=1, in_channels=6), device="cpu")
    with pytest.raises(ValueError, match="a side of 16 pixels or more; got 8"):
        image_filters(image[0], "general", side=8, device="cpu")


def test_filters_of_an_fsnet_are_named_as_those_of_an_sfnet(image):
    model = FSNet(width=16, depth=2, full_depth=4).eval()
    choices = filter_choices(model, image)
    assert [choice.block for choice in choices[::2]] == [
        *("encoder, full size", "encoder, half size", "encoder, quarter size"),
        *("decoder, quarter size", "decoder, half size", "decoder, full size"),
    ]
    assert [choice.name for choice in choices[:2]] == ["encoder.0.blocks.3.filters.0", "encoder.0.blocks.3.filters.1"]
    assert [choice.scale for choice in choices[::2]] == [1, 2, 4, 4, 2, 1]


def test_a_convir_is_refused_because_its_filters_divide_nothing():
    reason = r"SFNet or FSNet, but ConvIR holds the network ConvIR, which has none \(its filters are strips and squares"
    with pytest.raises(CheckpointError, match=reason):
        image_filters(torch.rand(3, 40, 40), ConvIR(width=8, depth=1))
    with pytest.raises(ValueError, match="SFNet or FSNet, but ConvIR has none"):
        filter_choices(ConvIR(width=8, depth=1), torch.rand(1, 3, 40, 40))
