"""ConvIR's filters against a literal form that unfolds the map, and their laws."""

import pytest
import torch
import torch.nn.functional as F

from passband.layers.shape_filter import MultiShapeFilter, ShapeFilter

SHAPES = {"square": (3, 3), "across": (1, 3), "down": (3, 1)}


def randomized(module):
    """Give every vector values, so that each term of a filter matters."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.running_mean)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
    return module.double().eval()


def literal(module, shape, x):
    """The filter term by term: shifted copies of the map, weighted by the predicted kernel, and then combined."""
    batch, channels, height, width = x.shape
    (tall, wide), dilation = SHAPES[shape], module.dilation
    kernel = F.conv2d(x.mean((2, 3), keepdim=True), module.predict.weight)
    kernel = torch.tanh(module.norm(kernel) if shape == "square" else kernel).view(batch, 8, 1, tall * wide, 1, 1)
    vertical, horizontal = (dilation * (side // 2) for side in (tall, wide))
    padded = F.pad(x, (horizontal, horizontal, vertical, vertical), mode="reflect")
    patches = F.unfold(padded, (tall, wide), dilation=dilation).view(batch, 8, channels // 8, -1, height, width)
    filtered = (patches * kernel).sum(3).view_as(x)
    mean = {"square": x.mean((2, 3), keepdim=True), "across": x.mean(3, keepdim=True), "down": x.mean(2, keepdim=True)}
    low = filtered * (module.inside + 1) - module.inside * mean[shape]
    return low * module.low[:, None, None] + x * (module.high[:, None, None] + 1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "dilation"), [((9, 14), 1), ((13, 11), 7), ((8, 8), 7)])
def test_a_filter_equals_its_literal_form_with_each_samples_own_kernels(shape, size, dilation):
    module = randomized(ShapeFilter(16, shape, dilation))
    x = torch.randn(3, 16, *size, dtype=torch.float64)
    torch.testing.assert_close(module(x), literal(module, shape, x))


def test_a_multi_shape_filter_adds_the_square_and_the_strips_one_after_the_other():
    module = randomized(MultiShapeFilter(16, 3))
    x = torch.randn(2, 16, 7, 12, dtype=torch.float64)
    strips = literal(module.down, "down", literal(module.across, "across", x))
    expected = literal(module.square, "square", x) + module.gain * strips + module.through * x
    torch.testing.assert_close(module(x), expected)


def test_a_fresh_filter_doubles_the_map():
    x = torch.randn(2, 8, 10, 9)
    torch.testing.assert_close(MultiShapeFilter(8, 2).eval()(x), 2 * x)


def test_no_map_is_unfolded():
    class Largest(torch.overrides.TorchFunctionMode):
        values = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.values = max(self.values, out.numel())
            return out

    module, x = MultiShapeFilter(8, 1).eval(), torch.randn(1, 8, 40, 40)
    with torch.no_grad(), Largest() as largest:
        module(x)
    assert largest.values <= 8 * 42 * 42  # the map and its padding


def test_a_batch_of_one_trains_on_running_statistics():
    module = ShapeFilter(16, "square", 1).train()
    x, before = torch.randn(2, 16, 8, 8), module.norm.running_mean.clone()
    module(x[:1])
    torch.testing.assert_close(module.norm.running_mean, before)
    module(x)
    assert not torch.equal(module.norm.running_mean, before)


@pytest.mark.parametrize(
    ("shape", "size"), [("square", (9, 7)), ("square", (7, 9)), ("across", (2, 7)), ("down", (7, 2))]
)
def test_a_map_that_is_too_small_to_reflect_is_refused(shape, size):
    with pytest.raises(
        ValueError, match=rf"dilation 7 needs H and W above it, got {size[0]}x{size[1]}; use ops\.tiling"
    ):
        ShapeFilter(8, shape, 7)(torch.randn(1, 8, *size))
    with pytest.raises(ValueError, match="channels divisible by groups=8; got 12"):
        ShapeFilter(12, shape, 7)
