import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from PIL import Image

from passband.inference import Inspector, Restorer
from passband.inference.engines import TorchEngine
from passband.io.image import write_image
from passband.models import pick_device


@pytest.fixture(scope="module")
def identity(identity_weights):
    return Restorer(identity_weights, "cpu")


@pytest.fixture(scope="module")
def tiny(tiny_weights):
    return Restorer(tiny_weights, "cpu", precision="float32")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_pil_picture_comes_back_in_its_mode_with_its_pixels(identity, mode):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (13, 21, 4), dtype=np.uint8)).convert(mode)
    restored = identity(picture)
    assert restored.mode == mode
    np.testing.assert_array_equal(np.asarray(restored), np.asarray(picture))


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 1), (9, 14, 2), (9, 14, 3), (9, 14, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_an_array_comes_back_in_its_shape_and_dtype_with_its_values(identity, shape, dtype):
    array = np.random.default_rng(0).random(shape)
    array = (array * np.iinfo(dtype).max).astype(dtype) if np.issubdtype(dtype, np.integer) else array.astype(dtype)
    restored = identity(array)
    assert restored.shape == array.shape
    assert restored.dtype == array.dtype
    # a float64 picture passes through float32
    np.testing.assert_allclose(restored, array, rtol=0, atol=1e-6 if dtype in (np.float32, np.float64) else 0)


@pytest.mark.parametrize("shape", [(3, 20, 33), (2, 3, 20, 33)])
def test_a_tensor_comes_back_in_its_shape(identity, shape):
    image = torch.rand(shape)
    torch.testing.assert_close(identity(image), image)


def test_a_path_and_the_content_of_a_file_give_a_pil_picture(identity, tmp_path):
    image = torch.rand(3, 10, 12)
    write_image(tmp_path / "a.png", image)
    for source in (str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes()):
        restored = identity(source)
        assert isinstance(restored, Image.Image)
        np.testing.assert_array_equal(np.asarray(restored), np.asarray(Image.open(tmp_path / "a.png")))


def test_type_checkers_know_that_an_image_comes_back_as_what_it_was():
    script = """
from typing import get_overloads, get_type_hints
import numpy, torch
from PIL import Image
from passband.inference import Restorer
same, read = (get_type_hints(overload) for overload in get_overloads(Restorer.__call__))
assert set(same["image"].__constraints__) == {Image.Image, numpy.ndarray, torch.Tensor}
assert same["return"] is same["image"]
assert read["return"] is Image.Image
"""
    subprocess.run([sys.executable, "-c", script], check=True)  # the checks of types in tests hide overloads


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 40), (16, 16), (17, 31)])
def test_any_size_is_restored_within_the_range(tiny, size):
    restored = tiny(torch.rand(3, *size))
    assert restored.shape == (3, *size)
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_padding_does_not_show_where_none_is_needed(tiny):
    image = torch.rand(1, 3, 24, 32)
    with torch.inference_mode():
        torch.testing.assert_close(tiny.restore(image), tiny.model(image)[-1].clamp(0, 1))


@pytest.mark.parametrize(
    ("thing", "error", "message"),
    [
        (torch.zeros(4, 5, 5), ValueError, r"3 H W or B 3 H W"),
        (torch.zeros(3, 5, 5, dtype=torch.int64), ValueError, r"torch\.int64"),
        (np.zeros((5, 5, 7)), ValueError, r"got shape \(5, 5, 7\)"),
        (np.zeros((5, 5), dtype=np.int64), ValueError, "got int64"),
        (3, (TypeError, BeartypeCallHintViolation), "int|3"),  # the second checks types while tests run
    ],
)
def test_another_kind_of_thing_is_refused_with_what_is_needed(tiny, thing, error, message):
    with pytest.raises(error, match=message):
        tiny(thing)


