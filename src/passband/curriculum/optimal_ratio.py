"""What a search for the best frequency ratio found."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class OptimalRatio:
    """The best ratio by an objective, with the curve that it was found on.

    Curves have a value for each radius of the sweep, from the smallest to the whole spectrum.
    """

    definition: str
    """What ratios are shares of, a key of `DEFINITIONS`."""
    term: str
    """The second term, a key of `TERMS`."""
    alpha: float
    """Weight of the saliency, of which more is better."""
    beta: float
    """Weight of the second term, of which less is better."""
    method: str
    """A key of `search.METHODS`."""
    softness: float | None
    """Of the border of the descent's disc, in cycles; None for another method."""
    size: tuple[int, int]
    """Height and width of the pictures, pixels."""
    pictures: int
    """How many were looked at."""
    radii: tuple[float, ...]
    """Of the sweep, in cycles per shorter side, ascending."""
    ratios: tuple[float, ...]
    """What they keep."""
    saliency: tuple[float, ...]
    """s(low) + s(high), mean over the pictures."""
    penalty: tuple[float, ...]
    """The second term, mean over the pictures."""
    objective: tuple[float, ...]
    """beta penalty - alpha saliency, both from 0 to 1 over the sweep, or 0 throughout for one that says nothing."""
    constant: tuple[str, ...]
    """Which of `"saliency"` and `"penalty"` say nothing: they are the same over the sweep."""
    radius: float
    """The best one, in cycles per shorter side."""
    ratio: float
    """What it keeps."""
    least: float
    """The objective there."""
    bracket: tuple[float, float]
    """The ratios of the sweep beside its least."""
    minima: tuple[float, ...]
    """Ratios of all local minima of the sweep, ends included, the deepest first."""
    interior: bool
    """Whether the best ratio is neither end of the sweep."""

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        if self.interior:
            more = f"; {len(self.minima)} local minima" if len(self.minima) > 1 else ""
            return f"best ratio {self.ratio:.3f} by {self.definition}, a radius of {self.radius:g} cycles{more}"
        if min(self.objective) == max(self.objective):
            return "no interior optimum: the objective is the same at every ratio"
        return f"no interior optimum: the objective is least at an end, the ratio {self.ratio:.3f} by {self.definition}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of terms that say nothing."""
        found = []
        if self.term == "variance":
            found.append(
                "variance says nothing: Var(low) + Var(high) is the pictures' own at every ratio (Parseval), so that "
                "saliency alone decides; total-variation, noise and cost are terms that differ"
            )
        elif "penalty" in self.constant:
            found.append(f"{self.term} says nothing: it is the same at every ratio, so that saliency alone decides")
        if "saliency" in self.constant:
            found.append("saliency says nothing: it is the same at every ratio, as that of a linear network is")
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, with the words and remarks."""
        plain = {**asdict(self), "remarks": self.remarks}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {**lists, "words": self.words}
