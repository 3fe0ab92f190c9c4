"""The result of a search for the best frequency ratio."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class OptimalRatio:
    """The best ratio by an objective, with the curve on which it was found.

    Curves have a value for each radius of the sweep, from the smallest to the whole spectrum.
    """

    definition: str
    """Definition of the ratio, a key of `DEFINITIONS`."""
    term: str
    """The second term, a key of `TERMS`."""
    alpha: float
    """Weight of the saliency, which is maximized."""
    beta: float
    """Weight of the second term, which is minimized."""
    method: str
    """Method of the search, a key of `search.METHODS`."""
    softness: float | None
    """Softness of the border of the descent's disc, in cycles; None for another method."""
    size: tuple[int, int]
    """Height and width of the images, in pixels."""
    images: int
    """Number of images."""
    radii: tuple[float, ...]
    """Radii of the sweep in cycles per shorter side, ascending."""
    ratios: tuple[float, ...]
    """Ratios that these radii keep."""
    saliency: tuple[float, ...]
    """s(low) + s(high) at each radius, mean over the images."""
    penalty: tuple[float, ...]
    """The second term at each radius, mean over the images."""
    objective: tuple[float, ...]
    """beta penalty - alpha saliency at each radius, each term scaled to 0 to 1 over the sweep; a constant term is 0."""
    constant: tuple[str, ...]
    """Terms that are constant over the sweep: `"saliency"`, `"penalty"`, both or none."""
    radius: float
    """The best radius, in cycles per shorter side."""
    ratio: float
    """The ratio that the best radius keeps."""
    least: float
    """The objective at the best radius."""
    bracket: tuple[float, float]
    """The ratios of the sweep on both sides of its smallest value."""
    minima: tuple[float, ...]
    """Ratios of all local minima of the sweep, including its ends, the smallest value first."""
    interior: bool
    """Whether the best ratio is not at an end of the sweep."""

    @property
    def words(self) -> str:
        """The result in one sentence."""
        if self.interior:
            more = f"; {len(self.minima)} local minima" if len(self.minima) > 1 else ""
            return f"Best ratio {self.ratio:.3f} by {self.definition}, a radius of {self.radius:g} cycles{more}."
        if min(self.objective) == max(self.objective):
            return "No best ratio found: the objective is the same at every ratio."
        edge = f"{self.ratio:.3f} by {self.definition}"
        return f"No best ratio found: the lowest value is at the edge of the range ({edge})."

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on terms that had no effect."""
        found = []
        if self.term == "variance":
            found.append(
                "The variance term is constant and had no effect, because Var(low) + Var(high) is the same at every "
                "ratio (Parseval). Try the term noise, total-variation or cost."
            )
        elif "penalty" in self.constant:
            found.append(f"The {self.term} term is the same at every ratio and had no effect.")
        if "saliency" in self.constant:
            found.append("The saliency is the same at every ratio and had no effect, as for a linear network.")
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Return all values for JSON, with the words and remarks."""
        plain = {**asdict(self), "remarks": self.remarks}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {**lists, "words": self.words}
