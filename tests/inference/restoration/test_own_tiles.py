"""Networks whose weights ask for tiles, each with its own averages."""

import json
import re
from unittest.mock import Mock

import pytest
import torch

from passband import SFNet
from passband.evaluation import evaluate
from passband.export import export_model
from passband.inference import Restorer
from passband.inference.engines import load_engine
from passband.inference.restoration.memory import MemoryPlan
from passband.inference.restoration.network import RestorationNetwork
from passband.io.image import write_image
from passband.models import MODELS, ConvIR, build_model, load_model
from passband.models.restoration.whole import restore_batch
from passband.ops.tiling import map_tiles

SIZE = (100, 150)


@pytest.fixture(scope="module")
def tiled_weights(tmp_path_factory):
    """Return a folder with weights of a tiny network that restores in tiles of 64 pixels."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiled")
    SFNet(width=16, depth=1, tile=64).save_pretrained(folder)
    return folder


@pytest.fixture
def images():
    """Return images that become brighter to the right, so that averages of tiles differ."""
    return torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1)) * torch.linspace(0, 1, SIZE[1])


@torch.inference_mode()
def in_tiles(weights, images, side, overlap):
    """Return images that are restored tile by tile."""
    model = load_model(weights)
    return map_tiles(lambda tile: restore_batch(model, tile), images, side, overlap, 8).clamp(0, 1)


def test_larger_images_are_restored_in_tiles_with_averages_of_their_own(tiled_weights, images):
    restored, plan = Restorer(tiled_weights, "cpu", precision="float32").restore_views(images)
    torch.testing.assert_close(restored, in_tiles(tiled_weights, images, 64, 16), rtol=0, atol=1e-6)
    assert (plan.mode, plan.side) == ("own tiles", 64)
    whole, plan = Restorer(tiled_weights, "cpu", precision="float32", tile=None).restore_views(images)
    assert plan.mode == "whole"
    assert (whole - restored).abs().max() > 1e-3  # engines differ by less than 1e-4
    other, plan = Restorer(tiled_weights, "cpu", precision="float32", tile=80).restore_views(images)
    torch.testing.assert_close(other, in_tiles(tiled_weights, images, 80, 24), rtol=0, atol=1e-6)
    assert plan.how == "own tiles of 80 pixels"


@pytest.mark.parametrize("name", ["sfnet-small", "fsnet-small", "convir-tiny"])
@pytest.mark.parametrize("factor", [1, 3])
def test_all_networks_take_the_smallest_tile_and_odd_multiples(name, factor, tmp_path):
    plain = MODELS[name](width=16)
    model = MODELS[name](width=16, tile=max(64, plain.minimum) + factor * plain.multiple)
    model.save_pretrained(tmp_path)
    restored, plan = Restorer(tmp_path, "cpu", precision="float32").restore_views(torch.rand(1, 3, 70, 300))
    assert (plan.mode, plan.side) == ("own tiles", model.tile)
    assert restored.shape == (1, 3, 70, 300)


def test_images_that_are_not_larger_than_a_tile_are_restored_as_a_whole(tiled_weights, images):
    small = images[..., :64, :40]
    restored, plan = Restorer(tiled_weights, "cpu", precision="float32").restore_views(small)
    assert plan.mode == "whole"
    whole = Restorer(tiled_weights, "cpu", precision="float32", tile=None).restore(small)
    assert torch.equal(restored, whole)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "ncnn"])
def test_all_engines_and_exported_files_restore_in_the_same_tiles(tiled_weights, images, tmp_path, engine):
    expected = Restorer(tiled_weights, "cpu", precision="float32").restore(images)
    suffix = {"onnxruntime": "onnx", "openvino": "xml", "ncnn": "ncnn.param"}[engine]
    path = export_model(tiled_weights, tmp_path / f"network.{suffix}").path
    assert load_engine(path).sizes.tile == 64
    for weights, name in ((path, "torch"), (tiled_weights, engine)):
        restored, plan = Restorer(weights, engine=name, precision="float32").restore_views(images)
        assert plan.how == "own tiles of 64 pixels"
        torch.testing.assert_close(restored, expected, rtol=0, atol=1e-4)


def test_an_onnx_file_keeps_its_tiles_in_openvino(tiled_weights, tmp_path):
    path = export_model(tiled_weights, tmp_path / "network.onnx").path
    assert load_engine(path, "openvino", "float32").sizes.tile == 64


def test_a_file_of_one_size_restores_in_tiles_of_this_size(tiled_weights, images, tmp_path):
    path = export_model(tiled_weights, tmp_path / "one.onnx", size=(96, 80)).path
    network = RestorationNetwork(path)
    assert network.predict(images)[1].how == "tiles of 96 pixels"
    same = export_model(tiled_weights, tmp_path / "same.onnx", size=(64, 64)).path
    expected = Restorer(tiled_weights, "cpu", precision="float32").restore(images)
    torch.testing.assert_close(Restorer(same).restore(images), expected, rtol=0, atol=1e-4)


def test_an_engine_that_was_chosen_keeps_images_that_it_restores_in_own_tiles(tiled_weights, monkeypatch):
    network = RestorationNetwork(tiled_weights, engine="onnxruntime")
    monkeypatch.setattr(network, "engine_choice", object())
    monkeypatch.setattr("passband.inference.restoration.network.TILE", 96)
    assert network.predict(torch.rand(1, 3, *SIZE))[1].how == "own tiles of 64 pixels"


def test_the_tile_is_part_of_the_checksum(tiled_weights):
    checksums = {Restorer(tiled_weights, "cpu", precision="float32", tile=tile).checksum() for tile in (None, 64, 96)}
    assert len(checksums) == 3
    assert Restorer(tiled_weights, "cpu").checksum() in checksums
    assert Restorer(tiled_weights, engine="onnxruntime").checksum() in checksums


def test_averages_that_are_smoothed_over_frames_are_those_of_whole_frames(tiled_weights):
    network, frame = RestorationNetwork(tiled_weights, "cpu", precision="float32"), torch.rand(1, 3, *SIZE)
    whole = RestorationNetwork(tiled_weights, "cpu", precision="float32", tile=None).predict(frame)[0]
    with network.smoothing(0.5) as smoother:
        smoother.begin([True])
        restored, plan = network.predict(frame)
    assert plan.mode == "whole"
    torch.testing.assert_close(restored, whole, rtol=0, atol=1e-5)
    assert network.predict(frame)[1].mode == "own tiles"


def test_tiles_need_less_memory_than_the_whole_image_and_are_refused_if_they_do_not_fit(
    tiled_weights, tmp_path, monkeypatch
):
    network, shape = RestorationNetwork(tiled_weights, "cpu", precision="float32"), (1, 3, 400, 500)
    rooms = []

    def room(device, cap):
        return rooms[-1]

    monkeypatch.setattr("passband.inference.restoration.network.free_memory", room)
    rooms.append(10**10)
    needed = network.predict(torch.zeros(shape))[1].bytes
    rooms.append(needed)
    assert network.predict(torch.zeros(shape))[1] == MemoryPlan("own tiles", needed, 64)
    rooms.append(needed - 1)
    message = re.compile(r"^500x400 pixels need .* of memory in tiles of 64 pixels, but .*--memory")
    with pytest.raises(MemoryError, match=message):
        network.predict(torch.zeros(shape))
    write_image(tmp_path / "image.png", torch.zeros(shape[1:]))
    with pytest.raises(MemoryError, match=r"image\.png: 500x400 pixels need .* in tiles of 64 pixels"):
        network.check_room(tmp_path / "image.png", 10**9)
    rooms.append(needed + 15 * 400 * 500)
    network.check_room(tmp_path / "image.png", 10**9)


@pytest.mark.parametrize("name", ["sfnet-small", "fsnet-small", "convir-tiny"])
@pytest.mark.parametrize("tile", [-64, 0, 32, 68])
def test_a_tile_that_is_too_small_or_does_not_fit_the_network_is_refused(name, tile):
    plain = MODELS[name]()
    least = max(64, plain.minimum)
    said = f"tile must be a multiple of {plain.multiple} from {least} pixels.*got {tile}"
    with pytest.raises(ValueError, match=said):
        build_model(name, tile=tile)


def test_a_tile_may_be_larger_than_any_side_of_the_weights(tiled_weights, tmp_path):
    model = load_model(tiled_weights, tile=4096)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["tile"] == 4096
    assert load_model(tmp_path).tile == 4096
    assert SFNet.from_pretrained(tmp_path, tile=None).tile is None


def test_weights_from_before_restore_images_as_a_whole(tiled_weights, tmp_path):
    model = load_model(tiled_weights)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["tile"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_model(tmp_path).tile is None


@pytest.mark.usefixtures("without_charts")
def test_a_report_does_not_call_images_too_large_that_are_restored_in_own_tiles(tiled_weights, tmp_path):
    for folder in ("degraded", "clean"):
        write_image(tmp_path / "pairs" / folder / "image.png", torch.rand(3, *SIZE))
    result = evaluate(tiled_weights, tmp_path / "pairs", tmp_path / "report", device="cpu")
    assert result["images"][0]["computed"] == "own tiles of 64 pixels"
    assert result["network"]["tile"] == 64
    assert not any("too large" in note for note in result["notes"])


def test_shipped_networks_for_blur_restore_in_tiles():
    tiles = {name: load_model(name).tile for name in ("deblur-small", "defocus-small", "general", "dehaze-small")}
    assert tiles == {"deblur-small": 320, "defocus-small": 256, "general": None, "dehaze-small": None}


def test_memory_that_runs_out_within_tiles_is_told_in_a_sentence(tiled_weights, monkeypatch):
    network = RestorationNetwork(tiled_weights, "cpu", precision="float32")
    for error in (torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")):
        monkeypatch.setattr(network.engine, "_run", Mock(side_effect=error))
        with pytest.raises(
            MemoryError, match="150x100 pixels need more memory than cpu has free; close other programs"
        ):
            network.predict(torch.zeros(1, 3, *SIZE))
    monkeypatch.setattr(network.engine, "_run", Mock(side_effect=RuntimeError("another error")))
    with pytest.raises(RuntimeError, match="another error"):
        network.predict(torch.zeros(1, 3, *SIZE))


def test_an_image_between_the_usual_tile_and_a_larger_own_one_is_restored_as_a_whole(tiled_weights, monkeypatch):
    monkeypatch.setattr("passband.inference.restoration.network.TILE", 96)
    network = RestorationNetwork(tiled_weights, engine="onnxruntime", tile=160)
    assert network.predict(torch.rand(1, 3, *SIZE))[1].how == "whole"
    assert network.predict(torch.rand(1, 3, 170, 64))[1].how == "own tiles of 160 pixels"


def test_a_tile_is_not_smaller_than_the_network_takes():
    assert ConvIR(width=8, depth=1, tile=256).tile == 256
    with pytest.raises(ValueError, match=r"a multiple of 32 from 256 pixels, or None \(--tile 0\) for .*; got 128"):
        ConvIR(width=8, depth=1, tile=128)


def test_changes_of_the_networks_are_part_of_the_checksum_of_auto():
    checksums = [Restorer("auto", "cpu", **change).checksum() for change in ({}, {"tile": None}, {"tile": 64}, {})]
    assert len(set(checksums)) == 3
    assert checksums[0] == checksums[-1]


def test_an_exported_file_tells_its_tile(tiled_weights, tmp_path):
    path = export_model(tiled_weights, tmp_path / "network.onnx").path
    assert RestorationNetwork(path).description["tile"] == 64
