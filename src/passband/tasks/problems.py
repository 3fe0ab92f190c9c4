"""What becomes of files that cannot be used: an error, or a warning for each."""

import logging
from collections.abc import Iterable

from passband.io.image import ImageError

_log = logging.getLogger(__name__)


class Problems:
    """What samples say of files that they could not use, see `data`'s samples.

    Args:
        are_skipped: whether such files are left out with a warning, as `data.skip_bad` says.
    """

    def __init__(self, are_skipped: bool):
        self.are_skipped = are_skipped
        self.known: set[str] = set()

    def attend(self, problems: Iterable[str]) -> None:
        """Raise an error, or warn once of each.

        Args:
            problems: of each sample, a line for each file; empty where there are none.

        Raises:
            ImageError: for the first one, unless they are skipped.
        """
        for problem in (line for text in problems for line in text.splitlines() if line):
            if not self.are_skipped:
                raise ImageError(f"{problem}. To leave out files that cannot be used, set data.skip_bad = true")
            if problem not in self.known:
                self.known.add(problem)
                _log.warning("left out (%d until now): %s", len(self.known), problem)
