import pytest
import torch

from passband.inference.video.cuts import CUT_SIMILARITY, luma_cells, similarity


def test_haze_noise_and_drift_are_no_cut_and_other_scenes_and_black_are(photograph):
    scene = photograph[:, :200, :300]
    generator = torch.Generator().manual_seed(0)

    def alike(other):
        return similarity(*luma_cells(torch.stack([scene, other])))

    assert alike(scene * 0.25 + 0.7) > CUT_SIMILARITY
    assert alike((scene + 0.3 * torch.randn(scene.shape, generator=generator)).clamp(0, 1)) > CUT_SIMILARITY
    assert alike(photograph[:, 6:206, 8:308]) > CUT_SIMILARITY
    assert alike(scene.flip(-1)) < CUT_SIMILARITY
    assert alike(torch.zeros_like(scene)) < CUT_SIMILARITY
    assert alike(scene) == pytest.approx(1)


def test_two_black_frames_are_one_scene():
    black = torch.zeros(16, 16)
    assert similarity(black, black) == 1
