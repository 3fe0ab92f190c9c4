import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from passband.export import ExportError, export_model, quantize
from passband.inference import Classifier
from passband.inference.engines import TorchEngine, load_engine, loading
from passband.inference.engines.choice import choose_engine
from passband.inference.engines.precision import agreement
from passband.inference.restoration.network import RestorationNetwork
from passband.models import load_model, task_of
from tests.classifiers import PERIODS, save_classifier
from tests.export.conftest import make_network


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a network of which every part matters."""
    folder = tmp_path_factory.mktemp("network")
    make_network().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory):
    """The same, as files."""
    folder = tmp_path_factory.mktemp("exported")
    return {
        "onnx": export_model(weights, folder / "network.onnx", "onnx").path,
        "openvino": export_model(weights, folder / "network.xml", "openvino").path,
        "ncnn": export_model(weights, folder / "network.ncnn.param", "ncnn").path,
    }


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".param", ".mlpackage", ".pth", ".safetensors"])
def test_a_folder_with_the_suffix_of_a_file_is_a_folder_of_weights(weights, tmp_path, suffix):
    folder = tmp_path / f"mine{suffix}"
    shutil.copytree(weights, folder)
    network = RestorationNetwork(folder, "cpu", "2GB")
    assert network.engine.name == "torch"
    assert network.description["architecture"] == "SFNet"
    assert load_engine(folder, "onnxruntime").name == "onnxruntime"
    assert choose_engine(folder, device="cpu", has_cap=True).engine == "torch"
    classifier = tmp_path / "classes" / f"mine{suffix}"
    save_classifier(classifier)
    assert task_of(classifier) == "classification"
    assert list(Classifier(classifier, "cpu").classes) == list(PERIODS)


def fast(monkeypatch, precision):
    monkeypatch.setattr(loading, "restoration_precision", lambda device, threads, memory: precision)


@pytest.mark.parametrize("engine", ["torch", "openvino", "onnxruntime", "ncnn"])
def test_every_engine_gives_the_network_in_float32(weights, engine):
    loaded = load_engine(weights, engine, "float32")
    assert (loaded.name, loaded.precision, loaded.sizes.multiple, loaded.sizes.minimum) == (engine, "float32", 8, 16)
    image = torch.rand(2, 3, 24, 40)
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), load_model(weights)(image)[-1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "openvino", "onnxruntime", "ncnn"])
def test_threads_that_share_an_engine_get_their_own_images(weights, engine):
    loaded = load_engine(weights, engine, "float32")
    images = [torch.rand(1, 3, side, side) for side in (16, 48, 24, 32)] * 6
    alone = [loaded(image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        for shared, expected in zip(threads.map(loaded, images), alone, strict=True):
            torch.testing.assert_close(shared, expected, rtol=0, atol=1e-5)


def test_auto_goes_to_bfloat16_where_it_is_fast_and_agrees(weights, monkeypatch):
    fast(monkeypatch, "bfloat16")
    monkeypatch.setattr(loading, "agreement", lambda *_: 60.0)
    assert load_engine(weights).precision == "bfloat16"
    fast(monkeypatch, "float32")
    assert load_engine(weights).precision == "float32"


def test_auto_counts_a_cap_on_memory_for_networks_of_three_scales_alone(weights, monkeypatch):
    caps = []

    def chosen(device, threads, memory="any network"):
        caps.append(memory)
        return "float32"

    monkeypatch.setattr(loading, "restoration_precision", chosen)
    monkeypatch.setattr(loading, "fast_precision", chosen)

    class Other(torch.nn.Conv2d):
        multiple = minimum = 1

    load_engine(weights, memory=10**9)
    TorchEngine(Other(3, 3, 1))
    assert caps == [10**9, "any network"]


@pytest.mark.parametrize("close", [59.9, float("-inf")])
def test_auto_stays_exact_where_a_network_does_not_agree(weights, monkeypatch, close):
    fast(monkeypatch, "bfloat16")
    monkeypatch.setattr(loading, "agreement", lambda *_: close)
    image = torch.rand(1, 3, 16, 16)
    loaded = load_engine(weights)
    assert loaded.precision == "float32"
    with torch.no_grad():
        assert torch.equal(loaded(image), load_model(weights)(image)[-1])


def test_bfloat16_keeps_first_features_filters_and_heads_in_float32(weights):
    seen = {}
    model = load_model(weights)
    for name in ("stem.0", "shallow.1.0", "encoder.0.0.conv_in", "encoder.0.0.filters.0.modulator.join", "head.0"):
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.__setitem__(name, output.dtype)
        )
    restored = TorchEngine(model, "bfloat16")(torch.rand(1, 3, 24, 16))
    assert restored.dtype == torch.float32
    lowered = [name for name, dtype in seen.items() if dtype == torch.bfloat16]
    assert lowered == ["encoder.0.0.conv_in"]
    assert len(seen) == 5


def test_float32_first_features_bring_a_hazy_picture_nearer(weights):
    exact, kept = TorchEngine(load_model(weights), "float32"), TorchEngine(load_model(weights), "bfloat16")
    plain = TorchEngine(load_model(weights), "float32")
    plain.precision = "bfloat16"
    assert agreement(exact, kept, 8, 16) > agreement(exact, plain, 8, 16) + 3


@pytest.mark.parametrize("kind", ["onnx", "openvino", "ncnn"])
def test_an_exported_file_is_weights(weights, exported, kind):
    loaded = load_engine(exported[kind], precision="float32" if kind == "openvino" else "auto")
    assert loaded.name == {"onnx": "onnxruntime"}.get(kind, kind)
    image = torch.rand(1, 3, 32, 24)
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), load_model(weights)(image)[-1], rtol=0, atol=1e-5)


def test_a_provider_is_chosen_by_name(exported, weights):
    for source in (exported["onnx"], weights):
        assert load_engine(source, "onnxruntime", provider="CPUExecutionProvider").provider == "CPUExecutionProvider"


def test_openvino_takes_an_onnx_file_too(exported):
    assert load_engine(exported["onnx"], "openvino", "float32").name == "openvino"


def test_openvino_chooses_a_precision_that_agrees(weights, monkeypatch):
    monkeypatch.setattr(loading, "agreement", lambda *_: 10.0)
    assert load_engine(weights, "openvino").precision == "float32"


def test_int8_comes_from_openvino_and_its_file_runs_as_it_is(
    weights, monkeypatch, tmp_path, photograph, photographs, quantized_once
):
    pictures = quantize.calibration_images(photographs)
    monkeypatch.setattr(quantize, "calibration_images", lambda folder=None, views=1: pictures)
    loaded = load_engine(weights, "openvino", "int8")
    image = photograph[None, :, 100:148, 100:140]
    exact = load_engine(weights, "openvino", "float32")(image)
    assert 0 < (loaded(image) - exact).square().mean() < 1e-3
    (kept,) = (tmp_path / "cache").glob("int8-*.xml")
    assert load_engine(kept).precision == "int8"
    with pytest.raises(ExportError, match="is quantized, so it cannot run in float32"):
        load_engine(kept, precision="float32")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"engine": "tensorrt"}, "engine is one of torch, openvino, onnxruntime, ncnn; got 'tensorrt'"),
        ({"precision": "fp16"}, "precision is one of auto, float32, bfloat16, float16, int8; got 'fp16'"),
        ({"precision": "int8", "device": "cpu"}, "int8 needs --engine openvino"),
        ({"precision": "float16", "device": "cpu"}, "float16 needs a GPU"),
        ({"engine": "onnxruntime", "precision": "bfloat16"}, "onnxruntime runs in float32 here, got bfloat16"),
        ({"engine": "openvino", "precision": "float16"}, "float32, bfloat16 or int8 here, got float16"),
        ({"engine": "openvino", "device": "cuda"}, "openvino runs on the processor here, got the device 'cuda'"),
        ({"engine": "openvino", "pool_window": 80, "pool_mode": "first"}, "needs pooling windows that depend on"),
        ({"engine": "openvino", "pool_window": 80, "precision": "bfloat16"}, "float32 for networks that pool locally"),
        ({"engine": "ncnn", "precision": "bfloat16"}, "ncnn runs in float32 here, got bfloat16"),
        (
            {"engine": "ncnn", "device": "cuda"},
            "ncnn runs on the processor here, got the device 'cuda'; use auto, cpu, vul",
        ),
        ({"engine": "ncnn", "pool_window": 80}, "ncnn export needs global pooling, got pool_window=80"),
        (
            {"engine": "openvino", "provider": "CUDAExecutionProvider"},
            "--provider is for --engine onnxruntime, got the",
        ),
        (
            {"engine": "onnxruntime", "provider": "TensorrtExecutionProvider"},
            r"one of .*CPUExecutionProvider in this build of ONNX Runtime; got 'Tensorrt.*onnxruntime-gpu tensorrt",
        ),
        ({"engine": "onnxruntime", "provider": "CPUExecutionProvide"}, "Did you mean 'CPUExecutionProvider'"),
        ({"engine": "onnxruntime", "provider": "cpu"}, "got 'cpu'. Did you mean 'CPUExecutionProvider'"),
        (
            {"engine": "onnxruntime", "provider": "TensorRT"},
            r"Did you mean 'TensorrtExecutionProvider'\? It comes with: pip install onnxruntime-gpu tensorrt",
        ),
        ({"engine": "onnxruntime", "compile": True}, "compile is for --engine torch on a CUDA GPU"),
        ({"compile": True, "device": "cpu"}, "compile needs a CUDA GPU, got the device cpu"),
    ],
)
def test_what_an_engine_does_not_have_is_one_sentence(weights, arguments, says):
    with pytest.raises(ValueError, match=says):
        load_engine(weights, **arguments)


def test_what_an_exported_file_cannot_do_is_one_sentence(exported, tmp_path):
    with pytest.raises(ExportError, match=r"no file .*missing\.onnx"):
        load_engine(tmp_path / "missing.onnx")
    with pytest.raises(ExportError, match="its network is fixed: pool_window cannot be changed"):
        load_engine(exported["onnx"], pool_window=80)
    with pytest.raises(ExportError, match=r"is for OpenVINO; export --to onnx for ONNX Runtime"):
        load_engine(exported["openvino"], "onnxruntime")
    with pytest.raises(ExportError, match=r"is for ONNX Runtime; export --to ncnn for ncnn"):
        load_engine(exported["onnx"], "ncnn")
    with pytest.raises(ExportError, match="is not quantized, so it cannot run in int8"):
        load_engine(exported["openvino"], precision="int8")
