import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from passband.config import RecipeError, load_recipe
from passband.inference import Classifier, Inspector, InstanceFinder, Restorer, Segmenter
from passband.models import SFNet, build_model, load_model, sfnet, sfnet_small
from passband.runs import RunError, read_run, trained_on, weights_of
from passband.weights_io import (
    HUB_PAUSE,
    WEIGHTS_FILE,
    CheckpointError,
    checked_name,
    find_weights,
    load_config,
    load_state,
    load_weights,
    save_weights,
    shipped_weights,
)
from tests import golden


def test_every_published_key_has_a_place_of_its_shape_and_every_place_a_key(tmp_path):
    torch.save({"model": golden.published_state(), "epoch": 300, "optimizer": {}}, tmp_path / "best.pkl")
    state = load_weights(tmp_path / "best.pkl")
    own = sfnet().state_dict()
    assert set(state) == set(own)
    assert all(state[key].shape == own[key].shape for key in own)


def test_keys_of_a_data_parallel_network_and_a_bare_state_dict_load(tmp_path):
    state = golden.published_state()
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "a.pth")
    loaded = load_weights(tmp_path / "a.pth")
    assert set(loaded) == set(sfnet().state_dict())


class Payload:
    """Runs code when unpickled by a careless loader."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_with_code_in_it_is_refused_and_the_code_does_not_run(tmp_path):
    path, marker = tmp_path / "evil.pkl", tmp_path / "code-ran"
    torch.save({"model": {"weight": Payload(marker)}}, path)
    with pytest.raises(CheckpointError, match=r"evil\.pkl was refused, and nothing in it was run: .*mkdir"):
        load_weights(path)
    assert not marker.exists()
    plain = tmp_path / "plain.pkl"
    plain.write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(CheckpointError, match=r"plain\.pkl was refused, and nothing in it was run"):
        load_weights(plain)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the proof that it would have run
    assert marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("suffix", [".pkl", ".safetensors"])
def test_a_damaged_file_is_an_error_with_its_name(tmp_path, content, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"weights{suffix}"):
        load_weights(path)


def test_weights_of_another_architecture_are_refused_with_the_keys(tmp_path):
    torch.save({"model": torch.nn.Linear(3, 4).state_dict()}, tmp_path / "linear.pkl")
    with pytest.raises(CheckpointError, match=r"this SFNet\. Entries: \d+ missing: .*; 2 unknown: weight, bias"):
        load_model(tmp_path / "linear.pkl")
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


def test_a_name_that_is_nothing_says_what_was_looked_for(tmp_path):
    with pytest.raises(CheckpointError, match=r"No weights named .generl.\. Did you mean .general.\?"):
        find_weights("generl")
    with pytest.raises(CheckpointError, match=r"^'auto' chooses .* needed here\. Shipped weights: .*, general, "):
        find_weights("auto")
    with pytest.raises(CheckpointError, match=r"holds no weights: there is no model\.safetensors in it"):
        find_weights(tmp_path)
    sfnet_small(depth=1).save_pretrained(tmp_path / "weights" / "last")
    with pytest.raises(CheckpointError, match=r"No weights named .*best'\. Shipped weights: .* In .*weights: last\."):
        find_weights(tmp_path / "weights" / "best")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(CheckpointError, match=r"notes\.txt does not look like weights"):
        find_weights(tmp_path / "notes.txt")


def test_a_run_s_folder_is_its_best_weights_everywhere_and_a_folder_of_runs_names_them(tmp_path):
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"data": "/photographs"}')
    with pytest.raises(CheckpointError, match=r"mine is a run that has no weights yet.* --resume"):
        load_weights(run)
    models = {name: SFNet(width=16, depth=1).eval() for name in ("last", "best")}
    for name, model in models.items():
        model.save_pretrained(run / "weights" / name)
        for source in (run, str(run), run / "weights"):
            assert load_config(source)["width"] == 16
            for loaded in (load_model(source), SFNet.from_pretrained(source)):
                assert torch.equal(loaded.stem[0].weight, model.stem[0].weight)
    assert weights_of(run, "last") == run / "weights" / "last"
    assert trained_on(run) == trained_on(run / "weights" / "best") == Path("/photographs")
    with pytest.raises(CheckpointError, match=r"runs holds no weights itself\. It holds several runs: use .*mine"):
        load_weights(tmp_path / "runs")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"data": "/photographs", "recipe": {"of_an_older_version": 1}}', Path("/photographs")),
        ("{", None),
        ("{}", None),
    ],
    ids=["of an older version", "cut short", "without data"],
)
def test_any_file_of_a_run_tells_what_it_was_trained_on_or_nothing(tmp_path, content, expected):
    (tmp_path / "weights" / "best").mkdir(parents=True)
    (tmp_path / "run.json").write_text(content)
    assert trained_on(tmp_path / "weights" / "best") == expected


def test_a_name_inside_a_folder_that_exists_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: pytest.fail("the hub was asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(CheckpointError, match="No weights named 'runs/polips'"):
        load_model("runs/polips")


def test_a_run_is_not_looked_for_on_the_hub_before_any_run_exists(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: pytest.fail("the hub was asked"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="No weights named 'runs/polyps'"):
        load_model("runs/polyps")


def test_weights_that_are_no_name_are_refused_with_what_to_pass():
    with pytest.raises(TypeError, match=r"got a Linear\. Save the network with save_pretrained\(FOLDER\)"):
        checked_name(torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match=r"got an OrderedDict\. Save the network"):
        checked_name(torch.nn.Linear(1, 1).state_dict())
    with pytest.raises(TypeError, match="weights must be the name or the path of saved weights, got an? int"):
        checked_name(3)


@pytest.mark.parametrize("load", [load_model, load_config, Restorer, Classifier, Segmenter, InstanceFinder, Inspector])
def test_a_name_that_is_longer_than_any_path_is_no_weights(load):
    with pytest.raises(CheckpointError, match="No weights named 'aaa.*: a part of this path has more than 255 bytes"):
        load("a" * 300)


def test_a_hub_that_cannot_be_reached_is_asked_once_and_again_later(monkeypatch):
    asked, now = [], [1000.0]

    def unreachable(source, name):
        asked.append(name)
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    monkeypatch.setattr("passband.weights_io.time.monotonic", lambda: now[0])
    monkeypatch.setattr("passband.weights_io._unreached", {})
    for _ in range(3):
        with pytest.raises(CheckpointError, match="some/model: there is no such file or folder, and the hub gave no"):
            load_model("some/model")
    assert len(asked) == 1
    now[0] += HUB_PAUSE
    with pytest.raises(CheckpointError):
        load_model("some/model")
    assert len(asked) == 2


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError("no route to host\nand more lines")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    with pytest.raises(CheckpointError, match=r"^some/model: .* the hub gave no model\.safetensors: no route to host$"):
        load_weights("some/model")


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


def test_shipped_weights_load_are_small_and_have_a_card():
    assert "general" in shipped_weights()
    for name, folder in shipped_weights().items():
        assert (folder / WEIGHTS_FILE).stat().st_size <= 12_000_000
        assert "PSNR" in (folder / "README.md").read_text()
        assert sum(parameter.numel() for parameter in load_model(name).parameters()) > 0


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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[" * 100_000, "recursion"),
        ("[1]", "it must hold an object, and it holds a list"),
        ("{}", "does not hold the recipe of the run"),
    ],
)
def test_a_run_without_a_record_of_a_run_is_an_error_with_its_name(tmp_path, content, says):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=rf"run\.json is damaged.*{says}"):
        read_run(tmp_path)
    with pytest.raises(RecipeError, match="cannot be read"):
        (tmp_path / "nested.toml").write_text("a = " + "[" * 100_000)
        load_recipe(tmp_path / "nested.toml")


def test_what_a_damaged_header_holds_is_quoted_without_control_characters(tiny_weights, tmp_path):
    shutil.copytree(tiny_weights, tmp_path / "bad")
    path = tmp_path / "bad" / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"\x1b3\n"'[:5].ljust(5, b'"'), 1))
    with pytest.raises(CheckpointError) as caught:
        load_weights(tmp_path / "bad")
    assert str(caught.value).replace("\n", "").isprintable()
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\x80\x02.", b"\x80\x02a."], ids=["nothing on the stack", "too little"])
def test_a_pickle_that_ends_in_the_middle_of_a_step_is_a_checkpoint_error(content, tmp_path):
    (tmp_path / "bad.pkl").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"bad\.pkl"):
        load_weights(tmp_path / "bad.pkl")


def test_a_recipe_with_very_much_wrong_is_an_error_that_can_be_read(tmp_path):
    lines = [f"{'x' * 3000}{number} = 1" for number in range(50)]
    (tmp_path / "long.toml").write_text("\n".join(lines))
    with pytest.raises(RecipeError, match="46 more problems") as caught:
        load_recipe(tmp_path / "long.toml")
    assert len(str(caught.value)) < 2000 + len(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"hello\n"])
def test_a_file_that_is_no_pickle_is_refused_without_the_number_of_a_byte(tmp_path, content):
    path = tmp_path / "weights.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint: it holds no pickle of tensors$"):
        load_weights(path)


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


def test_from_pretrained_says_that_the_hub_cannot_be_reached(monkeypatch):
    def offline(*_, **__):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(CheckpointError, match="nobody/unreached: there is no such file or folder, and the hub gave no"):
        SFNet.from_pretrained("nobody/unreached", revision="main")


def test_networks_of_other_tasks_do_not_restore(tmp_path):
    build_model("unet", width=4, depth=2).save_pretrained(tmp_path)
    for weights, does in ((tmp_path, r"segments images \(unet\)"), ("inspector", "says what is wrong with images")):
        for engine in ("torch", "onnxruntime"):
            with pytest.raises(CheckpointError, match=f"{does}.*; it cannot restore. Choose a restoration network"):
                Restorer(weights, "cpu", engine=engine)


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
