import json
import math
from dataclasses import replace

import pytest
import torch
from scipy.signal import find_peaks

from passband.curriculum import DEFINITIONS, RadialProfile, RatioSearch, low_pass_ratio, radii_of
from passband.curriculum.objective import TERMS, saliency
from passband.curriculum.search import METHODS
from passband.ops.fourier import band_split, low_pass
from tests.curriculum.networks import Linear, Quadratic, noisy_pictures, small_network, waves

ALL = 10_000
"""Radii of a sweep that leaves none out."""


def seen(images, radius):
    """What `Quadratic` sees in both bands: its gradient is its input."""
    return sum(part.abs().mean().item() for part in band_split(images, radius))


def test_two_waves_are_best_told_apart_by_the_ratio_of_the_lower_one():
    # |a| + |b| is above |a + b| wherever the signs differ, so that saliency is greatest where each band has one wave
    images = waves({3: 1.0, 9: 0.5})
    found = RatioSearch(term="variance", radii=ALL)(Quadratic(), images)
    assert found.ratios == pytest.approx((0, 2 / 3, 1))  # nothing else to keep: the mean, one wave, or both
    assert found.ratio == pytest.approx(2 / 3)
    assert found.radius == 3
    assert found.interior
    expected = [seen(images, radius) for radius in (0, 3, 48)]
    assert found.saliency == pytest.approx(expected, rel=1e-12)
    assert found.words == "Best ratio 0.667 by magnitude, a radius of 3 cycles."


@pytest.mark.parametrize("radii", [5, 8, 13, ALL])
def test_a_cost_moves_the_best_radius_to_the_first_that_tells_the_waves_apart(radii):
    images = waves({3: 1.0, 9: 0.5})
    found = RatioSearch("radius", "cost", beta=0.2, radii=radii)(Quadratic(), images)
    assert (found.radius, found.ratio) == (3, 3 / 24)
    assert len(found.radii) == min(radii, 25)
    assert found.bracket[0] < found.ratio < found.bracket[1]
    # without it all that tell them apart are alike, and the largest is taken
    assert RatioSearch("radius", "variance", radii=ALL)(Quadratic(), images).radius == 8


def test_objective_is_both_terms_scaled_over_the_sweep():
    images = noisy_pictures(size=(24, 24), dtype=torch.float64)
    model = small_network().double()
    found = RatioSearch("area", "noise", alpha=0.7, beta=1.3, radii=9)(model, images)
    first, second = [], []
    for radius, ratio in zip(found.radii, found.ratios, strict=True):
        low, high = band_split(images, radius)
        first.append((saliency(model, low) + saliency(model, high)).mean().item())
        second.append(TERMS["noise"](low, high, torch.full((3,), ratio)).mean().item())
    assert found.saliency == pytest.approx(first, rel=1e-9)
    assert found.penalty == pytest.approx(second, rel=1e-9, abs=1e-12)

    def scaled(values):
        return [(value - min(values)) / (max(values) - min(values)) for value in values]

    expected = [1.3 * two - 0.7 * one for one, two in zip(scaled(first), scaled(second), strict=True)]
    assert found.objective == pytest.approx(expected, abs=1e-6)  # it has 6 decimals
    assert found.constant == ()


def test_scaling_makes_the_answer_the_same_for_scores_and_pictures_of_another_unit():
    images = noisy_pictures(size=(20, 20), channels=1, dtype=torch.float64)
    found = RatioSearch("radius", "noise", radii=8)(Quadratic(), images)
    other = RatioSearch("radius", "noise", radii=8, score=lambda output: 1000 * output.sum((1, 2, 3)))
    assert other(Quadratic(), images).objective == pytest.approx(found.objective, abs=1e-6)
    assert other(Quadratic(), 255 * images).radius == found.radius


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("size", [(16, 16), (17, 17), (13, 20)])
def test_a_sweep_goes_from_the_mean_to_the_whole_spectrum_by_ratios_that_mean_its_radii(definition, size):
    images = noisy_pictures(1, size, dtype=torch.float64)
    for radii in (7, ALL):
        found = RatioSearch(definition, "cost", radii=radii)(Quadratic(), images)
        assert len(found.radii) <= radii
        assert list(found.radii) == sorted(set(found.radii))
        assert list(found.ratios) == sorted(set(found.ratios))
        assert (found.radii[0], found.ratios[-1]) == (0, 1)
        for radius, ratio in zip(found.radii, found.ratios, strict=True):
            assert radii_of(images, ratio, definition).item() == pytest.approx(radius)
            torch.testing.assert_close(
                low_pass_ratio(images, ratio, definition), low_pass(images, radius), rtol=0, atol=1e-12
            )


def test_radii_of_a_sweep_are_as_many_as_asked_for_and_their_ratios_lie_evenly():
    images = noisy_pictures(1, (64, 64), channels=1)
    for definition in DEFINITIONS:
        found = RatioSearch(definition, radii=16)(Quadratic(), images)
        assert len(found.radii) == 16
        if definition == "area":  # whose rings hold up to 0.05 each
            assert found.ratios == pytest.approx([number / 15 for number in range(16)], abs=0.05)


