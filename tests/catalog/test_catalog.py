import json
import re
import shutil
from types import SimpleNamespace

import pytest
import torch

from passband.catalog import find_entry, list_weights
from passband.catalog.own import own_entries
from passband.catalog.shipped import CARD_FILE
from passband.evaluation.benchmarks import BENCHMARKS
from passband.weights_finding import packaged_weights
from tests.tiny_runs import recipe


@pytest.fixture
def folder(tmp_path, tiny_weights):
    """A folder with a run, a folder of weights, a single file, and things that are none of these."""
    shutil.copytree(tiny_weights, tmp_path / "runs" / "first" / "weights" / "best")
    run = {"status": "stopped", "recipe": recipe().model_dump(), "step": 2, "figures": {"psnr": 20.5, "ssim": 0.75}}
    (tmp_path / "runs" / "first" / "run.json").write_text(json.dumps(run))
    (tmp_path / "runs" / "begun").mkdir()
    (tmp_path / "runs" / "begun" / "run.json").write_text(json.dumps(run))
    shutil.copytree(tiny_weights, tmp_path / "converted")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "motion_deblurring.pth")
    (tmp_path / "int8.bin").write_bytes(b"no weights")
    (tmp_path / ".cache").mkdir()
    torch.save({}, tmp_path / ".cache" / "hidden.pth")
    return tmp_path


def test_shipped_weights_have_the_scores_of_their_cards():
    entries = list_weights(["shipped"])
    assert [one.name for one in entries] == list(packaged_weights())
    for one in entries:
        card = (packaged_weights()[one.name] / CARD_FILE).read_text(encoding="utf-8").split("\n---\n", 1)[1]
        assert one.license == "MIT"
        assert one.commercial
        assert one.scores
        assert one.tasks
        for score in one.scores:
            for name, value in score.figures.items():
                written = f"{value:.0%}".replace("%", " %") if name == "accuracy" else f"{value:+g}"
                assert re.search(re.escape(written) + r"0?(?!\d)", card), (one.name, written)
    general = next(one for one in entries if one.name == "general")
    assert general.parameters == 2_388_393
    assert round(general.gmacs) == 20
    assert general.bytes == (packaged_weights()["general"] / "model.safetensors").stat().st_size


def test_own_weights_are_runs_folders_and_files(folder, tiny_weights):
    entries = {one.name: one for one in own_entries(folder)}
    assert set(entries) == {str(folder / name) for name in ("runs/first", "converted", "motion_deblurring.pth")}
    run = entries[str(folder / "runs/first")]
    assert (run.network, run.remark) == ("sfnet", "stopped at step 2")
    assert run.scores[0].words == "its validation data 20.50 dB / 0.750"
    assert run.parameters == entries[str(folder / "converted")].parameters
    assert run.bytes == (tiny_weights / "model.safetensors").stat().st_size
    assert entries[str(folder / "motion_deblurring.pth")].network == ""


def test_a_damaged_run_and_a_config_of_another_project_do_no_harm(folder):
    (folder / "runs" / "first" / "run.json").write_text("{")
    (folder / "converted" / "config.json").write_text('{"model": "bert", "layers": [1, {"a": 2}]}')
    entries = {one.name: one for one in own_entries(folder)}
    assert str(folder / "runs/first") not in entries
    assert entries[str(folder / "converted")].parameters is None
    (folder / "converted" / "config.json").unlink()
    assert "without a readable config.json" in [one.remark for one in own_entries(folder)]


def test_weights_in_the_cache_of_the_hub_are_own_weights(tmp_path, tiny_weights, monkeypatch):
    def repository(name, folder, kind="model"):
        files = [SimpleNamespace(file_name=path.name) for path in folder.iterdir()]
        revision = SimpleNamespace(last_modified=1, files=files, snapshot_path=folder)
        return SimpleNamespace(repo_id=name, repo_type=kind, revisions=[revision])

    (tmp_path / "bert").mkdir()
    shutil.copy(tiny_weights / "model.safetensors", tmp_path / "bert")
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert", "hidden_size": 64}')
    repositories = [repository("me/tuned", tiny_weights), repository("they/bert", tmp_path / "bert")]
    repositories.append(repository("me/data", tiny_weights, "dataset"))
    monkeypatch.setattr("huggingface_hub.scan_cache_dir", lambda: SimpleNamespace(repos=repositories))
    monkeypatch.chdir(tmp_path / "bert")
    (found,) = [one for one in list_weights(["own"]) if one.remark == "in the cache of the hub"]
    assert (found.name, found.network) == ("me/tuned", "sfnet")


def test_a_folder_that_is_none_is_named():
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        list_weights(folder="nowhere")


def test_published_scores_are_those_of_the_benchmarks():
    entries = {one.name: one for one in list_weights(["published"])}
    for name, source, benchmark in (
        ("sfnet-dehazing", "paper", "SOTS-Indoor"),
        ("convir-b-dehazing", "ConvIR-B", "Haze4K"),
        ("fsnet-deblurring", "FSNet", "HIDE"),
    ):
        figures = {score.set: tuple(score.figures.values()) for score in entries[name].scores}
        assert figures[benchmark] == BENCHMARKS[benchmark].figures[source]


def test_the_list_is_chosen_by_kind_and_task(tmp_path):
    found = list_weights(task="dehaze", folder=tmp_path)
    assert {one.kind for one in found} == {"shipped", "published"}
    assert all("dehaze" in one.tasks for one in found)
    assert {"general", "dehaze-small", "convir-b-dehazing"} <= {one.name for one in found}
    assert {one.kind for one in list_weights(["published"])} == {"published"}
    with pytest.raises(ValueError, match="unknown task of weights 'haze'; did you mean 'dehaze'"):
        list_weights(task="haze")
    with pytest.raises(ValueError, match="unknown kind of weights 'ship'"):
        list_weights(["ship"])


def test_an_entry_is_found_by_its_name_or_that_of_its_file(tmp_path):
    assert find_entry("General", tmp_path).kind == "shipped"
    assert find_entry("nafnet-gopro-WIDTH64.pth", tmp_path).name == "nafnet-gopro-width64"
    with pytest.raises(ValueError, match="Did you mean 'restormer-deraining'"):
        find_entry("restormer-derainin", tmp_path)
    with pytest.raises(ValueError, match="'auto' chooses restoration networks for each image"):
        find_entry("auto", tmp_path)


def test_a_config_that_asks_for_a_huge_network_is_listed_without_building_it(folder, monkeypatch):
    (folder / "converted" / "config.json").write_text('{"model": "sfnet", "depth": 1000000000}')
    (folder / "runs" / "first" / "run.json").write_text("[" * 100_000)
    monkeypatch.setattr("passband.catalog.own.count", None)
    entries = {one.name: one for one in own_entries(folder)}
    assert entries[str(folder / "converted")].parameters > 0
    assert str(folder / "runs/first") not in entries
