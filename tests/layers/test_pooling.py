import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passband.layers import LocalAvgPool2d
from passband.layers.pooling import local_average


def literal_local_average(x, window):
    """Every position by a slice of float64, clipped to where the window fits."""
    height, width = x.shape[-2:]
    rows, columns = min(window[0], height), min(window[1], width)
    top, left = (height - rows + 1) - 1, (width - columns + 1) - 1
    before_y, before_x = (rows - 1) // 2, (columns - 1) // 2
    out = torch.empty(x.shape, dtype=torch.float64)
    for y in range(height):
        for x_position in range(width):
            first_row = min(max(y - before_y, 0), top)
            first_column = min(max(x_position - before_x, 0), left)
            part = x[..., first_row : first_row + rows, first_column : first_column + columns]
            out[..., y, x_position] = part.double().mean((-2, -1))
    return out


@given(st.integers(1, 17), st.integers(1, 17), st.integers(1, 20), st.integers(1, 20))
def test_local_average_equals_the_mean_of_every_window(height, width, rows, columns):
    x = torch.randn(2, 3, height, width)
    torch.testing.assert_close(
        local_average(x, (rows, columns)).double(), literal_local_average(x, (rows, columns)), rtol=0, atol=1e-5
    )


def test_a_window_of_one_is_the_map_itself_and_a_constant_stays():
    x = torch.randn(1, 2, 7, 11)
    torch.testing.assert_close(local_average(x, (1, 1)), x, rtol=0, atol=1e-6)
    torch.testing.assert_close(local_average(torch.full((1, 1, 9, 5), 0.25), (4, 3)), torch.full((1, 1, 9, 5), 0.25))


def test_a_large_map_keeps_five_digits_and_half_precision_does_not_overflow():
    x = torch.rand(1, 1, 1080, 1920) + 1
    table = torch.nn.functional.pad(x.double().cumsum(-1).cumsum(-2), (1, 0, 1, 0))
    sums = table[..., 300:, 500:] - table[..., :-300, 500:] - table[..., 300:, :-500] + table[..., :-300, :-500]
    expected = sums / (300 * 500)
    inside = local_average(x, (300, 500))[..., 149:-150, 249:-250]
    torch.testing.assert_close(inside.double(), expected, rtol=0, atol=1e-5)
    half = local_average((100 * x).half(), (300, 500))
    assert half.dtype == torch.float16
    assert half.isfinite().all()


def test_training_and_no_window_pool_globally():
    x = torch.randn(2, 3, 10, 14)
    mean = x.mean((-2, -1), keepdim=True)
    torch.testing.assert_close(LocalAvgPool2d(64).train()(x), mean)
    torch.testing.assert_close(LocalAvgPool2d().eval()(x), mean)


def test_fraction_follows_each_map_and_first_keeps_the_first():
    fraction, first = LocalAvgPool2d(64, "fraction").eval(), LocalAvgPool2d(64, "first").eval()
    small, large = torch.randn(1, 1, 16, 24), torch.randn(1, 1, 64, 96)
    for x in (small, large):
        torch.testing.assert_close(fraction(x), local_average(x, (x.shape[-2] // 4, x.shape[-1] // 4)))
        torch.testing.assert_close(first(x), local_average(x, (4, 6)))


def test_tlc_is_pixels_of_the_input_whatever_the_map():
    for stride in (1, 2, 4):
        x = torch.randn(1, 1, 96 // stride, 160 // stride)
        pooled = LocalAvgPool2d(32, "tlc", stride=stride).eval()(x)
        torch.testing.assert_close(pooled, local_average(x, (32 // stride, 32 // stride)))


def test_a_window_as_large_as_the_map_is_one_average():
    assert LocalAvgPool2d(256).eval()(torch.randn(1, 3, 5, 9)).shape == (1, 3, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0,), "at least 1"), ((8, "tlc", 0), "stride is at least 1")],
)
def test_numbers_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocalAvgPool2d(*arguments)
