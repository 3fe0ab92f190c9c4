"""Plans the names of the files that commands write for the files that they are given."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from passband.data.finding import InputFile
from passband.io.files import fitted_name
from passband.io.records import Records
from passband.io.signatures import names_a_type
from passband.io.video.format import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Job:
    """One file that will be made from another."""

    source: Path
    target: Path
    problem: str = ""
    """The reason why the job will fail, if it is known beforehand, such as a folder that cannot be read."""
    companion: Path | None = field(default=None, compare=False)
    """The file that may be written beside the target: both images, or the source with its mask over it."""

    @property
    def is_video(self) -> bool:
        """Whether the target is a video, by its suffix."""
        return self.target.suffix.lower() in VIDEO_SUFFIXES


@dataclass(frozen=True)
class Naming:
    """The rules by which a command names the files that it writes."""

    tag: str
    """Ending of the stem of a file that is written beside its source, such as `_restored`."""
    folder: str
    """Ending of the name of the folder that gets the targets of a folder's files, such as `_restored`."""
    companion: str
    """Ending of the name of the image beside a target, such as `_compare.png`."""
    becomes: str
    """Name of the target for messages, such as `its restored image`."""
    written: Callable[[str], str]
    """Function from the suffix of a source to the suffix of its target."""
    targets: frozenset[str]
    """Suffixes of targets."""
    sources: frozenset[str]
    """Suffixes of sources."""
    nameless: frozenset[str] = frozenset()
    """Suffixes of types that can be written to a name without a suffix, if the source has none."""
    companion_of_video: str = ""
    """Ending of the name of the video beside a video; empty for the same ending as beside an image."""

    def ending(self, target: Path) -> str:
        """Return the ending of the name of the companion of a target."""
        is_video = target.suffix.lower() in VIDEO_SUFFIXES
        return self.companion_of_video if is_video and self.companion_of_video else self.companion


def plan(sources: Sequence[InputFile], output: str | Path | None, naming: Naming, records: Records) -> list[Job]:
    """Decide the target of each source.

    No two files have the same target, and no target is a source. If two names would be the same, the name of the file
    whose type changes keeps its own suffix (`clip.avi` beside `clip.mkv` becomes `clip.avi.mkv`). This holds also if
    only one of them is a source, so a file has the same name in every run.

    Args:
        sources: sources from `find_sources`.
        output: a folder, or for a single file a name with a suffix of its kind. With None, targets lie beside their
            sources, and those of a folder in a new folder beside it.
        naming: rules of the command.
        records: records of the folders that the sources lie in.

    Returns:
        Jobs, in the order of the sources. The tree below a folder is kept.

    Raises:
        ValueError: if the type of the output is unknown, a file would replace its own source, or two files of different
            folders would have the same target.
    """
    return _Planner(sources, naming, records).plan(None if output is None else _Output.of(output, sources, naming))


def folder_of_pictures(paths: Sequence[Path], output: str | Path | None, tag: str, several: str) -> Path:
    """Return the folder for results about images: the output, a folder beside a single image, or a new folder here.

    Args:
        paths: paths of the images.
        output: output that the user gave, or None.
        tag: ending of the folder's name for a single image.
        several: name of the folder for several images.

    Raises:
        ValueError: if the output names a file.
    """
    if output is not None:
        path = Path(output).expanduser()
        is_folder = path.is_dir() or str(output).endswith(("/", os.sep))
        if not is_folder and (path.exists() or names_a_type(path.suffix)):
            raise ValueError(f"a folder is needed, and {path} names a file: write {path}{os.sep} if you mean a folder")
        return path
    return paths[0].with_name(fitted_name(paths[0].stem, tag)) if len(paths) == 1 else Path(several)


@dataclass(frozen=True)
class _Output:
    """The file or folder that the user named for the targets."""

    path: Path
    is_file: bool

    @classmethod
    def of(cls, output: str | Path, sources: Sequence[InputFile], naming: Naming) -> "_Output":
        """Decide whether the user means a file or a folder."""
        path, suffix = Path(output).expanduser(), Path(output).suffix.lower()
        if path.is_dir() or str(output).endswith(("/", os.sep)):
            return cls(path, is_file=False)
        one = len(sources) == 1 and sources[0].root is None
        if suffix in naming.targets:
            if not one:
                raise ValueError(
                    f"with several files, -o must be a folder, and {path} names a file: give a folder, or write "
                    f"{path}{os.sep} if you mean a folder"
                )
            return cls(path, is_file=True)
        if path.exists():
            raise ValueError(f"{path} is an existing file, and a folder is needed: choose another output")
        if names_a_type(suffix) and (one or suffix in _NO_FOLDERS):
            known = " ".join(sorted(naming.targets))
            raise ValueError(
                f"unknown type {path.suffix} of the output {path}: files are written as {known}; write {path}{os.sep} "
                "if you mean a folder"
            )
        return cls(path, is_file=False)


