import pytest
import torch

from passband.analysis.cost import cost
from passband.data.cubes.inspection import pixel_views
from passband.models import InspectorNetwork, load_model
from tests.inspecting import photograph


def batch(count=4, side=12):
    generator = torch.Generator().manual_seed(0)
    return 20 * torch.randn(count, 2, 96, side, side, generator=generator), torch.rand(
        count, 6, 16, 16, generator=generator
    )


def test_the_order_of_windows_does_not_matter():
    torch.manual_seed(0)
    model = InspectorNetwork(width=8, hidden=8).eval()
    windows, overview = batch()
    one, other = model(windows, overview), model(windows.flip(1), overview)
    torch.testing.assert_close(one.kinds, other.kinds)
    torch.testing.assert_close(one.gains, other.gains)


def test_a_picture_unlike_those_learned_from_is_strange_and_they_are_not():
    torch.manual_seed(0)
    model = InspectorNetwork(width=8, hidden=8).train()
    pictures = [pixel_views(photograph(seed, 64, 64)) for seed in range(308)]
    windows = torch.stack([views.windows for views in pictures])
    overview = torch.stack([views.overview for views in pictures])
    for start in range(0, 900, 30):
        places = [(start + place) % 300 for place in range(30)]
        model(windows[places], overview[places])
    model.eval()
    with torch.no_grad():
        known = model(windows[300:], overview[300:]).strangeness
        noise = pixel_views(torch.rand(3, 64, 64))
        strange = model(noise.windows[None], noise.overview[None]).strangeness
    assert known.mean() < 2.5
    assert strange.item() > 10
    assert strange.item() > known.max()


def test_saved_weights_know_their_kinds_and_networks_again(tmp_path):
    torch.manual_seed(0)
    model = InspectorNetwork(["rain", "clean"], ["general", "derain-small"], width=8, hidden=8)
    windows, overview = batch()
    model.train()(windows, overview)
    model.eval().save_pretrained(tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again, InspectorNetwork)
    assert (again.kinds, again.networks) == (("rain", "clean"), ("general", "derain-small"))
    for one, other in zip(model(windows, overview), again(windows, overview), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (30, 2)])
def test_windows_of_any_size_are_taken(shape):
    model = InspectorNetwork(width=8, hidden=8).eval()
    with torch.no_grad():
        found = model(torch.zeros(1, 1, 96, *shape), torch.zeros(1, 6, 16, 16))
    assert found.kinds.isfinite().all()
    assert found.strangeness.isfinite().all()


def test_one_window_alone_is_taken_to_measure_what_the_network_costs():
    model = InspectorNetwork(width=8, hidden=8)
    found = cost(model, model.input_shape)
    assert found.macs > 0
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
