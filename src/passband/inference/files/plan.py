"""Which file becomes which: the names of what commands write, of every file that they are given."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from passband.data.finding import InputFile
from passband.io.files import fitted_name
from passband.io.kinds import names_a_type
from passband.io.records import Records
from passband.io.video.format import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Job:
    """One file to be made of another."""

    source: Path
    target: Path
    problem: str = ""
    """Why it cannot be done, where that is known before: a folder that cannot be read."""
    companion: Path | None = field(default=None, compare=False)
    """The picture that may go beside the target: before and after, or the source with its mask over it."""

    @property
    def is_video(self) -> bool:
        """Whether it becomes a video, by the suffix of its target."""
        return self.target.suffix.lower() in VIDEO_SUFFIXES


@dataclass(frozen=True)
class Naming:
    """How a command names what it writes."""

    tag: str
    """Added to the name of a file that is written beside its source: `_restored`."""
    folder: str
    """Added to the name of a folder for what becomes of a folder's files: `_restored`."""
    companion: str
    """Ends the name of the picture beside a target: `_compare.png`."""
    becomes: str
    """What a file becomes, for messages: `its restored picture`."""
    written: Callable[[str], str]
    """Suffix of a source to that of its target."""
    targets: frozenset[str]
    """Suffixes of targets."""
    sources: frozenset[str]
    """Suffixes of sources."""
    nameless: frozenset[str] = frozenset()
    """Suffixes of types that can be written to a name without a suffix, as their source has it."""
    companion_of_video: str = ""
    """Ends the name of the video beside a video; none for the same as beside a picture."""

    def ending(self, target: Path) -> str:
        """What ends the name of the companion of a target."""
        is_video = target.suffix.lower() in VIDEO_SUFFIXES
        return self.companion_of_video if is_video and self.companion_of_video else self.companion


def plan(sources: Sequence[InputFile], output: str | Path | None, naming: Naming, records: Records) -> list[Job]:
    """Say which file becomes which.

    No target is another's, nor a source. Where two names would be the same, that of a file whose type changes keeps
    its own suffix (`clip.avi` beside `clip.mkv` becomes `clip.avi.mkv`), whether or not both are sources, so that a
    file has one name in every run.

    Args:
        sources: from `find_sources`.
        output: a folder, or for a single file a name with a suffix of its kind. None puts files beside their sources,
            and those of a folder into a new one beside it.
        naming: of the command.
        records: of the folders that the sources lie in.

    Returns:
        Jobs, in the order of the sources. The tree below a folder is kept.

    Raises:
        ValueError: for an output of an unknown type, for a file that would replace its own source, or for two files of
            different folders that would become one.
    """
    return _Planner(sources, naming, records).plan(None if output is None else _Output.of(output, sources, naming))


def folder_of_pictures(paths: Sequence[Path], output: str | Path | None, tag: str, several: str) -> Path:
    """The folder for what is found in pictures: `output`, or else one beside a single picture, or a new one here.

    Args:
        paths: of the pictures.
        output: as given.
        tag: added to the name of a single picture.
        several: the name of the folder for several.

    Raises:
        ValueError: for an output that names a file.
    """
    if output is not None:
        path = Path(output).expanduser()
        is_folder = path.is_dir() or str(output).endswith(("/", os.sep))
        if not is_folder and (path.exists() or names_a_type(path.suffix)):
            raise ValueError(
                f"a folder is needed, and {path} names a file: write {path}{os.sep} if it shall be a folder"
            )
        return path
    return paths[0].with_name(fitted_name(paths[0].stem, tag)) if len(paths) == 1 else Path(several)


@dataclass(frozen=True)
class _Output:
    """Where files go, if not beside their sources."""

    path: Path
    is_file: bool

    @classmethod
    def of(cls, output: str | Path, sources: Sequence[InputFile], naming: Naming) -> "_Output":
        """Tell whether a file or a folder is meant."""
        path, suffix = Path(output).expanduser(), Path(output).suffix.lower()
        if path.is_dir() or str(output).endswith(("/", os.sep)):
            return cls(path, is_file=False)
        one = len(sources) == 1 and sources[0].root is None
        if suffix in naming.targets:
            if not one:
                raise ValueError(
                    f"several files need a folder, and {path} names a file: give a folder, or write {path}{os.sep} if "
                    "it shall be one"
                )
            return cls(path, is_file=True)
        if path.exists():
            raise ValueError(f"{path} is a file that is there already, and a folder is needed: choose another output")
        if names_a_type(suffix) and (one or suffix in _NO_FOLDERS):
            known = " ".join(sorted(naming.targets))
            raise ValueError(
                f"unknown type {path.suffix} of the output {path}: files are written as {known}; write {path}{os.sep} "
                "if it shall be a folder"
            )
        return cls(path, is_file=False)


