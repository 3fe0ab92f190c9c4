import numpy as np
import pytest
import torch

from passband.inference import Diagnosis, InspectedChoice, Inspector, Restorer
from passband.inference.restoration.choice import Decision, Scene, VideoDecision
from passband.inference.restoration.memory import MemoryPlan
from passband.inference.restoration.network import RestorationNetwork
from passband.inference.video.scenes import find_scenes
from tests import clips


def scene(number, count):
    """Return frames of a pattern that is different for each number, H W 3."""
    y, x = np.mgrid[:48, :64]
    pattern = [np.sin(x / 4), np.cos(y / 5), np.sin((x + y) / 6)][number]
    return [np.repeat((127 + 90 * pattern + n)[..., None], 3, -1).astype(np.uint8) for n in range(count)]


def clip(path, *lengths):
    """Write a video of scenes of some lengths."""
    images = [frame for number, count in enumerate(lengths) for frame in scene(number, count)]
    return clips.write_clip(path, clips.even(len(images)), images=images, audio=None)


class Named:
    """Stands for an engine."""

    precision, name = "float32", "torch"


class Halved(RestorationNetwork):
    """Stands for a network: gives half of what it gets."""

    def __init__(self, name):
        self.weights, self.device, self.engine = name, torch.device("cpu"), Named()

    def predict(self, degraded, report=None):
        return degraded / 2, MemoryPlan("whole", 0)

    def checksum(self):
        return self.weights


class Rainy(Inspector):
    """Stands for an inspector that finds rain in the first scene and nothing in the others."""

    def __init__(self):
        self.weights, self.networks, self.trials = "rainy", ("general", "derain-small"), None

    def __call__(self, picture):
        rain = 0.9 if picture[0, 0].std() > 0.1 else 0.1  # the top row changes in the first scene only
        return Diagnosis({"rain": rain, "clean": 0.95 - rain}, 20.0, {"general": 1.0, "derain-small": 10 * rain - 5}, 1)


@pytest.fixture
def automatic():
    restorer = Restorer("auto", "cpu", choice=InspectedChoice(Rainy()))
    restorer._networks = {name: Halved(name) for name in ("general", "derain-small")}
    return restorer


def test_scenes_are_found_and_a_flash_belongs_to_the_scene_before(tmp_path):
    found = list(find_scenes(clip(tmp_path / "a.mp4", 14, 3, 15)))
    assert [one.start for one in found] == [0, 17]
    assert [len(one.images) for one in found] == [2, 2]
    assert found[0].images[0].shape == (3, 48, 64)


def test_a_video_that_is_shorter_than_any_scene_has_one_with_its_last_frame(tmp_path):
    (only,) = find_scenes(clip(tmp_path / "a.mp4", 2))
    assert (only.start, len(only.images)) == (0, 1)


def test_each_scene_is_restored_by_its_own_network_or_left_alone(tmp_path, automatic):
    video = clip(tmp_path / "a.mp4", 14, 20)
    restorer, line = automatic.for_video(video)
    assert "2 scenes: from frame 0 rain (0.90), about 20 dB: derain-small" in line
    assert "; from frame 14 clean (0.85): left alone" in line
    frames = torch.rand(4, 3, 8, 8)
    restored = restorer.restore_frames(frames, 12)
    torch.testing.assert_close(restored[:2], frames[:2] / 2)
    assert torch.equal(restored[2:], frames[2:])
    assert restorer.checksum() != automatic.for_video(video, as_one=True)[0].checksum()


def test_smoothing_over_frames_needs_one_network_for_all_scenes(tmp_path, automatic):
    restorer, line = automatic.for_video(clip(tmp_path / "a.mp4", 20, 14), as_one=True)
    assert "scenes" not in line
    frames = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(restorer.restore_frames(frames, 25), frames / 2)


def test_frames_are_divided_at_the_beginnings_of_scenes():
    weights = [None, "a", "b", "a"]
    decision = VideoDecision(tuple(Scene(10 * n, Decision(name)) for n, name in enumerate(weights)))
    assert decision.weights == (None, "a", "b")
    assert decision.spans(0, 5) == [(None, slice(0, 5))]
    assert decision.spans(8, 14) == [(None, slice(0, 2)), ("a", slice(2, 12)), ("b", slice(12, 14))]
    assert decision.spans(100, 3) == [("a", slice(0, 3))]
