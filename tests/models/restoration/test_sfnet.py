import json

import pytest
import torch

from passband.layers import WindowModulation
from passband.models import MODELS, SFNet, UNet, accepted_arguments, build_model, load_model, sfnet, sfnet_small
from passband.state_dicts import CheckpointError
from passband.weights_io import load_state, load_weights
from tests import golden


@pytest.fixture(scope="module")
def published_pickle(tmp_path_factory):
    """The golden weights as the authors save theirs."""
    path = tmp_path_factory.mktemp("published") / "GOPRO.pkl"
    torch.save({"model": golden.published_state()}, path)
    yield path
    path.unlink()  # 51 MB


@pytest.mark.parametrize(
    ("file", "name", "size", "window"),
    [
        ("sfnet_global_64x96", "golden-a", (64, 96), None),
        ("sfnet_tlc246_72x104", "golden-b", (72, 104), 246),
        ("sfnet_tlc80_64x64", "golden-c", (64, 64), 80),
    ],
)
@torch.no_grad()
def test_the_published_weights_give_the_published_pictures_at_all_three_scales(
    published_pickle, file, name, size, window
):
    model = sfnet(pool_window=window)
    load_state(model, load_weights(published_pickle), "golden")
    restored = model.eval()(golden.image(name, *size))
    expected = golden.outputs(file)
    for out, scale in zip(restored, ("quarter", "half", "full"), strict=True):
        torch.testing.assert_close(out, expected[scale], rtol=0, atol=1e-5)


def test_the_published_network_has_the_published_number_of_parameters():
    ours = sum(parameter.numel() for parameter in sfnet().parameters())
    unused = sum(value.numel() for key, value in golden.published_state().items() if "lamb_" in key)
    assert ours + unused == 13_271_209


def test_modes_agree_where_they_should(published_pickle):
    state = load_weights(published_pickle)
    image = golden.image("modes", 64, 80)
    outputs = {}
    with torch.no_grad():
        for mode in ("fraction", "first", "tlc"):
            model = sfnet(pool_window=96, pool_mode=mode).eval()
            load_state(model, state, "golden")
            if mode == "first":
                model(golden.image("earlier", 64, 80))  # of the same size: its windows are this picture's, too
            outputs[mode] = model(image)[-1]
    torch.testing.assert_close(outputs["fraction"], outputs["first"])
    assert not torch.allclose(outputs["fraction"], outputs["tlc"], rtol=0, atol=1e-6)


def test_a_picture_is_restored_the_same_alone_and_in_a_batch():
    model = sfnet_small(pool_window=100).eval()
    _randomize(model)
    images = torch.rand(3, 3, 40, 56)
    with torch.no_grad():
        together, alone = model(images)[-1], torch.cat([model(image[None])[-1] for image in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_two_views_are_restored_to_one_picture_around_their_mean():
    model = SFNet(width=16, depth=1, in_channels=6)
    for head in model.head:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    views = torch.rand(2, 6, 24, 32)
    torch.testing.assert_close(model(views)[-1], (views[:, :3] + views[:, 3:]) / 2)


def test_every_parameter_gets_a_gradient():
    model = sfnet_small(depth=2).train()
    _randomize(model)
    sum(out.square().mean() for out in model(torch.rand(2, 3, 32, 32))).backward()
    without = [
        name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    # softmax does not see what all its logits share, and InstanceNorm removes a constant before it
    assert [name for name in without if not name.endswith("shallow.0.6.bias")] == []


@pytest.mark.parametrize(
    ("size", "message"), [((20, 24), "divisible by 8.*got 20x24.*pad_to_multiple"), ((8, 64), "at least 16, got 8x64")]
)
def test_a_size_that_does_not_fit_is_refused_with_what_to_do(size, message):
    with pytest.raises(ValueError, match=message):
        sfnet_small(depth=1)(torch.rand(1, 3, *size))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"width": 24}, "multiple of 16"),
        ({"depth": 0}, "at least 1 residual block"),
        ({"in_channels": 4}, "3 per view"),
        ({"pool_window": 0}, "pool_window is at least 1"),
    ],
)
def test_a_number_that_does_not_fit_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        SFNet(**numbers)