# what nobody calls a folder, though it is not written
_NO_FOLDERS = frozenset(
    (
        *(".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".pdf", ".eps", ".exr", ".hdr"),
        *(".ico", ".tga", ".ppm", ".pgm", ".pnm", ".apng", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"),
        *(".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".mp4", ".mkv", ".avi", ".mov", ".webm", ".zip"),
    )
)


class _Planner:
    """Gives names, each once."""

    def __init__(self, sources: Sequence[InputFile], naming: Naming, records: Records):
        self.sources, self.naming, self.records = sources, naming, records
        self.own = {source.path.resolve() for source in sources if not source.problem}
        self.taken: dict[Path, InputFile] = {}
        self._folders: dict[Path, dict[str, list[str]]] = {}

    def plan(self, output: _Output | None) -> list[Job]:
        """All jobs."""
        order = sorted(range(len(self.sources)), key=lambda number: not self._keeps_type(self.sources[number]))
        targets = {number: self._target(self.sources[number], output) for number in order}
        jobs = []
        for number, source in enumerate(self.sources):
            if (target := targets[number]) is not None:
                known = source.suffix or len(self.naming.targets) == 1
                problem = source.problem or ("" if known else self._no_type(source))
                jobs.append(Job(source.path, target, problem, None if problem else self._companion(source, target)))
        return jobs

    def _no_type(self, source: InputFile) -> str:
        """Say that a file is nothing that can be made something of."""
        known = " ".join(sorted(self.naming.sources))
        try:
            if not source.path.stat().st_size:
                return f"{source.path} is empty"
        except OSError as error:
            return f"{source.path} cannot be read ({error.strerror})"
        return f"{source.path} is of no type that is read ({known}), by its name and by its content: convert it first"

    def _target(self, source: InputFile, output: _Output | None) -> Path | None:
        """Where a file goes; None for one that goes there already, for it was named twice."""
        if output is not None and output.is_file:
            return self._unless_own(source, output.path)
        folder, is_beside = self._folder(source, output)
        if source.problem:
            return folder / source.path.name
        for number, name in enumerate(self._names(source, is_beside)):
            target = folder / name
            place = target.resolve()
            if place == source.path.resolve():
                self._unless_own(source, target)
            other = self.taken.get(place)
            if other is not None and other.path.resolve() == source.path.resolve():
                return None
            if other is not None and number == 0 and other.path.parent.resolve() != source.path.parent.resolve():
                raise ValueError(
                    f"{other.path} and {source.path} would both become {target}: give them outputs of their own"
                )
            if other is None and place not in self.own:
                self.taken[place] = source
                return target
        raise AssertionError("names do not end")

    def _unless_own(self, source: InputFile, target: Path) -> Path:
        """The target of a file, if it is not the file."""
        if target.resolve() == source.path.resolve():
            raise ValueError(f"{source.path} would be replaced by {self.naming.becomes}: choose another output")
        return target

    def _folder(self, source: InputFile, output: _Output | None) -> tuple[Path, bool]:
        """The folder that a file goes to, and whether it is that of the file, where its name must be another."""
        if source.root is None:
            return (source.path.parent, True) if output is None else (output.path, False)
        folder = self._beside(source.root) if output is None else output.path
        return folder / source.path.relative_to(source.root).parent, False

    def _beside(self, root: Path) -> Path:
        """The folder beside a folder."""
        root = root if root.name not in ("", "..") else root.resolve()
        if not root.name:
            raise ValueError(f"there is no place beside {root}: choose an output")
        return root.with_name(fitted_name(root.name, self.naming.folder))

    def _names(self, source: InputFile, is_beside: bool) -> Iterator[str]:
        """Names that a target may have, the best first."""
        tag = self.naming.tag if is_beside else ""
        suffix, whole = self._suffix(source), source.path.name
        stem = _stem(source.path)
        if self._owns(source, suffix.lower()):
            yield fitted_name(stem, tag + suffix)
        if not self._keeps_type(source):
            yield fitted_name(whole, tag + suffix)
        yield fitted_name(stem, self.naming.tag + suffix)
        yield fitted_name(whole, self.naming.tag + suffix)
        for number in count(2):
            yield fitted_name(stem, f"{tag}-{number}{suffix}")

    def _companion(self, source: InputFile, target: Path) -> Path:
        """Where the picture or the video beside a target goes."""
        ending = self.naming.ending(target)
        stem = _stem(source.path)
        names = [fitted_name(target.name, ending)]
        if self._owns(source) or target.stem not in (stem, stem + self.naming.tag):
            names.insert(0, fitted_name(target.stem, ending))
        more = (fitted_name(target.stem, f"-{number}{ending}") for number in count(2))
        for names_of in (names, more):
            for name in names_of:
                place = target.with_name(name).resolve()
                if place not in self.taken and place not in self.own:
                    self.taken[place] = source
                    return target.with_name(name)
        raise AssertionError("names do not end")

    def _owns(self, source: InputFile, suffix: str | None = None) -> bool:
        """Whether a file has the name without its suffix, of those in its folder that differ from it by suffix alone.

        Args:
            source: the file.
            suffix: count only files that become ones with this suffix.
        """
        written = {name: self.naming.written(Path(name).suffix.lower()) for name in self._peers(source)}
        ranks = [
            (other != Path(name).suffix.lower(), name)
            for name, other in written.items()
            if name != source.path.name and suffix in (None, other)
        ]
        return all((not self._keeps_type(source), source.path.name) < rank for rank in ranks)

    def _peers(self, source: InputFile) -> Collection[str]:
        """The files in the folder of a file that have its name but for the suffix, and itself."""
        folder = source.path.parent
        if folder not in self._folders:
            names = self._folders[folder] = {}
            try:
                found = sorted(os.scandir(folder), key=lambda one: one.name)
            except OSError:
                found = []
            for one in found:
                path = folder / one.name
                if path.suffix.lower() in self.naming.sources and self.records.entry(path) is None:
                    names.setdefault(path.stem, []).append(one.name)
        return self._folders[folder].get(_stem(source.path), [])

    def _suffix(self, source: InputFile) -> str:
        """The suffix of a target; as the source spells it, where it is the same."""
        written, own = self.naming.written(source.suffix), source.path.suffix
        return own if own.lower() == written or (not own and written in self.naming.nameless) else written

    def _keeps_type(self, source: InputFile) -> bool:
        return self._suffix(source) == source.path.suffix


def _stem(path: Path) -> str:
    """The name without its suffix, if it has one."""
    return path.stem if names_a_type(path.suffix) else path.name
