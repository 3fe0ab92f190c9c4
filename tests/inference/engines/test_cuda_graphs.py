"""CUDA graphs without a GPU: which batches are recorded and replayed. `tests/gpu` tests the graphs themselves."""

import pytest
import torch

from passband.inference.engines import TorchEngine, cuda_graphs
from passband.inference.engines.cuda_graphs import KEPT, PLAIN, CudaGraphs
from passband.inference.restoration import network
from passband.models import ConvIR, FSNet, SFNet, UNet
from passband.models.restoration.three_scales import ThreeScaleNetwork
from tests.export.conftest import make_network


class Recorder:
    """Records without a GPU, and notes what was recorded and waited for."""

    def __init__(self):
        self.sizes, self.shared, self.waited = [], [], []

    def __call__(self, compute, images, before):
        self.sizes.append(tuple(images.shape[-2:]))
        self.shared.append(before and before.size)
        return Recorded(self, self.sizes[-1])


class Recorded:
    def __init__(self, recorder, size):
        self.recorder, self.size = recorder, size

    def __call__(self, images):
        return images + 2

    def wait(self):
        self.recorder.waited.append(self.size)


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(cuda_graphs, "_Recorded", recorder)
    return recorder


@pytest.fixture
def model():
    return SFNet(width=16, depth=1).eval()


def batch(height, width=8, count=1):
    return torch.zeros(count, 3, height, width)


def graphs_of(model):
    return CudaGraphs(model, lambda images: images + 1)


def is_replayed(graphs, images, precision="float32"):
    """Tell whether a batch is replayed, and check its result."""
    result = graphs(images, precision).unique().item()
    assert result in (1, 2)
    return result == 2


def run(graphs, images, precision="float32"):
    """Run a batch until it would be recorded, and tell whether the last run was replayed."""
    return [is_replayed(graphs, images, precision) for _ in range(PLAIN + 1)][-1]


def test_a_size_that_comes_again_is_recorded_once_and_replayed(model, recorder):
    graphs = graphs_of(model)
    found = [is_replayed(graphs, batch(8)) for _ in range(PLAIN + 3)]
    assert found == [False] * PLAIN + [True] * 3
    assert not is_replayed(graphs, batch(16))
    assert not is_replayed(graphs, batch(8, count=2))
    assert is_replayed(graphs, batch(8))
    assert recorder.sizes == [(8, 8)]


def test_only_the_latest_sizes_are_kept_and_share_memory(model, recorder):
    graphs = graphs_of(model)
    sides = [8 * number for number in range(1, KEPT + 2)]
    for side in sides[:-1]:
        assert run(graphs, batch(side))
    assert is_replayed(graphs, batch(sides[0]))
    assert run(graphs, batch(sides[-1]))  # drops the second one, because the first one came later
    assert recorder.waited == [(sides[1], 8)]
    assert is_replayed(graphs, batch(sides[0]))
    assert not is_replayed(graphs, batch(sides[1]))
    assert recorder.sizes == [(side, 8) for side in sides]
    assert recorder.shared[0] is None
    assert None not in recorder.shared[1:]


def test_large_batches_are_computed(model, recorder, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MOST_PIXELS", 2 * 8 * 8)
    graphs = graphs_of(model)
    assert run(graphs, batch(8, count=2))
    assert not run(graphs, batch(8, count=3))
    assert not run(graphs, batch(24))


@pytest.mark.parametrize("network", [SFNet, FSNet, ConvIR])
def test_the_families_of_three_scales_are_recorded(network, recorder):
    assert run(graphs_of(network(width=16, depth=1).eval()), batch(8))


def replace_layer(model):
    class Own(torch.nn.GELU):
        pass

    model.shallow[0][1] = Own()


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.train(),
        lambda model: model.encoder[0][0].train(),
        lambda model: model.head[0].register_forward_hook(lambda module, inputs, output: None),
        lambda model: model.head[0].register_forward_pre_hook(lambda module, inputs: None),
        replace_layer,
    ],
    ids=["training", "training layer", "hook", "hook before", "own layer"],
)
def test_networks_that_may_do_something_else_each_time_are_computed(model, change, recorder):
    graphs = graphs_of(model)
    assert run(graphs, batch(8))
    change(model)
    assert not run(graphs, batch(8))