# suffixes of files that are not written, but that no folder has
_NO_FOLDERS = frozenset(
    (
        *(".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".pdf", ".eps", ".exr", ".hdr"),
        *(".ico", ".tga", ".ppm", ".pgm", ".pnm", ".apng", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"),
        *(".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".mp4", ".mkv", ".avi", ".mov", ".webm", ".zip"),
    )
)


class _Planner:
    """Gives each name once."""

    def __init__(self, sources: Sequence[InputFile], naming: Naming, records: Records):
        self.sources, self.naming, self.records = sources, naming, records
        self.resolved = records.resolved
        self.own = {self.resolved(source.path) for source in sources if not source.problem}
        self.taken: dict[str, InputFile] = {}
        self._folders: dict[Path, dict[str, list[str]]] = {}

    def plan(self, output: _Output | None) -> list[Job]:
        """Return all jobs."""
        order = sorted(range(len(self.sources)), key=lambda number: not self._keeps_type(self.sources[number]))
        targets = {number: self._target(self.sources[number], output) for number in order}
        jobs = []
        for number, source in enumerate(self.sources):
            target = targets[number]
            if target is not None:
                known = source.suffix or len(self.naming.targets) == 1
                problem = source.problem or ("" if known else self._no_type(source))
                jobs.append(Job(source.path, target, problem, None if problem else self._companion(source, target)))
        return jobs

    def _no_type(self, source: InputFile) -> str:
        """Return the reason why a file of an unknown type cannot be used."""
        known = " ".join(sorted(self.naming.sources))
        try:
            if not source.path.stat().st_size:
                return f"{source.path} is empty"
        except OSError as error:
            return f"{source.path} cannot be read ({error.strerror})"
        return f"{source.path} is none of the types that can be read ({known}), by name and content: convert it first"

    def _target(self, source: InputFile, output: _Output | None) -> Path | None:
        """Return the target of a source; None if the same file was named twice."""
        if output is not None and output.is_file:
            return self._unless_own(source, output.path)
        folder, is_beside = self._folder(source, output)
        if source.problem:
            return folder / source.path.name
        for number, name in enumerate(self._names(source, is_beside)):
            target = folder / name
            resolved = self.resolved(target)
            if resolved == self.resolved(source.path):
                self._unless_own(source, target)
            other = self.taken.get(resolved)
            if other is not None and self.resolved(other.path) == self.resolved(source.path):
                return None
            if (
                other is not None
                and number == 0
                and self.resolved.parent(other.path) != self.resolved.parent(source.path)
            ):
                raise ValueError(
                    f"{other.path} and {source.path} have the same output {target}: give them different output folders"
                )
            if other is None and resolved not in self.own:
                self.taken[resolved] = source
                return target
        raise AssertionError("names do not end")

    def _unless_own(self, source: InputFile, target: Path) -> Path:
        """Return the target of a file, unless it is the file itself.

        Raises:
            ValueError: if it is.
        """
        if self.resolved(target) == self.resolved(source.path):
            raise ValueError(f"{source.path} would be replaced by {self.naming.becomes}: choose another output")
        return target

    def _folder(self, source: InputFile, output: _Output | None) -> tuple[Path, bool]:
        """Return the folder of a target, and whether it is the folder of the source, so that the name must differ."""
        if source.root is None:
            return (source.path.parent, True) if output is None else (output.path, False)
        folder = self._beside(source.root) if output is None else output.path
        return folder / source.path.relative_to(source.root).parent, False

    def _beside(self, root: Path) -> Path:
        """Return the folder beside a folder."""
        root = root if root.name not in ("", "..") else root.resolve()
        if not root.name:
            raise ValueError(f"there can be no folder beside {root}: choose an output")
        return root.with_name(fitted_name(root.name, self.naming.folder))

    def _names(self, source: InputFile, is_beside: bool) -> Iterator[str]:
        """Generate the names that a target may have, the best one first."""
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
        """Return the path of the image or video beside a target."""
        ending = self.naming.ending(target)
        stem = _stem(source.path)
        names = [fitted_name(target.name, ending)]
        if self._owns(source) or target.stem not in (stem, stem + self.naming.tag):
            names.insert(0, fitted_name(target.stem, ending))
        more = (fitted_name(target.stem, f"-{number}{ending}") for number in count(2))
        for names_of in (names, more):
            for name in names_of:
                resolved = self.resolved(target.with_name(name))
                if resolved not in self.taken and resolved not in self.own:
                    self.taken[resolved] = source
                    return target.with_name(name)
        raise AssertionError("names do not end")

    def _owns(self, source: InputFile, suffix: str | None = None) -> bool:
        """Tell whether a file may use its stem alone, among the files of its folder that differ only in their suffix.

        Args:
            source: the file.
            suffix: suffix of the targets that count; None counts all files.
        """
        written = {name: self.naming.written(Path(name).suffix.lower()) for name in self._peers(source)}
        ranks = [
            (other != Path(name).suffix.lower(), name)
            for name, other in written.items()
            if name != source.path.name and suffix in (None, other)
        ]
        return all((not self._keeps_type(source), source.path.name) < rank for rank in ranks)

    def _peers(self, source: InputFile) -> Collection[str]:
        """Return the names of the files in the folder of a source that have its stem, including its own name."""
        folder = source.path.parent
        if folder not in self._folders:
            names = self._folders[folder] = {}
            try:
                entries = sorted(os.scandir(folder), key=lambda one: one.name)
            except OSError:
                entries = []
            for one in entries:
                path = folder / one.name
                if path.suffix.lower() in self.naming.sources and self.records.entry(path) is None:
                    names.setdefault(path.stem, []).append(one.name)
        return self._folders[folder].get(_stem(source.path), [])

    def _suffix(self, source: InputFile) -> str:
        """Return the suffix of a target; if it is the same as that of the source, in the source's spelling."""
        written, own = self.naming.written(source.suffix), source.path.suffix
        return own if own.lower() == written or (not own and written in self.naming.nameless) else written

    def _keeps_type(self, source: InputFile) -> bool:
        """Tell whether the target has the type of the source."""
        return self._suffix(source) == source.path.suffix


def _stem(path: Path) -> str:
    """Return the name of a file without a known suffix."""
    return path.stem if names_a_type(path.suffix) else path.name
