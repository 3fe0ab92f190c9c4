import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import color

from passband.io.video.color import Coding, change_planes, luma_weights, planes_to_rgb, rgb_to_planes

CODINGS = [
    Coding(*luma_weights(matrix, 64, 48), full, bits, subsampling)
    for matrix in (1, 6, 9)
    for full in (False, True)
    for bits in (8, 10)
    for subsampling in ((1, 1), (2, 1), (2, 2))
]


def _coding(matrix=6, full=False, bits=8, subsampling=(1, 1)):
    return Coding(*luma_weights(matrix, 64, 48), full, bits, subsampling)


def test_bt601_of_limited_range_is_that_of_scikit_image(photograph):
    image = photograph[:, :37, :53]
    luma, chroma = rgb_to_planes(image[None], _coding())
    expected = torch.from_numpy(color.rgb2ycbcr(image.movedim(0, -1).double().numpy())).movedim(-1, 0)
    # scikit-image writes its matrix with 3 digits behind the point
    torch.testing.assert_close(torch.cat([luma, chroma], 1)[0].double(), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(("matrix", "red"), [(1, 0.2126), (6, 0.299), (9, 0.2627)])
def test_primaries_and_ends_are_stored_as_the_standards_say(matrix, red, bits):
    coding = _coding(matrix, bits=bits)
    colors = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1]]).T.reshape(1, 3, 1, 4)
    luma, chroma = rgb_to_planes(colors, coding)
    unit = 2 ** (bits - 8)
    torch.testing.assert_close(luma.flatten()[:3] / unit, torch.tensor([16.0, 235.0, 16 + 219 * red]))
    assert chroma[0, 1, 0, 2].item() == pytest.approx(240 * unit)  # red has all of Cr, blue all of Cb
    assert chroma[0, 0, 0, 3].item() == pytest.approx(240 * unit)


@pytest.mark.parametrize("coding", [coding for coding in CODINGS if coding.subsampling == (1, 1)], ids=str)
def test_planes_without_subsampling_come_back(coding):
    image = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(planes_to_rgb(*rgb_to_planes(image, coding), coding), image, rtol=0, atol=1e-5)


@given(st.sampled_from(CODINGS), st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**31))
def test_what_a_network_leaves_alone_stays_exactly_as_stored(coding, rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    across, down = coding.subsampling
    shape = (rows * down, columns * across)
    luma = torch.randint(0, 1 << coding.bits, (2, 1, *shape), generator=generator).float()
    chroma = torch.randint(0, 1 << coding.bits, (2, 2, rows, columns), generator=generator).float()
    degraded = planes_to_rgb(luma, chroma, coding)
    again = change_planes(luma, chroma, degraded, degraded, coding)
    assert torch.equal(again[0], luma)
    assert torch.equal(again[1], chroma)


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_a_change_of_the_image_changes_what_is_stored_by_as_much(coding):
    generator = torch.Generator().manual_seed(0)
    coarse = 0.25 + 0.5 * torch.rand(1, 3, 3, 4, generator=generator)
    degraded, restored = (
        torch.nn.functional.interpolate(image, (24, 32), mode="bicubic") for image in (coarse, coarse.flip(1))
    )
    planes = tuple(plane.round() for plane in rgb_to_planes(degraded, coding))
    seen = planes_to_rgb(*planes, coding)
    again = planes_to_rgb(*change_planes(*planes, seen, restored, coding), coding)
    atol = 2 / 255 if coding.subsampling == (1, 1) else 0.05  # halved chroma loses what is finest in the change
    torch.testing.assert_close(again, restored.clamp(0, 1), rtol=0, atol=atol)


def test_a_column_of_color_stays_in_its_place_although_chroma_is_halved():
    image = torch.full((1, 3, 4, 16), 0.5)
    image[:, 0, :, 8] = 0.9
    coding = _coding(1, subsampling=(2, 2))
    red = planes_to_rgb(*rgb_to_planes(image, coding), coding)[0, 0, 0] - 0.5
    center = (red * torch.arange(16)).sum() / red.sum()
    assert center.item() == pytest.approx(8, abs=0.02)


@pytest.mark.parametrize(
    ("width", "height", "same_as"), [(1920, 1080, 1), (1280, 544, 1), (720, 576, 6), (640, 360, 6)]
)
def test_where_the_matrix_is_not_said_the_size_decides(width, height, same_as):
    assert luma_weights(2, width, height) == luma_weights(same_as, width, height)


def test_a_matrix_that_does_not_weigh_rgb_is_unknown():
    with pytest.raises(KeyError):
        luma_weights(8, 64, 48)
