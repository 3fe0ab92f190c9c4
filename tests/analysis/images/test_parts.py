import csv

import pytest
import torch

from passband.analysis.images import ImageSpectrum, analyze_image_parts, visible_high
from passband.curriculum import low_pass_ratio
from passband.curriculum.ratio import DEFINITIONS, radii_of, ratios_of
from passband.io.image import read_image, write_image

SIZES = [(16, 16), (13, 13), (17, 12), (12, 17), (1, 7), (8, 1)]
"""Even, odd, prime and not square."""


def random(size, dtype=torch.float64):
    torch.manual_seed(sum(size))
    return torch.rand(3, *size, dtype=dtype)


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("size", SIZES)
def test_parts_are_those_of_the_curriculum_and_add_up_to_the_image(size, definition):
    image = random(size)
    spectrum = ImageSpectrum(image)
    for ratio in (0, 0.2, 0.5, 0.93, 1):
        parts = spectrum.parts(ratio, definition)
        torch.testing.assert_close(parts.low, low_pass_ratio(image[None], ratio, definition)[0])
        torch.testing.assert_close(parts.low + parts.high, image)
        assert parts.radius == pytest.approx(radii_of(image[None], ratio, definition).item())
        assert parts.share_of_nyquist == pytest.approx(parts.radius / (min(size) / 2))


@pytest.mark.parametrize("size", SIZES)
def test_kept_shares_are_those_of_the_whole_complex_spectrum(size):
    image = random(size)
    spectrum = ImageSpectrum(image)
    whole = torch.fft.fft2(image)
    v, u = (torch.fft.fftfreq(side, dtype=torch.float64) * min(size) for side in size)
    distance = torch.hypot(v[:, None], u)
    energy = whole.abs().square().sum(0)
    energy[0, 0] = 0
    for radius in (0.0, 1.3, 3.0, 4.5, 40.0):
        inside = distance <= radius + 1e-9
        coefficients, share = spectrum.kept(radius)
        assert coefficients == pytest.approx(inside.double().mean().item())
        assert share == pytest.approx((energy[inside].sum() / energy.sum()).item())


def test_the_asked_share_is_kept_by_its_own_definition():
    image = random((31, 24))
    spectrum = ImageSpectrum(image)
    area = spectrum.parts(0.4, "area")
    assert area.coefficients == pytest.approx(ratios_of(image[None], area.radius, "area").item())
    assert area.coefficients >= 0.4
    assert spectrum.parts(0.4, "energy").energy >= 0.4
    assert spectrum.parts(0.4, "radius").share_of_nyquist == pytest.approx(0.4)


def test_an_image_without_contrast_has_nothing_to_lose():
    flat = torch.full((3, 9, 14), 0.3)
    for definition in DEFINITIONS:
        parts = ImageSpectrum(flat).parts(0.25, definition)
        assert parts.energy == 1
        torch.testing.assert_close(parts.low, flat)


def test_another_ratio_needs_no_new_transform_of_the_image(monkeypatch):
    spectrum = ImageSpectrum(random((20, 30)))
    for definition in DEFINITIONS:
        spectrum.parts(0.5, definition)
    transforms = []
    monkeypatch.setattr(torch.fft, "rfft2", lambda *arguments, **options: transforms.append(arguments))
    for definition in DEFINITIONS:
        for ratio in (0.1, 0.3, 0.8):
            spectrum.parts(ratio, definition)
    assert transforms == []


def test_weak_high_parts_are_amplified_and_strong_ones_are_not():
    wave = torch.sin(torch.arange(64.0)).expand(3, 8, 64)
    for strength, expected in ((0.4, 1), (0.1, 2), (0.01, 16)):
        shown, gain = visible_high(strength * wave)
        assert gain == expected
        torch.testing.assert_close(shown, (0.5 + gain * strength * wave).clamp(0, 1))
    assert visible_high(torch.zeros(3, 4, 4))[1] == 16


def test_files_hold_the_parts_and_their_figures(tmp_path, photograph):
    write_image(tmp_path / "photo.png", photograph[:, :60, :80])
    every = analyze_image_parts(tmp_path / "photo.png", tmp_path / "out", ratio=0.3)
    assert [parts.definition for parts in every] == list(DEFINITIONS)
    rows = list(csv.DictReader((tmp_path / "out" / "parts.csv").read_text().splitlines()))
    for parts, row in zip(every, rows, strict=True):
        assert row["definition"] == parts.definition
        assert float(row["radius"]) == parts.radius
        assert float(row["energy"]) == parts.energy
        stored = read_image(tmp_path / "out" / f"{parts.definition}-low.png")
        assert (stored - parts.low.clamp(0, 1)).abs().max() <= 0.51 / 255  # files hold 8 bits
        assert (tmp_path / "out" / f"{parts.definition}-high.png").exists()
    assert read_image(tmp_path / "out" / "parts.png").shape[-1] > 1000
    assert (tmp_path / "out" / "parts.svg").read_text().startswith("<?xml")


def test_mistakes_are_named():
    spectrum = ImageSpectrum(random((8, 8)))
    with pytest.raises(ValueError, match=r"a share from 0 to 1; got 1\.5"):
        spectrum.parts(1.5)
    with pytest.raises(ValueError, match="did you mean 'energy'"):
        spectrum.parts(0.5, "enrgy")
