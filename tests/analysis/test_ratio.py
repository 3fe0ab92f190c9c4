import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from passband.analysis.ratio import analyze_ratio
from passband.curriculum import RadialProfile, RatioSearch, saliency
from passband.data.classifier_input import Preprocessing
from passband.io.image import read_image, write_image
from passband.models import load_model
from passband.models.segmentation.unet import UNet
from passband.ops.color import rgb_to_ycbcr
from passband.ops.fourier import band_split
from passband.state_dicts import CheckpointError
from passband.weights_io import load_config, save_weights
from tests.classifiers import save_classifier, write_textures

SEARCH = RatioSearch("area", "noise", radii=4)


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    """Weights of a small network, with statistics as of a training."""
    torch.manual_seed(0)
    model = UNet(width=4, depth=2)
    nn.init.normal_(model.head.weight)
    model(torch.rand(4, 3, 16, 16))
    folder = tmp_path_factory.mktemp("unet")
    model.eval().save_pretrained(folder)
    return folder


@pytest.fixture
def masked(tmp_path, photographs):
    """The photographs with masks."""
    folder = tmp_path / "set"
    for path in photographs.iterdir():
        image = read_image(path)
        write_image(folder / "images" / path.name, image)
        write_image(folder / "masks" / path.name, (image.mean(0) > 0.5).float().expand(3, -1, -1))
    return folder


def squares(paths, side):
    images = [read_image(path)[None] for path in paths]
    return torch.cat([F.interpolate(image, (side, side), mode="bilinear", antialias=True) for image in images])


def test_the_answer_is_that_of_a_search_on_the_resized_pictures(unet, photographs, tmp_path):
    found = analyze_ratio(unet, tmp_path / "out", data=photographs, search=SEARCH, size=20, device="cpu")
    paths = sorted(photographs.iterdir())
    assert found.images == tuple(paths)
    expected = SEARCH(load_model(unet), squares(paths, 20))
    assert found.optimum == expected
    assert found.optimum.size == (20, 20)
    held = json.loads((tmp_path / "out" / "ratio.json").read_text())
    assert held["optimum"] == json.loads(json.dumps(expected.as_dict()))
    assert held["weights_sha256"]
    assert held["each"] == []
    assert read_image(tmp_path / "out" / "ratio.png").std() > 0.01


def test_a_network_that_finds_nothing_gets_no_ratio(unet, photographs, tmp_path):
    model = load_model(unet)
    with torch.no_grad():
        model.head.bias.fill_(-1e3)
    save_weights(model, tmp_path / "blind", load_config(unet))
    with pytest.raises(ValueError, match=r"blind finds nothing but background in all 4 images of .*: train it longer"):
        analyze_ratio(tmp_path / "blind", tmp_path / "out", data=photographs, search=SEARCH, size=16, device="cpu")
    assert not (tmp_path / "out").exists()


def test_masks_of_a_set_are_no_pictures_and_few_are_taken_evenly(unet, masked, tmp_path):
    found = analyze_ratio(unet, tmp_path, data=masked, search=SEARCH, size=16, count=2, device="cpu")
    assert [path.relative_to(masked).as_posix() for path in found.images] == ["images/0.png", "images/2.png"]


def test_ratios_are_by_the_profile_of_the_training_where_the_weights_hold_it(unet, photographs, tmp_path):
    profile = RadialProfile.of([torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))], "energy")
    config = {**load_config(unet), "preprocessing": {"size": 16, "profile": profile.to_config()}}
    save_weights(load_model(unet), tmp_path / "trained", config)

    def found(definition, **settings):
        search = RatioSearch(definition, "noise", radii=4)
        analyze_ratio(tmp_path / "trained", tmp_path / "out", data=photographs, search=search, device="cpu", **settings)
        held = json.loads((tmp_path / "out" / "ratio.json").read_text())
        return held["optimum"]["size"], held["optimum"]["ratios"], held["profile_images"]

    size, ratios, pictures = found("energy")
    assert (size, pictures) == ([16, 16], 5)
    images = squares(sorted(photographs.iterdir()), 16)
    assert tuple(ratios) == RatioSearch("energy", "noise", radii=4, profile=profile)(load_model(unet), images).ratios
    assert tuple(ratios) != RatioSearch("energy", "noise", radii=4)(load_model(unet), images).ratios
    assert found("magnitude")[2] == found("energy", size=20)[2] == 4  # not of this definition, or size


