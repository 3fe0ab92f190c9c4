"""Networks that give logits, as ONNX graphs."""

import inspect

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from passband.export import ExportError, logits_graph
from passband.export.onnx.module_writer import ModuleWriter
from passband.models import MODELS, build_model
from passband.models.classification.gated import logits_of

pytestmark = pytest.mark.usefixtures("unchecked")

SMALL = {
    "dct-resnet50": {"channels": 6, "width": 4, "grid": 28},
    "gated-dct-resnet18": {"channels": 6, "width": 4},
    "dct-mobilenet-v2": {"channels": 6, "width": 0.1},
    "efficientnet-lite0": {},
    "resnet18": {"width": 4},
    "dct-vit": {"channels": 6, "width": 12, "depth": 2},
    "unet": {"width": 4, "depth": 2},
    # this encoder of timm pads as TensorFlow does, as those of EfficientNet do
    "smp": {"architecture": "FPN", "encoder": "tu-tf_mobilenetv3_small_minimal_100"},
}


def run(proto, **inputs):
    """Every output of a graph in ONNX Runtime, by its name."""
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    outputs = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return {one.name: torch.from_numpy(value) for one, value in zip(session.get_outputs(), outputs, strict=True)}


def with_statistics(model):
    """The network with running statistics of batches, which are 0 and 1 in a new network."""
    for name, value in model.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(std=0.3)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return model.eval()


def test_every_classifier_and_segmentation_network_is_tried_here():
    built = {name: inspect.signature(builder).return_annotation for name, builder in MODELS.items()}
    kinds = {kind for kind in built.values() if getattr(kind, "task", None) in ("classification", "segmentation")}
    assert kinds == {built[name] for name in SMALL}


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_logits_are_those_of_torch_for_batches_and_images_of_any_size(name):
    model = with_statistics(build_model(name, classes=3, **SMALL[name]))
    if name == "dct-vit":
        nn.init.normal_(model.head.weight)
    proto = logits_graph(model, "x", {"about": "me"})
    unit = getattr(model, "multiple", 1)
    channels = getattr(model, "channels", 3)
    sizes = [(1, 13, 18), (3, 18, 11)] if unit == 1 else [(1, unit, 3 * unit), (2, 2 * unit, unit)]
    for count, height, width in sizes:
        batch = torch.randn(count, channels, height, width)
        expected = model(batch)
        outputs = run(proto, x=batch)
        torch.testing.assert_close(outputs["logits"], logits_of(expected), rtol=1e-5, atol=1e-5)
        if "gated" in name:
            assert torch.equal(outputs["open"], expected.open)
            assert 0 < outputs["open"].mean() <= 1
    assert {entry.key: entry.value for entry in proto.metadata_props} == {"about": "me"}


