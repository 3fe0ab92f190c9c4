"""The folder for what can be made again, but not at once."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder for passband: `$PASSBAND_CACHE`, or where the system keeps such things.

    It may not exist yet. Deleting it costs the time to make things again, and nothing else.
    """
    if chosen := os.environ.get("PASSBAND_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "passband"