def test_a_picture_over_the_cap_is_refused_with_what_would_do(tiny_weights, tmp_path):
    restorer = Restorer(tiny_weights, "cpu", memory="10MB")  # less than Python itself
    with pytest.raises(
        MemoryError, match=r"33x20 pixels need .* already use [\d.]+ GB more than the cap\. Allow [\d.]+ GB more"
    ):
        restorer(torch.rand(3, 20, 33))
    write_image(tmp_path / "a.png", torch.rand(3, 20, 33))
    with pytest.raises(MemoryError, match=r"a\.png: 33x20 pixels need"):
        restorer.restore_file(tmp_path / "a.png", tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_a_file_over_the_cap_is_refused_before_it_is_decoded(tiny_weights, tmp_path, monkeypatch):
    Image.new("L", (10_000, 10_000)).save(tmp_path / "large.png")
    monkeypatch.setattr("passband.inference.files.image_file.open_images", pytest.fail)
    restorer = Restorer(tiny_weights, "cpu")
    restorer.network().memory = psutil.Process().memory_info().rss + 10**9
    with pytest.raises(MemoryError, match=r"large\.png: 10000x10000 pixels need"):
        restorer.restore_file(tmp_path / "large.png", tmp_path / "b.png")


def test_a_memory_that_is_no_size_is_refused_at_once(tiny_weights):
    with pytest.raises(ValueError, match="memory is a size such as '2GB'.* got 'plenty'"):
        Restorer(tiny_weights, "cpu", memory="plenty")


def test_a_picture_is_not_changed_by_restoring_it_with_a_network_that_returns_its_input(identity_weights):
    class Same(torch.nn.Module):
        multiple = minimum = 1

        def forward(self, x):
            return [x]

    restorer, image = Restorer(identity_weights, "cpu"), torch.full((1, 3, 4, 4), 1.5)
    restorer.network().engine = TorchEngine(Same(), "float32")
    assert restorer.restore(image).max() == 1
    assert image.max() == 1.5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_restored_tensor_can_be_changed_and_trained_on(tiny_weights, precision):
    restorer = Restorer(tiny_weights, "cpu", precision=precision)
    layer = torch.nn.Conv2d(3, 3, 1)
    for restored in (restorer(torch.rand(3, 9, 14)), restorer.restore(torch.rand(1, 3, 9, 14, requires_grad=True))):
        assert not restored.requires_grad
        layer(restored).sum().backward()
        restored.mul_(2)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("restore", [Restorer.restore, lambda restorer, batch: restorer.restore_views(batch)])
@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (torch.zeros(3, 5, 5), ValueError, r"needs a batch of shape B C H W, got 3 x 5 x 5\. .*image\[None\]"),
        (torch.zeros(0, 3, 5, 5), ValueError, r"Restorer\.restore needs a tensor with values, got 0 x 3 x 5 x 5"),
        (np.zeros((1, 3, 5, 5), np.float32), TypeError, r"got a numpy array .*passband\.as_tensor"),
        (torch.zeros(1, 3, 5, 5, dtype=torch.uint8), TypeError, r"got torch\.uint8\. .*image\.float\(\) / 255"),
        (torch.full((1, 3, 5, 5), 200.0), ValueError, r"values in \[0, 1\]; got 200 to 200\. Divide by 255"),
        (torch.full((1, 3, 5, 5), float("nan")), ValueError, "75 of 75 are NaN or infinite"),
    ],
)
def test_a_batch_that_is_none_is_refused_with_what_to_do(tiny, restore, batch, error, message):
    with pytest.raises(error, match=message):
        restore(tiny, batch)


@pytest.mark.parametrize("strength", [None, "0.5", -0.1, float("nan")])
@pytest.mark.usefixtures("unchecked")
def test_a_strength_that_is_no_share_is_refused(tiny_weights, strength):
    with pytest.raises(ValueError, match=r"a strength between 0 \(no change\) and 1 \(all of it\), got "):
        Restorer(tiny_weights, "cpu", strength=strength)