def test_saved_weights_come_back_with_their_numbers_and_overrides_replace_those(tmp_path):
    model = SFNet(width=16, depth=1, pool_window=200)
    _randomize(model)
    model.save_pretrained(tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["width"] == 16

    again, other = SFNet.from_pretrained(tmp_path / "mine"), SFNet.from_pretrained(tmp_path / "mine", pool_window=64)
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    assert not again.training
    assert again.encoder[0][0].modulate_global.pool.window == 200
    assert other.encoder[0][0].modulate_global.pool.window == 64
    by_name = load_model(tmp_path / "mine", pool_window=64)
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(by_name(image)[-1], other(image)[-1])


def test_pushing_to_the_hub_sends_weights_config_and_card(tmp_path, monkeypatch):
    sent = {}

    class Hub:
        def __init__(self, **_):
            self.repo_id = "someone/sfnet"

        def create_repo(self, **_):
            return self

        def upload_folder(self, *, folder_path, repo_id, **_):
            sent.update({path.name: path.stat().st_size for path in folder_path.iterdir()})
            return repo_id

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Hub)
    assert SFNet(width=16, depth=1).push_to_hub("someone/sfnet") == "someone/sfnet"
    assert sorted(sent) == ["README.md", "config.json", "model.safetensors"]


def test_from_pretrained_asks_the_hub_for_an_id(tmp_path, monkeypatch):
    model = SFNet(width=16, depth=1)
    model.save_pretrained(tmp_path)
    asked = []

    def download(repo_id, filename, **_):
        asked.append((repo_id, filename))
        return str(tmp_path / filename)

    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    again = SFNet.from_pretrained("someone/sfnet")
    assert asked == [("someone/sfnet", "model.safetensors"), ("someone/sfnet", "config.json")]
    assert torch.equal(again.head[0].weight, model.head[0].weight)


def test_from_pretrained_knows_the_shipped_names_and_asks_the_hub_for_nothing_else(tmp_path, monkeypatch):
    def download(*_, **__):
        pytest.fail("the hub is asked")

    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(SFNet.from_pretrained("general")(image), load_model("general")(image))
    for network in (SFNet, UNet):
        with pytest.raises(CheckpointError, match=r"No weights named 'gopro'\. .*hub id"):
            network.from_pretrained("gopro")
    UNet(width=4, depth=1).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="an SFNet is needed, but .* load it with models.load_model"):
        SFNet.from_pretrained(tmp_path)


def test_a_wrong_name_or_number_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown network 'sfnet-smal'; did you mean 'sfnet-small'\?"):
        build_model("sfnet-smal")
    for name in MODELS:
        wrong, right = ("widht", "width") if "width" in accepted_arguments(name) else ("clases", "classes")
        with pytest.raises(ValueError, match=rf"unknown argument of .* '{wrong}'; did you mean '{right}'\?"):
            build_model(name, **{wrong: 16})


def _randomize(model):
    """Give the vectors that start at zero values, so that every branch matters."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim == 1 and not parameter.any():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)


def test_blended_windows_are_named_in_the_config_and_refused_with_local_pooling(tmp_path):
    SFNet(width=16, depth=1, blend_windows=True).save_pretrained(tmp_path)
    assert SFNet.from_pretrained(tmp_path).arguments["blend_windows"] is True
    with pytest.raises(ValueError, match=r"needs global pooling, got pool_window=80\. Leave out pool_window"):
        SFNet.from_pretrained(tmp_path, pool_window=80)


@torch.no_grad()
def test_one_window_has_the_result_of_four_with_equal_weights_on_equal_quadrants():
    one, four = WindowModulation(3, windows=1), WindowModulation(3, windows=2)
    for name in ("high", "low"):
        weights = torch.randn(3)
        getattr(one, name).copy_(weights)
        getattr(four, name).copy_(weights.repeat_interleave(4))
    quadrant = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(one(quadrant).repeat(1, 1, 2, 2), four(quadrant.repeat(1, 1, 2, 2)))


@torch.no_grad()
def test_a_network_with_one_window_has_a_quarter_of_the_window_weights_and_loads_again(tmp_path):
    one, four = (SFNet(width=16, depth=1, windows=windows) for windows in (1, 2))
    sizes = [
        sum(
            value.numel()
            for module in model.modules()
            if isinstance(module, WindowModulation)
            for value in module.parameters()
        )
        for model in (one, four)
    ]
    assert sizes[1] == 4 * sizes[0]
    one.save_pretrained(tmp_path)
    image = torch.rand(1, 3, 32, 40)
    assert torch.equal(load_model(tmp_path)(image)[-1], one.eval()(image)[-1])
    with pytest.raises(ValueError, match="windows is 1 or 2"):
        SFNet(width=16, depth=1, windows=3)
