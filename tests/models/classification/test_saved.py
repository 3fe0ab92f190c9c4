"""How classifiers are saved and come back."""

import inspect
import json

import pytest
import torch

from passband.models import (
    MODELS,
    FrequencyMobileNet,
    FrequencyResNet,
    GatedClassifier,
    SFNet,
    build_from,
    build_model,
    load_model,
)
from passband.state_dicts import CheckpointError
from passband.weights_io import save_weights

SMALL = {
    "dct-resnet18": {"channels": 6, "width": 4},
    "dct-resnet50": {"width": 4, "published_stride": True},
    "gated-dct-resnet18": {"channels": 8, "width": 4, "pool": "signed"},
    "gated-dct-resnet50": {"channels": 8, "width": 4, "grid": 28},
    "dct-mobilenet-v2": {"width": 0.1},
    "dct-efficientnet-lite0": {"channels": 6},
    "efficientnet-lite0": {},
    "resnet18": {"width": 4},
    "resnet50": {"width": 4},
    "mobilenet-v2": {"width": 0.1},
    "dct-vit": {"channels": 6, "width": 12, "depth": 2},
}


def test_every_classifier_is_tried_here():
    built = {name: inspect.signature(builder).return_annotation for name, builder in MODELS.items()}
    assert {name for name, kind in built.items() if getattr(kind, "task", None) == "classification"} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_saved_weights_come_back_whichever_way_they_are_loaded(name, tmp_path):
    torch.manual_seed(0)
    model = build_model(name, classes=3, **SMALL[name])
    x = torch.randn(2, model.channels, 40, 33)
    model.train()(x)  # statistics, and the gate's counts
    saved = {key: value.clone() for key, value in model.state_dict().items()}
    model.eval().save_pretrained(tmp_path / "mine")
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config == {"model": name, **model.arguments}
    assert (model.name, model.task, model.classes) == (name, "classification", 3)
    for again in (load_model(tmp_path / "mine"), type(model).from_pretrained(tmp_path / "mine")):
        assert type(again) is type(model)
        assert not again.training
        assert again.arguments == model.arguments
        for key, value in saved.items():
            assert torch.equal(again.state_dict()[key], value), key
        torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)


@torch.no_grad()
def test_a_config_of_a_run_which_names_only_what_was_chosen_is_enough(tmp_path):
    config = {"model": "dct-resnet18", "width": 4, "classes": 3, "classes_named": ["a", "b", "c"]}
    model = build_from(config)
    save_weights(model, tmp_path, config)
    again = FrequencyResNet.from_pretrained(tmp_path)
    assert again.arguments["depth"] == 18
    assert torch.equal(again.fc.weight, model.fc.weight)


def test_weights_of_another_class_are_refused_with_what_they_are(tmp_path):
    FrequencyMobileNet(width=0.1, classes=3).save_pretrained(tmp_path / "mobile")
    with pytest.raises(
        CheckpointError,
        match=r"FrequencyResNet is needed, but .*mobile holds a dct-mobilenet-v2; load it",
    ):
        FrequencyResNet.from_pretrained(tmp_path / "mobile")
    SFNet(width=16, depth=1).save_pretrained(tmp_path / "sfnet")
    with pytest.raises(CheckpointError, match="a GatedClassifier is needed, but .*sfnet holds a sfnet"):
        GatedClassifier.from_pretrained(tmp_path / "sfnet")
    save_weights(torch.nn.Identity(), tmp_path / "bad", {"model": "dct-resnet18", "depth": 34})
    with pytest.raises(CheckpointError, match=r"bad: depth of a FrequencyResNet is one of"):
        FrequencyResNet.from_pretrained(tmp_path / "bad")


def test_a_wrong_number_is_refused_with_the_nearest_for_parts_too():
    with pytest.raises(ValueError, match=r"unknown argument of gated-dct-resnet18 'poool'; did you mean 'pool'\?"):
        build_model("gated-dct-resnet18", poool="signed")
    with pytest.raises(ValueError, match=r"unknown argument of dct-mobilenet-v2 'depth'"):
        build_model("dct-mobilenet-v2", depth=18)
