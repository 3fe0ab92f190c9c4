"""Finds the files that the sources of a command name, and reports the files that are skipped or cannot be read."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from passband.data.images import Report, expand, is_folder
from passband.io.hidden import is_hidden
from passband.io.paths import Resolver, is_parts_folder
from passband.io.records import Records
from passband.io.signatures import names_a_type, suffix_by_content
from passband.naming import counted

IMAGES = "images"
"""The files that commands without videos look for, as a word for messages."""
OURS = "written by passband"
"""The kind of a file that an earlier run made from a source of this run."""
NO_SUFFIX = "without a suffix"
LINKED_FOLDER = "linked folder"


@dataclass(frozen=True)
class InputFile:
    """A file to work on."""

    path: Path
    suffix: str = ""
    """Suffix of its type in lower case, from its name or else from its content; empty if neither tells the type."""
    root: Path | None = None
    """The folder that was searched; None if the file was named itself."""
    problem: str = ""
    """The reason why the file cannot be used, if that is known already."""


@dataclass(frozen=True)
class PassedOver:
    """A file or folder that is not worked on."""

    path: Path
    kind: str
    """Its suffix in lower case, `OURS`, `NO_SUFFIX` or `LINKED_FOLDER`."""


Pass = Callable[[PassedOver], None]
"""A function that is called with each file or folder that is passed over."""


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

    In a folder, and among the matches of a pattern, a file counts if its suffix is one of `suffixes`. A file whose
    suffix names no type counts if its content is of such a type. Hidden files and folders are left out, and so are
    files that passband made from another file that is found. Linked folders are passed over, because they may lead in a
    circle.

    Args:
        sources: files, folders (with everything below them) and glob patterns.
        suffixes: suffixes of the files to find, in lower case with the dot.
        what: word for these files in messages, such as `images`.
        once: whether to return a file once, even if it is found below several sources.
        passed: function that is called with each file or folder that is passed over.
        records: records of the folders that the sources lie in; None for new ones.

    Returns:
        Files in the order of the sources, those of a folder sorted by path; each once for each folder in which it was
        found, unless `once`. A file that is named itself is always included. A source that does not exist or a folder
        that cannot be read is included with a problem.

    Raises:
        FileNotFoundError: if nothing is found because a source does not exist or a folder holds no such files.
        PermissionError: if nothing is found because a folder cannot be read.
    """
    records = records or Records()
    search = _Search(suffixes, what, records.resolved, once=once)
    for given in sources:
        try:
            search.add(given)
        except OSError as error:
            search.refuse(given, error)
    if not search.found and search.refused:
        raise search.refused[0]
    places = {records.resolved(source.path) for source in search.found if not source.problem}
    sources_to_use = []
    for source in search.found:
        if not source.problem and records.is_made_of(source.path, places):
            search.passed.append(PassedOver(source.path, OURS))
        else:
            sources_to_use.append(source)
    for entry in search.passed:
        passed(entry)
    return sources_to_use + search.problems


def kinds_passed_over(passed: Sequence[PassedOver]) -> str:
    """Say how many files of other kinds were passed over, the most frequent kind first; empty if there are none.

    Args:
        passed: files and folders that a search left out.

    Returns:
        Words for a message, such as "3 files of other kinds passed over: .txt 2, .pdf 1".
    """
    counts = Counter(one.kind for one in passed if one.kind not in (OURS, LINKED_FOLDER))
    parts = []
    if counts:
        kinds = ", ".join(
            f"{kind} {count}" for kind, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        )
        files = counted(counts.total(), "file of another kind", "files of other kinds")
        parts.append(f"{files} passed over: {kinds}")
    links = sum(one.kind == LINKED_FOLDER for one in passed)
    if links:
        parts.append(f"{counted(links, 'linked folder')} passed over")
    return "; ".join(parts)


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """List a folder, sorted by name.

    Raises:
        OSError: if it cannot be read.
    """
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_file(entry: "os.DirEntry[str]") -> bool | None:
    """Tell whether an entry is a file; None if it cannot be asked."""
    try:
        return entry.is_file()
    except OSError:
        return None


