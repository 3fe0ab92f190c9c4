import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import av
import pytest
import torch

from passband.cli.shared import machine
from passband.io.jpeg import engine as jpeg_engine
from passband.io.jpeg import fallback as jpeg_fallback


def lines(out: str) -> dict[str, str]:
    return {name.strip(): value.strip() for name, value in (line.split("  ", 1) for line in out.splitlines())}


def test_the_doctor_names_versions_devices_readers_and_engines(run):
    status, out, err = run("doctor")
    found = lines(out)
    assert (status, err) == (0, "")
    assert found["passband"] == version("passband")
    assert found["Python"] == platform.python_version()
    assert found["torch"] == torch.__version__
    assert found["video (PyAV)"] == av.__version__
    assert f"cpu with {torch.get_num_threads()} threads" in found["devices"]
    assert found["fast on it"] in ("float32", "float32, bfloat16")
    assert found["JPEG coefficients"].startswith(jpeg_engine.backend())
    for package in ("openvino", "onnxruntime", "tensorboard"):
        assert found[package] == version(package)
    assert found["optuna (studies)"] == version("optuna")


@pytest.mark.parametrize(
    ("system", "tools"),
    [("linux", "apt install gcc libjpeg-dev"), ("darwin", "brew install jpeg-turbo"), ("win32", "libjpeg-turbo.org")],
)
def test_the_doctor_says_how_to_get_the_fast_reader(system, tools, run, monkeypatch):
    monkeypatch.setattr(jpeg_engine, "engine", lambda: jpeg_fallback)
    monkeypatch.setattr(sys, "platform", system)
    found = machine.jpeg_reader()
    assert found.startswith(f"jpeglib {version('jpeglib')}; for the compiled reader")
    assert tools in found
    assert "install passband again" in found

    def none() -> None:
        raise ImportError

    monkeypatch.setattr(jpeg_engine, "engine", none)
    found = machine.jpeg_reader()
    assert found.startswith("none; slow: pip install 'passband[jpeg]'; fast: ")
    assert tools in found


def test_what_is_missing_or_broken_comes_with_the_line_that_installs_it(run, monkeypatch):
    def lacking(name: str) -> str:
        if name in ("openvino", "tensorboard", "torchvision", "ray"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(machine, "version", lacking)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    status, out, _ = run("doctor")
    found = lines(out)
    assert status == 0
    assert found["openvino"] == "not installed: pip install 'passband[openvino]'"
    assert found["tensorboard"] == "not installed: pip install 'passband[tensorboard]'"
    assert found["ray (several machines)"] == "not installed: pip install 'passband[ray]'"
    assert found["torchvision"] == "not installed: pip install 'torchvision'"
    assert found["onnxruntime"].startswith(f"{version('onnxruntime')}, but it cannot be imported (")
    assert found["onnxruntime"].endswith("pip install 'passband[onnx]'")
