"""Local pooling in ONNX Runtime and OpenVINO against torch and the published network."""

import pytest
import torch

from passband.export import export_model, restoration_graph
from passband.export.runtimes import OnnxRuntime, OpenVINORuntime, openvino_model
from passband.inference.engines import load_engine
from passband.models import SFNet, load_model
from tests import golden
from tests.models.restoration.test_family_bands import randomized, uneven

WINDOWS = [
    {"pool_window": 80},
    {"pool_window": 246},
    {"pool_window": 300},  # covers every map
    {"pool_window": 13, "pool_mode": "tlc"},
    {"pool_window": 60, "pool_mode": "tlc"},  # covers only some maps
    {"pool_window": 110, "windows": 1, "depth": 2},
]


@torch.no_grad()
def strong(**numbers):
    """Return a network whose convolutions amplify, so that averages affect the output far above rounding."""
    model = randomized(SFNet(**{"width": 16, "depth": 1, **numbers}))
    for name, parameter in model.named_parameters():
        if parameter.ndim == 4 and "predict" not in name:
            parameter.mul_(3)
    model.head[0].weight.div_(3**6)
    return model


@pytest.mark.parametrize(
    ("file", "name", "size", "window"),
    [("sfnet_tlc246_72x104", "golden-b", (72, 104), 246), ("sfnet_tlc80_64x64", "golden-c", (64, 64), 80)],
)
def test_published_weights_with_local_pooling_give_the_published_outputs(file, name, size, window, tmp_path):
    torch.save({"model": golden.published_state()}, tmp_path / "GOPRO.pkl")
    engine = OnnxRuntime(restoration_graph(load_model(tmp_path / "GOPRO.pkl", pool_window=window)))
    torch.testing.assert_close(engine(golden.image(name, *size)), golden.outputs(file)["full"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("numbers", WINDOWS, ids=str)
@torch.no_grad()
def test_one_graph_has_the_window_of_every_size(numbers):
    model = strong(**numbers)
    engine = OnnxRuntime(restoration_graph(model))
    for height, width in ((16, 16), (24, 56), (88, 40)):
        image = uneven(height, width)
        torch.testing.assert_close(engine(image), model(image)[-1], rtol=0, atol=2e-6)


@pytest.mark.parametrize("numbers", [{"pool_window": 80}, {"pool_window": 13, "pool_mode": "tlc"}], ids=str)
@torch.no_grad()
def test_openvino_has_the_window_of_every_size(numbers):
    model = strong(**numbers)
    engine = OpenVINORuntime(openvino_model(model))
    for height, width in ((16, 16), (24, 56), (88, 40), (24, 56)):
        image = uneven(height, width)
        torch.testing.assert_close(engine(image), model(image)[-1], rtol=0, atol=5e-6)


@torch.no_grad()
def test_the_window_changes_the_result_far_above_these_tolerances():
    image = uneven(48, 64)
    whole, *local = (strong(**numbers)(image)[-1] for numbers in ({}, {"pool_window": 80}, {"pool_window": 246}))
    assert all((one - whole).abs().max() > 1e-3 for one in local)


@pytest.mark.parametrize(("height", "width"), [(16, 2048), (2048, 16)])
@torch.no_grad()
def test_sums_over_long_rows_and_columns_keep_the_result_near_float64(height, width):
    model = strong(pool_window=80)
    image = 0.9 + 0.1 * uneven(height, width)  # large sums, small differences
    restored = OnnxRuntime(restoration_graph(model))(image)
    exact = model.double()(image.double())[-1].float()
    torch.testing.assert_close(restored, exact, rtol=0, atol=5e-6)


@torch.no_grad()
def test_half_precision_sums_in_float32():
    model = randomized(SFNet(width=16, depth=1, pool_window=200))
    torch.nn.init.constant_(model.stem[0].bias, 200.0)  # the sum of a column of 512 positions is above 65504
    image = uneven(512, 16)
    assert OnnxRuntime(restoration_graph(model, half=True))(image).isfinite().all()


@torch.no_grad()
def test_an_exported_file_pools_locally(tmp_path):
    model = strong(pool_window=80)
    model.save_pretrained(tmp_path / "weights")
    image = uneven(40, 48)
    engine = load_engine(export_model(tmp_path / "weights", tmp_path / "local.xml", "openvino").path)
    assert engine.precision == "float32"  # also on a CPU with bfloat16
    torch.testing.assert_close(engine(image), model(image)[-1], rtol=0, atol=1e-5)
