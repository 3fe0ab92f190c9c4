"""FSNet and ConvIR in ONNX Runtime and OpenVINO against torch."""

import pytest
import torch

from passband.export import export_model, restoration_graph
from passband.export.quantize import quantize
from passband.export.runtimes import OnnxRuntime, OpenVINORuntime
from passband.inference.engines import load_engine
from passband.inference.engines.precision import agreement
from passband.inference.engines.tiled import restore_tiled
from passband.models import ConvIR, FSNet
from passband.models.restoration.whole import restore_batch
from tests.models.restoration.test_family_bands import NEAR, randomized

NETWORKS = {
    "fsnet": FSNet(width=16, depth=1, full_depth=4),
    "convir": ConvIR(width=8, depth=1, full_depth=2, dilations=NEAR),
}


@pytest.fixture(params=NETWORKS)
def model(request):
    return randomized(NETWORKS[request.param])


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 160), (128, 96)])
@torch.no_grad()
def test_the_graph_is_the_network_at_any_size(model, height, width):
    image = torch.rand(1, 3, height, width)
    whole = model(image)[-1]
    assert (whole - image).abs().max() > 0.1
    torch.testing.assert_close(OnnxRuntime(restoration_graph(model))(image), whole, rtol=0, atol=5e-6)


@torch.no_grad()
def test_half_precision_agrees_to_60_db(model):
    image = torch.rand(1, 3, 64, 96)
    error = (OnnxRuntime(restoration_graph(model, half=True))(image) - model(image)[-1]).square().mean()
    assert error < 1e-6


@torch.no_grad()
def test_exported_files_run_in_each_engine_and_know_the_sizes_that_they_take(model, tmp_path):
    model.save_pretrained(tmp_path / "weights")
    image = torch.rand(1, 3, 45, 70)  # is padded outside of the engines
    whole = restore_batch(model, image)
    for to, suffix, engines in (("onnx", "onnx", ("onnxruntime", "openvino")), ("openvino", "xml", ("openvino",))):
        path = export_model(tmp_path / "weights", tmp_path / f"its.{suffix}", to).path
        for name in engines:
            engine = load_engine(path, "openvino" if name == "openvino" else "torch", "float32")
            assert (engine.name, engine.sizes.multiple, engine.sizes.minimum) == (name, model.multiple, model.minimum)
            torch.testing.assert_close(restore_tiled(engine, image, 512, 256), whole, rtol=0, atol=1e-4)
            with pytest.raises(ValueError, match=f"divisible by {model.multiple} and at least {model.minimum}, got 8x"):
                engine(torch.rand(1, 3, 8, 64))


@torch.no_grad()
def test_weights_run_in_openvino_without_a_file(model, tmp_path):
    model.save_pretrained(tmp_path)
    engine = load_engine(tmp_path, "openvino", "float32")
    exact = load_engine(tmp_path, "torch", "float32")
    assert agreement(exact, engine, model.multiple, model.minimum) > 90


@torch.no_grad()
def test_fsnet_pools_locally_in_the_graph():
    model = randomized(FSNet(width=16, depth=1, full_depth=4, pool_window=80))
    image = torch.rand(1, 3, 40, 56)
    torch.testing.assert_close(OnnxRuntime(restoration_graph(model))(image), model(image)[-1], rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_keeps_sensitive_layers_and_sums_in_float_and_agrees(name, photograph):
    local = FSNet(width=16, depth=1, full_depth=4, pool_window=80)  # its averages are cumulative sums
    model = randomized(local if name == "fsnet" else NETWORKS[name])
    pictures = [photograph[:, :64, 64 * number : 64 * (number + 1)] for number in range(2)]
    made = quantize(model, pictures)
    rounded = [node for node in made.get_ops() if node.get_type_name() == "FakeQuantize"]
    takers = [taker.get_node() for node in rounded for taker in node.output(0).get_target_inputs()]
    # FSNet halves a map by a grouped convolution
    assert {taker.get_type_name() for taker in takers} <= {"Convolution", "ConvolutionBackpropData", "GroupConvolution"}
    names = [taker.get_friendly_name() for taker in takers]
    assert any(".conv_in" in name for name in names)
    kept = ("filters", "shallow", "stem.0", "head", "fuse", "merge", ".pool", ".enlarge", "encoder.0.join")
    first = ("encoder.0.0.", "encoder.0.blocks.0.", "encoder.1.0.", "encoder.2.0.")
    assert not [name for name in names if any(part in name for part in (*kept, *first))]
    image = photograph[None, :, 40:104, 60:156]
    with torch.no_grad():
        restored = model(image)[-1]
    error = (OpenVINORuntime(made, "int8")(image) - restored).square().mean()
    assert 0 < error < 1e-3  # 30 dB of a random network, and something was rounded
