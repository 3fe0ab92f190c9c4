import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from passband.inference import Restorer
from passband.inference.engines import load_engine
from passband.inference.restoration.network import RestorationNetwork
from passband.models import SFNet, build_model, load_model, sfnet_small
from passband.state_dicts import CheckpointError
from passband.weights_finding import WEIGHTS_FILE
from passband.weights_io import load_config, load_state, save_weights


def test_weights_of_another_architecture_are_refused_with_the_keys(tmp_path):
    torch.save({"model": torch.nn.Linear(3, 4).state_dict()}, tmp_path / "linear.pkl")
    with pytest.raises(CheckpointError, match=r"neither passband nor spandrel knows .* these entries: weight, bias"):
        load_model(tmp_path / "linear.pkl")
    state = torch.load(tmp_path / "linear.pkl")["model"]
    with pytest.raises(CheckpointError, match=r"this SFNet\. Entries: \d+ missing: .*; 2 unknown: weight, bias"):
        load_state(sfnet_small(depth=1), state, "linear")
    model = sfnet_small(depth=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    wide = sfnet_small(depth=1, width=48).state_dict()
    with pytest.raises(CheckpointError, match=r"of another shape: .*\(48, 3, 3, 3\) instead of \(32, 3, 3, 3\)"):
        load_state(model, wide, "wide")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_nan_in_a_checkpoint_is_refused_with_the_entry(tmp_path):
    model = sfnet_small(depth=1)
    model.head[0].bias.data[1] = torch.nan
    save_weights(model, tmp_path, {"model": "sfnet-small", "depth": 1})
    with pytest.raises(CheckpointError, match=r"1 entry holds NaN or infinity: head\.0\.bias"):
        load_model(tmp_path)


def test_half_precision_halves_parameters_and_keeps_running_statistics(tmp_path):
    model = sfnet_small(depth=1)
    model.encoder[0][0].filters[0].norm.running_var.fill_(1e6)  # beyond half precision
    save_weights(model, tmp_path, {"model": "sfnet-small", "depth": 1}, torch.float16)
    stored = load_file(tmp_path / WEIGHTS_FILE)
    assert stored["head.0.weight"].dtype == torch.float16
    again = load_model(tmp_path)
    assert again.head[0].weight.dtype == torch.float32
    torch.testing.assert_close(again.head[0].weight, model.head[0].weight, rtol=1e-3, atol=1e-6)  # 11 bits
    assert (again.encoder[0][0].filters[0].norm.running_var == 1e6).all()


def test_a_config_that_is_missing_or_damaged_is_an_error(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match="no config.json beside the weights"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="is not JSON"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model": "sfnet", "widht": 3}')
    with pytest.raises(CheckpointError, match=r"'widht'; did you mean 'width'"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"depth": 10**30}, "depth = 1000000000000000000000000000000 does not fit these weights"),
        ({"width": 2**31}, "width = 2147483648 does not fit"),
        ({"width": float("nan")}, "width = nan does not fit"),
        ({"depth": -1}, "model.safetensors|tiny|width|depth"),
        ({"width": 17}, "width"),
    ],
)
def test_a_config_of_a_far_larger_network_is_refused_before_memory_is_taken(tmp_path, tiny_weights, numbers, says):
    (tmp_path / "model.safetensors").write_bytes((tiny_weights / "model.safetensors").read_bytes())
    config = json.loads((tiny_weights / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | numbers))
    with pytest.raises(CheckpointError, match=says):
        load_model(tmp_path)


def test_a_config_nested_beyond_measure_is_refused(tmp_path, tiny_weights):
    (tmp_path / "model.safetensors").write_bytes((tiny_weights / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="is not JSON"):
        load_model(tmp_path)


def _replaced(name, content):
    """Return a function that writes a file of weights anew, or puts a folder in its place."""

    def change(folder):
        (folder / name).unlink()
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)

    return change


def _with_entry(**entries):
    """Return a function that changes entries of the config."""

    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **entries}))

    return change


