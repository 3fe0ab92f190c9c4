from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from passband.inference import Classifier, Inspector, InstanceFinder, Restorer, Segmenter
from passband.models import SFNet, load_model, sfnet_small
from passband.runs import trained_on, weights_of
from passband.state_dicts import CheckpointError
from passband.weights_finding import HUB_PAUSE, WEIGHTS_FILE, checked_name, find_weights, shipped_weights
from passband.weights_io import load_config, load_weights


def test_a_name_that_is_nothing_says_what_was_looked_for(tmp_path):
    with pytest.raises(CheckpointError, match=r"No weights named .generl.\. Did you mean .general.\?"):
        find_weights("generl")
    with pytest.raises(CheckpointError, match=r"No weights named .inspctor.\. Did you mean .inspector.\?"):
        find_weights("inspctor")
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
    with pytest.raises(TypeError, match=r"got an? SFNet\. Save the network with save_pretrained\(FOLDER\)"):
        checked_name(SFNet(width=16, depth=1))
    others = (
        r"the folder of its save_pretrained\(FOLDER\)\. passband\.compare scores any other restoration network by a"
    )
    with pytest.raises(TypeError, match=rf"got a Linear\. .*{others} folder"):
        checked_name(torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match=rf"got an OrderedDict\. .*{others} folder"):
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
    monkeypatch.setattr("passband.weights_finding.time.monotonic", lambda: now[0])
    monkeypatch.setattr("passband.weights_finding._unreached", {})
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


def test_shipped_weights_load_are_small_and_have_a_card():
    assert "general" in shipped_weights()
    for name, folder in shipped_weights().items():
        assert (folder / WEIGHTS_FILE).stat().st_size <= 12_000_000
        assert "PSNR" in (folder / "README.md").read_text()
        assert sum(parameter.numel() for parameter in load_model(name).parameters()) > 0


def test_from_pretrained_says_that_the_hub_cannot_be_reached(monkeypatch):
    def offline(*_, **__):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(CheckpointError, match="nobody/unreached: there is no such file or folder, and the hub gave no"):
        SFNet.from_pretrained("nobody/unreached", revision="main")