class Halves(nn.Module):
    """Calls functions of torch, as blocks of other packages do."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.act = nn.ReLU()
        self.scale = nn.Parameter(torch.rand(4, 1, 1))

    def forward(self, x):
        height, width = x.shape[2:]
        small = F.interpolate(self.act(self.conv(x)), scale_factor=0.5, mode="bilinear")
        pooled = F.adaptive_avg_pool2d(small, 1).flatten(1)
        weights = torch.sigmoid(pooled).view(-1, x.size(1), 1, 1)
        large = F.interpolate(small * weights, size=(height // 1, width), mode="nearest")
        large = F.pad(self.act(large), (1, 2, 0, 1))
        mixed = torch.cat([large, large + 1], dim=1).permute(0, 2, 3, 1)
        mixed = mixed.contiguous().mean((1, 2))
        stacked = torch.stack([x * self.scale, 2 - x / 3]).sum(dim=0)
        rows = stacked.flatten(2).transpose(1, 2)
        return torch.matmul(rows, torch.relu(stacked).reshape(-1, 4, height * width)).mean(dim=1), mixed


def written(module, shape):
    """Every output of a module in ONNX Runtime, and in torch, for a random input."""
    writer = ModuleWriter({})
    outputs = writer.module("", module, "x")
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    x = torch.randn(shape)
    with torch.no_grad():
        expected = module(x)
    expected = expected if isinstance(expected, tuple) else (expected,)
    names = {f"y{number}": output for number, output in enumerate(outputs)}
    for name, output in names.items():
        writer.op("Identity", output, output=name)
    shapes = {name: ["any"] * one.ndim for name, one in zip(names, expected, strict=True)}
    ranks = writer.model("test", {"x": [None] * len(shape)}, shapes, {})
    return list(run(ranks, x=x).values()), list(expected)


LAYERS = [
    (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), (2, 4, 9, 8)),
    (nn.MaxPool2d(3, 2, padding=1, ceil_mode=True), (2, 4, 9, 8)),
    (nn.Conv2d(4, 6, (3, 1), stride=2, padding=(2, 0), dilation=2, groups=2), (2, 4, 9, 8)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), (2, 4, 5, 6)),
    (nn.BatchNorm2d(4, affine=False), (2, 4, 3, 5)),
    (nn.GroupNorm(2, 4), (2, 4, 3, 5)),
    (nn.LayerNorm(5, bias=False), (2, 4, 5)),
    (nn.Linear(5, 3, bias=False), (2, 4, 5)),
    (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), (2, 4, 3, 5)),
    (nn.UpsamplingBilinear2d(scale_factor=2), (2, 4, 3, 5)),
    (nn.Sequential(nn.SiLU(), nn.Hardswish(), nn.GELU(), nn.Sigmoid(), nn.Dropout(0.5)), (2, 4, 3, 5)),
    (nn.Sequential(nn.Hardsigmoid(), nn.ReLU6(), nn.Softmax(dim=1), nn.Identity()), (2, 4, 3, 5)),
    (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (2, 4, 3, 5)),
    (Halves(), (2, 4, 6, 8)),
]


@pytest.mark.parametrize(("module", "shape"), LAYERS, ids=lambda part: type(part).__name__)
def test_layers_and_functions_compute_what_torch_computes(module, shape):
    for one, other in zip(*written(with_statistics(module), shape), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


class Doubled(nn.ReLU):
    """A layer that computes something else than the layer of torch that it derives from."""

    def forward(self, input):
        return 2 * super().forward(input)


def test_a_layer_that_derives_from_another_one_is_not_taken_for_it():
    (output,), (expected,) = written(nn.Sequential(Doubled()), (2, 4, 3, 5))
    torch.testing.assert_close(output, expected)
    assert expected.max() > 0


class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Sorted(nn.Module):
    def forward(self, x):
        return torch.sort(x)


class Antialiased(nn.Module):
    def forward(self, x):
        return F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (Branch(), r"export cannot follow a \(Branch\), because its steps depend on the input: .*; use torch"),
        (Sorted(), "export has no ONNX form of sort, which a calls; use torch for this network"),
        (
            Antialiased(),
            r"no ONNX form of interpolate with the arguments that a uses \(mode='bilinear'.*antialias=True",
        ),
        (
            nn.AdaptiveAvgPool2d(2),
            r"no ONNX form of adaptive_avg_pool2d with the arguments that a uses \(output_size=2",
        ),
        (nn.Conv2d(4, 4, 3, padding="same"), "convolutions that pad with a number of zeros; a has padding='same'"),
        (nn.BatchNorm2d(4, track_running_stats=False), "running statistics of batch normalization; a has none"),
        (nn.AvgPool2d(2, divisor_override=3), "averages over whole windows; a has divisor_override"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_module_that_cannot_be_written_is_named_with_the_reason(module, says):
    with pytest.raises(ExportError, match=says):
        ModuleWriter({}).module("a", module, "x")


def test_a_layer_that_is_called_twice_gives_a_valid_graph():
    layer = nn.Conv2d(4, 4, 3, padding=1)
    (output,), (expected,) = written(nn.Sequential(nn.Sequential(layer, nn.ReLU()), layer), (1, 4, 5, 5))
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)
