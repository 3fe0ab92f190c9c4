import pickle
import random

import pytest

from passband.curriculum import RatioSchedule


def test_a_line_goes_from_start_to_end_and_holds():
    schedule = RatioSchedule(101, start=0.2, hold=0.5)
    assert [schedule(step) for step in (0, 25, 50, 75, 100)] == pytest.approx([0.2, 0.6, 1, 1, 1])


def test_a_falling_schedule_is_the_slides_and_warns_of_its_end():
    with pytest.warns(UserWarning, match="ends at a frequency ratio of 0.3: the network is then trained on another"):
        schedule = RatioSchedule(11, start=1.0, end=0.3)
    assert [schedule(step) for step in range(11)] == pytest.approx([1 - 0.07 * step for step in range(11)])


def test_a_fixed_ratio_is_a_constant():
    with pytest.warns(UserWarning, match="ends at a frequency ratio of 0.5"):
        schedule = RatioSchedule(7, start=0.5, end=0.5)
    assert {schedule(step) for step in range(7)} == {0.5}


def test_steps_are_plateaus_of_equal_length():
    schedule = RatioSchedule(10, start=0.0, shape="step", plateaus=3)
    ratios = [schedule.at((step + 0.5) / 9) for step in range(9)]
    assert ratios == [0] * 3 + [0.5] * 3 + [1] * 3


def test_a_cosine_is_symmetric_and_slow_at_its_ends():
    schedule = RatioSchedule(100, start=0.0, shape="cosine")
    for done in (0.1, 0.25, 0.4):
        assert schedule.at(done) + schedule.at(1 - done) == pytest.approx(1)
    assert schedule.at(0.1) < 0.1


def test_a_tail_falls_after_the_rise():
    with pytest.warns(UserWarning, match="ends at a frequency ratio of 0.6"):
        schedule = RatioSchedule(101, start=0.0, hold=0.3, tail=0.2, tail_end=0.6)
    assert [schedule.at(done) for done in (0, 0.25, 0.5, 0.7, 0.8, 0.9, 1)] == pytest.approx(
        [0, 0.5, 1, 1, 1, 0.8, 0.6]
    )


@pytest.mark.parametrize("shape", ["linear", "cosine", "step"])
def test_it_is_a_pure_function_of_the_step(shape):
    schedule = RatioSchedule(50, start=0.1, shape=shape, hold=0.2)
    ratios = {step: schedule(step) for step in range(50)}
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule
    order = list(range(50))
    random.Random(0).shuffle(order)
    assert {step: again(step) for step in order} == ratios
    assert list(ratios.values()) == sorted(ratios.values())
    assert schedule(49) == schedule(500) == 1


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"steps": 0}, "1 step or more; got 0"),
        ({"steps": 5, "start": -0.1}, "start must be a share from 0 to 1; got -0.1"),
        ({"steps": 5, "end": 1.5}, "end must be a share from 0 to 1; got 1.5"),
        ({"steps": 5, "hold": 0.7, "tail": 0.4}, "hold and tail must add to at most 1; got 0.7 and 0.4"),
        ({"steps": 5, "shape": "cosin"}, "did you mean 'cosine'"),
        ({"steps": 5, "shape": "step", "plateaus": 1}, "plateaus must be 2 or more; got 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        RatioSchedule(**numbers)
