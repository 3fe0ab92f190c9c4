"""Keeps uploads and results of each person apart, serves them under secret names, and removes them."""

import os
import re
import secrets
import shutil
import tempfile
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passband.app.files.checks import UploadError, shown_name
from passband.app.files.room import PARTS, Room, Use, Work, no_room
from passband.app.settings import Limits
from passband.io.files import FolderLock
from passband.io.paths import fitted_name
from passband.naming import printable

SWEEP = 30.0
"""Time in seconds between two searches for old files."""
EXAMPLES = tuple(sorted((Path(__file__).parents[1] / "examples").glob("*.jpg")))
"""Paths of the examples that ship."""
REMOVED = "was removed after an hour, or earlier to make room. Restore the file again."
"""End of the sentence about a result that is gone."""
ADDRESS = "passband/file"
"""Beginning of the addresses of served files, relative to the page."""
PREFIX = "passband-app-"
"""Beginning of the names of the folders of pages."""


class Upload(str):
    """The path of an upload, with the name of the file on the computer of the person.

    Args:
        path: path of the upload, in whose name Gradio leaves out characters such as `!`.
        name: name that the browser sent; anything but a text stands for the name of the path.
    """

    __slots__ = ("name",)

    def __new__(cls, path: str, name: object = None) -> "Upload":
        """Make the text of the path."""
        upload = super().__new__(cls, path)
        upload.name = name if isinstance(name, str) else Path(path).name
        return upload


@dataclass
class Session:
    """One visit of a person.

    Attributes:
        key: key of the person in the queue.
        folder: folder of the uploads and results.
        used: time of the last use, by `time.time`.
        results: results in the order in which they were finished, by their labels. Each has `paths`, its files.
        count: number of folders that were made.
        listed: paths of the uploads in the list of files, with their numbers.
        running: states of the restorations that the page follows, until all of them are over.
    """

    key: str
    folder: Path
    used: float = field(default_factory=time.time)
    results: dict[str, Any] = field(default_factory=dict)
    count: int = 0
    listed: Counter[str] = field(default_factory=Counter)
    running: dict[object, Any] = field(default_factory=dict)

    def added(self, paths: Sequence[str]) -> list[str]:
        """Return the uploads that a list of files has beyond the list before it, which is forgotten.

        Args:
            paths: all paths of the list, as Gradio names them.
        """
        before, self.listed = self.listed, Counter(paths)
        return list((self.listed - before).elements())

    def new_folder(self, name: str) -> Path:
        """Return a new folder of this session.

        Args:
            name: name of the parent folder, such as `in`.
        """
        self.count += 1
        folder = self.folder / name / str(self.count)
        folder.mkdir(parents=True)
        return folder


