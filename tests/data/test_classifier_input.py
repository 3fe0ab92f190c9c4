import json

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from torchvision.transforms.v2.functional import center_crop, resize

from passband.data.classifier_input import Preprocessing
from passband.data.cubes.published import published_cube
from passband.data.cubes.views import Augmentation, pixel_window
from passband.io.image import write_image
from passband.layers.channels import channel_subset
from passband.ops.color import rgb_to_ycbcr
from passband.ops.dct import inverse_block_dct


def made(kind="coefficients", channels="24S", size=64, stride=None, seed=0, **changes):
    pixels = kind in ("rgb", "ycbcr")
    numbers = () if pixels else tuple(channel_subset(channels).indices())
    count = len(numbers) or 3
    rng = np.random.default_rng(seed)
    values = {
        "input": kind,
        "channels": numbers,
        "size": size,
        "stride": stride or (1 if pixels else 8),
        "mean": tuple(rng.normal(size=count).tolist()),
        "std": tuple(rng.uniform(0.5, 2, count).tolist()),
        "statistics": {"of": "nothing"},
    }
    return Preprocessing(**{**values, **changes})


def draw(seed, scale=(0.08, 1.0), flip=True):
    return Augmentation(np.random.default_rng(seed), scale, flip)


@pytest.mark.parametrize("preprocessing", [made(), made(stride=4), made("published", size=56), made("rgb", size=45)])
def test_a_config_says_all_of_it_and_json_keeps_that(preprocessing, photograph):
    again = Preprocessing.from_config(json.loads(json.dumps(preprocessing.to_config())))
    assert again == preprocessing
    assert again.statistics == preprocessing.statistics
    image = photograph[:, :90, :110]
    assert torch.equal(again.prepare_image(image), preprocessing.prepare_image(image))
    assert preprocessing.prepare_image(image).shape == preprocessing.input_shape


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 100}, "multiple of 32"),
        ({"stride": 2}, "stride of 8 or 4; got 2"),
        ({"mean": (0.0,)}, "mean and std of 24 channels, got 1 and 24"),
        ({"std": (0.0,) * 24}, "above 0"),
        ({"kind": "published", "size": 64}, "multiple of 56"),
        ({"kind": "published", "size": 56, "stride": 4}, "stride of 8; got 4"),
        ({"kind": "rgb", "stride": 8}, "a stride of 1; got 0 channels, stride 8"),
        ({"channels": "64S", "stride": 4}, "a block of 4 has frequencies 0 to 3"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        made(**changes)


@pytest.mark.parametrize(
    ("change", "words"), [({"input": "gray"}, "coefficients, published, rgb, ycbcr"), ({"more": 1}, "needs the keys")]
)
def test_configs_of_something_else_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Preprocessing.from_config({**made().to_config(), **change})
    incomplete = made().to_config()
    del incomplete["std"]
    with pytest.raises(ValueError, match="needs the keys"):
        Preprocessing.from_config(incomplete)


def test_pixels_are_the_resized_and_normalized_center(photograph):
    plain = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    picture = photograph[:, :256, :448]
    view = made("rgb", size=56, **plain).prepare_image(picture)
    # the usual way: resize the shorter side, then cut; at its borders the filter sees what is cut off
    usual = center_crop(resize(picture, [64], antialias=True), [56, 56])
    torch.testing.assert_close(view[:, 2:-2, 2:-2], usual[:, 2:-2, 2:-2], atol=1e-5, rtol=0)
    given = made("rgb", size=56, seed=3)
    mean, std = (torch.tensor(values)[:, None, None] for values in (given.mean, given.std))
    torch.testing.assert_close(given.prepare_image(picture), (view - mean) / std)
    torch.testing.assert_close(made("ycbcr", size=56, **plain).prepare_image(picture), rgb_to_ycbcr(view))


def test_the_published_input_is_that_of_the_published_pipeline(photograph):
    given = made("published", "24S", 56)
    mean, std = (torch.tensor(values)[:, None, None] for values in (given.mean, given.std))
    expected = (published_cube(photograph, 56)[channel_subset("24S").indices()] - mean) / std
    torch.testing.assert_close(given.prepare_image(photograph), expected)


def test_a_random_published_view_is_the_published_cube_of_a_random_part(photograph):
    size = 56
    whole = made("published", "192", size, mean=(0.0,) * 192, std=(1.0,) * 192)
    rgb = made("rgb", size=size, mean=(0.0,) * 3, std=(1.0,) * 3)
    for seed in range(4):
        cube = whole.prepare_image(photograph, draw(seed))
        view = rgb.prepare_image(photograph, draw(seed))  # the same part, resized with a filter
        luma = (inverse_block_dct(cube[None, :64].double())[0, 0] + 128) / 255
        assert peak_signal_noise_ratio(rgb_to_ycbcr(view)[0].double().numpy(), luma.numpy(), data_range=1) > 20
        # DC of the chroma is 8 times the mean of its 4 x 4 pixels of the view, which is doubled before
        means = 8 * torch.nn.functional.avg_pool2d(255 * rgb_to_ycbcr(view)[1:] - 128, 8)
        assert (cube[[64, 128]] - means).abs().mean() < 20


@pytest.mark.parametrize("kind", ["coefficients", "published", "rgb", "ycbcr"])
def test_random_views_follow_from_their_generator_alone(kind, photograph, tmp_path):
    given = made(kind, size=56 if kind == "published" else 32)
    path = tmp_path / "a.jpg"
    write_image(path, photograph)
    views = [given.prepare(path, draw(seed)) for seed in (1, 2, 1)]
    assert torch.equal(views[0], views[2])
    assert not torch.equal(views[0], views[1])
    assert views[0].shape == given.input_shape


@pytest.mark.parametrize("kind", ["published", "rgb", "ycbcr"])
def test_a_flip_mirrors_pixels(kind, photograph):
    count = 192 if kind == "published" else 3
    given = made(kind, "192", 56, mean=(0.0,) * count, std=(1.0,) * count)
    seed = next(seed for seed in range(9) if pixel_window(300, 451, draw(seed)).mirrored)
    mirrored = given.prepare_image(photograph, draw(seed))
    straight = given.prepare_image(photograph, draw(seed, flip=False))
    if kind == "published":
        mirrored, straight = (inverse_block_dct(cube[None, :64])[0] for cube in (mirrored, straight))
        assert (mirrored.flip(-1) - straight).abs().max() < 4  # rounding of coefficients
    else:
        torch.testing.assert_close(mirrored.flip(-1), straight)


def test_a_file_is_prepared_as_its_pixels_but_for_coefficients(tmp_path, photograph):
    path = tmp_path / "a.png"
    write_image(path, photograph)
    for kind in ("coefficients", "rgb", "ycbcr"):
        given = made(kind, size=64)
        torch.testing.assert_close(given.prepare(path), given.prepare_image(photograph))
        torch.testing.assert_close(given.prepare(path.read_bytes()), given.prepare(path))


def test_an_upright_photograph_and_a_turned_one_of_the_same_are_one(tmp_path, photograph):
    """EXIF's orientation counts for pixels, too."""
    upright = Image.fromarray((photograph.permute(1, 2, 0) * 255).byte().numpy())
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.save(tmp_path / "upright.png")
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    for kind in ("coefficients", "rgb"):
        given = made(kind, size=64)
        torch.testing.assert_close(given.prepare(tmp_path / "turned.png"), given.prepare(tmp_path / "upright.png"))
