"""Pickles predictors by the settings that they were made with, so that every process loads the network itself."""

import pickle
from pathlib import Path
from typing import Any

from passband.weights_finding import JOINT, find_weights


class Rebuilt:
    """Base of predictors. Pickling one stores its settings, and unpickling makes it again from them.

    The weights are not stored: they must exist where the predictor is unpickled. A relative path counts from the folder
    in which the predictor was pickled, unless it exists in the folder of the other process. Changes of `model` by the
    user are lost. A process that unpickles the same predictor again and again, as engines for many machines do, loads
    it once: it gets the same object.
    """

    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, `weights` among them."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the class and the settings."""
        return _rebuild, (type(self), self._settings(), str(Path.cwd()))

    def __copy__(self) -> Any:
        """Return a shallow copy, which shares the network."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin


_LAST: dict[bytes, Any] = {}
"""The predictor that was made last by this process, by its class, settings and the time of its weights."""


def _found(name: str, folder: str) -> str:
    """Return the path of weights of a name in another folder if they are there and not in the current folder."""
    other = Path(folder) / name
    return str(other) if not Path(name).exists() and other.exists() else name


def _written(path: Path) -> int | None:
    """Return the time at which weights were written; None for a name that is no path."""
    if not path.exists():
        return None
    stored = find_weights(path) if path.is_dir() else path  # an exported file is no weights, but a file
    return stored.stat().st_mtime_ns


def _rebuild(kind: type, settings: dict[str, Any], folder: str) -> Any:
    """Make a predictor again, or return it if this process made it last."""
    given = settings["weights"]
    is_one = any((place / given).exists() for place in (Path(), Path(folder)))
    names = [_found(name, folder) for name in ([given] if is_one else given.split(JOINT))]
    settings = {**settings, "weights": JOINT.join(names)}
    key = pickle.dumps((kind, settings, [_written(Path(name)) for name in names]))
    predictor = _LAST.get(key)
    if predictor is None:
        predictor = kind(**settings)
        _LAST.clear()
        _LAST[key] = predictor
    return predictor  # not from _LAST, which another thread may have changed
