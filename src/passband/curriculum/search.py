"""Searches the ratio at which an objective of low and high bands is smallest, by a sweep and a refinement."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.curriculum.objective import TERMS, BandTerms, Score, evaluating, output_score
from passband.curriculum.optimal_ratio import OptimalRatio
from passband.curriculum.ratio import DEFINITIONS, RadialProfile
from passband.naming import entry
from passband.ops.checks import check_images
from passband.ops.fourier import frequency_distance

METHODS = {
    "sweep": "golden section within the bracket that the sweep finds",
    "gradient": "descent on the radius of a soft disc within that bracket",
}
"""The refinement after the sweep, by the name of the method."""
FLAT = 1e-4
"""A term that varies by less than this share of its value over the sweep is constant: float32 rounds that much away."""
DIGITS = 6
"""Decimals of the objective, whose terms are 0 to 1; values that differ by less are equal up to rounding."""
STEPS = 30
"""Number of steps of the descent; each computes the objective twice."""
GOLDEN = (3 - math.sqrt(5)) / 2


@dataclass(frozen=True)
class RatioSearch:
    """The settings of a search: `search(model, images)` searches for a set of images, and `search.each` for each image.

    The sweep takes radii whose ratios are evenly spaced. At each radius it makes one forward and backward pass for low
    and one for high, over all images at once. Each term is scaled to 0 to 1 over the sweep, so that alpha and beta mean
    the same on every data set. The neighbors of the smallest value bracket the refinement, among integer radii. Of
    equal values the one with the largest ratio wins.

    The descent (method `"gradient"`) is Adam in float64 on the radius of the disc sigmoid((radius - distance) /
    softness). Its slope is a central difference over one softness each way, because the input gradient of a network of
    ReLUs is constant almost everywhere, so that its own derivative is 0 and useless. The optimum of the soft disc
    differs slightly from that of the hard disc; the nearest integer radius is used if it is better than the sweep's.

    Attributes:
        definition: definition of the ratio, a key of `DEFINITIONS`; a profile brings its own.
        term: second term, a key of `objective.TERMS`.
        alpha: weight of the saliency, 0 or more.
        beta: weight of the second term, 0 or more.
        radii: number of radii of the sweep, at least 3; fewer if there are fewer.
        method: refinement, a key of `METHODS`.
        softness: softness of the descent's disc in cycles, above 0.
        score: function from the network's output to one number for each image, see `objective.saliency`.
        profile: profile of the data set and size that relates ratios and radii; None takes that of the searched images.
        batch: images per forward pass; None takes all.

    Raises:
        ValueError: if a name is unknown, or a number is out of its range.
    """

    definition: str = "magnitude"
    term: str = "noise"
    alpha: float = 1.0
    beta: float = 1.0
    radii: int = 32
    method: str = "sweep"
    softness: float = 0.5
    score: Score = output_score
    profile: RadialProfile | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        entry(self.definition, DEFINITIONS, "definition of the frequency ratio")
        entry(self.term, TERMS, "term of the objective")
        entry(self.method, METHODS, "method of the search")
        for name in ("alpha", "beta"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a weight of 0 or more; got {getattr(self, name)}")
        if not self.alpha + self.beta > 0:
            raise ValueError("one of alpha and beta must be above 0, but both are 0")
        if self.radii < 3:
            raise ValueError(f"a sweep needs 3 radii or more; got {self.radii}")
        if not 0 < self.softness < math.inf:
            raise ValueError(f"the softness of a descent must be above 0 cycles; got {self.softness}")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch must be 1 image or more; got {self.batch}")

    def __call__(self, model: nn.Module, images: Float[Tensor, "B C H W"]) -> OptimalRatio:
        """Find the best ratio for a set of images together.

        Args:
            model: network that takes the images, on their device; it is left unchanged.
            images: images in the range that the model takes.

        Returns:
            The best ratio and its curve.

        Raises:
            ValueError: if there are no images, values are not finite, the profile is of another size, or as `BandTerms`
                raises it.
        """
        check_images(images, "RatioSearch")
        profile = self._profile(images)
        candidates = _candidates(profile)
        terms = BandTerms(model, images, self.term, self.score, self.batch)

        def at(radius: float, softness: float = 0.0) -> tuple[float, float]:
            ratios = torch.full((len(images),), profile.ratio(radius))
            seen, penalty = terms.at(radius, ratios, softness)
            return seen.mean().item(), penalty.mean().item()

        with evaluating(model):
            sweep = {place: at(candidates[place]) for place in _places(profile, candidates, self.radii)}
            return self._optimum(profile, candidates, sweep, at, len(images))

    def each(self, model: nn.Module, images: Float[Tensor, "B C H W"]) -> list[OptimalRatio]:
        """Find the best ratio for each image alone.

        The sweep has the same radii for all images and costs as much as that for the set. Ratios are by each image's
        own spectrum, unless there is a profile.

        Args:
            model: network, as for `__call__`.
            images: images, as for `__call__`.

        Returns:
            The best ratio of each image.

        Raises:
            ValueError: as `__call__` raises it.
        """
        check_images(images, "RatioSearch.each")
        whole = self._profile(images)
        candidates = _candidates(whole)
        profiles = [self.profile or RadialProfile.of([image[None]], whole.definition) for image in images]
        terms = BandTerms(model, images, self.term, self.score, self.batch)
        with evaluating(model):
            sweep = {}
            for place in _places(whole, candidates, self.radii):
                radius = candidates[place]
                sweep[place] = terms.at(radius, torch.tensor([profile.ratio(radius) for profile in profiles]))
            found = []
            for number, profile in enumerate(profiles):
                own = {place: (seen[number].item(), penalty[number].item()) for place, (seen, penalty) in sweep.items()}
                alone = BandTerms(model, images[number : number + 1], self.term, self.score)

                def at(
                    radius: float, softness: float = 0.0, alone: BandTerms = alone, profile: RadialProfile = profile
                ) -> tuple[float, float]:
                    seen, penalty = alone.at(radius, torch.tensor([profile.ratio(radius)]), softness)
                    return seen.item(), penalty.item()

                found.append(self._optimum(profile, candidates, own, at, 1))
        return found

    def _profile(self, images: Float[Tensor, "B C H W"]) -> RadialProfile:
        """Return the profile that relates ratios and radii, after checking the size of the images."""
        own = RadialProfile.of([images], self.definition)
        if self.profile is None:
            return own
        if self.profile.size != own.size:
            height, width = self.profile.size
            raise ValueError(f"the profile is of {height}x{width} pixels; got {own.size[0]}x{own.size[1]}")
        return self.profile

    def _optimum(
        self,
        profile: RadialProfile,
        candidates: list[float],
        sweep: dict[int, tuple[float, float]],
        at: Callable[..., tuple[float, float]],
        images: int,
    ) -> OptimalRatio:
        """Find the best candidate from both terms at some of the candidates, given by their places."""
        places = list(sweep)
        seen, penalty = (tuple(values) for values in zip(*sweep.values(), strict=True))
        (offset_s, scale_s), (offset_p, scale_p) = _scaling(seen), _scaling(penalty)

        def joined(both: tuple[float, float]) -> float:
            value = self.beta * (both[1] - offset_p) * scale_p - self.alpha * (both[0] - offset_s) * scale_s
            return round(value, DIGITS) + 0.0  # not -0

        values = {place: joined(both) for place, both in sweep.items()}
        objective = tuple(values.values())

        def value(place: int) -> float:
            if place not in values:
                values[place] = joined(at(candidates[place]))
            return values[place]

        minima = _minima(objective)
        first = minima[0]
        low, high = places[max(0, first - 1)], places[min(len(places) - 1, first + 1)]
        best = places[first]
        if scale_s or scale_p:  # without a varying term there is nothing to refine
            if self.method == "sweep":
                best = _golden_section(low, best, high, value)
            else:
                found = _descend(
                    candidates[best],
                    (candidates[low], candidates[high]),
                    self.softness,
                    lambda radius: joined(at(radius, self.softness)),
                )
                near = min(range(low, high + 1), key=lambda place: abs(candidates[place] - found))
                best = near if value(near) < value(best) else best
        ratios = tuple(profile.ratio(candidates[place]) for place in places)
        return OptimalRatio(
            definition=profile.definition,
            term=self.term,
            alpha=self.alpha,
            beta=self.beta,
            method=self.method,
            softness=self.softness if self.method == "gradient" else None,
            size=profile.size,
            images=images,
            radii=tuple(candidates[place] for place in places),
            ratios=ratios,
            saliency=seen,
            penalty=penalty,
            objective=objective,
            constant=tuple(name for name, scale in (("saliency", scale_s), ("penalty", scale_p)) if not scale),
            radius=candidates[best],
            ratio=profile.ratio(candidates[best]),
            least=value(best),
            bracket=(profile.ratio(candidates[low]), profile.ratio(candidates[high])),
            minima=tuple(ratios[number] for number in minima),
            interior=places[0] < best < places[-1],
        )


def _candidates(profile: RadialProfile) -> list[float]:
    """Return the radii of all discs that a ratio can mean, by integer cycles, from the smallest to the whole."""
    radii, last = [], -math.inf
    for whole in range(math.ceil(frequency_distance(*profile.size).max().item()) + 1):
        ratio = profile.ratio(whole)
        # rings that hold only rounding errors are not candidates
        if last + 1e-9 < ratio < 1 - 1e-9:
            radii.append(profile.radius(ratio))
            last = ratio
    return [*radii, profile.radius(1.0)]


def _places(profile: RadialProfile, candidates: list[float], count: int) -> list[int]:
    """Return the candidates of a sweep: evenly spaced ratios first, then candidates that halve the widest gaps."""
    if count >= len(candidates):
        return list(range(len(candidates)))
    ratios = torch.tensor([profile.ratio(radius) for radius in candidates], dtype=torch.float64)
    even = torch.linspace(ratios[0].item(), ratios[-1].item(), count, dtype=torch.float64)
    taken = sorted({0, len(candidates) - 1, *torch.searchsorted(ratios, even).clamp(max=len(candidates) - 1).tolist()})
    while len(taken) < count:
        gap = max(range(len(taken) - 1), key=lambda place: taken[place + 1] - taken[place])
        taken.insert(gap + 1, (taken[gap] + taken[gap + 1]) // 2)
    return taken


def _scaling(values: tuple[float, ...]) -> tuple[float, float]:
    """Return the offset and the factor that scale values to 0 to 1; the factor is 0 for constant values."""
    low, high = min(values), max(values)
    alike = high - low <= FLAT * max(abs(low), abs(high))
    return low, 0.0 if alike else 1 / (high - low)


def _minima(objective: tuple[float, ...]) -> list[int]:
    """Return the places of a curve's local minima, the smallest first; of equal values the last place counts."""
    found, start = [], 0
    for number, value in enumerate(objective):
        if number + 1 < len(objective) and objective[number + 1] == value:
            continue
        falls = start == 0 or objective[start - 1] > value
        rises = number + 1 == len(objective) or objective[number + 1] > value
        if falls and rises:
            found.append(number)
        start = number + 1
    return sorted(found, key=lambda number: (objective[number], -number))


def _golden_section(low: int, best: int, high: int, value: Callable[[int], float]) -> int:
    """Find a local minimum among integers from `low` to `high`, no larger than the value at `best` between them."""
    while max(best - low, high - best) > 1:
        if high - best > best - low:
            probe = best + max(1, round(GOLDEN * (high - best)))
        else:
            probe = best - max(1, round(GOLDEN * (best - low)))
        if value(probe) < value(best):
            low, high = (best, high) if probe > best else (low, best)
            best = probe
        else:
            low, high = (low, probe) if probe > best else (probe, high)
    return best


def _descend(start: float, bounds: tuple[float, float], softness: float, value: Callable[[float], float]) -> float:
    """Follow central differences of a function downhill, within bounds."""
    radius = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([radius], lr=(bounds[1] - bounds[0]) / 8)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, STEPS)
    for _ in range(STEPS):
        here = radius.item()
        below, above = max(0.0, here - softness), here + softness
        radius.grad = torch.tensor((value(above) - value(below)) / (above - below), dtype=torch.float64)
        optimizer.step()
        decay.step()
        with torch.no_grad():
            radius.clamp_(*bounds)
    return radius.item()
