"""Describes a figure that networks are compared by, and writes its values in reports in one way."""

from dataclasses import dataclass

from passband.metrics.intervals import Interval


@dataclass(frozen=True)
class Figure:
    """A figure that contestants or cells of a study are compared by.

    Attributes:
        name: key in files, such as comparison.json and validation.csv.
        label: name in tables and charts.
        unit: unit of the values; empty if there is none.
        higher_is_better: whether a larger value is better.
        spelling: format of a value as text, such as `.2f`.
        scale: factor from values to the numbers in tables, such as 100 for shares in percent.
    """

    name: str
    label: str
    unit: str = ""
    higher_is_better: bool = True
    spelling: str = ".4f"
    scale: float = 1.0

    @property
    def heading(self) -> str:
        """Label and unit, such as `PSNR, dB`."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    @property
    def axis(self) -> str:
        """Label and unit for the axis of a chart, such as `PSNR [dB]`."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    @property
    def sign(self) -> int:
        """The number 1 if higher values are better, and -1 if lower values are better."""
        return 1 if self.higher_is_better else -1

    @property
    def better(self) -> str:
        """Text that says which direction is better."""
        return "higher is better" if self.higher_is_better else "lower is better"

    def number(self, value: float | None, *, signed: bool = False) -> str:
        """Return a value as a number without its unit.

        Args:
            value: value of this figure; None if it is not known.
            signed: whether a plus sign is written, for differences.
        """
        if value is None:
            return "unknown"
        shown = 0.0 if self.vanishes(value) else self.scale * value  # -0.00 would look like a difference
        return f"{shown:{'+' if signed and shown else ''}{self.spelling}}"

    def text(self, value: float) -> str:
        """Return a value with its unit.

        Args:
            value: value of this figure.
        """
        return f"{self.number(value)} {self.unit}".rstrip()

    def span(self, interval: Interval, *, with_unit: bool = False) -> str:
        """Return the ends of an interval, such as `0.10 to 0.25`.

        Args:
            interval: interval of values of this figure, or of their differences.
            with_unit: whether the unit follows.
        """
        high = self.text(interval.high) if with_unit else self.number(interval.high)
        return f"{self.number(interval.low)} to {high}"

    def vanishes(self, value: float) -> bool:
        """Tell whether a value is zero in the digits that are shown.

        Args:
            value: value of this figure.
        """
        return float(f"{self.scale * value:{self.spelling}}") == 0
