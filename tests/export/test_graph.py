import numpy as np
import onnx
import pytest
import torch

from passband.export import ExportError, restoration_graph
from passband.export.network_writer import FILTER_SCOPE, FRONT
from passband.export.runtimes import OnnxRuntime
from tests import golden
from tests.export.conftest import make_network


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 56), (88, 40)])
def test_the_graph_is_the_network_at_any_size(network, height, width):
    image = torch.rand(1, 3, height, width)
    with torch.no_grad():
        torch.testing.assert_close(
            OnnxRuntime(restoration_graph(network))(image), network(image)[-1], rtol=0, atol=2e-6
        )


def test_the_graph_of_the_published_network_gives_the_published_outputs(tmp_path):
    from passband.models import load_model

    torch.save({"model": golden.published_state()}, tmp_path / "GOPRO.pkl")
    restored = OnnxRuntime(restoration_graph(load_model(tmp_path / "GOPRO.pkl")))(golden.image("golden-a", 64, 96))
    torch.testing.assert_close(restored, golden.outputs("sfnet_global_64x96")["full"], rtol=0, atol=1e-5)


def test_two_views_are_averaged_and_added_to():
    model = make_network(in_channels=6, depth=2)
    image = torch.rand(1, 6, 32, 24)
    with torch.no_grad():
        torch.testing.assert_close(OnnxRuntime(restoration_graph(model))(image), model(image)[-1], rtol=0, atol=2e-6)


def test_half_precision_halves_the_file_and_agrees_to_60_db(network):
    whole, half = restoration_graph(network), restoration_graph(network, half=True)
    # names and whole numbers do not shrink
    assert sum(p.ByteSize() for p in half.graph.initializer) < 0.6 * sum(p.ByteSize() for p in whole.graph.initializer)
    image = torch.rand(1, 3, 40, 24)
    with torch.no_grad():
        error = (OnnxRuntime(half)(image) - network(image)[-1]).square().mean()
    assert error < 1e-6


def test_input_and_output_stay_float32_pictures_of_free_size(network):
    graph = restoration_graph(network, half=True).graph
    for port, name in ((graph.input[0], "degraded"), (graph.output[0], "restored")):
        kind = port.type.tensor_type
        assert port.name == name
        assert kind.elem_type == onnx.TensorProto.FLOAT
        assert [axis.dim_value or axis.dim_param for axis in kind.shape.dim] == [1, 3, "height", "width"]


def test_nodes_carry_the_names_of_modules(network):
    names = {node.name for node in restoration_graph(network).graph.node}
    modules = {name for name, module in network.named_modules() if isinstance(module, torch.nn.Conv2d)}
    scoped = {name for name in modules if f".{FILTER_SCOPE}." in name}
    # the heads of the smaller outputs are not needed, and the parts of dynamic filters go under shorter names
    assert modules - scoped - {"head.1", "head.2"} <= names
    assert set(FRONT) <= names
    assert sum(name.endswith(".filter") for name in names) == 12


def test_what_has_no_graph_is_refused_with_the_reason():
    with pytest.raises(ExportError, match=r"pool_mode='first' keeps the window of the first image.*--engine torch"):
        restoration_graph(make_network(pool_window=80, pool_mode="first"))
    with pytest.raises(ExportError, match="needs an SFNet, FSNet or ConvIR, got Linear"):
        restoration_graph(torch.nn.Linear(2, 2))


def test_a_large_bright_picture_does_not_overflow_half_precision():
    model = make_network()
    # the sum over 128 x 160 positions is above 65504 where the mean of a map is above 3.2
    torch.nn.init.constant_(model.stem[0].bias, 8.0)
    image = torch.ones(1, 3, 128, 160)
    assert np.isfinite(OnnxRuntime(restoration_graph(model, half=True))(image).numpy()).all()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 56), (88, 40)])
def test_the_graph_has_blended_windows_where_the_network_has(height, width):
    model = make_network(blend_windows=True)
    image = torch.rand(1, 3, height, width)
    with torch.no_grad():
        whole = model(image)[-1]
        assert (make_network()(image)[-1] - whole).abs().max() > 1e-3
        torch.testing.assert_close(OnnxRuntime(restoration_graph(model))(image), whole, rtol=0, atol=2e-6)