def test_nothing_but_cost_has_no_interior_optimum():
    found = RatioSearch(term="cost", alpha=0.0, radii=6)(small_network(), noisy_pictures())
    assert not found.interior
    assert found.ratio == found.ratios[0] == found.minima[0]
    assert found.words.startswith("No best ratio found: the lowest value is at the edge of the range (0.")


def test_total_variation_alone_has_its_optimum_at_the_ends_and_takes_the_whole_spectrum():
    images = noisy_pictures(dtype=torch.float64)
    found = RatioSearch(term="total-variation", alpha=0.0, radii=ALL)(Quadratic(), images)
    assert not found.interior
    assert found.ratio == 1
    assert found.minima[:2] == (1, found.ratios[0])
    assert found.words == "No best ratio found: the lowest value is at the edge of the range (1.000 by magnitude)."


def test_variance_says_nothing_at_any_ratio_by_parseval_and_the_answer_says_so():
    images = noisy_pictures()
    model = small_network()
    found = RatioSearch(term="variance", radii=ALL)(model, images)
    own = images.double().flatten(2).var(-1, correction=0).sum(1).mean().item()
    assert found.penalty == pytest.approx([own] * len(found.radii), rel=1e-6)
    assert found.constant == ("penalty",)
    assert found.remarks[0].startswith("The variance term is constant and had no effect")
    weighed = RatioSearch(term="variance", beta=100.0, radii=ALL)(model, images)
    assert (weighed.ratio, weighed.objective) == (found.ratio, found.objective)
    assert min(found.objective) == -1


def test_a_linear_network_has_no_interior_optimum():
    images = noisy_pictures(2, (9, 12), 3, torch.float64)
    for method in METHODS:
        found = RatioSearch(term="variance", radii=6, method=method)(Linear((3, 9, 12)), images)
        assert found.constant == ("saliency", "penalty")
        assert set(found.objective) == {0}
        assert (found.ratio, found.interior) == (1, False)
        assert found.words == "No best ratio found: the objective is the same at every ratio."
        assert [" ".join(remark.split()[:2]) for remark in found.remarks] == ["The variance", "The saliency"]


def test_a_gray_picture_has_one_ratio_and_no_optimum():
    found = RatioSearch(term="cost")(Quadratic(), torch.full((1, 3, 8, 8), 0.5))
    assert found.ratios == (1,)
    assert found.words == "No best ratio found: the objective is the same at every ratio."
    assert found.remarks[0].startswith("The cost term is the same at every ratio and had no effect")


def test_all_local_minima_are_listed_the_deepest_first():
    images = noisy_pictures(2, (40, 40), dtype=torch.float64)
    found = RatioSearch("radius", "cost", beta=0.2, radii=ALL)(small_network().double(), images)
    # edges of the curve are minima, too, where they are the least of their surroundings
    padded = torch.tensor([math.inf, *found.objective, math.inf])
    peaks, shape = find_peaks(-padded.numpy(), plateau_size=1)
    assert len(peaks) == len(found.minima) > 2
    last = [found.ratios[edge - 1] for edge in shape["right_edges"]]
    values = dict(zip(found.ratios, found.objective, strict=True))
    assert list(found.minima) == sorted(last, key=lambda ratio: (values[ratio], -ratio))
    assert replace(found, interior=True).words.endswith(f"; {len(found.minima)} local minima.")


@pytest.mark.parametrize("term", ["noise", "cost", "total-variation"])
@pytest.mark.parametrize("method", METHODS)
def test_refining_finds_a_least_value_within_the_bracket_and_never_a_worse_one_than_the_sweep(term, method):
    images = noisy_pictures(1, (18, 18), channels=1, dtype=torch.float64)
    every = RatioSearch("radius", term, beta=0.5, radii=ALL)(Quadratic(), images)
    found = RatioSearch("radius", term, beta=0.5, radii=6, method=method)(Quadratic(), images)
    assert found.least <= min(found.objective)
    assert found.bracket[0] <= found.ratio <= found.bracket[1]
    place = every.radii.index(found.radius)
    if method == "sweep":
        # among all radii, those beside it are no better; ends have one side
        span = every.saliency[max(0, place - 1) : place + 2], every.penalty[max(0, place - 1) : place + 2]

        def joined(one, two):
            (s, p) = found.saliency, found.penalty
            return 0.5 * (two - min(p)) / (max(p) - min(p)) - (one - min(s)) / (max(s) - min(s))

        assert found.least == pytest.approx(min(joined(one, two) for one, two in zip(*span, strict=True)), abs=2e-6)


def test_a_descent_comes_closer_to_the_least_of_all_than_a_coarse_sweep():
    generator = torch.Generator().manual_seed(1)
    images = noisy_pictures(1, (40, 40), channels=1, dtype=torch.float64)
    images = images - images.mean() + 0.2 * torch.randn(images.shape, generator=generator, dtype=torch.float64)
    every = RatioSearch("radius", "cost", beta=0.6, radii=ALL)(Quadratic(), images)
    coarse = RatioSearch("radius", "cost", beta=0.6, radii=4, method="gradient", softness=0.25)(Quadratic(), images)
    swept = coarse.radii[coarse.objective.index(min(coarse.objective))]
    assert abs(coarse.radius - every.radius) < abs(swept - every.radius)
    assert coarse.least < min(coarse.objective)
    assert coarse.softness == 0.25
    assert every.softness is None


