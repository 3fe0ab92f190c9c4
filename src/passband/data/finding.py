"""What the sources of a command name: which files are worked on, which are passed over, and which cannot be read."""

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from passband.data.images import Report, expand, is_hidden, walk
from passband.io.files import is_parts_folder
from passband.io.image import SUFFIXES
from passband.io.kinds import names_a_type, suffix_by_content
from passband.io.records import Records

PICTURES = "pictures"
"""What is wanted by commands that take no videos."""
OURS = "written by passband"
"""Kind of a file that an earlier run made of a source of this one."""
NO_SUFFIX = "without a suffix"
LINKED_FOLDER = "linked folder"


@dataclass(frozen=True)
class InputFile:
    """A file to work on."""

    path: Path
    suffix: str = ""
    """Of its type, in lower case: its own or, where that says nothing, by its content. Empty where neither says it."""
    root: Path | None = None
    """The folder that it was found below; None where it was named itself."""
    problem: str = ""
    """Why nothing can be done with it, where that is known already."""


@dataclass(frozen=True)
class PassedOver:
    """A file or folder that is not worked on."""

    path: Path
    kind: str
    """Its suffix in lower case, `OURS`, `NO_SUFFIX` or `LINKED_FOLDER`."""


Pass = Callable[[PassedOver], None]
"""What is told of each file or folder that is passed over."""


def find_sources(
    sources: Sequence[str | Path],
    suffixes: Collection[str],
    what: str,
    *,
    once: bool = False,
    passed: Pass = lambda _: None,
    records: Records | None = None,
) -> list[InputFile]:
    """Find the files that sources name.

    In a folder, and among the matches of a pattern, a file counts if its suffix is one of `suffixes` or, where it has
    no suffix that names a type, if its content does. Hidden files and folders are left out, and so is what passband
    made of another file that is found. Linked folders are passed over, because they may lead in a circle.

    Args:
        sources: files, folders (with all below them) and glob patterns.
        suffixes: of what is wanted, in lower case with the dot.
        what: is wanted, for messages: `pictures`.
        once: whether a file counts once, even if it is found below several of the sources.
        passed: called with each file or folder that is passed over.
        records: of the folders that the sources lie in.

    Returns:
        Files in the order of the sources, those of a folder sorted by path; each once for each folder it was found
        below, unless `once`. A file that is named itself is among them whatever it is. What cannot be read (a source
        that is not there, a folder below) is among them with a problem.

    Raises:
        FileNotFoundError: where nothing is found, because a source is not there or a folder holds nothing wanted.
        PermissionError: where nothing is found, because a folder cannot be read.
    """
    search = _Search(suffixes, what, once=once)
    for given in sources:
        try:
            search.add(given)
        except OSError as error:
            search.refuse(given, error)
    if not search.found and search.refused:
        raise search.refused[0]
    records = records or Records()
    places = {source.path.resolve() for source in search.found if not source.problem}
    kept = []
    for source in search.found:
        if not source.problem and records.is_made_of(source.path, places):
            search.passed.append(PassedOver(source.path, OURS))
        else:
            kept.append(source)
    for one in search.passed:
        passed(one)
    return kept + search.problems


def find_pictures(sources: Sequence[str | Path]) -> list[Path]:
    """The picture files that sources name.

    Args:
        sources: files, folders (with all below them) and glob patterns.

    Returns:
        Files in the order of the sources, each once; a file that is named itself may have any suffix.

    Raises:
        FileNotFoundError: for a source that is not there, or a folder without pictures.
        PermissionError: for a folder that cannot be read.
        OSError: for another one that cannot.
    """
    search = _Search(SUFFIXES, PICTURES, once=True)
    for given in sources:
        search.add(given)
    for source in search.found:
        if source.problem:
            warnings.warn(f"{source.problem} and is left out", stacklevel=2)
    return [source.path for source in search.found if not source.problem]


def kinds_passed_over(passed: Sequence[PassedOver]) -> str:
    """Say how many files of which other kinds were passed over, the most frequent first; empty where none was."""
    counts = Counter(one.kind for one in passed if one.kind not in (OURS, LINKED_FOLDER))
    parts = []
    if counts:
        kinds = ", ".join(
            f"{kind} {count}" for kind, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        )
        files = "1 file of another kind" if counts.total() == 1 else f"{counts.total()} files of other kinds"
        parts.append(f"{files} passed over: {kinds}")
    links = sum(one.kind == LINKED_FOLDER for one in passed)
    if links:
        parts.append(f"{links} linked folder{'s' if links > 1 else ''} passed over")
    return "; ".join(parts)


