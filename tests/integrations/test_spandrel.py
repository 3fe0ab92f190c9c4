import pytest
import torch
from spandrel import MAIN_REGISTRY, ArchRegistry, ArchSupport, DuplicateArchitectureError, ModelLoader, ModelTiling

from passband.integrations.spandrel import ConvIRArch, FSNetArch, SFNetArch, install
from passband.models import ConvIR, FSNet, SFNet, load_model
from passband.models.restoration.whole import restore_batch
from passband.weights_finding import WEIGHTS_FILE
from tests import golden
from tests.models.restoration.test_family_bands import randomized


@pytest.fixture(scope="module")
def loader():
    """Spandrel's loader as a program has it after `install`."""
    install(ignore_duplicates=True)
    return ModelLoader()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (37, 53), (9, 90)])
def test_a_file_of_ours_gives_our_pictures(loader, tiny_weights, height, width):
    descriptor = loader.load_from_file(tiny_weights / WEIGHTS_FILE)
    degraded = torch.rand(1, 3, height, width)
    with torch.no_grad():
        expected = restore_batch(load_model(tiny_weights), degraded).clamp(0, 1)
    torch.testing.assert_close(descriptor(degraded), expected, rtol=0, atol=1e-6)


def test_a_converted_file_and_the_published_names_give_the_published_pictures(loader, tmp_path):
    torch.save({"model": golden.published_state(), "epoch": 300, "optimizer": {}}, tmp_path / "published.pth")
    load_model(tmp_path / "published.pth").save_pretrained(tmp_path)
    image = golden.image("golden-c", 64, 64)
    ours = load_model(tmp_path / "published.pth")
    with torch.no_grad():
        expected = ours(image)[-1].clamp(0, 1)
    for name in ("published.pth", WEIGHTS_FILE):
        descriptor = loader.load_from_file(tmp_path / name)
        assert isinstance(descriptor.model, SFNet)
        torch.testing.assert_close(descriptor(image), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("numbers", [(16, 1, 3), (32, 3, 6), (48, 2, 9)])
def test_the_numbers_of_a_network_are_read_from_its_weights(loader, numbers):
    width, depth, in_channels = numbers
    model = SFNet(width=width, depth=depth, in_channels=in_channels)
    descriptor = loader.load_from_state_dict(model.state_dict())
    assert {name: descriptor.model.arguments[name] for name in ("width", "depth", "in_channels")} == {
        "width": width,
        "depth": depth,
        "in_channels": in_channels,
    }
    assert (descriptor.input_channels, descriptor.output_channels, descriptor.scale) == (in_channels, 3, 1)
    assert descriptor.tags == [f"{width}w", f"{depth}d"]


def test_what_a_program_needs_to_know_is_declared(loader, tiny_weights):
    descriptor = loader.load_from_file(tiny_weights / WEIGHTS_FILE)
    assert descriptor.architecture.id == "SFNet"
    assert descriptor.purpose == "Restoration"
    requirements = descriptor.size_requirements
    assert (requirements.minimum, requirements.multiple_of, requirements.square) == (16, 8, False)
    assert descriptor.tiling is ModelTiling.DISCOURAGED
    assert not descriptor.supports_half


def test_bfloat16_runs_and_agrees(loader, tiny_weights):
    image = torch.rand(1, 3, 24, 40)
    exact = loader.load_from_file(tiny_weights / WEIGHTS_FILE)(image)
    rough = loader.load_from_file(tiny_weights / WEIGHTS_FILE).bfloat16()(image.bfloat16())
    torch.testing.assert_close(rough.float(), exact, rtol=0, atol=0.03)  # 8 bits of mantissa, several layers


def test_no_other_architecture_takes_our_weights_and_ours_takes_no_others(tiny_weights):
    ours = SFNet(width=16, depth=1).state_dict()
    for state in (ours, golden.published_state()):
        assert SFNetArch().detect(state)
        others = [support for support in MAIN_REGISTRY.architectures() if support.architecture.id != "SFNet"]
        assert len(others) > 30
        assert [support.architecture.id for support in others if support.detect(state)] == []
    assert not SFNetArch().detect({})
    # a sister network shares the outer names, not the modulator
    sister = {key: value for key, value in golden.published_state().items() if "modulate" not in key}
    assert len(sister) > 500
    assert not SFNetArch().detect(sister)


def test_a_window_that_install_is_told_is_that_of_the_published_tables(tmp_path, monkeypatch):
    registry = ArchRegistry()
    monkeypatch.setattr("passband.integrations.spandrel.MAIN_REGISTRY", registry)
    install(pool_window=80)
    torch.save({"model": golden.published_state()}, tmp_path / "published.pth")
    image = golden.image("golden-c", 64, 64)
    descriptor = ModelLoader(registry=registry).load_from_file(tmp_path / "published.pth")
    expected = golden.outputs("sfnet_tlc80_64x64")["full"].clamp(0, 1)
    torch.testing.assert_close(descriptor(image), expected, rtol=0, atol=1e-5)
    assert descriptor.tags[-1] == "pool 80"
    with pytest.raises(ValueError, match="pool_window is at least 1"):
        install(pool_window=0)


def test_weights_that_miss_an_entry_are_refused_by_its_name():
    state = SFNet(width=16, depth=1).state_dict()
    state.pop("head.0.bias")
    with pytest.raises(RuntimeError, match=r"head\.0\.bias"):
        SFNetArch().load(state)


def test_files_without_the_counters_of_normalization_load():
    state = {key: value for key, value in golden.published_state().items() if "num_batches_tracked" not in key}
    assert isinstance(SFNetArch().load(state).model, SFNet)


def test_a_second_install_is_a_mistake_unless_it_is_said_to_be_none(monkeypatch):
    registry = ArchRegistry()
    monkeypatch.setattr("passband.integrations.spandrel.MAIN_REGISTRY", registry)
    added = install()
    assert [type(one) for one in added] == [ArchSupport] * 3
    assert install(ignore_duplicates=True) == []
    with pytest.raises(DuplicateArchitectureError):
        install()
    assert all(name in registry for name in ("SFNet", "FSNet", "ConvIR"))


LATER = {
    "FSNet": (lambda: FSNet(width=16, depth=1, full_depth=3), (40, 53)),
    "ConvIR": (lambda: ConvIR(width=8, depth=1, full_depth=2, dilations=(1, 1, 1)), (70, 96)),
}
"""Small networks, and the sizes of images for them."""


@pytest.mark.parametrize("name", LATER)
def test_the_later_networks_load_and_give_our_pictures(name, tmp_path, monkeypatch):
    monkeypatch.setattr("passband.integrations.spandrel.MAIN_REGISTRY", registry := ArchRegistry())
    install(dilations=(1, 1, 1))
    build, size = LATER[name]
    torch.manual_seed(1)
    ours = randomized(build())
    ours.save_pretrained(tmp_path)
    descriptor = ModelLoader(registry=registry).load_from_file(tmp_path / WEIGHTS_FILE)
    assert (descriptor.architecture.id, type(descriptor.model)) == (name, type(ours))
    requirements = descriptor.size_requirements
    assert (requirements.minimum, requirements.multiple_of) == (ours.minimum, ours.multiple)
    degraded = torch.rand(1, 3, *size)
    with torch.no_grad():
        expected = restore_batch(ours, degraded).clamp(0, 1)
    torch.testing.assert_close(descriptor(degraded), expected, rtol=0, atol=1e-6)
    rough = descriptor.bfloat16()(degraded.bfloat16()).float()
    assert (rough - expected).square().mean() < 1e-3  # 30 dB of a random network


def test_each_network_of_three_scales_is_recognized_as_itself_alone():
    networks = {"SFNet": SFNet(width=16, depth=1), **{name: build() for name, (build, _) in LATER.items()}}
    architectures = (SFNetArch(), FSNetArch(), ConvIRArch())
    for name, network in networks.items():
        assert [one.id for one in architectures if one.detect(network.state_dict())] == [name]


def test_published_convirs_get_the_published_dilations_and_wrong_ones_are_refused():
    state = ConvIR(width=8, depth=1).state_dict()
    loaded = ConvIRArch().load(state)
    assert loaded.model.arguments["dilations"] == [7, 9, 11]
    assert loaded.size_requirements.minimum == 256
    with pytest.raises(ValueError, match="dilations are three numbers"):
        install(dilations=(1, 2))
