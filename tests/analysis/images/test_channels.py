import csv
from dataclasses import replace

import pytest
import torch
from PIL import Image

from passband.analysis.images import ImageChannels, analyze_image_channels
from passband.io.image import read_image, write_image
from passband.io.jpeg import dequantize, read_coefficients, write_coefficients
from passband.layers.channels import SUBSETS, channel_subset
from passband.metrics import psnr
from passband.ops.color import jpeg_samples
from passband.ops.dct import block_dct


def write_jpeg(path, image, **options):
    """Write a JPEG file with Pillow, which halves the chroma unless told otherwise."""
    pixels = (image.clamp(0, 1) * 255).round().byte().movedim(0, -1).numpy()
    Image.fromarray(pixels).save(path, quality=92, **options)
    return path


@pytest.mark.parametrize("size", [(16, 24), (13, 21), (1, 9), (40, 8)])
def test_all_channels_are_the_image(size):
    image = torch.rand(3, *size)
    channels = ImageChannels.of_image(image)
    torch.testing.assert_close(channels.image, image, atol=1e-5, rtol=0)  # float32 in levels of 255
    assert channels.fidelity("192")["psnr"] == float("inf")
    assert channels.fidelity("192")["energy"] == pytest.approx(1)
    assert not channels.from_jpeg


def test_the_lowest_channel_alone_is_the_mean_of_each_block():
    image = torch.rand(3, 16, 24) / 2 + 0.25  # means of these are colors
    alone = ImageChannels.of_image(image).rebuilt([0, 64, 128])
    means = torch.nn.functional.avg_pool2d(image, 8).repeat_interleave(8, -1).repeat_interleave(8, -2)
    torch.testing.assert_close(alone, means, atol=1e-5, rtol=0)  # float32 in levels of 255


@pytest.mark.parametrize("subset", ["24S", "48T", [0, 3, 70, 191]])
def test_only_chosen_coefficients_remain(subset):
    image = torch.rand(3, 24, 32) * 0.2 + 0.4  # the remaining image is inside [0, 1]
    channels = ImageChannels.of_image(image)
    chosen = {*channel_subset(subset).indices()}
    again = block_dct(jpeg_samples(channels.rebuilt(subset)[None]))[0]
    for number in range(192):
        expected = channels.cube[number] if number in chosen else torch.zeros_like(channels.cube[number])
        torch.testing.assert_close(again[number], expected, atol=2e-3, rtol=0)  # float32 in levels of 255
    figures = channels.fidelity(subset)
    assert figures["channels"] == len(chosen)
    assert figures["values"] == len(chosen) / 192
    assert figures["psnr"] == pytest.approx(psnr(channels.rebuilt(subset)[None], channels.image[None]).item())


def test_more_channels_of_a_photo_show_more(photograph):
    channels = ImageChannels.of_image(photograph[:, :96, :128])
    fidelities = [channels.fidelity(name) for name in ("6", "24S", "48S", "64S", "192")]
    for figure in ("psnr", "energy", "values"):
        values = [fidelity[figure] for fidelity in fidelities]
        assert values == sorted(values)


def test_a_jpeg_file_gives_its_stored_coefficients(photograph, tmp_path):
    path = write_jpeg(tmp_path / "photo.jpg", photograph[:, :61, :83], subsampling=0)
    channels = ImageChannels.of_file(path)
    stored = torch.cat(list(dequantize(read_coefficients(path))))
    torch.testing.assert_close(channels.cube, stored)
    assert channels.from_jpeg
    assert all(channels.stored)
    assert channels.image.shape == (3, 61, 83)
    assert psnr(channels.image[None], read_image(path)[None]).item() > 45  # decoders round to 8 bits


