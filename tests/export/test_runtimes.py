import os
import signal
import subprocess
import sys

import onnx
import pytest
import torch

from passband.export import ExportError, restoration_graph
from passband.export.quantize import save_openvino
from passband.export.runtimes import (
    FRONT,
    OnnxRuntime,
    OpenVINORuntime,
    openvino_core,
    openvino_model,
    read_openvino,
    require,
    split_front,
)
from tests.export.conftest import make_network


@pytest.fixture(scope="module")
def converted(network):
    return openvino_model(network)


def test_openvino_in_float32_is_torch_in_float32_picture_by_picture(network, converted):
    images = torch.rand(3, 3, 24, 40)
    with torch.no_grad():
        torch.testing.assert_close(OpenVINORuntime(converted)(images), network(images)[-1], rtol=0, atol=1e-5)


def test_front_then_trunk_is_the_whole(network, converted):
    front, trunk = (
        openvino_core().compile_model(part, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        for part in split_front(converted)
    )
    image = torch.rand(1, 3, 32, 56)
    features = front(image.numpy())
    assert [features[name].shape for name in FRONT] == [(1, 16, 32, 56), (1, 32, 16, 28), (1, 64, 8, 14)]
    restored = trunk({"degraded": image.numpy(), **{name: features[name] for name in FRONT}})[0]
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(restored), network(image)[-1], rtol=0, atol=1e-5)
    assert len(converted.outputs) == 1  # and what was cut is whole


def test_bfloat16_and_a_file_agree_with_memory(network, converted, tmp_path):
    save_openvino(converted, tmp_path / "network.xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.bin", "network.xml"]
    image = torch.rand(1, 3, 32, 24)
    with torch.no_grad():
        reference = network(image)[-1]
    read = OpenVINORuntime(tmp_path / "network.xml", "bfloat16")
    assert (read(image) - reference).square().mean() < 1e-5  # 50 dB of a random network
    torch.testing.assert_close(read(image), OpenVINORuntime(converted, "bfloat16")(image), rtol=0, atol=0)


@pytest.mark.parametrize("runtime", [lambda graph: OpenVINORuntime(_read(graph)), OnnxRuntime])
def test_engines_say_which_sizes_and_channels_they_take(network, runtime):
    engine = runtime(restoration_graph(network))
    assert (engine.sizes.multiple, engine.sizes.minimum, engine.in_channels) == (8, 16, 3)
    with pytest.raises(ValueError, match="divisible by 8 and at least 16, got 20x24"):
        engine(torch.rand(1, 3, 20, 24))
    with pytest.raises(ValueError, match="at least 16, got 8x24"):
        engine(torch.rand(1, 3, 8, 24))
    with pytest.raises(ValueError, match="take 3 channels, got 6"):
        engine(torch.rand(1, 6, 16, 16))
    six = runtime(restoration_graph(make_network(in_channels=6)))
    assert six.in_channels == 6
    assert six(torch.rand(2, 6, 16, 24)).shape == (2, 3, 16, 24)


def test_a_damaged_foreign_or_incomplete_file_is_one_sentence(tmp_path, converted):
    (tmp_path / "damaged.onnx").write_bytes(b"not a network")
    (tmp_path / "damaged.xml").write_text("<net")
    (tmp_path / "damaged.bin").write_bytes(b"")
    with pytest.raises(ExportError, match=r"damaged\.onnx is damaged or not an ONNX network"):
        OnnxRuntime(tmp_path / "damaged.onnx")
    with pytest.raises(ExportError, match=r"damaged\.xml is missing, damaged or not a network"):
        read_openvino(tmp_path / "damaged.xml")
    save_openvino(converted, tmp_path / "alone.xml")
    (tmp_path / "alone.bin").unlink()
    with pytest.raises(ExportError, match=r"needs its parameters beside it, in alone\.bin"):
        OpenVINORuntime(tmp_path / "alone.xml")
    identity = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    opset = [onnx.helper.make_opsetid("", 20)]
    onnx.save(onnx.helper.make_model(identity, opset_imports=opset, ir_version=9), tmp_path / "foreign.onnx")
    with pytest.raises(ExportError, match="a restoration network that passband export wrote: its inputs are x"):
        OnnxRuntime(tmp_path / "foreign.onnx")
    with pytest.raises(ExportError, match="a restoration network that passband export wrote: its inputs are x"):
        read_openvino(tmp_path / "foreign.onnx")


def test_a_precision_that_openvino_does_not_have_is_refused(converted):
    with pytest.raises(ExportError, match=r"float32, bfloat16 or int8 here, got float16"):
        OpenVINORuntime(converted, "float16")


@pytest.mark.parametrize(("engine", "extra"), [("openvino", "openvino"), ("onnxruntime", "onnx")])
def test_a_missing_package_says_what_to_install(engine, extra):
    with pytest.raises(ExportError, match=rf"needs the package no_such_package.*pip install 'passband\[{extra}\]'"):
        require(engine, "no_such_package")


def test_engines_send_nothing_and_leave_the_process_as_it_was(tmp_path):
    script = """
import multiprocessing, sys, threading
from passband.cli.shared.machine import describe_machine
from passband.export.runtimes import require
describe_machine()
require("openvino", "openvino", "nncf")
assert multiprocessing.get_start_method(allow_none=True) is None
assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
import openvino_telemetry  # the program itself may have it
require("openvino", "openvino")
assert sys.modules["openvino_telemetry"] is openvino_telemetry
"""
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, **home})
    assert not (tmp_path / "intel").exists()  # the folder of the telemetry


def _read(graph):
    return openvino_core().read_model(graph.SerializeToString())


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="signals of child processes are POSIX")
def test_signals_are_handled_after_engines_have_come_and_gone(network_weights, tmp_path):
    """A freed signal stack would be a segmentation fault."""
    script = f"""
import signal, subprocess, sys
from passband.export.runtimes import OpenVINORuntime, openvino_model
from passband.models import load_model
seen = []
signal.signal(signal.SIGCHLD, lambda *_: seen.append(1))  # as loaders with workers do
model = openvino_model(load_model({str(network_weights)!r}))
first, second = OpenVINORuntime(model), OpenVINORuntime(model)
del first
del second
subprocess.run([sys.executable, "-c", ""], check=True)
assert seen
"""
    subprocess.run([sys.executable, "-c", script], check=True)
