"""How far a long computation is."""

from collections.abc import Callable

Report = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""


def part_of(report: Report | None, start: float, end: float) -> Report | None:
    """What a part of a computation reports to.

    Args:
        report: of the whole; None where nobody asks.
        start: share of the whole that is done when the part begins.
        end: share that is done when it ends.
    """
    if report is None:
        return None
    return lambda share: report(start + (end - start) * share)
