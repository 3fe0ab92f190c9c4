"""Handles files that cannot be used: raises an error, or warns about each."""

import logging
from collections.abc import Iterable

from passband.io.image import ImageError

_log = logging.getLogger(__name__)


class Problems:
    """The problems with files that samples report.

    Args:
        are_skipped: whether such files are left out with a warning, which is `data.skip_bad` of a recipe.
    """

    def __init__(self, are_skipped: bool):
        self.are_skipped = are_skipped
        self.known: set[str] = set()

    def attend(self, problems: Iterable[str]) -> None:
        """Raise an error, or warn once about each problem.

        Args:
            problems: problems of each sample, a line for each file; empty if there are none.

        Raises:
            ImageError: if there is a problem and files are not skipped.
        """
        for problem in (line for text in problems for line in text.splitlines() if line):
            if not self.are_skipped:
                raise ImageError(f"{problem}. To leave out files that cannot be used, set data.skip_bad = true")
            if problem not in self.known:
                self.known.add(problem)
                _log.warning("left out (%d until now): %s", len(self.known), problem)
