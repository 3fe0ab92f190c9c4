import csv

import pytest
import torch

from passband.analysis.images import analyze_image_spectrum, radial_curve
from passband.analysis.images.spectrum import described_spectrum
from passband.drawing.frequencies.spectrum import DECADES, amplitude_image
from passband.io.image import read_image, write_image
from passband.ops.color import rgb_to_ycbcr


def wave(height, width, v, u):
    """Return a gray image of one wave around a middle gray."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return (0.5 + 0.25 * torch.cos(2 * torch.pi * (v * y / height + u * x / width))).expand(3, -1, -1)


@pytest.mark.parametrize(("v", "u"), [(0, 5), (3, 4), (6, 0)])
def test_a_wave_is_in_the_ring_of_its_frequency_alone(v, u):
    curve = radial_curve(wave(24, 24, v, u))
    ring = 5 if v != 6 else 6
    assert curve.amplitudes[0].argsort(descending=True)[1] == ring  # ring 0 has the mean
    assert curve.radius_holding(0.9) == ring
    assert curve.energy_inside[ring - 1] == pytest.approx(0, abs=1e-12)
    assert curve.energy_inside[ring] == pytest.approx(1)
    # two frequencies of the wave, of 0.25 / 2 * sqrt(24 * 24) each
    # float32 waves
    assert (curve.amplitudes[0, ring] * curve.counts[ring]).item() == pytest.approx(2 * 0.125 * 24, rel=1e-5)
    assert curve.amplitudes[1:, 1:].abs().max() < 1e-6  # gray has no color


@pytest.mark.parametrize("size", [(16, 16), (13, 11), (9, 20)])
def test_rings_hold_every_frequency_once_and_the_sum_of_all_amplitudes(size):
    image = torch.rand(3, *size, dtype=torch.float64)
    curve = radial_curve(image)
    assert curve.counts.sum() == size[0] * size[1]
    literal = torch.fft.fft2(rgb_to_ycbcr(image), norm="ortho").abs().sum((-2, -1))
    torch.testing.assert_close((curve.amplitudes * curve.counts).sum(1), literal)
    assert curve.energy_inside[-1] == pytest.approx(1)
    assert (curve.energy_inside.diff() >= 0).all()


def test_an_image_without_contrast_is_described_as_such():
    curve = radial_curve(torch.full((3, 10, 12), 0.3))
    assert curve.radius_holding(0.9) == 0
    assert described_spectrum(curve)[0] == "This image has no contrast"


def test_the_amplitude_image_has_the_mean_in_the_middle_and_waves_at_their_places():
    shown = amplitude_image(wave(16, 20, 2, 3))
    assert shown[8, 10] == 1
    bright = (shown > 0.5).nonzero().tolist()
    assert bright == [[6, 7], [8, 10], [10, 13]]
    # a wave of half the contrast: 2 log10 of 4, in DECADES powers of ten
    expected = 1 - torch.log10(torch.tensor(4.0)) / DECADES
    assert shown[6, 7] == pytest.approx(expected.item(), abs=1e-5)
    assert amplitude_image(torch.zeros(3, 5, 5)).sum() == 0
    assert amplitude_image(torch.rand(3, 40, 30), side=20).shape == (20, 15)


def test_files_hold_a_row_for_each_ring_and_a_pixel_for_each_frequency(tmp_path, photograph):
    write_image(tmp_path / "photo.png", photograph[:, :60, :80])
    curve = analyze_image_spectrum(tmp_path / "photo.png", tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "spectrum.csv").read_text().splitlines()))
    assert len(rows) == len(curve.counts)
    assert float(rows[0]["pixels_per_period"]) == float("inf")
    assert float(rows[30]["pixels_per_period"]) == 2
    assert float(rows[30]["share_of_nyquist"]) == 1
    assert float(rows[7]["amplitude_Cb"]) == curve.amplitudes[1, 7].item()
    assert sum(float(row["frequencies"]) for row in rows) == 60 * 80
    assert read_image(tmp_path / "out" / "amplitude.png").shape == (3, 60, 80)
    assert read_image(tmp_path / "out" / "spectrum.png").shape[-1] > 1000
    assert (tmp_path / "out" / "spectrum.svg").read_text().startswith("<?xml")