def test_each_picture_can_have_its_own_ratio(unet, photographs, tmp_path):
    found = analyze_ratio(unet, tmp_path, data=photographs, search=SEARCH, size=16, per_image=True, device="cpu")
    expected = SEARCH.each(load_model(unet), squares(sorted(photographs.iterdir()), 16))
    assert [one for _, one in found.each] == expected
    held = json.loads((tmp_path / "ratio.json").read_text())
    assert [one["ratio"] for one in held["each"]] == [one.ratio for one in expected]
    assert [one["image"] for one in held["each"]] == [str(path) for path in found.images]


@pytest.mark.parametrize("kind", ["rgb", "ycbcr"])
def test_a_classifier_sees_bands_of_pictures_before_its_own_normalization(kind, tmp_path):
    textures = write_textures(tmp_path / "textures", count=1)
    weights = save_classifier(tmp_path / "weights", "resnet18", kind)
    found = analyze_ratio(weights, tmp_path / "out", data=textures, search=SEARCH, device="cpu")
    prepared = Preprocessing.from_config(load_config(weights)["preprocessing"])
    assert found.optimum.size == (prepared.size, prepared.size)
    plain = replace(prepared, input="rgb", mean=(0.0,) * 3, std=(1.0,) * 3)
    views = torch.stack([plain.prepare(path) for path in found.images])
    model = load_model(weights)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (prepared.mean, prepared.std))

    class Whole(nn.Module):
        def forward(self, image):
            return model(((rgb_to_ycbcr(image) if kind == "ycbcr" else image) - mean) / std)

    # what it is given of a whole picture is what it classifies with
    inputs = ((rgb_to_ycbcr(views) if kind == "ycbcr" else views) - mean) / std
    torch.testing.assert_close(inputs[0], prepared.prepare(found.images[0]), rtol=1e-5, atol=1e-6)
    low, high = band_split(views, found.optimum.radii[1])
    seen = (saliency(Whole(), low) + saliency(Whole(), high)).mean().item()
    assert found.optimum.saliency[1] == pytest.approx(seen, rel=1e-4)  # float32


def test_a_run_gives_its_best_weights(unet, photographs, tmp_path):
    run = tmp_path / "run"
    load_model(unet).save_pretrained(run / "weights" / "best")
    (run / "run.json").write_text("{}")
    found = analyze_ratio(run, tmp_path / "out", data=photographs, search=SEARCH, size=16, device="cpu")
    assert json.loads((tmp_path / "out" / "ratio.json").read_text())["weights"] == str(run / "weights" / "best")
    assert found.failed == ()


def test_pictures_that_cannot_be_read_are_told_and_left_out(unet, photographs, tmp_path):
    (photographs / "1.png").write_bytes(b"\x89PNG no")
    found = analyze_ratio(unet, tmp_path / "out", data=photographs, search=SEARCH, size=16, device="cpu")
    assert len(found.failed) == 1
    assert "1.png" in found.failed[0]
    assert found.optimum.images == 3
    for path in photographs.iterdir():
        path.write_bytes(b"no")
    with pytest.raises(ValueError, match="holds no image that can be used; the first of 4: .*0.png"):
        analyze_ratio(unet, tmp_path / "out", data=photographs, search=SEARCH, size=16, device="cpu")


def test_mistakes_are_named(unet, photographs, tiny_weights, tmp_path):
    with pytest.raises(CheckpointError, match="is an SFNet for restoration, which gives no scores of classes"):
        analyze_ratio(tiny_weights, tmp_path, data=photographs, device="cpu")
    with pytest.raises(CheckpointError, match="takes coefficients, not pixels"):
        analyze_ratio(save_classifier(tmp_path / "cube"), tmp_path, data=photographs, device="cpu")
    with pytest.raises(ValueError, match="sides that are multiples of 4; got a size of 18: try 16"):
        analyze_ratio(unet, tmp_path, data=photographs, size=18, device="cpu")
    with pytest.raises(ValueError, match="a search needs 1 image or more; got 0"):
        analyze_ratio(unet, tmp_path, data=photographs, count=0, device="cpu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no images"):
        analyze_ratio(unet, tmp_path, data=tmp_path / "empty", device="cpu")
    with pytest.raises(FileNotFoundError, match="no folder"):
        analyze_ratio(unet, tmp_path, data=tmp_path / "none", device="cpu")
    assert not (tmp_path / "ratio.json").exists()
