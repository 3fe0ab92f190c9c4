import pytest
import torch

from passband.export import export_model
from passband.inference.engines import choice
from passband.inference.engines.choice import EngineChoice, choose_engine
from passband.inference.restoration import network
from passband.inference.restoration.network import RestorationNetwork
from passband.inference.restorer import Restorer
from tests.export.conftest import make_network


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    make_network().save_pretrained(folder)
    return folder


@pytest.fixture
def seconds(monkeypatch):
    """Return the times of the engines, which a test sets; they replace measured ones."""
    times = {"torch": 1.0, "openvino": 1.0, "onnxruntime": 1.0, "ncnn": 1.0}
    monkeypatch.setattr(choice, "_seconds", lambda engine, image: times[engine.name])
    return times


def test_the_fastest_engine_is_chosen_with_the_reason(weights, seconds):
    seconds |= {"openvino": 0.8, "ncnn": 0.5, "onnxruntime": 2.0}
    chosen = choose_engine(weights, "float32")
    assert chosen.engine == "ncnn"
    assert chosen.line == (
        "engine ncnn: 2.00 times as fast as torch (openvino 1.25 times as fast, onnxruntime 0.50 times as fast)"
    )


def test_torch_stays_if_no_other_engine_is_clearly_faster(weights, seconds):
    seconds |= {"openvino": 0.97}
    chosen = choose_engine(weights, "float32")
    assert chosen.engine == "torch"
    assert chosen.reason.startswith("no other engine is clearly faster (")


def test_an_engine_that_does_not_agree_is_never_chosen(weights, seconds, monkeypatch):
    seconds |= {"ncnn": 0.1, "openvino": 0.5}
    monkeypatch.setattr(choice, "agreement", lambda exact, engine, *_: 59.0 if engine.name == "ncnn" else float("inf"))
    chosen = choose_engine(weights, "float32")
    assert chosen.engine == "openvino"
    assert "ncnn agrees to 59 dB only" in chosen.reason


def test_an_engine_that_cannot_run_the_weights_is_left_out(weights, seconds):
    seconds |= {"ncnn": 0.1, "openvino": 0.5}
    chosen = choose_engine(weights, "float32", pool_window=80)
    assert chosen.engine == "openvino"
    assert "ncnn cannot run these weights" in chosen.reason


def test_a_choice_is_remembered_until_its_file_is_deleted(weights, cache, monkeypatch):
    said = []
    monkeypatch.setattr(choice._log, "warning", lambda text, *values: said.append(text % values))
    answers = iter(["openvino first", "ncnn second", "torch third", "torch fourth"])
    monkeypatch.setattr(choice, "_measure", lambda *_: next(answers))
    assert choose_engine(weights) == choose_engine(weights) == EngineChoice("openvino", "first")
    assert len(said) == 1  # it is said before the wait, and only then
    assert "are measured once on this machine" in said[0]
    assert choose_engine(weights, "float32").reason == "second"  # another precision is another question
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    assert choose_engine(weights).reason == "third"
    (cache / choice.CHOICES_FILE).unlink()
    assert choose_engine(weights).reason == "fourth"


def test_a_remembered_engine_that_is_no_longer_installed_is_chosen_anew(weights, monkeypatch):
    answers = iter(["ncnn first", "torch second"])
    monkeypatch.setattr(choice, "_measure", lambda *_: next(answers))
    assert choose_engine(weights).engine == "ncnn"
    version = choice._version
    monkeypatch.setattr(choice, "_version", lambda name: "" if name == "ncnn" else version(name))
    assert choose_engine(weights).engine == "torch"


def test_nothing_is_measured_if_only_one_engine_is_possible(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "_measure", lambda *_: pytest.fail("measured"))
    assert choose_engine(weights, has_cap=True).line == "engine torch: it is the only engine that keeps a cap on memory"
    assert choose_engine(weights, "int8").engine == "openvino"
    path = export_model(weights, tmp_path / "network.onnx", "onnx").path
    assert choose_engine(path).line == "engine onnxruntime: the exported file is for it"
    monkeypatch.setattr(choice, "_version", lambda name: "1" if name == "torch" else "")
    assert choose_engine(weights).reason == "no other engine is installed"


def test_a_restorer_says_which_engine_it_chose_and_keeps_it_in_other_processes(weights, monkeypatch):
    monkeypatch.setattr(network, "choose_engine", lambda *_, **__: EngineChoice("openvino", "it is fast"))
    restorer = Restorer(weights, engine="auto", precision="float32")
    assert restorer.engine_name == "openvino"
    assert list(restorer.engine_lines.values()) == [f"{weights}, engine openvino: it is fast"]
    assert restorer._settings()["engine"] == "openvino"


def test_torch_restores_images_that_the_chosen_engine_would_cut_into_tiles(weights, monkeypatch):
    monkeypatch.setattr(network, "choose_engine", lambda *_, **__: EngineChoice("onnxruntime", "fast"))
    monkeypatch.setattr(network, "TILE", 512)
    chosen = RestorationNetwork(weights, engine="auto", precision="float32")
    image = torch.rand(1, 3, 16, 520)
    exact, _ = RestorationNetwork(weights, engine="torch", precision="float32").predict(image)
    restored, plan = chosen.predict(image)
    assert plan.mode != "tiles"
    torch.testing.assert_close(restored, exact, rtol=0, atol=0)
