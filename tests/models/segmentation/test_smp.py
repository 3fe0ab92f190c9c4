import builtins

import pytest
import segmentation_models_pytorch
import torch
from segmentation_models_pytorch import encoders

from passband.models import SMPNetwork, build_model, load_model, task_of

SMALL = {
    "encoder": "mobilenet_v2",
    "options": {"encoder_depth": 3, "decoder_channels": [8, 8, 4]},
}


def test_a_named_network_is_the_packages_own():
    torch.manual_seed(0)
    model = build_model("smp", architecture="FPN", encoder="mobilenet_v2", classes=3).eval()
    theirs = segmentation_models_pytorch.FPN("mobilenet_v2", encoder_weights=None, classes=3).eval()
    theirs.load_state_dict(model.network.state_dict())
    x = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(x), theirs(x))
        assert model(x).shape == (1, 3, 64, 32)


def test_weights_come_back_by_every_way(tmp_path):
    model = build_model("smp", **SMALL, classes=2).eval()
    model.save_pretrained(tmp_path)
    x = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        for loaded in (load_model(tmp_path), SMPNetwork.from_pretrained(tmp_path)):
            assert isinstance(loaded, SMPNetwork)
            assert loaded.arguments == model.arguments
            torch.testing.assert_close(loaded(x), model(x))
    assert task_of(tmp_path) == "segmentation"


def test_mean_and_std_of_an_encoders_weights_are_applied_within_and_saved(tmp_path, monkeypatch):
    build = segmentation_models_pytorch.create_model
    asked = []

    def without_download(architecture, encoder, encoder_weights, **numbers):
        asked.append(encoder_weights)
        return build(architecture, encoder, None, **numbers)

    known = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25]}
    monkeypatch.setattr(segmentation_models_pytorch, "create_model", without_download)
    monkeypatch.setattr(encoders, "get_preprocessing_params", lambda encoder, weights: known)
    model = build_model("smp", **SMALL, encoder_weights="imagenet").eval()
    x = torch.rand(1, 3, 32, 32)
    normalized = (x - torch.tensor(known["mean"])[:, None, None]) / torch.tensor(known["std"])[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(model(x), model.network(normalized))
        model.save_pretrained(tmp_path)
        # a config that still names them, as that of a run does, asks for no download either
        (tmp_path / "config.json").write_text(
            (tmp_path / "config.json").read_text().replace('"encoder_weights": null', '"encoder_weights": "imagenet"')
        )
        for loaded in (load_model(tmp_path), SMPNetwork.from_pretrained(tmp_path)):
            torch.testing.assert_close(loaded(x), model(x))
    assert asked == ["imagenet", None, None]


def test_unknown_names_are_errors_that_name_them():
    with pytest.raises(ValueError, match=r"unknown architecture 'Unett'; did you mean 'Unet'"):
        build_model("smp", architecture="Unett")
    with pytest.raises(ValueError, match=r"unknown encoder 'resnt34'; did you mean 'resnet34'"):
        build_model("smp", encoder="resnt34")
    with pytest.raises(ValueError, match="unknown option of Unet 'decoder_chanels'; did you mean 'decoder_channels'"):
        build_model("smp", encoder="mobilenet_v2", options={"decoder_chanels": [8, 8, 4]})
    with pytest.raises(ValueError, match="cannot build Unet on tu-no_such_network: .*no_such_network"):
        build_model("smp", encoder="tu-no_such_network")
    with pytest.raises(ValueError, match="cannot build Unet on mobilenet_v2: .*no_such_weights"):
        build_model("smp", encoder="mobilenet_v2", encoder_weights="no_such_weights")
    with pytest.raises(ValueError, match="at least 1; got 3, 0 and 32"):
        build_model("smp", classes=0)
    with pytest.raises(ValueError, match=r"multiples of 32, got 32x48"):
        build_model("smp", **SMALL)(torch.rand(1, 3, 32, 48))


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    find = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("segmentation_models_pytorch"):
            raise ImportError(name)
        return find(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"passband\[segmentation\].*unet"):
        build_model("smp")
