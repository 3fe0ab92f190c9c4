"""Core ML packages, whose programs run in torch here: Core ML itself exists on Apple devices only."""

import sys

import pytest
import torch

from passband.export import ExportError, export_model, restoration_graph
from passband.export.coreml.check import CoreMLProgram
from passband.export.coreml.program import translate, write_coreml
from passband.inference.engines import load_engine
from passband.inference.engines.choice import choose_engine
from passband.models import ConvIR, FSNet, SFNet, load_model
from tests.models.restoration.test_family_bands import NEAR, randomized, uneven

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="coremltools has no wheel for Windows")
NETWORKS = {
    "sfnet of two views": (SFNet(width=16, depth=1, in_channels=6), (32, 48)),
    "blended sfnet": (SFNet(width=16, depth=1, blend_windows=True), (48, 32)),
    "fsnet with local pooling": (FSNet(width=16, depth=1, full_depth=4, pool_window=80), (40, 48)),
    "convir": (ConvIR(width=8, depth=1, dilations=NEAR), (64, 96)),
}


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_program_is_the_network(name):
    network, size = NETWORKS[name]
    model = randomized(network)
    image = uneven(*size).repeat(1, model.in_channels // 3, 1, 1)
    program, _ = translate(restoration_graph(model).graph, model.in_channels, *size)
    whole = model(image)[-1]
    assert (whole - image[:, :3]).abs().max() > 0.1
    torch.testing.assert_close(CoreMLProgram(program)(image), whole, rtol=0, atol=5e-6)


@torch.no_grad()
def test_a_package_of_float16_is_read_again_agrees_and_replaces_an_earlier_one(network_weights, tmp_path):
    path = tmp_path / "a.mlpackage"
    path.mkdir()
    (path / "Manifest.json").write_text("{}")
    exported = export_model(network_weights, path, "coreml", "float16", size=(32, 48))
    (parity,) = exported.parities
    assert (parity.height, parity.width) == (32, 48)
    assert 60 < parity.psnr < 120
    assert [one.name for one in tmp_path.iterdir()] == ["a.mlpackage"]
    image = torch.rand(1, 3, 32, 48)
    error = (CoreMLProgram(path)(image) - load_model(network_weights)(image)[-1]).square().mean()
    assert error < 1e-6
    for load in (load_engine, choose_engine):
        with pytest.raises(ExportError, match=r"a\.mlpackage is for Core ML, which runs on Apple devices only"):
            load(path)


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path):
    model = ConvIR(width=8, depth=1)
    with pytest.raises(ExportError, match="by 32 and at least 256 pixels, got 320x240; use --size 320x256"):
        write_coreml(model, tmp_path / "a.mlpackage", 240, 320)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_package_is_not_replaced(network_weights, tmp_path):
    path = tmp_path / "photos.mlpackage"
    path.mkdir()
    (path / "photo.png").write_bytes(b"1")
    with pytest.raises(ExportError, match="is a folder that is no Core ML package; give another name"):
        export_model(network_weights, path, "coreml")
    assert (path / "photo.png").exists()


def test_a_file_in_place_of_a_package_and_a_folder_in_place_of_a_file_are_refused_before_the_export(tmp_path):
    (tmp_path / "a.mlpackage").write_text("a file")
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(ExportError, match="is a file that is no Core ML package; give another name"):
        export_model("no weights", tmp_path / "a.mlpackage")
    with pytest.raises(ExportError, match="is a folder, and a file is needed; give another name"):
        export_model("no weights", tmp_path / "a.onnx")
