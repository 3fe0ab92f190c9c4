import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from passband.curriculum import AdaptiveSchedule, Curriculum, RatioSearch, low_pass_ratio
from passband.ops.fourier import band_split
from tests.curriculum.networks import Quadratic, noisy_pictures, small_network, waves

SEARCH = RatioSearch("radius", "cost", beta=0.5, radii=5)


class OfHigh(Quadratic):
    """Blind to less than 6 cycles."""

    def forward(self, image):
        return super().forward(band_split(image, 5.0)[1])


def test_the_loop_in_the_documentation_runs_and_ends_at_the_whole_spectrum():
    page = (Path(__file__).parents[2] / "docs" / "curriculum-adaptive.md").read_text(encoding="utf-8")
    scope: dict = {}
    for block in page.split("```python\n")[1:]:
        exec(block.split("```")[0], scope)
    assert sorted(scope["schedule"].found) == [0.0, 0.25, 0.5, 0.75]
    assert scope["schedule"].at(1.0) == 1
    assert scope["loss"].isfinite()


def recorded(found, **settings):
    """A schedule that has found ratios."""
    schedule = AdaptiveSchedule(**settings)
    schedule.load_state_dict({"found": found})
    return schedule


def test_a_search_is_run_at_each_share_once_and_gives_what_it_found():
    schedule = AdaptiveSchedule((0.0, 0.4), SEARCH, least=0.0)
    images = waves({3: 1.0, 9: 0.5})
    answers = [schedule.update(step / 10, Quadratic(), images) for step in range(10)]
    assert [step for step, answer in enumerate(answers) if answer is not None] == [0, 4]
    assert answers[0] == SEARCH(Quadratic(), images)
    assert schedule.found == {0.0: 3 / 24, 0.4: 3 / 24}
    assert [schedule.at(done) for done in (0, 0.4, 0.89)] == [3 / 24] * 3


def test_the_ratio_follows_the_network():
    schedule = AdaptiveSchedule((0.0, 0.5), SEARCH, least=0.0)
    images = waves({3: 1.0, 9: 0.7, 15: 0.6})
    schedule.update(0.0, Quadratic(), images)
    schedule.update(0.5, OfHigh(), images)
    # the first that parts what the network sees: 3 from 9 and 15, then 9 from 15
    assert (schedule.at(0.4), schedule.at(0.6)) == (3 / 24, 9 / 24)


def test_steps_hold_the_ratio_found_last_and_end_at_the_whole_spectrum():
    schedule = recorded({0.0: 0.2, 0.25: 0.6, 0.5: 0.4, 0.75: 0.8}, hold=0.2)
    dones = (-0.1, 0.0, 0.24, 0.25, 0.49, 0.5, 0.74, 0.75, 0.79, 0.8, 1.0, 1.1)
    assert [schedule.at(done) for done in dones] == [0.2, 0.2, 0.2, 0.6, 0.6, 0.4, 0.4, 0.8, 0.8, 1, 1, 1]


def test_lines_run_from_the_ratio_before_to_the_last_one_until_the_next_search():
    schedule = recorded({0.0: 0.2, 0.25: 0.6, 0.5: 0.4}, shares=(0.0, 0.25, 0.5), shape="linear", hold=0.2)
    dones = (0.0, 0.2, 0.25, 0.375, 0.5, 0.65, 0.79999999, 0.8)
    assert [schedule.at(done) for done in dones] == pytest.approx([0.2, 0.2, 0.2, 0.4, 0.6, 0.5, 0.4, 1])
    early = recorded({0.0: 0.2}, shape="linear")
    assert early.at(0.6) == 0.2


def test_before_anything_is_found_the_ratio_is_the_initial_one():
    schedule = AdaptiveSchedule((0.3, 0.5), SEARCH, initial=0.7)
    assert schedule.update(0.1, Quadratic(), waves({3: 1.0})) is None
    assert [schedule.at(done) for done in (0.0, 0.5, 0.95)] == [0.7, 0.7, 1]


def test_what_is_found_is_at_least_the_least():
    nothing_but_cost = RatioSearch(term="cost", alpha=0.0, radii=4)
    schedule = AdaptiveSchedule((0.0,), nothing_but_cost, least=0.35)
    answer = schedule.update(0.0, small_network(), noisy_pictures())
    assert answer is not None
    assert answer.ratio < 0.35 == schedule.at(0.0)


def test_later_ratios_do_not_change_earlier_moments():
    schedule = recorded({0.0: 0.2, 0.25: 0.6})
    before = [schedule.at(step / 100) for step in range(50)]
    schedule.load_state_dict({"found": {0.0: 0.2, 0.25: 0.6, 0.5: 0.9}})
    assert [schedule.at(step / 100) for step in range(50)] == before


def test_moments_that_were_missed_are_not_made_up_for():
    schedule = AdaptiveSchedule((0.0, 0.25, 0.5), SEARCH)
    schedule.update(0.6, Quadratic(), waves({3: 1.0, 9: 0.5}))
    assert list(schedule.found) == [0.5]
    assert schedule.update(0.7, Quadratic(), waves({3: 1.0, 9: 0.5})) is None


