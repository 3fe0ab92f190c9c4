from pathlib import Path

import pytest

from passband.app.work.restoration import chosen_weights
from passband.inference.network_choice import Decision, FixedChoice, Scene, VideoDecision

BOTH = "dehaze-small+derain-small"


class ByScene(FixedChoice):
    """Stands for a choice for each scene of a video."""

    def __init__(self, *scenes):
        super().__init__("general")
        self.scenes = scenes

    def of_video(self, path, *, as_one=False):
        return VideoDecision(tuple(Scene(20 * number, Decision(name)) for number, name in enumerate(self.scenes)))


@pytest.mark.parametrize(
    ("scenes", "name"),
    [((BOTH, None, "general"), f"{BOTH} and general"), ((BOTH, BOTH), BOTH), ((None,), None)],
)
def test_networks_of_scenes_are_told_from_networks_that_run_one_after_the_other(scenes, name):
    assert chosen_weights(ByScene(*scenes), Path("a.mp4"), True, 1) == name
