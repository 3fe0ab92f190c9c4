"""Small images of a size that comes again are replayed as CUDA graphs, with the values of the network itself."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F

from passband.inference import Restorer
from passband.inference.engines import TorchEngine
from passband.inference.engines.cuda_graphs import KEPT, PLAIN
from passband.metrics import psnr
from passband.models import SFNet, build_model

pytestmark = pytest.mark.gpu
CLOSE = {"float32": 1e-5, "bfloat16": 5e-3}
"""Largest difference by precision: a graph may use other algorithms, which round otherwise."""
NETWORKS = {
    "sfnet": ("sfnet-small", {}),
    "sfnet, blended": ("sfnet-small", {"blend_windows": True}),
    "sfnet, local": ("sfnet-small", {"pool_window": 96}),
    "fsnet": ("fsnet-small", {}),
    "convir": ("convir-tiny", {}),
}
TINY = ("sfnet", {"width": 16, "depth": 1})


def engines(network=TINY, precision="float32"):
    """Return an engine that replays graphs, and one that does not, with the same weights."""
    name, arguments = network
    made = []
    for graphs in (True, False):
        torch.manual_seed(0)
        model = build_model(name, **arguments).eval()
        for parameter in model.parameters():
            if not parameter.any():  # every part shall matter
                torch.nn.init.normal_(parameter, std=0.1)
        made.append(TorchEngine(model, precision, torch.device("cuda"), graphs=graphs))
    return made


def recorded(engine):
    """Return the sizes of the graphs of an engine."""
    return [tuple(size[-2:]) for size, graph in engine._graphs._sizes.items() if not isinstance(graph, int)]


def warm(engine, image):
    """Run an engine until it replays a size."""
    for _ in range(PLAIN + 1):
        engine(image)
    assert tuple(image.shape[-2:]) in recorded(engine)


@pytest.fixture
def views(photograph):
    """Return a function that gives different images of one size on the GPU."""

    def make(height=96, width=128, count=5):
        image = F.interpolate(photograph[None], (height, width), mode="bilinear", antialias=True).clamp(0, 1)
        image = image.cuda()
        return [image.roll(13 * number, -1).contiguous() for number in range(count)]

    return make


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("network", NETWORKS)
def test_replayed_images_have_the_values_of_the_network(network, precision, views):
    engine, plain = engines(NETWORKS[network], precision)
    restored = [engine(image) for image in views(count=PLAIN + 3)]
    assert recorded(engine) == [(96, 128)]
    for image, found in zip(views(count=PLAIN + 3), restored, strict=True):  # later images change no earlier result
        torch.testing.assert_close(found, plain(image), rtol=0, atol=CLOSE[precision])


def test_batches_and_strided_images_are_replayed(views):
    engine, plain = engines()
    batch = torch.cat(views(count=3))
    for images in (batch, batch.to(memory_format=torch.channels_last), batch.flip(-1), batch[:1].expand(3, -1, -1, -1)):
        warm(engine, images)
        torch.testing.assert_close(engine(images), plain(images), rtol=0, atol=CLOSE["float32"])
    for image in batch.split(1):
        torch.testing.assert_close(engine(image.cpu()), plain(image), rtol=0, atol=CLOSE["float32"])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_changed_weights_change_the_result(precision, views):
    engine, plain = engines(precision=precision)
    image, other = views(count=2)
    warm(engine, image)
    before = engine(image)
    changed = {name: value * 1.3 for name, value in plain.model.state_dict().items()}
    for each in (engine, plain):
        each.model.load_state_dict(changed)
    assert (engine(image) - before).abs().max() > 3 * CLOSE[precision]
    torch.testing.assert_close(engine(image), plain(image), rtol=0, atol=CLOSE[precision])
    for each in (engine, plain):  # in other memory
        for parameter in each.model.parameters():
            parameter.data = parameter.data * 0.95
    junk = [torch.full_like(parameter, 1e3) for parameter in engine.model.parameters()]
    for _ in range(PLAIN + 2):
        torch.testing.assert_close(engine(other), plain(other), rtol=0, atol=CLOSE[precision])
    del junk


def test_the_setting_of_tf32_applies_to_graphs(views):
    engine, plain = engines(NETWORKS["sfnet"])
    (image,) = views(count=1)
    warm(engine, image)
    exact = plain(image)
    torch.backends.cudnn.allow_tf32 = True  # the fixture restores it
    rounded = plain(image)
    rounding = (rounded - exact).abs().max().item()
    assert rounding > 2 * CLOSE["float32"]
    for _ in range(PLAIN + 2):  # half of the rounding: float32 without TF32 is as far away as all of it
        torch.testing.assert_close(engine(image), rounded, rtol=0, atol=rounding / 2)


def test_many_sizes_keep_few_graphs_in_one_memory(views):
    engine, plain = engines()
    sizes = [(32 + 8 * number, 64) for number in range(KEPT + 3)]
    for _ in range(2):
        for size in sizes:
            images = views(*size, count=2)
            warm(engine, images[0])
            for image in images:
                torch.testing.assert_close(engine(image), plain(image), rtol=0, atol=CLOSE["float32"])
            assert len(recorded(engine)) <= KEPT
    assert sorted(recorded(engine)) == sizes[-KEPT:]
    for size in sizes[-KEPT:]:  # in turns, so that graphs with a common memory follow each other
        image = views(*size, count=1)[0]
        torch.testing.assert_close(engine(image), plain(image), rtol=0, atol=CLOSE["float32"])
    assert len({graph._graph.pool() for graph in engine._graphs._sizes.values()}) == 1


def test_threads_and_streams_get_their_own_results(views):
    engine, plain = engines()
    images = [image for size in ((64, 96), (96, 64)) for image in views(*size, count=12)]
    expected = [plain(image) for image in images]
    torch.cuda.synchronize()

    def restore(image):
        with torch.cuda.stream(torch.cuda.Stream()):
            restored = engine(image)
            torch.cuda.current_stream().synchronize()
        return restored

    with ThreadPoolExecutor(4) as pool:
        restored = list(pool.map(restore, images))
    assert sorted(recorded(engine)) == [(64, 96), (96, 64)]
    for found, exact in zip(restored, expected, strict=True):
        torch.testing.assert_close(found, exact, rtol=0, atol=CLOSE["float32"])


def test_the_inference_mode_may_change_between_calls(views):
    engine, plain = engines()
    for number, image in enumerate(views(count=2 * PLAIN + 4)):
        with torch.inference_mode(number % 2 == 0):
            restored = engine(image)
        assert restored.is_inference() == (number % 2 == 0)
        torch.testing.assert_close(restored.clone(), plain(image), rtol=0, atol=CLOSE["float32"])
    restored.requires_grad_().sum().backward()


def test_a_graph_of_ones_own_takes_in_the_engine(views):
    engine, plain = engines()
    first, second = views(count=2)
    warm(engine, first)
    place, graph, stream = first.clone(), torch.cuda.CUDAGraph(), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        plain(place)
        with torch.cuda.graph(graph, stream=stream):
            output = engine(place)
    torch.cuda.current_stream().wait_stream(stream)
    place.copy_(second)
    graph.replay()
    torch.testing.assert_close(output, plain(second), rtol=0, atol=CLOSE["float32"])


def test_restorers_replay_images_and_own_tiles(photograph):
    image = F.interpolate(photograph[None], (300, 440), mode="bilinear", antialias=True).clamp(0, 1)
    for weights, options in (("general", {}), ("general", {"tile": 128})):
        restorer = Restorer(weights, "cuda", precision="float32", **options)
        capped = Restorer(weights, "cuda", "8GB", precision="float32", **options)
        restored = [restorer.restore(image.roll(7 * number, -1)) for number in range(PLAIN + 2)]
        assert recorded(restorer.network().engine)
        for number, found in enumerate(restored):
            assert psnr(found, capped.restore(image.roll(7 * number, -1))).item() >= 80


def test_averages_are_smoothed_also_for_a_size_with_a_graph(photograph):
    image = F.interpolate(photograph[None], (64, 96), mode="bilinear", antialias=True).clamp(0, 1).cuda()
    smoothed = []
    for memory in (None, "8GB"):
        network = Restorer("general", "cuda", memory, precision="float32").network()
        for _ in range(PLAIN + 1):
            network.predict(image)
        with network.smoothing(0.9) as smoother:
            for frame, cut in ((image, True), (image * 0.5, False)):
                smoother.begin([cut])
                restored, _ = network.predict(frame)
        smoothed.append(restored)
        plain, _ = network.predict(image * 0.5)
        assert (restored - plain).abs().max() > 1e-3
    torch.testing.assert_close(*smoothed, rtol=0, atol=CLOSE["float32"])


BROKEN = """
import torch
from passband.inference.engines import TorchEngine
from passband.layers import dynamic_filter
from passband.models import SFNet