class _Search:
    """The files that have been found so far."""

    def __init__(self, suffixes: Collection[str], what: str, resolved: Resolver, *, once: bool):
        self.suffixes, self.what, self.resolved, self.once = suffixes, what, resolved, once
        self.found: list[InputFile] = []
        self.problems: list[InputFile] = []
        self.refused: list[OSError] = []
        self.passed: list[PassedOver] = []
        self._seen: set[tuple[str, str | None]] = set()
        self._roots: dict[Path | None, str | None] = {}

    def add(self, given: str | Path) -> None:
        """Find the files that a source names.

        Raises:
            OSError: if the source does not exist, or is a folder that cannot be read or holds no such files.
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
            elif not match.is_file():  # reading it might never end, and it can be read only once
                raise OSError(f"{match} is a device or a pipe, and a file is needed: save its content to a file first")
            else:
                self._add_file(match, self._named_type(match), None)
        if is_pattern and len(self.found) == before:
            raise FileNotFoundError(self._nothing(f"{given} matches no", passed))

    def refuse(self, given: str | Path, error: OSError) -> None:
        """Store a source together with its error."""
        if error.strerror is not None:  # an error of the system, whose message is not a sentence with the name
            error = type(error)(f"{given} cannot be read ({error.strerror})")
        self.refused.append(error)
        self.problems.append(InputFile(Path(given), problem=str(error)))

    def _add_folder(self, folder: Path, *, must_hold: bool) -> None:
        """Find the files below a folder."""
        before, passed = len(self.found), len(self.passed)
        unread: list[OSError] = []
        for entry in _entries(folder):  # raises an error if the folder itself cannot be read
            self._add_entry(entry, folder, folder, unread.append)
        for error in unread:
            path = Path(str(error.filename))
            self.found.append(InputFile(path, root=folder, problem=f"{path} cannot be read ({error.strerror})"))
        if must_hold and len(self.found) == before:
            raise FileNotFoundError(self._nothing(f"{folder} holds no", passed))

    def _add_entry(self, entry: "os.DirEntry[str]", parent: Path, root: Path, unreadable: Report) -> None:
        """Add a file below a folder, or the files below a folder in it, unless it is hidden."""
        if is_hidden(entry.name):
            return
        path, is_link = parent / entry.name, entry.is_symlink()
        if not is_folder(entry):
            self._sort(path, root, is_file=None if is_link else _is_file(entry), is_link=is_link)
        elif is_parts_folder(path):
            return
        elif is_link:
            self.passed.append(PassedOver(path, LINKED_FOLDER))
        else:
            try:
                entries = _entries(path)
            except OSError as error:
                unreadable(error)
                return
            for below in entries:
                self._add_entry(below, path, root, unreadable)

    def _sort(self, path: Path, root: Path | None, *, is_file: bool | None = None, is_link: bool | None = None) -> None:
        """Add a file that was found, or pass it over; None stands for facts that are not known yet."""
        try:
            suffix = self._type(path) if (path.is_file() if is_file is None else is_file) else ""
        except OSError as error:
            self.found.append(InputFile(path, root=root, problem=f"{path} cannot be read ({error.strerror})"))
            return
        if suffix in self.suffixes:
            self._add_file(path, suffix, root, is_link=is_link)
        else:
            self.passed.append(PassedOver(path, path.suffix.lower() or NO_SUFFIX))

    def _named_type(self, path: Path) -> str:
        """Return the type of a file that was named itself. Its reader reports what is wrong with it."""
        if path.suffix.lower() in self.suffixes:
            return path.suffix.lower()
        try:
            suffix = suffix_by_content(path)
        except OSError:
            return ""
        return suffix if suffix in self.suffixes else ""

    def _type(self, path: Path) -> str:
        """Return the type of a file by its suffix, or by its content if the suffix names no type."""
        suffix = path.suffix.lower()
        return suffix if suffix in self.suffixes or names_a_type(suffix) else suffix_by_content(path)

    def _add_file(self, path: Path, suffix: str, root: Path | None, *, is_link: bool | None = None) -> None:
        """Add a file, once for each folder in which it was found."""
        if root not in self._roots:
            self._roots[root] = None if self.once or root is None else self.resolved(root)
        key = (self.resolved(path, is_link=is_link), self._roots[root])
        if key not in self._seen:
            self._seen.add(key)
            self.found.append(InputFile(path, suffix, root))

    def _nothing(self, begin: str, passed: int) -> str:
        """Say that no such files were found, and which other files were."""
        others = kinds_passed_over(self.passed[passed:])
        return f"{begin} {self.what} ({', '.join(sorted(self.suffixes))})" + (f"; {others}" if others else "")
