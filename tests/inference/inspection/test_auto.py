import pytest
import torch

from passband.inference import InspectedChoice, Restorer
from passband.inference.inspection.auto import SECOND_GAIN, SECOND_SIDE
from passband.io.image import write_image
from tests import clips
from tests.inspecting import Layered, photograph

BOTH = "dehaze-small+derain-small"


def test_a_rest_that_another_network_restores_gets_this_network_also():
    inspector = Layered(5.25)
    decision = InspectedChoice(inspector).of_image(torch.rand(3, SECOND_SIDE + 90, 70))
    assert decision.weights == BOTH
    assert decision.line == (
        "haze (0.90), rain (0.80), about 12 dB: dehaze-small, expected +7.0 dB; "
        "then rain (0.70), about 20 dB: derain-small, expected +5.2 dB"
    )
    assert inspector.restored_sizes == [(SECOND_SIDE, 70)]


@pytest.mark.parametrize(
    ("second", "tried", "same"), [(SECOND_GAIN - 0.01, True, 0.0), (5.0, False, 1.0), (5.0, True, 5.1)]
)
def test_a_small_or_untried_gain_or_that_of_the_same_network_is_no_reason_for_a_second_one(second, tried, same):
    decision = InspectedChoice(Layered(second, tried, same)).of_image(torch.rand(3, 80, 80))
    assert decision.weights == "dehaze-small"
    assert "then" not in decision.line


def test_without_trials_one_network_is_chosen():
    inspector = Layered(5.0)
    inspector.trials = None
    assert InspectedChoice(inspector).of_image(torch.rand(3, 80, 80)).weights == "dehaze-small"


def test_a_file_is_inspected_once_however_often_it_is_asked_for(tmp_path):
    write_image(tmp_path / "a.png", photograph(1))
    inspector = Layered(5.0)
    choice = InspectedChoice(inspector)
    assert choice.of_file(tmp_path / "a.png") == choice.of_file(tmp_path / "a.png")
    assert (inspector.files, len(inspector.restored_sizes)) == (1, 1)


def test_images_are_restored_by_both_networks(tmp_path):
    restorer = Restorer("auto", "cpu", precision="float32", choice=InspectedChoice(Layered(5.0)))
    image = photograph(1)[None]
    expected = Restorer(BOTH, "cpu", precision="float32").restore(image)
    assert torch.equal(restorer.restore(image), expected)
    write_image(tmp_path / "a.png", image[0])
    (line, *_) = restorer.restore_file(tmp_path / "a.png", tmp_path / "b.png")
    assert "derain-small, expected +5.0 dB" in line


def test_scenes_of_a_video_get_both_unless_frames_are_smoothed(tmp_path):
    video = clips.write_clip(tmp_path / "a.mp4", clips.even(14), audio=None)
    inspector = Layered(5.0)
    restorer, line = Restorer("auto", "cpu", choice=InspectedChoice(inspector)).for_video(video)
    assert (restorer.weights, line.count("then")) == (BOTH, 1)
    assert len(inspector.restored_sizes) == 2  # one for each inspected frame
    restorer, line = Restorer("auto", "cpu", choice=InspectedChoice(inspector)).for_video(video, as_one=True)
    assert (restorer.weights, line.count("then")) == ("dehaze-small", 0)
