"""Reports the progress of long computations."""

from collections.abc import Callable

Report = Callable[[float], None]
"""Function that is called with the finished share of the work, 0 to 1."""


def part_of(report: Report | None, start: float, end: float) -> Report | None:
    """Return a function that reports the progress of a part as progress of the whole computation.

    Args:
        report: function that reports the progress of the whole, or None.
        start: share of the whole that is finished when the part begins, 0 to 1.
        end: share of the whole that is finished when the part ends, 0 to 1.

    Returns:
        The function, or None if `report` is None.
    """
    if report is None:
        return None
    return lambda share: report(start + (end - start) * share)