class Storage:
    """The folder of all files of the page. It is removed when the page is closed.

    Args:
        limits: limits of the page.
        work: function that returns the requests that wait or are worked on, whose files stay.

    Attributes:
        uploads: folder into which Gradio writes uploads.
    """

    def __init__(self, limits: Limits, work: Callable[[], Sequence[Work]] = tuple):
        self.limits, self._work = limits, work
        remove_abandoned(Path(tempfile.gettempdir()))
        self.root, self._kept = _new_root()
        self._remove = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)  # also if nobody closes it
        self.uploads = self.root / "uploads"
        self.uploads.mkdir()
        self._room = Room(self.root, limits.total_bytes, self._forget_removed)
        self._sessions: dict[str, Session] = {}
        self._served: dict[str, Path] = {}
        self._tokens: dict[Path, str] = {}
        self._own: frozenset[Path] = frozenset()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._sweep, name="passband-sweeper", daemon=True).start()

    def session(self, key: str | None) -> Session:
        """Return the session of a person, which is made if there is none.

        Args:
            key: session hash of Gradio; None counts as one common person.
        """
        key = key or "nobody"
        with self._lock:
            if key not in self._sessions:
                folder = self.root / secrets.token_urlsafe(16)
                folder.mkdir()
                self._sessions[key] = Session(key, folder)
            session = self._sessions[key]
            session.used = time.time()
            return session

    def resume(self, session: Session, token: str) -> None:
        """Add the results of the session that a person had before the page was reloaded.

        Args:
            session: session of the reloaded page.
            token: secret token of the session before. Nothing is added if there is none.
        """
        before = self.session_of_token(token)
        if before is not None:
            with self._lock:
                session.results = {**before.results, **session.results}

    def session_of_token(self, token: str) -> Session | None:
        """Return the session with a secret token; None if there is none.

        Args:
            token: name of the folder of the session.
        """
        with self._lock:
            return next((one for one in self._sessions.values() if one.folder.name == token), None)

    def take(self, session: Session, path: str | Path) -> Path:
        """Take over an uploaded file into the folder of a session.

        Args:
            session: session of the person.
            path: path of the file, as Gradio names it, or an upload with its own name.

        Returns:
            The path of the file in the folder of the session.

        Raises:
            UploadError: if the path is not that of an upload, or the file is empty or too large.
        """
        upload = Path(path) if Path(path) in EXAMPLES else uploaded_file(path, self.uploads)
        # Windows cannot write all names of other systems
        name = clean_name(path.name if isinstance(path, Upload) and os.name != "nt" else upload.name)
        size, shown = upload.stat().st_size, shown_name(Path(name))
        if size == 0:
            raise UploadError(f"{shown} is empty. Choose a file that has content.")
        if size > self.limits.upload_bytes:
            raise UploadError(
                f"{shown} has {size / 1e6:.0f} MB. This page takes files of at most "
                f"{self.limits.upload_bytes / 1e6:.0f} MB."
            )
        if not self.make_room((PARTS - 1) * size, [upload]):  # the upload itself is there already
            raise UploadError(no_room(shown))
        target = session.new_folder("in") / name
        try:
            os.link(upload, target)
        except OSError:  # file systems without links
            shutil.copyfile(upload, target)
        return target

    def make_room(self, size: int, kept: Iterable[Path] = ()) -> bool:
        """Make room for new files: remove the oldest finished ones of all people if there is too little.

        Args:
            size: number of bytes that are needed.
            kept: files that must stay beside those of work.

        Returns:
            Whether there is enough room.
        """
        return self._room.make(size, lambda: self._use(kept))

    def _use(self, kept: Iterable[Path] = ()) -> Use:
        """Return the use of all files."""
        work = self._work()
        sources = {request.source for request in work if request.source.is_relative_to(self.root)}
        coming = (PARTS - 1) * sum(source.stat().st_size for source in sources if source.exists())
        with self._lock:
            every = [result for session in self._sessions.values() for result in session.results.values()]
        results = [result.paths for result in {id(one): one for one in every}.values()]  # visits may share them
        return Use(frozenset((*self._own, *kept, *(path for one in work for path in one.paths))), coming, results)

    def address(self, path: Path) -> str:
        """Return the address of a file for the page, relative to it. Nobody can guess addresses of other files.

        Args:
            path: path of a file of a session.
        """
        with self._lock:
            if path not in self._tokens:
                token = secrets.token_urlsafe(16)
                self._tokens[path], self._served[token] = token, path
            token = self._tokens[path]
        return f"{ADDRESS}/{token}/{re.sub(r'[^A-Za-z0-9._-]', '_', path.name)}"

    def served(self, token: str) -> Path | None:
        """Return the file behind an address; None if there is none, or if it was removed.

        Args:
            token: middle part of the address.
        """
        path = self._served.get(token)
        return path if path is not None and path.is_file() else None

    def keep_own(self) -> None:
        """Keep the uploads that are there now until the page is closed: they are pictures of the page itself."""
        self._own = frozenset(self.uploads.rglob("*"))

    def sweep(self) -> None:
        """Remove files that are too old with their results and folders, and sessions that were not used for as long."""
        before, kept = time.time() - self.limits.keep_seconds, self._use().kept
        old = list(self._changed_before(before, kept))  # a file that is removed renews the time of its other links
        with self._lock:
            for key, session in list(self._sessions.items()):
                if session.used < before and not any(path.is_relative_to(session.folder) for path in kept):
                    del self._sessions[key]
                    shutil.rmtree(session.folder, ignore_errors=True)
        for path in old:
            with suppress(OSError):  # a folder with files stays
                path.rmdir() if path.is_dir() else path.unlink()
        self._forget_removed()
        self.make_room(0)

    def _forget_removed(self) -> None:
        """Forget the results and the addresses of files that were removed."""
        with self._lock:
            for session in self._sessions.values():
                for label, result in list(session.results.items()):
                    if not all(path.exists() for path in result.paths):
                        del session.results[label]
            for token, path in list(self._served.items()):
                if not path.exists():
                    del self._served[token]
                    self._tokens.pop(path, None)

    def close(self) -> None:
        """Remove all files."""
        self._closed.set()
        self._remove()
        self._kept.release()

    def _changed_before(self, time: float, kept: frozenset[Path]) -> Iterator[Path]:
        """Yield files and folders that did not change since a time, each folder after its files, except kept ones."""
        for folder, folders, names in os.walk(self.root, topdown=False):
            for path in map(Path(folder).joinpath, [*names, *folders]):
                with suppress(OSError):
                    stays = path == self.uploads or not kept.isdisjoint((path, *path.parents))
                    if not stays and path.stat(follow_symlinks=False).st_ctime < time:
                        yield path

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP):
            with suppress(OSError):
                self.sweep()


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of pages whose processes were killed, where the file system has locks.

    Args:
        parent: folder of temporary files.
    """
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # a page that runs keeps its folder
            lock = FolderLock(folder)
            if lock.is_held:
                shutil.rmtree(folder, ignore_errors=True)
            lock.release()


def _new_root() -> tuple[Path, FolderLock]:
    """Make the folder of a page, and keep it; another page that starts may remove a folder that nobody keeps yet."""
    while True:
        root = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        with suppress(OSError):
            lock = FolderLock(root)
            if root.is_dir():
                return root, lock


def uploaded_file(path: str | Path, uploads: Path, *, or_removed: bool = False) -> Path:
    """Check that a path is that of a regular file that somebody uploaded, and not of a link or of any other file.

    Args:
        path: path to check.
        uploads: folder of all uploads.
        or_removed: whether the file may be gone, so that nothing is there.

    Raises:
        UploadError: if it is not.
    """
    text = str(path)
    given = Path(text)
    is_plain = "\0" not in text and given.is_absolute() and ".." not in given.parts
    try:
        is_own = is_plain and given.resolve() == given and given.is_relative_to(uploads.resolve())
        if is_own and (given.is_file() or (or_removed and not os.path.lexists(given))):
            return given
    except (OSError, ValueError):
        pass
    name = shown_name(given) or "This file"
    raise UploadError(
        f"{name} was not uploaded to this page, or it was removed after an hour, or earlier to make room. Upload it "
        "again in its place."
    )


def clean_name(name: str) -> str:
    """Return a name for an uploaded file that is a name in one folder, on one line, and not hidden.

    Args:
        name: name that the browser sent.
    """
    name = printable(name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(".") or "file"
    path = Path(name)
    return fitted_name(path.stem, path.suffix) if len(path.suffix) < 16 else fitted_name(name, "")
