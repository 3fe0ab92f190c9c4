import pytest
import torch

from passband.inference import Restorer, plan_jobs, restore_files
from passband.inference.restoration.change_check import Change, blended
from passband.io.image import read_image, write_image


def picture():
    return torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2


def test_a_change_is_measured_in_levels_by_channel():
    before = picture()
    shift = torch.tensor([4.0, 0.0, -8.0])[:, None, None] / 255
    change = Change.between(before, before + shift)
    assert change.mean == pytest.approx(4, abs=1e-3)
    assert change.color == pytest.approx((4, 0, -8), abs=1e-3)
    assert change.rest == pytest.approx(0, abs=1e-3)
    assert change.beyond == 0


def test_almost_no_change_is_told_with_what_to_try():
    before = picture()
    (note,) = Change.between(before, before + 0.2 / 255).notes("general")
    assert note.startswith("almost nothing changed (by 0.20 of 255 levels on average)")
    assert "fine-tune" in note


def test_a_color_that_moves_by_itself_is_told_and_one_that_moves_with_the_contrast_is_not():
    before = picture()
    (note,) = Change.between(before, before + 6 / 255).notes("general")
    assert note.startswith("the color of the whole image moved by +6 of 255 levels")
    # haze that goes takes its light away, and gives contrast back
    assert Change.between(0.5 * before + 0.45, before).notes("general") == ()


def test_values_far_out_of_range_are_told_with_their_share():
    before = picture()
    after = before.clone()
    after[..., :4] = 1.4
    (note,) = Change.between(before, after).notes("general")
    assert note.startswith("8 % of the values left the range of an image")


def test_a_plain_restoration_has_no_notes():
    before = picture()
    noise = torch.randn(before.shape, generator=torch.Generator().manual_seed(1))
    assert Change.between(before, before + 5 / 255 * noise).notes("general") == ()


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_strength_mixes_what_was_with_what_the_network_gives(tiny_weights, strength):
    degraded = picture()
    whole = Restorer(tiny_weights, "cpu", precision="float32").restore(degraded)
    part = Restorer(tiny_weights, "cpu", precision="float32", strength=strength).restore(degraded)
    assert (whole - degraded).abs().max() > 0.01
    torch.testing.assert_close(part, torch.lerp(degraded, whole, strength), atol=2e-2, rtol=0)  # clamped after mixing
    if strength == 0:
        assert torch.equal(part, degraded)


def test_mixing_leaves_both_pictures_as_they_are():
    degraded, restored = picture(), picture().flip(-1)
    kept = degraded.clone(), restored.clone()
    blended(degraded, restored, 0.5)
    assert torch.equal(degraded, kept[0])
    assert torch.equal(restored, kept[1])


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_outside_of_0_to_1_is_refused(tiny_weights, strength):
    with pytest.raises(ValueError, match="strength between 0"):
        Restorer(tiny_weights, "cpu", strength=strength)


def test_a_file_that_a_network_leaves_as_it_is_is_told_of(identity_weights, tmp_path):
    write_image(tmp_path / "a.png", picture()[0])
    restorer = Restorer(identity_weights, "cpu")
    (outcome,) = restore_files(restorer, plan_jobs([tmp_path / "a.png"], tmp_path / "out"))
    assert [note for note in outcome.notes if note.startswith("almost nothing changed")]


def test_another_strength_restores_a_file_again(tiny_weights, tmp_path):
    write_image(tmp_path / "a.png", picture()[0])
    pictures = []
    for strength, status in ((1.0, "restored"), (1.0, "skipped"), (0.5, "restored")):
        restorer = Restorer(tiny_weights, "cpu", precision="float32", strength=strength)
        (outcome,) = restore_files(restorer, plan_jobs([tmp_path / "a.png"], tmp_path / "out"))
        assert outcome.status == status
        pictures.append(read_image(outcome.job.target))
    assert not torch.equal(pictures[0], pictures[2])
