import numpy as np
import pytest
import torch
from skimage.util import img_as_float64

from passband.io.arrays import check_range, from_array, to_array

SHAPES = [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1), (2, 2), (13, 1, 3), (1, 4, 4), (64, 67)]
DTYPES = ["uint8", "uint16", ">u2", "float16", "float32", "float64"]


def random_array(shape, dtype):
    rng = np.random.default_rng(len(shape) + shape[-1])
    dtype = np.dtype(dtype)
    if dtype.kind == "u":
        return rng.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    return rng.random(shape, dtype=np.float32).astype(dtype)  # a float64 keeps the digits that a float32 has


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_and_dtype_comes_back_exactly(shape, dtype):
    array = random_array(shape, dtype)
    image, alpha = from_array(array)
    again = to_array(image, alpha, like=array)
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array, strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_are_scikit_images_with_gray_in_every_color_and_alpha_aside(shape, dtype):
    array = random_array(shape, dtype)
    image, alpha = from_array(array)
    values = array.astype(np.float64) if array.dtype.kind == "f" else img_as_float64(array.astype(array.dtype.type))
    planes = torch.from_numpy(np.moveaxis(values.reshape(*shape[:2], -1), -1, 0).astype(np.float32))
    colors = 3 if len(planes) >= 3 else 1
    assert image.shape == (3, *shape[:2])
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, planes[:colors].expand(3, -1, -1))
    if len(planes) in (2, 4):
        torch.testing.assert_close(alpha, planes[-1:])
    else:
        assert alpha is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_integer_comes_back(dtype):
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(256, -1)
    assert np.array_equal(to_array(*from_array(levels), like=levels), levels)


def test_restored_integers_are_rounded_and_clamped_and_floats_are_kept():
    image = torch.tensor([-0.5, 0.49 / 255, 0.51 / 255, 1.5]).view(1, 2, 2).expand(3, -1, -1)
    assert to_array(image, None, like=np.zeros((2, 2, 3), np.uint8))[..., 0].tolist() == [[0, 0], [1, 255]]
    kept = to_array(image, None, like=np.zeros((2, 2, 3), np.float32))
    assert np.array_equal(kept[..., 0], image[0].numpy())


def test_colors_that_differ_become_gray_by_their_mean():
    image = torch.tensor([0.0, 0.3, 0.6]).view(3, 1, 1).expand(3, 2, 3)
    gray = to_array(image, None, like=np.zeros((2, 3), np.uint8))
    assert np.array_equal(gray, np.full((2, 3), round(0.3 * 255)))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
def test_an_array_that_may_not_be_written_is_read_without_complaint_and_never_shared(shape):
    array = random_array(shape, "float32")
    before = array.copy()
    array.flags.writeable = False
    image, _ = from_array(array)
    image += 1
    assert np.array_equal(array, before)


@pytest.mark.parametrize("view", [np.flipud, np.fliplr, lambda array: array[::2, ::3], lambda array: array[..., ::-1]])
def test_any_strides_are_read(view):
    array = view(random_array((9, 10, 3), "uint8"))
    assert np.array_equal(to_array(*from_array(array), like=array), array)


@pytest.mark.parametrize("shape", [(), (5,), (5, 7, 0), (5, 7, 5), (2, 5, 7, 3), (0, 7), (5, 0, 3), (3, 5, 7)])
def test_a_shape_that_is_no_picture_is_refused_saying_what_is(shape):
    with pytest.raises(ValueError, match=r"H W 3 or H W 4 \(with alpha\).*got shape") as caught:
        from_array(np.zeros(shape, np.uint8))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint32", "complex64"])
def test_a_dtype_that_is_no_picture_is_refused_saying_what_is(dtype):
    with pytest.raises(ValueError, match=rf"uint8, uint16 or float in \[0, 1\]; got {dtype}"):
        from_array(np.zeros((5, 7, 3), dtype))


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.zeros((3, 5, 7), np.uint8), r"The channels come last: numpy\.moveaxis\(array, 0, -1\)\.$"),
        (np.zeros((1, 5, 7, 3), np.uint8), r"one by one, or as a tensor of shape B 3 H W\.$"),
        (np.zeros((5, 7, 3), np.int64), r"array\.astype\(numpy\.uint8\)\.$"),
        (np.zeros((5, 7), bool), r"array\.astype\(numpy\.float32\)\.$"),
        (np.linspace(-1, 1, 35).reshape(5, 7), r"normalized to \[-1, 1\], convert them with \(image \+ 1\) / 2\.$"),
    ],
)
def test_a_refused_array_comes_with_what_to_do(array, advice):
    with pytest.raises(ValueError, match=advice):
        from_array(array)


def test_floats_of_8_bits_are_checked():
    check_range(torch.rand(3, 4, 4).to(torch.float8_e4m3fn))
    with pytest.raises(ValueError, match="got 240 to 240"):
        check_range(torch.full((3, 4, 4), 240.0).to(torch.float8_e4m3fn))


@pytest.mark.parametrize("values", [np.full((4, 4, 3), 219.0), np.full((4, 4), -3.0, dtype=np.float32)])
def test_floats_of_another_range_are_refused(values):
    with pytest.raises(ValueError, match=r"floats need values in \[0, 1\]; got -?\d+ to -?\d+"):
        from_array(values)
    from_array(np.clip(values, -0.2, 1.2))  # what a filter overshoots is no other range


def test_a_tensor_that_needs_a_gradient_is_checked_without_a_warning():
    check_range(torch.rand(3, 4, 4, requires_grad=True))  # warnings are errors in tests