@pytest.mark.parametrize("load", [load_model, SFNet.from_pretrained, Restorer])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_replaced("model.safetensors", b""), r"model\.safetensors is damaged"),
        (_replaced("model.safetensors", b"\x10" + bytes(999)), r"model\.safetensors is damaged"),
        (_replaced("model.safetensors", None), r"model\.safetensors is a folder, but a file is needed"),
        (_replaced("config.json", None), r"config\.json is a folder, but a file is needed"),
        (_replaced("config.json", b""), r"config\.json is not JSON"),
        (_replaced("config.json", b'{"model": "\xff"}'), r"config\.json is not JSON"),
        (_replaced("config.json", b"[1]"), r"config\.json must hold the config of a network; it holds a list"),
        (lambda folder: (folder / "config.json").unlink(), r"there is no config\.json beside the weights"),
        (_with_entry(widht=3), r"unknown argument of sfnet 'widht'; did you mean 'width'.* newer version"),
        (_with_entry(model="sfnet3"), r"unknown network 'sfnet3'; did you mean 'sfnet'.* newer version"),
        (_with_entry(model=[]), r"config\.json: model must be the name of a network; it is a list"),
        (_with_entry(width="16"), r"an argument of the network is of a wrong type, in config\.json"),
        (_with_entry(width=10**9), r"width = 1000000000 does not fit these weights"),
        (_with_entry(depth=2), r"these weights are not for this SFNet"),
    ],
)
def test_damaged_weights_are_refused_alike_by_every_way_to_load_them(tmp_path, tiny_weights, load, change, message):
    folder = tmp_path / "a copy.with dots"
    shutil.copytree(tiny_weights, folder)
    change(folder)
    with pytest.raises(CheckpointError, match=message) as error:
        load(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("damage", [b"", pickle.dumps({"a": 1}), None])
def test_from_pretrained_takes_files_as_load_model_does(tmp_path, tiny_weights, damage):
    path = tmp_path / "published.pth"
    if damage is None:
        torch.save(load_model(tiny_weights).state_dict(), path)
        assert torch.equal(SFNet.from_pretrained(path).stem[0].weight, load_model(path).stem[0].weight)
    else:
        path.write_bytes(damage)
        with pytest.raises(CheckpointError, match=r"published\.pth (is damaged|was refused)"):
            SFNet.from_pretrained(str(path))


@pytest.mark.parametrize("arguments", [{}, {"pool_window": 64}, {"memory": 2 * 10**9}], ids=str)
@pytest.mark.parametrize("engine", ["auto", "torch", "openvino", "onnxruntime", "ncnn"])
def test_networks_of_other_tasks_do_not_restore(tmp_path, engine, arguments):
    build_model("unet", width=4, depth=2).save_pretrained(tmp_path)
    for weights, does in ((tmp_path, r"segments images \(unet\)"), ("inspector", "says what is wrong with images")):
        load = RestorationNetwork if engine == "auto" else load_engine
        with pytest.raises(CheckpointError, match=f"{does}.*; it cannot restore. Choose a restoration network"):
            load(weights, device="cpu", engine=engine, **arguments)


def test_weights_are_refused_by_their_config_before_a_network_is_built(tmp_path, tiny_weights):
    shutil.copytree(tiny_weights, tmp_path / "mine")
    _with_entry(width=10**9)(tmp_path / "mine")
    for task, advice in (("classification", "Train a classifier first"), ("inspection", "Train an inspector first")):
        with pytest.raises(
            CheckpointError, match=rf"mine' restores images \(sfnet\); it cannot .*\. {advice}: passband"
        ):
            load_model(tmp_path / "mine", task=task)
    with pytest.raises(CheckpointError, match="width = 1000000000 does not fit"):
        load_model(tmp_path / "mine", task="restoration")


def test_networks_are_saved_in_folders_of_any_name_and_nowhere_else(tmp_path, monkeypatch, tiny_weights):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    model = load_model(tiny_weights)
    for folder in (tmp_path / "with spaces.and dots", f"{tmp_path}/name.pth/", "~/mine"):
        model.save_pretrained(folder)
        assert torch.equal(load_model(folder).stem[0].weight, model.stem[0].weight)
    assert (tmp_path / "home" / "mine" / "model.safetensors").is_file()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match=r"cannot write to the folder .*file is a file, and a folder is needed"):
            model.save_pretrained(folder)
    with pytest.raises(ValueError, match="the folder for results must be a path, got an empty text"):
        model.save_pretrained("")
    with pytest.raises(CheckpointError, match="got an empty text"):
        load_model("")
