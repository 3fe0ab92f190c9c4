"""Requests to the page for work on one file, and the process that answers them."""

import re
import shlex
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passband.app.files.checks import UploadError, shown_name
from passband.io.failures import failure
from passband.naming import printable

KEPT = 3
"""Number of predictors that a worker keeps."""


@dataclass(frozen=True)
class Failure:
    """The result of work that failed.

    Attributes:
        sentence: reason, without paths of the server.
    """

    sentence: str


class Predictors:
    """Predictors of a worker. The last few stay loaded."""

    def __init__(self):
        self._loaded: OrderedDict[Any, Any] = OrderedDict()

    def get(self, build: Callable[..., Any], *settings: Any, **more: Any) -> Any:
        """Return a predictor, which is built if it is not loaded.

        Args:
            build: class of the predictor.
            settings: arguments of the class.
            more: keywords of the class.
        """
        key = (build, settings, tuple(more.items()))
        if key not in self._loaded:
            self._loaded[key] = build(*settings, **more)
        self._loaded.move_to_end(key)
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return self._loaded[key]


@dataclass(frozen=True)
class Request(ABC):
    """Work on one file.

    Attributes:
        source: path of the uploaded file.
    """

    source: Path

    @property
    def name(self) -> str:
        """The name of the file, for messages."""
        return shown_name(self.source)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders that the work reads and writes."""
        return tuple(value for value in vars(self).values() if isinstance(value, Path))

    @property
    def size(self) -> float:
        """The amount of work, in millions of bytes, which serves to estimate the time."""
        return self.source.stat().st_size / 1e6 if self.source.exists() else 1.0

    @property
    def kind(self) -> tuple[str, str]:
        """The kind of the work, for estimates of the time: its class, and its weights if it has any."""
        return type(self).__name__, getattr(self, "weights", "")

    @abstractmethod
    def do(self, predictors: Predictors) -> Any:
        """Do the work, and return a result that can be pickled.

        Args:
            predictors: predictors of the worker.
        """


_PREDICTORS = Predictors()


def answer(request: Request) -> Any:
    """Do the work of a request in a worker, and turn each error into a sentence.

    Args:
        request: the work.
    """
    try:
        return request.do(_PREDICTORS)
    except UploadError as error:
        return Failure(str(error))
    except Exception as error:  # any kind: a bad file may break its reader in any way
        return Failure(without_folders(failure(error, request.source), request))


def command_line(name: str, source: Path, *options: str | Path) -> str:
    """Return a command line for a file in the current folder.

    Args:
        name: name of the command.
        source: path of the uploaded file.
        options: options and their values. Paths stand for files in the current folder.
    """
    words = [one if isinstance(one, str) else _in_folder(one.name) for one in (source, *options)]
    return shlex.join(["passband", name, *words])


def _in_folder(name: str) -> str:
    """Return the name of a file so that no command takes it for an option."""
    return f"./{name}" if name.startswith("-") else name


def without_folders(sentence: str, request: Request) -> str:
    """Replace paths by the names of their files, because folders of the server say nothing to a person.

    Args:
        sentence: sentence that may name paths.
        request: request whose files it is about.
    """
    folder = re.escape(str(request.source.parent.parent.parent))
    return printable(" ".join(re.sub(rf"{folder}(/[^/\s]+)*/", "", sentence).split()))
