import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "metrics"))
import distortions
from distortion_kinds import KINDS, LEVELS, at_psnr, psnr_of

from passband.ops.frequency_distance import frequency_distances, frequency_weights


@pytest.fixture(scope="module")
def photo():
    """A picture of 64 x 96 pixels with edges and texture, H W 3."""
    rows, columns = np.mgrid[:64, :96]
    texture = np.random.default_rng(0).normal(0, 0.08, (64, 96, 1))
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 13), np.sin((rows + columns) / 5)], -1)
    return (np.clip(0.5 + 0.25 * waves + texture, 0, 1) * 255).round() / 255


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reaches_the_psnr_of_a_level_with_a_strength_that_grows(kind, photo):
    about = KINDS[kind]
    results = [at_psnr(photo, about, level, seed=1) for level in (LEVELS[1], LEVELS[3])]
    tolerance = 1.5 if kind == "JPEG" else 0.3  # its quality is a whole number, and the picture is small
    for (distorted, _), level in zip(results, (LEVELS[1], LEVELS[3]), strict=True):
        assert psnr_of(distorted, photo) == pytest.approx(level, abs=tolerance)
        assert np.abs(distorted * 255 - (distorted * 255).round()).max() < 1e-9
    assert results[0][1] < results[1][1]


def test_noise_is_that_of_its_seed(photo):
    first, second, other = (at_psnr(photo, KINDS["white noise"], 27.0, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["flat", "csf", "low-pass"])
def test_scores_by_energy_are_the_distances_of_the_library(name, photo):
    reference = torch.from_numpy(photo).permute(2, 0, 1)[None]
    image = (reference + 0.05 * torch.randn(reference.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    energy = distortions.error_energy(image, reference).numpy()
    expected = -10 * frequency_distances(image, reference, name).log10()
    found = distortions.weighted_scores(energy, frequency_weights(name))
    assert found == pytest.approx(expected.item(), abs=1e-9)


def test_a_tilt_of_zero_is_flat_and_a_positive_one_weighs_low_frequencies_more():
    torch.testing.assert_close(distortions.tilted_weights(0), frequency_weights("flat"))
    weights = distortions.tilted_weights(1)[0]
    assert weights[0, 0] > weights[0, 1] > weights[7, 7]


def test_scores_in_the_order_of_the_observers_agree_fully():
    human = np.random.default_rng(0).normal(size=(5, len(KINDS), len(LEVELS)))
    human[:, -1, [1, 3]] = np.nan
    found = distortions.agreement(np.exp(human), -human, human)
    assert found["spearman"].value == pytest.approx(1)
    assert found["at equal PSNR"].value == pytest.approx(1)
    assert found["at equal PSNR minus flat"].value == pytest.approx(2)
    shifted = distortions.order_check(human, human)
    assert int(np.argmax(shifted)) == 0


def test_scores_are_read_by_photo_kind_and_level(tmp_path):
    lines = ["dis_img_path,dis_type,ref_img_path,score"]
    for kind in KINDS.values():
        lines += [f"x/i01_{kind.number:02}_{level + 1}.bmp,x,x,{kind.number}.{level}" for level in range(5)]
    (tmp_path / "scores.txt").write_text("\n".join(lines))
    human = distortions.human_scores(tmp_path / "scores.txt", 1)
    assert human[0, [*KINDS].index("JPEG"), 2] == 10.2
    assert np.isnan(human[0, -1]).tolist() == [False, True, False, True, False]
    with pytest.raises(ValueError, match="i02_01_1 for photo 2"):
        distortions.human_scores(tmp_path / "scores.txt", 2)


def test_the_levels_are_followed_fully_by_a_score_that_falls():
    falling = np.broadcast_to(-np.arange(5.0), (3, len(KINDS), 5))
    found = distortions.with_level(falling)
    assert found["blur"].value == pytest.approx(1)
    assert found["all kinds"].value == pytest.approx(1)
