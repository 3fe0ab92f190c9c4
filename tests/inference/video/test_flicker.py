import pytest
import torch

from passband.inference.video.flicker import Flicker


def test_the_flicker_figure_is_the_mean_step_of_brightness_in_levels(photograph):
    scene = 0.5 * photograph[None, :, :48, :64]
    degraded = torch.cat([scene, scene + 10 / 255, scene])
    restored = torch.cat([scene, scene + 2 / 255, scene])
    flicker = Flicker()
    cuts = flicker.cuts(degraded)
    assert cuts == [True, False, False]
    flicker.add(degraded, restored, cuts)
    assert flicker.figures == pytest.approx((10, 2), rel=1e-4)


@pytest.mark.parametrize("batch", [1, 5])
def test_light_that_jumps_is_told_from_noise_and_drift(photograph, batch):
    scene = 0.5 * photograph[:, :48, :64]
    noise = 0.02 * torch.randn(3, 48, 64, generator=torch.Generator().manual_seed(0))
    frames = torch.stack([scene, scene + noise, scene + 1 / 255, scene + 9 / 255, scene + 9.5 / 255])
    flicker, found = Flicker(), []
    for part in frames.split(batch):
        found += flicker.jumps(part)
        flicker.add(part, part, flicker.cuts(part))
    assert found == [False, False, False, True, False]


def test_a_scene_cut_is_no_flicker(photograph):
    first, second = photograph[None, :, :48, :64], photograph[None, :, :48, :64].flip(-1)
    clip = torch.cat([first, first, second, second])
    flicker = Flicker()
    for frame in clip[:, None]:
        flicker.add(frame, frame, flicker.cuts(frame))
    assert flicker.figures == (0, 0)


def test_one_frame_has_no_flicker():
    flicker, frame = Flicker(), torch.rand(1, 3, 5, 7)
    flicker.add(frame, frame, flicker.cuts(frame))
    assert flicker.figures == (0, 0)