def test_the_saliency_of_a_network_of_relus_has_a_derivative_of_0_by_the_radius_though_it_changes_with_it():
    # why the descent takes differences: by autograd, through the soft disc, there is nothing to follow
    model, images = small_network(normalized=False).double().eval(), noisy_pictures(dtype=torch.float64)
    radius = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    low = low_pass(images, radius, softness=1.0)
    (gradient,) = torch.autograd.grad(model(low).sum(), low, create_graph=True)
    slope = torch.autograd.grad(gradient.norm(dim=1).mean(), radius, allow_unused=True)[0]
    assert slope is None or slope == 0
    seen = [saliency(model, low_pass(images, near, softness=1.0)).mean().item() for near in (2.0, 4.0)]
    assert abs(seen[1] - seen[0]) > 1e-3 * seen[0]


@pytest.mark.parametrize("method", METHODS)
def test_searches_are_deterministic_and_leave_the_network_as_it_was(method):
    model, images = small_network(), noisy_pictures()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    search = RatioSearch(term="noise", radii=6, method=method)
    first = search(model, images)
    assert search(model, images) == first
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_batches_change_nothing_but_rounding():
    model, images = small_network(), noisy_pictures(5)
    whole = RatioSearch(term="noise", radii=6)(model, images)
    parts = RatioSearch(term="noise", radii=6, batch=2)(model, images)
    assert parts.ratio == whole.ratio
    assert parts.saliency == pytest.approx(whole.saliency, rel=1e-5)  # float32


@pytest.mark.parametrize("method", METHODS)
def test_each_picture_gets_what_a_search_on_it_alone_finds(method):
    images = noisy_pictures(2, (16, 16), dtype=torch.float64)
    images[1] = images[1].flip(-1) ** 3
    profile = RadialProfile.of([images], "magnitude")
    search = RatioSearch(term="cost", beta=0.5, radii=6, profile=profile, method=method)
    for number, found in enumerate(search.each(Quadratic(), images)):
        alone = search(Quadratic(), images[number : number + 1])
        assert (found.ratio, found.radii, found.images) == (alone.ratio, alone.radii, 1)
        assert found.saliency == pytest.approx(alone.saliency, rel=1e-9)
        assert found.objective == pytest.approx(alone.objective, abs=2e-6)


def test_without_a_profile_each_pictures_ratios_are_its_own():
    images = torch.cat([waves({3: 1.0, 9: 0.5}), waves({3: 0.5, 9: 1.0})])
    search = RatioSearch(term="variance")
    both = search.each(Quadratic(), images)
    assert [found.radius for found in both] == [3, 3]
    assert [found.ratio for found in both] == pytest.approx([2 / 3, 1 / 3])
    together = search(Quadratic(), images)
    assert (together.radius, together.images) == (3, 2)
    assert together.ratio == pytest.approx(1 / 2)


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_is_json(method):
    found = RatioSearch(radii=5, method=method)(small_network(), noisy_pictures())
    held = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert held["ratios"] == list(found.ratios)
    assert held["size"] == [17, 20]
    assert (held["words"], held["remarks"], held["interior"]) == (found.words, list(found.remarks), found.interior)


def test_what_cannot_be_meant_is_refused():
    model, images = small_network(), noisy_pictures()
    wrong = images.clone()
    wrong[1] = math.nan
    for definition in DEFINITIONS:
        for search in (RatioSearch(definition), RatioSearch(definition).each):
            with pytest.raises(ValueError, match="image 1 of the batch has values that are not finite"):
                search(model, wrong)
    with pytest.raises(ValueError, match="RatioSearch needs a tensor with values, got 0 x 3"):
        RatioSearch()(model, images[:0])
    with pytest.raises(ValueError, match="the profile is of 16x16 pixels; got 17x20"):
        RatioSearch(profile=RadialProfile.of([noisy_pictures(size=(16, 16))]))(model, images)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"definition": "magnitud"}, "did you mean 'magnitude'"),
        ({"term": "nois"}, "unknown term of the objective 'nois'; did you mean 'noise'"),
        ({"method": "gradiant"}, "unknown method of the search 'gradiant'; did you mean 'gradient'"),
        ({"alpha": -1.0}, "alpha must be a weight of 0 or more; got -1.0"),
        ({"beta": math.nan}, "beta must be a weight of 0 or more; got nan"),
        ({"alpha": 0.0, "beta": 0.0}, "one of alpha and beta must be above 0"),
        ({"radii": 2}, "3 radii or more; got 2"),
        ({"softness": 0.0}, "above 0 cycles; got 0.0"),
        ({"batch": 0}, "batch must be 1 image or more; got 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        RatioSearch(**numbers)