def trained(steps, total, saved=None):
    """Train a network with the schedule, up to a step; the checkpoint there, and the ratios seen."""
    torch.manual_seed(4)
    model, reference = small_network(), noisy_pictures(2, (16, 16))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    schedule = AdaptiveSchedule((0.0, 0.3, 0.6), RatioSearch(term="noise", radii=5), shape="linear", hold=0.1)
    first, ratios = 0, []
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["step"]
    for step in range(first, steps):
        done = step / total
        schedule.update(done, model, reference)
        ratios.append(schedule.at(done))
        images = noisy_pictures(2, (16, 16)).roll(step, -1)
        logits = model(low_pass_ratio(images, ratios[-1]))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, images[:, :1].gt(0.5).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    states = {"model": model, "optimizer": optimizer, "schedule": schedule}
    return {"step": steps, **{name: copy.deepcopy(part.state_dict()) for name, part in states.items()}}, ratios


@pytest.mark.parametrize("stop", [3, 6, 13])
def test_a_training_that_is_resumed_is_the_uninterrupted_one(stop, tmp_path):
    whole, ratios = trained(20, 20)
    half, before = trained(stop, 20)
    torch.save(half, tmp_path / "checkpoint.pt")
    resumed, after = trained(20, 20, torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    assert before + after == ratios
    assert len(set(ratios)) > 2
    assert resumed["schedule"] == whole["schedule"]
    assert all(torch.equal(value, whole["model"][name]) for name, value in resumed["model"].items())


def test_searching_changes_nothing_of_the_training_but_the_ratio():
    model, images = small_network(), noisy_pictures()
    model(images).sum().backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    generator = torch.get_rng_state()
    AdaptiveSchedule(search=SEARCH).update(0.0, model, images)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(one.grad, old) for one, old in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_curriculum_follows_it_by_masks_and_by_crops():
    schedule = recorded({0.0: 0.4, 0.25: 0.7})
    images = noisy_pictures(2, (32, 32))
    mask = Curriculum(schedule, "mask")
    torch.testing.assert_close(mask.apply(images, 0.1), low_pass_ratio(images, 0.4, "radius"))
    crop = Curriculum(schedule, "crop", sizes=(16, 24))
    assert [crop.size_at(done, 32, 32)[0] for done in (0.1, 0.3, 0.95)] == [16, 24, 32]


def test_all_processes_take_the_ratio_that_the_first_one_found(tmp_path):
    # statistics of normalization differ between processes, and so does what they would find alone
    program = f"""
import sys, torch
from passband.curriculum import AdaptiveSchedule, RatioSearch
torch.set_num_threads(1)
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method="file://{tmp_path / "store"}", rank=rank, world_size=2)
model = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Conv2d(1, 1, 1))
torch.nn.init.ones_(model[1].weight)
torch.nn.init.zeros_(model[1].bias)
model = torch.nn.parallel.DistributedDataParallel(model)
search = RatioSearch("radius", "cost", radii=5, alpha=1.0 - rank, score=lambda out: out.square().sum((1, 2, 3)))
x = torch.arange(32) / 32
image = (torch.cos(6.2832 * 2 * x) + torch.cos(6.2832 * 9 * x + 1)).expand(1, 1, 32, 32)
schedule = AdaptiveSchedule(search=search, least=0.0)
own = schedule.update(0.0, model, image).ratio
model(image).sum().backward()
print(own, schedule.at(0.1))
torch.distributed.destroy_process_group()
"""
    with ThreadPoolExecutor() as pool:
        commands = [[sys.executable, "-c", program, str(rank)] for rank in range(2)]
        # only to end at all: two starts of torch take seconds on an idle machine
        run = partial(subprocess.run, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
        printed = [done.stdout.split() for done in pool.map(run, commands)]
    (first, used), (second, also) = ([float(word) for word in words[-2:]] for words in printed)
    assert used == also == first
    assert first != second


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": "liner"}, "did you mean 'linear'"),
        ({"hold": 1.5}, "hold must be a share from 0 to 1; got 1.5"),
        ({"least": -0.5}, "least must be a share from 0 to 1; got -0.5"),
        ({"initial": 2.0}, "initial must be a share from 0 to 1; got 2.0"),
        ({"shares": ()}, r"ascending shares of the training, from 0 to below 1; got \(\)"),
        ({"shares": (0.5, 0.25)}, r"got \(0.5, 0.25\)"),
        ({"shares": (0.0, 1.0)}, r"got \(0.0, 1.0\)"),
        ({"shares": (0.0, 0.95)}, "a search at 0.95 finds nothing to change: let shares end below 0.9"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveSchedule(**settings)


def test_a_checkpoint_of_other_shares_is_refused():
    state = recorded({0.0: 0.5, 0.25: 0.6}).state_dict()
    with pytest.raises(ValueError, match=r"searched at 0\.25 of the training; this one does at 0\.0, 0\.5"):
        AdaptiveSchedule((0.0, 0.5)).load_state_dict(state)


def test_without_a_hold_the_end_warns():
    with pytest.warns(UserWarning, match="may end below a frequency ratio of 1: the network is then trained on"):
        AdaptiveSchedule(hold=0.0)
