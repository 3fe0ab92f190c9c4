import json
import tomllib

import pytest
import torch

from passband.analysis.channels import analyze_channels
from passband.data.classifier_input import Preprocessing
from passband.io.image import read_image
from passband.layers.channels import channel_subset
from passband.models import build_from, load_model
from passband.ops.dct import zigzag
from passband.state_dicts import CheckpointError
from passband.weights_io import load_config, load_state, save_weights
from tests.classifiers import save_classifier, write_textures


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    return write_textures(tmp_path_factory.mktemp("textures"), count=3)


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """Weights whose gate closes some channels always and others for some pictures."""
    folder = save_classifier(tmp_path_factory.mktemp("gated"), "gated-dct-resnet18", channels="48S")
    model = load_model(folder)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        model.gate.pair.weight.normal_(0, 2, generator=generator)
        model.gate.pair.bias.normal_(0, 1, generator=generator)
    save_weights(model, folder, load_config(folder))
    return folder


def test_probabilities_are_the_shares_of_pictures_for_which_the_gate_was_open(textures, gated, tmp_path):
    use = analyze_channels(gated, tmp_path, data=textures, keep=11, batch=4, device="cpu")
    model, config = load_model(gated), load_config(gated)
    prepare = Preprocessing.from_config(config["preprocessing"]).prepare
    paths = sorted(textures.glob("*/*.jpg"))
    with torch.no_grad():
        opened = torch.stack([model(prepare(path)[None]).open[0] for path in paths])
    numbers = channel_subset("48S").indices()
    expected = torch.zeros(192)
    expected[numbers] = opened.mean(0)
    assert expected[numbers].std() > 0.1  # some are open, some are not
    torch.testing.assert_close(use.probability, expected)
    assert use.images == len(paths) == 9
    places = [zigzag().index(number % 64) for number in range(192)]
    best = sorted(numbers, key=lambda number: (-expected[number].item(), places[number], number))[:11]
    assert list(use.kept) == sorted(best)
    least = min(expected[number].item() for number in best)
    assert use.tied == sum(expected[number].item() >= least for number in numbers) - 11


def test_of_channels_that_tie_those_of_lower_frequency_are_kept_and_that_is_said(gated, tmp_path):
    config = load_config(gated)
    model = load_model(gated)
    model.gate.seen.fill_(50)
    model.gate.opened.fill_(30)
    numbers = channel_subset("48S").indices()
    model.gate.opened[-1] = 40
    save_weights(model, tmp_path / "weights", config)
    use = analyze_channels(tmp_path / "weights", tmp_path / "out", keep=10, device="cpu")
    assert use.tied == 38
    lowest = [0, 64, 128, 1, 65, 129, 8, 72, 136]
    assert sorted(use.kept) == sorted([numbers[-1], *lowest])
    assert use.tied_words.startswith(
        "38 other channels tie with the last of these 10; of channels that tie, those of lower"
    )
    assert f"# {use.tied_words}." in (tmp_path / "out" / "channels.toml").read_text()


def test_the_list_is_one_that_a_recipe_takes(textures, gated, tmp_path):
    use = analyze_channels(gated, tmp_path, data=textures, keep=24, device="cpu")
    recipe = tomllib.loads((tmp_path / "channels.toml").read_text())
    assert recipe == {"data": {"channels": list(use.kept)}}
    assert len(channel_subset(recipe["data"]["channels"])) == 24
    written = json.loads((tmp_path / "channels.json").read_text())
    assert written["kept"] == list(use.kept)
    assert tuple(written["counts"].values()) == channel_subset(use.kept).counts
    assert torch.tensor(written["probability"]["Cb"]).flatten().tolist() == use.probability[64:128].tolist()
    assert written["shared"]["24S"] == len({*use.kept} & {*channel_subset("24S").indices()})
    raster, zigzag = (read_image(tmp_path / f"{name}.png") for name in ("channels", "channels-zigzag"))
    assert raster.shape == zigzag.shape
    assert not torch.equal(raster, zigzag)


def test_without_data_the_counts_of_the_training_are_taken_of_weights_or_their_run(gated, tmp_path):
    config = load_config(gated)
    model = build_from(config)
    load_state(model, load_model(gated).state_dict(), source="gated")
    model.gate.opened.copy_(torch.arange(48))
    model.gate.seen.fill_(50)
    save_weights(model, tmp_path / "run" / "weights" / "last", config)
    (tmp_path / "run" / "run.json").write_text("{}")
    for source in (tmp_path / "run", tmp_path / "run" / "weights" / "last"):
        use = analyze_channels(source, tmp_path / "out", keep=3, device="cpu")
        numbers = channel_subset("48S").indices()
        assert use.images == 50
        assert list(use.kept) == numbers[-3:]
        assert use.probability[numbers].tolist() == pytest.approx([number / 50 for number in range(48)])


def test_mistakes_are_named(textures, gated, tmp_path):
    with pytest.raises(ValueError, match="has counted no images yet: name some with --data"):
        analyze_channels(gated, tmp_path, device="cpu")
    with pytest.raises(ValueError, match="1 to 48 channels; got 49"):
        analyze_channels(gated, tmp_path, data=textures, keep=49, device="cpu")
    with pytest.raises(FileNotFoundError, match="holds no images"):
        (tmp_path / "empty").mkdir()
        analyze_channels(gated, tmp_path, data=tmp_path / "empty", device="cpu")
    with pytest.raises(CheckpointError, match="has no gate, but is a dct-resnet18"):
        analyze_channels(save_classifier(tmp_path / "plain"), tmp_path, data=textures, device="cpu")