def test_predictors_compute_in_float32_where_the_program_computes_in_float64(tiny_weights):
    image = torch.rand(3, 20, 33)
    expected, diagnosed = Restorer(tiny_weights, "cpu", precision="float32")(image), Inspector(device="cpu")(image)
    torch.set_default_dtype(torch.float64)
    try:
        for precision in ("float32", "bfloat16"):
            restored = Restorer(tiny_weights, "cpu", precision=precision)(image)
            assert restored.dtype == torch.float32
            torch.testing.assert_close(restored, expected, rtol=0, atol=1e-5 if precision == "float32" else 0.05)
        diagnosis = Inspector(device="cpu")(image)
    finally:
        torch.set_default_dtype(torch.float32)
    assert diagnosis.probabilities == pytest.approx(diagnosed.probabilities, abs=1e-5)  # other sums in float64


@pytest.mark.parametrize("convert", [torch.nn.Module.half, torch.nn.Module.double])
def test_weights_of_another_type_are_refused_with_what_to_do(tiny_weights, convert):
    restorer = Restorer(tiny_weights, "cpu", precision="float32")
    convert(restorer.model)
    with pytest.raises(TypeError, match=r"must stay torch\.float32, but some are torch\.float.*precision='bfloat16'"):
        restorer(torch.rand(3, 9, 14))
    restorer.model.float()
    assert restorer(torch.rand(3, 9, 14)).isfinite().all()


@pytest.mark.usefixtures("unchecked")
def test_a_device_that_is_not_here_is_refused():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="^device is one of auto, cpu, cuda, cuda:1 or mps; got 'warp'$"):
        pick_device("warp")
    with pytest.raises(ValueError, match="^device is one of .* got None$"):
        pick_device(None)
    with pytest.raises(ValueError, match="device 'meta' holds no values"):
        pick_device("meta")


def test_smoothing_ends_with_its_block(tiny_weights):
    restorer = Restorer(tiny_weights, "cpu", precision="float32")
    frames = torch.rand(2, 1, 3, 24, 32)
    alone = [restorer.restore(frame) for frame in frames]
    with restorer.smoothing(0.9) as smoother:
        smoothed = []
        for frame in frames:
            smoother.begin([False])
            smoothed.append(restorer.restore(frame))
    torch.testing.assert_close(smoothed[0], alone[0], rtol=0, atol=1e-6)
    assert not torch.allclose(smoothed[1], alone[1], rtol=0, atol=1e-6)
    assert torch.equal(restorer.restore(frames[1]), alone[1])
    with pytest.raises(ValueError, match="at least 0 and below 1"), restorer.smoothing(1.0):
        pytest.fail("a strength of 1 forgets nothing")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_another_engine_restores_what_torch_does(tiny, tiny_weights, engine):
    other = Restorer(tiny_weights, engine=engine, precision="float32")
    image = torch.rand(1, 3, 29, 43)
    torch.testing.assert_close(other.restore(image), tiny.restore(image), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match=f"{engine} runs the network outside of torch"):
        _ = other.model


def test_a_cap_on_memory_is_for_torch(tiny_weights):
    with pytest.raises(ValueError, match="a cap on memory is for the engine torch; onnxruntime has none"):
        Restorer(tiny_weights, memory="2GB", engine="onnxruntime")


def test_bfloat16_is_close_to_float32(tiny, tiny_weights):
    image = torch.rand(1, 3, 40, 24)
    fast = Restorer(tiny_weights, "cpu", precision="bfloat16")
    assert fast.precision == "bfloat16"
    difference = fast.restore(image) - tiny.restore(image)
    assert difference.any()
    assert difference.abs().max() < 0.02  # bfloat16 has 8 bits


def test_the_checksum_tells_networks_apart_and_pooling_windows_but_not_precisions(tiny, tiny_weights, identity):
    assert tiny.checksum() == Restorer(tiny_weights, "cpu", precision="bfloat16").checksum()
    assert tiny.checksum() != identity.checksum()
    assert tiny.checksum() != Restorer(tiny_weights, "cpu", precision="float32", pool_window=90).checksum()
    engines = [Restorer(weights, engine="onnxruntime").checksum() for weights in (tiny_weights, tiny_weights)]
    assert engines[0] == engines[1]