def test_other_networks_are_computed(recorder):
    class Own(SFNet):
        pass

    for model in (UNet(width=4, depth=2).eval(), Own(width=16, depth=1).eval()):
        assert not run(graphs_of(model), batch(8))


def replace_forward(model):
    model.head[0].forward = lambda x: x


def replace_weights(model):
    model.head[0].weight.data = model.head[0].weight.data.clone()


def replace_buffer(model):
    norm = model.encoder[0][0].filters[0].norm
    norm.running_mean = norm.running_mean.clone()


@pytest.mark.parametrize("change", [replace_forward, replace_weights, replace_buffer])
def test_a_network_that_was_changed_is_recorded_anew(model, change, recorder):
    graphs = graphs_of(model)
    assert run(graphs, batch(8))
    assert run(graphs, batch(16))
    change(model)
    assert not is_replayed(graphs, batch(8))
    assert recorder.waited == [(8, 8), (16, 8)]
    assert run(graphs, batch(8))
    assert recorder.shared == [None, (8, 8), None]


def test_values_that_are_loaded_into_the_same_memory_need_no_new_recording(model, recorder):
    graphs = graphs_of(model)
    assert run(graphs, batch(8))
    model.load_state_dict(make_network().state_dict())
    assert is_replayed(graphs, batch(8))


def test_each_precision_is_recorded(model, recorder):
    graphs = graphs_of(model)
    assert run(graphs, batch(8), "float32")
    assert not is_replayed(graphs, batch(8), "bfloat16")
    torch.backends.cudnn.allow_tf32 = not torch.backends.cudnn.allow_tf32
    try:
        assert not is_replayed(graphs, batch(8), "bfloat16")
    finally:
        torch.backends.cudnn.allow_tf32 = not torch.backends.cudnn.allow_tf32


def test_after_a_failed_recording_everything_is_computed(model, recorder, monkeypatch):
    tried = []

    def fails(compute, images, before):
        tried.append(tuple(images.shape))
        raise RuntimeError("operation not permitted when stream is capturing")

    graphs = graphs_of(model)
    assert run(graphs, batch(16))
    monkeypatch.setattr(cuda_graphs, "_Recorded", fails)
    assert not run(graphs, batch(8))
    assert not run(graphs, batch(8))
    assert not run(graphs, batch(16))
    assert tried == [(1, 3, 8, 8)]
    assert recorder.waited == [(16, 8)]


def test_a_replayed_engine_converts_its_weights_in_each_run():
    # a graph that used weights which the context had converted earlier would keep them after they changed
    engine = TorchEngine(make_network(), "bfloat16")
    engine._graphs = lambda images, precision: engine._compute(images)
    image = torch.rand(1, 3, 24, 16)
    with engine.autocast(), torch.no_grad():
        before = engine(image)
        for weight in engine.model.parameters():
            weight.mul_(1.1)
        after = engine(image)
        torch.testing.assert_close(after, TorchEngine(engine.model, "bfloat16")(image))
    assert (after - before).abs().max() > 1e-2


def test_an_engine_on_a_processor_has_no_graphs(model):
    assert isinstance(model, ThreeScaleNetwork)
    assert TorchEngine(model, "float32")._graphs is None


@pytest.mark.parametrize(("memory", "graphs", "cap"), [(None, True, None), ("2GB", False, 2_000_000_000)])
def test_a_cap_on_memory_leaves_graphs_out(tiny_weights, memory, graphs, cap, monkeypatch):
    seen, load = [], network.load_engine

    def loaded(*settings, **options):
        seen.append((options["graphs"], options["memory"]))
        return load(*settings, **options)

    monkeypatch.setattr(network, "load_engine", loaded)
    network.RestorationNetwork(tiny_weights, "cpu", memory)
    assert seen == [(graphs, cap)]
