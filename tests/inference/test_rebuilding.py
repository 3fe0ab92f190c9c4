"""Predictors are pickled by their settings, so that other processes load the network themselves."""

import os
import pickle
import shutil
from copy import copy

import pytest
import torch

from passband.inference import Classifier, InspectedChoice, Inspector, InstanceFinder, Restorer, Segmenter, rebuilding
from tests.classifiers import save_classifier
from tests.detectors import save_detector
from tests.segmenters import save_segmenter


def test_a_restorer_comes_back_with_all_its_settings(tiny_weights):
    settings = {"memory": "3GB", "precision": "float32", "strength": 0.5, "pool_window": 100}
    restorer = Restorer(tiny_weights, "cpu", **settings)
    content = pickle.dumps(restorer)
    twin = pickle.loads(content)
    assert repr(twin) == repr(restorer)
    assert twin.checksum() == restorer.checksum()
    image = torch.rand(1, 3, 20, 20)
    assert torch.equal(twin.restore(image), restorer.restore(image))
    assert len(content) < 2000  # no weights


def test_a_restorer_keeps_the_precision_that_this_machine_chose(tiny_weights):
    restorer = Restorer(tiny_weights, "cpu", precision="auto")
    assert restorer.__reduce__()[1][1]["precision"] == restorer.precision != "auto"


def test_a_restorer_that_chooses_for_each_image_comes_back():
    for restorer in (Restorer("auto", "cpu"), Restorer("general", "cpu", choice=InspectedChoice())):
        twin = pickle.loads(pickle.dumps(restorer))
        assert twin.checksum() == restorer.checksum()
        assert twin.choice.names == restorer.choice.names
    one = restorer._only("general")
    assert pickle.loads(pickle.dumps(one)).choice.fixed == "general"
    assert copy(one)._networks is one._networks


@pytest.mark.parametrize(
    ("kind", "save"),
    [(Classifier, save_classifier), (Segmenter, save_segmenter), (InstanceFinder, save_detector)],
    ids=["classifier", "segmenter", "detector"],
)
def test_the_other_predictors_come_back(kind, save, tmp_path):
    predictor = kind(save(tmp_path / "weights"), "cpu")
    twin = pickle.loads(pickle.dumps(predictor))
    assert repr(twin) == repr(predictor)
    for name, value in predictor.model.state_dict().items():
        assert torch.equal(twin.model.state_dict()[name], value)


def test_a_process_loads_the_same_predictor_once(tiny_weights, identity_weights):
    content, other = (pickle.dumps(Restorer(weights, "cpu")) for weights in (tiny_weights, identity_weights))
    twin = pickle.loads(content)
    assert pickle.loads(content) is twin
    assert pickle.loads(other).weights != twin.weights
    os.utime(tiny_weights / "model.safetensors")  # written again
    assert pickle.loads(content) is not twin


def test_a_predictor_comes_back_while_another_thread_unpickles_one(tiny_weights, monkeypatch):
    class ClearedByOthers(dict):
        def __setitem__(self, key, value):
            pass

    monkeypatch.setattr(rebuilding, "_LAST", ClearedByOthers())
    assert pickle.loads(pickle.dumps(Restorer(tiny_weights, "cpu"))).weights == str(tiny_weights)


def test_the_inspector_comes_back():
    assert repr(pickle.loads(pickle.dumps(Inspector()))) == repr(Inspector())


def test_a_relative_path_counts_from_the_folder_in_which_it_was_pickled(tmp_path, monkeypatch):
    save_segmenter(tmp_path / "here" / "weights")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    content = pickle.dumps(Segmenter("weights", "cpu"))
    monkeypatch.chdir(tmp_path / "there")
    assert pickle.loads(content).weights == os.fspath(tmp_path / "here" / "weights")
    monkeypatch.chdir(tmp_path / "here")
    assert pickle.loads(content).weights == "weights"


def test_relative_paths_of_several_networks_count_from_that_folder_too(tmp_path, monkeypatch, tiny_weights):
    shutil.copytree(tiny_weights, tmp_path / "here" / "first")
    shutil.copytree(tiny_weights, tmp_path / "here" / "one+two")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    contents = [pickle.dumps(Restorer(name, "cpu")) for name in ("first+general", "one+two")]
    monkeypatch.chdir(tmp_path / "there")
    twins = [pickle.loads(content) for content in contents]
    assert [twin.weights for twin in twins] == [
        f"{tmp_path / 'here' / 'first'}+general",
        f"{tmp_path / 'here' / 'one+two'}",
    ]
    os.utime(tmp_path / "here" / "one+two" / "model.safetensors")  # written again
    assert pickle.loads(contents[1]) is not twins[1]
