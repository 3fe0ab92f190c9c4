"""Networks in ncnn against torch."""

import ncnn
import pytest
import torch

from passband.export import ExportError
from passband.export.ncnn.graph import ncnn_graph
from passband.export.ncnn.runtime import NcnnRuntime, read_sizes, write_ncnn
from passband.export.sizes import Sizes
from passband.models import ConvIR, FSNet, SFNet, load_model
from tests import golden
from tests.models.restoration.test_family_bands import NEAR, randomized, uneven

NETWORKS = {
    "sfnet": SFNet(width=16, depth=2),
    "blended": SFNet(width=16, depth=1, blend_windows=True),
    "one window": SFNet(width=16, depth=1, windows=1),
    "two views": SFNet(width=16, depth=1, in_channels=6),
    "fsnet": FSNet(width=16, depth=1, full_depth=4),
    "convir": ConvIR(width=8, depth=1, full_depth=2, dilations=NEAR),
}


@pytest.fixture
def graph():
    return ncnn_graph(randomized(NETWORKS["sfnet"]))


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_network_is_that_of_torch_at_any_size(name):
    model = randomized(NETWORKS[name])
    engine = NcnnRuntime(ncnn_graph(model))
    assert (engine.sizes, engine.in_channels) == (Sizes.of(model), model.in_channels)
    for rows, columns in ((0, 0), (1, 3), (4, 2)):  # further than the least side
        height, width = (model.minimum + steps * model.multiple for steps in (rows, columns))
        image = uneven(height, width).repeat(2, model.in_channels // 3, 1, 1)
        torch.testing.assert_close(engine(image), model(image)[-1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_published_weights_give_the_published_outputs(tmp_path):
    torch.save({"model": golden.published_state()}, tmp_path / "GOPRO.pkl")
    engine = NcnnRuntime(ncnn_graph(load_model(tmp_path / "GOPRO.pkl")))
    # Winograd's algorithm rounds more than a direct convolution
    restored, expected = engine(golden.image("golden-a", 64, 96)), golden.outputs("sfnet_global_64x96")["full"]
    torch.testing.assert_close(restored, expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_an_image_is_not_changed_and_gives_the_same_again(graph):
    engine, image = NcnnRuntime(graph), uneven(24, 16)
    before = image.clone()
    first = engine(image)
    assert torch.equal(image, before)
    assert torch.equal(engine(image), first)


def test_each_output_has_one_consumer(graph):
    """ncnn reads an output only once; copies are layers of their own."""
    magic, counts, *layers = graph.text.splitlines()
    taken, made = [], []
    for line in layers:
        _, _, inputs, outputs, *names = line.split()
        taken += names[: int(inputs)]
        made += names[int(inputs) :][: int(outputs)]
    assert (magic, counts) == ("7767517", f"{len(layers)} {len(made)}")
    assert len(set(taken)) == len(taken)
    assert set(made) - set(taken) == {"restored"}


def test_networks_that_ncnn_cannot_compute_are_refused_with_what_to_do():
    with pytest.raises(ExportError, match=r"needs global pooling, got pool_window=80; use --engine openvino"):
        ncnn_graph(SFNet(width=16, depth=1, pool_window=80))
    with pytest.raises(ExportError, match="needs an SFNet, FSNet or ConvIR, got Linear"):
        ncnn_graph(torch.nn.Linear(2, 2))


def test_a_damaged_foreign_or_incomplete_file_is_one_sentence(graph, tmp_path):
    write_ncnn(graph, tmp_path / "network.ncnn.param")
    assert read_sizes(tmp_path / "network.ncnn.param") == (Sizes(8, 16), 3)
    (tmp_path / "alone.ncnn.param").write_text(graph.text)
    with pytest.raises(ExportError, match=r"alone\.ncnn\.param needs its parameters beside it, in alone\.ncnn\.bin"):
        NcnnRuntime(tmp_path / "alone.ncnn.param")
    (tmp_path / "foreign.ncnn.param").write_text("7767517\n1 1\nInput data 0 1 data\n")
    (tmp_path / "cut.ncnn.param").write_text("7767517")
    for name in ("foreign", "cut"):
        (tmp_path / f"{name}.ncnn.bin").write_bytes(b"")
        with pytest.raises(ExportError, match=rf"{name}\.ncnn\.param is damaged, or was not written"):
            NcnnRuntime(tmp_path / f"{name}.ncnn.param")


def test_an_old_version_is_refused(graph, monkeypatch):
    monkeypatch.setattr(ncnn, "__version__", "1.0.20260114")
    with pytest.raises(ExportError, match=r"version 1\.0\.20261020 or later.*found 1\.0\.20260114"):
        NcnnRuntime(graph)


def test_vulkan_without_a_gpu_is_refused(graph, monkeypatch):
    monkeypatch.setattr(ncnn, "get_gpu_count", lambda: 0)
    with pytest.raises(ExportError, match=r"needs a GPU with a Vulkan driver for the device vulkan, found none"):
        NcnnRuntime(graph, vulkan=True)


def test_engines_say_which_sizes_they_take(graph):
    with pytest.raises(ValueError, match="ncnn needs H and W divisible by 8 and at least 16, got 20x24"):
        NcnnRuntime(graph)(torch.rand(1, 3, 20, 24))
