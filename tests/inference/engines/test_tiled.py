import pytest
import torch

from passband.export import export_model
from passband.inference.engines import load_engine, loading
from passband.inference.engines.tiled import restore_tiled
from passband.inference.restoration.network import RestorationNetwork
from tests.export.conftest import make_network


class Recorded:
    """An engine that notes the height and width of the images that it gets."""

    def __init__(self, engine):
        self.engine, self.given = engine, []
        self.name, self.precision, self.in_channels = engine.name, engine.precision, engine.in_channels
        self.sizes, self.size = engine.sizes, engine.size

    def __call__(self, padded):
        self.given.append(tuple(padded.shape[-2:]))
        return self.engine(padded)


@pytest.fixture(scope="module", params=["one.onnx", "one.xml"])
def one_size(request, identity_weights, tmp_path_factory):
    """A file for images of 32 rows and 48 columns, of a network that returns its input."""
    return export_model(identity_weights, tmp_path_factory.mktemp("one") / request.param, size=(32, 48)).path


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_any_size_is_padded_run_whole_and_cropped(identity_weights, engine):
    loaded = load_engine(identity_weights, engine, "float32")
    for height, width in ((1, 1), (13, 50), (31, 17)):
        picture = torch.rand(2, 3, height, width)
        torch.testing.assert_close(restore_tiled(loaded, picture, 1536, 192), picture, rtol=0, atol=1e-6)


def test_larger_pictures_are_done_in_tiles(identity_weights):
    recorded = Recorded(load_engine(identity_weights, "onnxruntime"))
    picture = torch.rand(1, 3, 45, 83)
    torch.testing.assert_close(restore_tiled(recorded, picture, 32, 8), picture, rtol=0, atol=1e-6)
    assert set(recorded.given) == {(32, 32)}
    assert len(recorded.given) == 2 * 4


def test_a_file_of_one_size_restores_images_of_all_sizes_in_parts_of_its_own(one_size):
    network = RestorationNetwork(one_size, precision="float32")
    assert network.description["size"] == "48x32"
    network.engine = recorded = Recorded(network.engine)
    assert recorded.size == (32, 48)
    for height, width, parts in ((32, 48, 1), (1, 1, 1), (29, 40, 1), (20, 60, 2), (70, 100, 12)):
        image = torch.rand(1, 3, height, width)
        restored, plan = network.predict(image)
        torch.testing.assert_close(restored, image, rtol=0, atol=1e-6)
        assert set(recorded.given) == {(32, 48)}
        assert len(recorded.given) == parts
        assert plan.how == ("whole" if parts == 1 else "tiles of 48 pixels")
        recorded.given.clear()


def test_an_image_of_one_size_is_restored_as_by_a_file_for_any_size(tmp_path):
    make_network().save_pretrained(tmp_path / "weights")
    image = torch.rand(1, 3, 45, 60)
    export_model(tmp_path / "weights", tmp_path / "any.onnx")
    export_model(tmp_path / "weights", tmp_path / "one.onnx", size=(48, 64))
    of_any, of_one = (RestorationNetwork(tmp_path / name).predict(image)[0] for name in ("any.onnx", "one.onnx"))
    torch.testing.assert_close(of_one, of_any, rtol=0, atol=1e-5)


def test_the_precision_of_a_file_of_one_size_is_chosen_on_small_images(one_size, monkeypatch):
    sizes = []
    monkeypatch.setattr(loading, "agreement", lambda exact, fast, *_: sizes.extend([exact.size, fast.size]) or 10.0)
    chosen = load_engine(one_size)
    assert (chosen.precision, chosen.size) == ("float32", (32, 48))
    assert set(sizes) <= {(80, 96)}  # none for ONNX Runtime, and on a processor without bfloat16