class _Search:
    """What has been found so far."""

    def __init__(self, suffixes: Collection[str], what: str, *, once: bool):
        self.suffixes, self.what, self.once = suffixes, what, once
        self.found: list[InputFile] = []
        self.problems: list[InputFile] = []
        self.refused: list[OSError] = []
        self.passed: list[PassedOver] = []
        self._seen: set[tuple[Path, Path | None]] = set()

    def add(self, given: str | Path) -> None:
        """Look for what a source names.

        Raises:
            OSError: for a source that is not there, or a folder that cannot be read or holds nothing wanted.
        """
        matches = expand(given)
        is_pattern = [match.name for match in matches] != [Path(given).name]
        before = len(self.found)
        passed = len(self.passed)
        for match in matches:
            if match.is_dir():
                self._add_folder(match, must_hold=not is_pattern)
            elif is_pattern:
                self._sort(match, None)
            else:
                self._take(match, self._named(match), None)
        if is_pattern and len(self.found) == before:
            raise FileNotFoundError(self._nothing(f"{given} matches no", passed))

    def refuse(self, given: str | Path, error: OSError) -> None:
        """Keep a source with what is wrong with it."""
        if error.strerror is not None:  # of the system: it does not say the name in a sentence
            error = type(error)(f"{given} cannot be read ({error.strerror})")
        self.refused.append(error)
        self.problems.append(InputFile(Path(given), problem=str(error)))

    def _add_folder(self, folder: Path, *, must_hold: bool) -> None:
        """Look below a folder."""
        next(folder.iterdir(), None)  # of the folder itself an error is one
        before, passed = len(self.found), len(self.passed)
        unread: list[OSError] = []
        for path in sorted(self._below(folder, unread.append)):
            if path.is_symlink() and path.is_dir():
                self.passed.append(PassedOver(path, LINKED_FOLDER))
            else:
                self._sort(path, folder)
        for error in unread:
            path = Path(str(error.filename))
            self.found.append(InputFile(path, root=folder, problem=f"{path} cannot be read ({error.strerror})"))
        if must_hold and len(self.found) == before:
            raise FileNotFoundError(self._nothing(f"{folder} holds no", passed))

    def _below(self, folder: Path, unreadable: Report) -> Iterator[Path]:
        """Files and linked folders below a folder, but for hidden ones."""
        for parent, folders, files in walk(folder, unreadable):
            folders[:] = [name for name in folders if not is_parts_folder(parent / name)]
            yield from (parent / name for name in files if not is_hidden(name))
            yield from (parent / name for name in folders if (parent / name).is_symlink())

    def _sort(self, path: Path, root: Path | None) -> None:
        """Take a file that was found, or pass it over."""
        try:
            suffix = self._type(path) if path.is_file() else ""
        except OSError as error:
            self.found.append(InputFile(path, root=root, problem=f"{path} cannot be read ({error.strerror})"))
            return
        if suffix in self.suffixes:
            self._take(path, suffix, root)
        else:
            self.passed.append(PassedOver(path, path.suffix.lower() or NO_SUFFIX))

    def _named(self, path: Path) -> str:
        """The type of a file that is named itself; what is wrong with it, its reader says."""
        if path.suffix.lower() in self.suffixes:
            return path.suffix.lower()
        try:
            suffix = suffix_by_content(path)
        except OSError:
            return ""
        return suffix if suffix in self.suffixes else ""

    def _type(self, path: Path) -> str:
        """The type of a file by its suffix, or where that says nothing by its content."""
        suffix = path.suffix.lower()
        return suffix if suffix in self.suffixes or names_a_type(suffix) else suffix_by_content(path)

    def _take(self, path: Path, suffix: str, root: Path | None) -> None:
        """Take a file, once for each folder that it was found below."""
        key = (path.resolve(), None if self.once or root is None else root.resolve())
        if key not in self._seen:
            self._seen.add(key)
            self.found.append(InputFile(path, suffix, root))

    def _nothing(self, begin: str, passed: int) -> str:
        """Say that nothing wanted was found, and what else was."""
        others = kinds_passed_over(self.passed[passed:])
        return f"{begin} {self.what} ({', '.join(sorted(self.suffixes))})" + (f"; {others}" if others else "")
