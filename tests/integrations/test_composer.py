"""Events in the order in which Composer 0.32 calls them, with what its state offers to algorithms."""

from collections import namedtuple
from enum import Enum
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from passband.curriculum import AdaptiveSchedule, Curriculum, RatioSchedule, RatioSearch, curriculum_batch
from passband.integrations.composer import CurriculumAlgorithm

CURRICULUM = Curriculum(RatioSchedule(1, start=0.5, shape="step", plateaus=3), sizes=(16, 24))
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
MASKS = (IMAGES.mean(1) > 0.5).long()
Pair = namedtuple("Pair", ["image", "mask"])


class Event(Enum):
    BATCH_START = "batch_start"
    AFTER_DATALOADER = "after_dataloader"
    BEFORE_FORWARD = "before_forward"


class State:
    """The parts of Composer's state that algorithms use."""

    def __init__(self, batch, done):
        self.batch, self.done, self.model = batch, done, nn.Conv2d(3, 1, 3, padding=1)

    def get_elapsed_duration(self):
        return None if self.done is None else SimpleNamespace(value=self.done)


def run(algorithm, state):
    for event in (Event.AFTER_DATALOADER, Event.BATCH_START, Event.BEFORE_FORWARD):
        if algorithm.match(event, state):
            algorithm.apply(event, state, None)
    return state.batch


@pytest.mark.parametrize(("done", "side"), [(0.0, 16), (0.4, 24), (0.9, 32)])
def test_each_batch_is_changed_once_by_the_share_of_the_training(done, side):
    images, masks = run(CurriculumAlgorithm(CURRICULUM, multiple=8), State((IMAGES, MASKS), done))
    expected, _ = curriculum_batch(IMAGES, MASKS, CURRICULUM, done)
    assert torch.equal(images, expected)
    assert images.shape[-1] == side
    assert masks is MASKS


@pytest.mark.parametrize(
    ("batch", "key"),
    [
        ((IMAGES, MASKS), 0),
        ([MASKS, IMAGES], -1),
        ({"image": IMAGES, "mask": MASKS}, "image"),
        (Pair(IMAGES, MASKS), 0),
        (IMAGES, 0),
    ],
)
def test_a_batch_keeps_its_type_and_the_original_its_images(batch, key):
    before = IMAGES.clone()
    changed = run(CurriculumAlgorithm(CURRICULUM, key, resize_targets=True), State(batch, 0.0))
    assert type(changed) is type(batch)
    assert torch.equal(IMAGES, before)
    if isinstance(batch, torch.Tensor):
        assert changed.shape[-1] == 16
        return
    parts = changed.values() if isinstance(batch, dict) else changed
    assert {part.shape[-1] for part in parts} == {16}


def test_an_adaptive_schedule_searches_and_its_ratios_are_saved():
    def algorithm():
        schedule = AdaptiveSchedule((0.0,), RatioSearch(radii=3, term="noise"))
        curriculum = Curriculum(schedule, mode="mask", definition="magnitude")
        return CurriculumAlgorithm(curriculum, reference=IMAGES)

    first, second = algorithm(), algorithm()
    run(first, State((IMAGES, MASKS), 0.0))
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict() != {}


def test_what_is_missing_is_an_error_that_says_what_to_do():
    algorithm = CurriculumAlgorithm(CURRICULUM)
    with pytest.raises(ValueError, match="set max_duration of the Trainer"):
        run(algorithm, State((IMAGES, MASKS), None))
    with pytest.raises(TypeError, match="must be a tensor, a dict, or a list or tuple"):
        run(CurriculumAlgorithm(CURRICULUM, "image"), State((IMAGES, MASKS), 0.0))
    with pytest.raises(KeyError, match="has 2 parts, so none at the position 2"):
        run(CurriculumAlgorithm(CURRICULUM, 2), State((IMAGES, MASKS), 0.0))
    with pytest.raises(TypeError, match="tensor of floats B C H W, got torch.int64 2 x 32 x 32"):
        run(CurriculumAlgorithm(CURRICULUM, 1), State((IMAGES, MASKS), 0.0))
    wide = torch.rand(2, 3, 32, 40)  # 16 x 20 pixels
    with pytest.raises(ValueError, match="multiples of 8; the curriculum makes 16 x 20 pixels of 32 x 40: choose"):
        run(CurriculumAlgorithm(CURRICULUM, multiple=8), State((wide, MASKS), 0.0))
    with pytest.raises(ValueError, match="multiples of 32"):
        CurriculumAlgorithm(CURRICULUM, multiple=32)