def waits(padded, kernels, dilation=1):
    assert padded.sum().item() != 1.5  # asks the GPU for a value, which no graph can
    return filter_each(padded, kernels, dilation)

filter_each, dynamic_filter.filter_each = dynamic_filter.filter_each, waits
torch.manual_seed(0)
model, image = SFNet(width=16, depth=1).eval(), torch.rand(1, 3, 64, 96, device="cuda")
expected = TorchEngine(model, "float32", torch.device("cuda"), graphs=False)(image)
engine = TorchEngine(model, "float32", torch.device("cuda"))
stream = torch.cuda.current_stream()
for _ in range(6):
    torch.testing.assert_close(engine(image), expected, rtol=0, atol=1e-5)
assert engine._graphs._is_broken
assert torch.cuda.current_stream() == stream
assert torch.rand(3, device="cuda").sum() > 0
dynamic_filter.filter_each = filter_each
other = TorchEngine(model, "float32", torch.device("cuda"))
for _ in range(6):
    torch.testing.assert_close(other(image), expected, rtol=0, atol=1e-5)
assert not other._graphs._is_broken
"""


def test_where_recording_fails_the_network_computes_as_before():
    # in a process of its own, because a failed recording leaves its marks on torch
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", BROKEN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_published_network_is_replayed(views):
    engine, plain = engines(("sfnet", {}))
    assert isinstance(engine.model, SFNet)
    images = views(256, 256)
    for image in images:
        torch.testing.assert_close(engine(image), plain(image), rtol=0, atol=CLOSE["float32"])
    assert recorded(engine) == [(256, 256)]
