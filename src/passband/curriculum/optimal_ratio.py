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
            return f"Best ratio {self.ratio:.3f} by {self.definition}, a radius of {self.radius:g} cycles{more}."
        if min(self.objective) == max(self.objective):
            return "No best ratio found: the objective is the same at every ratio."
        edge = f"{self.ratio:.3f} by {self.definition}"
        return f"No best ratio found: the lowest value is at the edge of the range ({edge})."

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of terms that had no effect."""
        found = []
        if self.term == "variance":
            found.append(
                "The variance term is constant and had no effect, because Var(low) + Var(high) is the same at every "
                "ratio (Parseval). Try --terms noise, total-variation or cost."
            )
        elif "penalty" in self.constant:
            found.append(f"The {self.term} term is the same at every ratio and had no effect.")
        if "saliency" in self.constant:
            found.append("The saliency is the same at every ratio and had no effect, as for a linear network.")
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, with the words and remarks."""
        plain = {**asdict(self), "remarks": self.remarks}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {**lists, "words": self.words}
