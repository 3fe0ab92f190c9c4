import csv

import pytest
import torch
import torch.nn.functional as F

from passband.analysis.images.change import analyze_changed_spectrum
from passband.io.image import write_image


@pytest.fixture
def files(tmp_path, photograph):
    """Write a photo, a blurred version and a smaller one."""
    image = photograph[:, :61, :90]
    blurred = F.avg_pool2d(F.pad(image[None], (2, 2, 2, 2), mode="reflect"), 5, 1)[0]
    for name, one in (("image", image), ("blurred", blurred), ("small", image[:, :40]), ("flat", torch.ones(3, 9, 9))):
        write_image(tmp_path / f"{name}.png", one)
    return tmp_path


def test_a_blur_loses_fine_frequencies_and_its_reverse_gains_them(files):
    title, warning = analyze_changed_spectrum(files / "image.png", files / "blurred.png", files / "out")
    assert "fine frequencies lost" in title
    assert "Without a clean version" in warning
    assert (files / "out" / "spectrum.png").stat().st_size > 5000
    rows = list(csv.DictReader((files / "out" / "spectrum.csv").read_text().splitlines()))
    assert float(rows[30]["after"]) < float(rows[30]["before"])
    assert float(rows[0]["share_of_nyquist"]) == 0
    assert "fine frequencies gained" in analyze_changed_spectrum(files / "blurred.png", files / "image.png", files)[0]


def test_equal_images_have_unchanged_spectra(files):
    title, _ = analyze_changed_spectrum(files / "image.png", files / "image.png", files / "out")
    assert title == "Coarse frequencies are unchanged; middle frequencies are unchanged; fine frequencies are unchanged"
    assert analyze_changed_spectrum(files / "flat.png", files / "flat.png", files / "out")[0]


def test_images_of_different_sizes_are_refused(files):
    with pytest.raises(ValueError, match=r"90 x 61 pixels, and .* has 90 x 40"):
        analyze_changed_spectrum(files / "image.png", files / "small.png", files / "out")
