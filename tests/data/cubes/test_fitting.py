import numpy as np
import pytest
import torch
from PIL import Image

from passband.data.cubes.channel_statistics import shipped_statistics
from passband.data.cubes.fitting import IMAGENET_RGB, fit_preprocessing, of_imagenet, unnormalized
from passband.data.datasets.classification import find_classes
from passband.io.image import ImageError
from passband.layers.channels import channel_subset
from tests.classifiers import write_textures

NUMBERS = tuple(channel_subset("24S").indices())


@pytest.fixture
def folder(tmp_path):
    return write_textures(tmp_path / "textures", count=3)


@pytest.mark.parametrize(
    ("kind", "channels", "size", "stride"),
    [("coefficients", NUMBERS, 64, 8), ("coefficients", NUMBERS, 64, 4), ("rgb", (), 48, 4), ("ycbcr", (), 31, 8)],
)
def test_fitted_views_have_a_mean_of_zero_and_a_deviation_of_one(folder, kind, channels, size, stride):
    pictures = find_classes(folder)
    plain = unnormalized(kind, channels, size, stride)
    made = fit_preprocessing(plain, pictures, folder, skip_bad=False)
    raw = torch.stack([plain.prepare(path) for path in pictures.paths]).double().movedim(1, 0).flatten(1).numpy()
    np.testing.assert_allclose(made.mean, raw.mean(1), atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(made.std, raw.std(1), rtol=1e-6)
    views = torch.stack([made.prepare(path) for path in pictures.paths]).movedim(1, 0).flatten(1)
    assert views.mean(1).abs().max() < 1e-4
    torch.testing.assert_close(views.std(1, correction=0), torch.ones(len(views)), atol=1e-4, rtol=0)
    assert made.statistics == {"images": 9, "of": "textures"}


def test_channels_that_never_change_are_centered_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        gray = np.random.default_rng(len(name)).integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(gray).save(tmp_path / name / "1.jpg")
    made = fit_preprocessing(
        unnormalized("coefficients", NUMBERS, 64, 8), find_classes(tmp_path), tmp_path, skip_bad=False
    )
    assert made.std[16:] == (1.0,) * 8
    assert made.mean[16:] == (0.0,) * 8
    assert min(made.std[:16]) > 10


def test_bad_files_are_named_or_left_out(folder):
    pictures = find_classes(folder)
    pictures.paths[2].write_bytes(b"no picture")
    plain = unnormalized("coefficients", NUMBERS, 64, 8)
    with pytest.raises(ImageError, match=r"2\.jpg"):
        fit_preprocessing(plain, pictures, folder, skip_bad=False)
    assert fit_preprocessing(plain, pictures, folder, skip_bad=True).statistics["images"] == 8
    for path in pictures.paths:
        path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="statistics of the 9 images in .* cannot be measured"):
        fit_preprocessing(plain, pictures, folder, skip_bad=True)


@pytest.mark.parametrize("stride", [8, 4])
def test_those_of_imagenet_are_the_shipped_ones(stride):
    made = of_imagenet(unnormalized("coefficients", NUMBERS, 64, stride))
    shipped = shipped_statistics(f"imagenet-{stride}")
    index = channel_subset("24S").indices(stride)
    assert made.mean == tuple(shipped.mean[index].tolist())
    assert made.std == tuple(shipped.std[index].tolist())
    assert made.statistics == {"images": 355, "of": "ImageNet"}
    rgb = of_imagenet(unnormalized("rgb", (), 224, 8))
    assert (rgb.mean, rgb.std) == IMAGENET_RGB


def test_other_inputs_have_none_of_imagenet():
    with pytest.raises(ValueError, match="for input ycbcr"):
        of_imagenet(unnormalized("ycbcr", (), 224, 8))