def test_a_jpeg_file_with_small_chroma_lacks_the_fine_channels_of_color(photograph, tmp_path):
    path = write_jpeg(tmp_path / "photo.jpg", photograph[:, :61, :83], subsampling=2)
    channels = ImageChannels.of_file(path)
    lacking = [number for number, stored in enumerate(channels.stored) if not stored]
    assert len(lacking) == 2 * (64 - 16)
    assert channels.cube[lacking].abs().max() == 0
    assert channels.cube[[64 + 8 * 3 + 3]].abs().max() > 0
    assert channels.image.shape == (3, 61, 83)
    assert psnr(channels.image[None], read_image(path)[None]).item() > 35  # chroma is enlarged in another way
    assert [row["stored"] for row in channels.table()] == channels.stored


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("subsampling", [0, 1])
def test_a_turned_jpeg_file_is_shown_upright(photograph, tmp_path, orientation, subsampling):
    path = write_jpeg(tmp_path / "photo.jpg", photograph[:, 100:161, 100:183], subsampling=subsampling)
    held = read_coefficients(path)
    write_coefficients(replace(held, header=replace(held.header, orientation=orientation)), path)
    upright = read_image(path)
    channels = ImageChannels.of_file(path)
    assert channels.image.shape == upright.shape == ((3, 61, 83) if orientation < 5 else (3, 83, 61))
    assert psnr(channels.image[None], upright[None]).item() > 35  # chroma is enlarged in another way
    lacking = [number for number, stored in enumerate(channels.stored) if not stored]
    assert len(lacking) == (64 if subsampling else 0)
    if lacking:
        assert channels.cube[lacking].abs().max() == 0


def test_a_gray_jpeg_file_has_no_color(photograph, tmp_path):
    Image.fromarray((photograph[0, :40, :40] * 255).byte().numpy()).save(tmp_path / "gray.jpg")
    channels = ImageChannels.of_file(tmp_path / "gray.jpg")
    assert channels.from_jpeg
    assert channels.cube[64:].abs().max() == 0
    assert psnr(channels.image[None], read_image(tmp_path / "gray.jpg")[None]).item() > 45


def test_files_hold_the_channels_and_the_image_of_the_subset(photograph, tmp_path):
    path = write_jpeg(tmp_path / "photo.jpg", photograph[:, :61, :83])
    figures = analyze_image_channels(path, tmp_path / "out", subset=[0, 1, 8, 64, 128])
    rows = list(csv.DictReader((tmp_path / "out" / "channels.csv").read_text().splitlines()))
    assert [row["channel"] for row in rows if row["chosen"] == "True"] == ["0", "1", "8", "64", "128"]
    assert (rows[70]["component"], rows[70]["v"], rows[70]["u"]) == ("Cb", "0", "6")
    assert sum(float(row["energy"]) for row in rows[:64]) == pytest.approx(1)
    subsets = {
        row["subset"]: row for row in csv.DictReader((tmp_path / "out" / "subsets.csv").read_text().splitlines())
    }
    assert set(subsets) == {*SUBSETS, "numbers 0, 1, 8, 64, 128"}
    assert float(subsets["numbers 0, 1, 8, 64, 128"]["psnr"]) == figures["psnr"]
    expected = ImageChannels.of_file(path).rebuilt([0, 1, 8, 64, 128])
    stored = read_image(tmp_path / "out" / "rebuilt.png")
    assert (stored - expected).abs().max() <= 0.51 / 255  # files hold 8 bits
    assert read_image(tmp_path / "out" / "channels.png").shape[-1] > 1000
    assert (tmp_path / "out" / "channels.svg").read_text().startswith("<?xml")


def test_mistakes_are_named(tmp_path):
    write_image(tmp_path / "photo.png", torch.rand(3, 8, 8))
    with pytest.raises(ValueError, match="may be any of the channel subsets 24S, 24D, 24T"):
        analyze_image_channels(tmp_path / "photo.png", tmp_path / "out", subset="24")
    with pytest.raises(ValueError, match="numbered 0 to 191"):
        analyze_image_channels(tmp_path / "photo.png", tmp_path / "out", subset=[200])
    assert not (tmp_path / "out").exists()
