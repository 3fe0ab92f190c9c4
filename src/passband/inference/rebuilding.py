"""Pickles predictors by the settings that they were made with, so that every process loads the network itself."""

from pathlib import Path
from typing import Any


class Rebuilt:
    """Base of predictors. Pickling one stores its settings, and unpickling makes it again from them.

    The weights are not stored: they must exist where the predictor is unpickled. A relative path counts from the folder
    in which the predictor was pickled, unless it exists in the folder of the other process. Changes of `model` by the
    user are lost.
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


def _rebuild(kind: type, settings: dict[str, Any], folder: str) -> Any:
    """Make a predictor again."""
    weights = settings["weights"]
    if not Path(weights).exists() and (Path(folder) / weights).exists():
        settings = {**settings, "weights": str(Path(folder) / weights)}
    return kind(**settings)
