"""Warns of validation images that are also training images."""

import logging
from collections.abc import Sequence
from pathlib import Path

from passband.data.duplicates import duplicates
from passband.naming import listed

NAMED = 5
"""Number of files that a warning names at most."""

_log = logging.getLogger(__name__)


def warn_of_leaks(scored: Sequence[Path], learned: Sequence[Path]) -> None:
    """Warn of validation files that have the same bytes as training files.

    Args:
        scored: validation files.
        learned: training files.

    Raises:
        OSError: if a file cannot be read.
    """
    found = duplicates(scored, learned)
    if found:
        _log.warning(
            "%d of %d validation images are also training images, byte for byte: %s",
            len(found),
            len(scored),
            listed([f"{one} is {other}" for one, other in found], NAMED, "; "),
        )


def warn_of_learned_images() -> None:
    """Warn of a validation on the training images."""
    _log.warning("scored on images that are learned from: give others, or hold some out with data.held_out")
