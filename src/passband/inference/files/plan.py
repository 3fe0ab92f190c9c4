"""Plans the names of the files that commands write for the files that they are given."""

import os
from collections.abc import Collection, Iterator, Sequence
from itertools import count
from pathlib import Path

from passband.data.finding import InputFile
from passband.inference.files.naming import Jobs, Naming
from passband.inference.files.outputs import OutputPlace
from passband.io.paths import Resolver, fitted_name, split_suffix
from passband.io.records import Records
from passband.io.signatures import names_a_type


def plan(sources: Sequence[InputFile], output: str | Path | None, naming: Naming, records: Records) -> Jobs:
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
    return _Planner(sources, naming, records).plan(None if output is None else OutputPlace.of(output, sources, naming))


class _Source:
    """A source with the parts of its path, which are needed several times."""

    __slots__ = ("file", "folder", "keeps_type", "name", "resolved", "root", "stem", "suffix")

    def __init__(self, file: InputFile, naming: Naming, resolved: Resolver):
        self.file = file
        self.folder, self.name = os.path.split(os.fspath(file.path))
        self.root = None if file.root is None else os.fspath(file.root)
        stem, own = split_suffix(self.name)
        self.stem = stem if names_a_type(own) else self.name
        self.resolved = resolved(file.path)
        written = naming.written(file.suffix)
        # if the suffix is the same as that of the source, it keeps the source's spelling
        is_same = own.lower() == written or (not own and written in naming.nameless)
        self.suffix = own if is_same else written
        self.keeps_type = self.suffix == own


class _Planner:
    """Gives each name once. Paths are texts here, because making a `Path` for each takes most of the time."""

    def __init__(self, sources: Sequence[InputFile], naming: Naming, records: Records):
        self.naming, self.records = naming, records
        self.resolved = records.resolved
        self.sources = [_Source(source, naming, self.resolved) for source in sources]
        self.own = {source.resolved for source in self.sources if not source.file.problem}
        self.taken: dict[str, _Source] = {}
        self._folders: dict[str, dict[str, list[str]]] = {}
        self._targets: dict[tuple[str, str | None], tuple[str, bool]] = {}

    def plan(self, output: OutputPlace | None) -> Jobs:
        """Return all jobs."""
        order = sorted(range(len(self.sources)), key=lambda number: not self.sources[number].keeps_type)
        targets = {number: self._target(self.sources[number], output) for number in order}
        jobs = Jobs()
        for number, source in enumerate(self.sources):
            target = targets[number]
            if target is not None:
                known = source.file.suffix or len(self.naming.targets) == 1
                problem = source.file.problem or ("" if known else self._no_type(source.file))
                companion = None if problem else self._companion(source, *target)
                jobs.append(os.fspath(source.file.path), _joined(*target), problem, companion)
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

    def _target(self, source: _Source, output: OutputPlace | None) -> tuple[str, str] | None:
        """Return the folder and name of the target of a source; None if the same file was named twice."""
        if output is not None and output.is_file:
            self._refuse_own(source, self.resolved(output.path))
            return os.path.split(os.fspath(output.path))
        folder, is_beside = self._folder(source, output)
        if source.file.problem:
            return folder, source.name
        for number, name in enumerate(self._names(source, is_beside)):
            target = _joined(folder, name)
            resolved = self.resolved(target)
            self._refuse_own(source, resolved)
            other = self.taken.get(resolved)
            if other is not None and other.resolved == source.resolved:
                return None
            if (
                other is not None
                and number == 0
                and self.resolved.folder(other.folder) != self.resolved.folder(source.folder)
            ):
                raise ValueError(
                    f"{other.file.path} and {source.file.path} have the same output {target}: give them different "
                    "output folders"
                )
            if other is None and resolved not in self.own:
                self.taken[resolved] = source
                return folder, name
        raise AssertionError("names do not end")

    def _refuse_own(self, source: _Source, resolved: str) -> None:
        """Refuse a target that is its source.

        Raises:
            ValueError: if it is.
        """
        if resolved == source.resolved:
            raise ValueError(f"{source.file.path} would be replaced by {self.naming.becomes}: choose another output")

    def _folder(self, source: _Source, output: OutputPlace | None) -> tuple[str, bool]:
        """Return the folder of a target, and whether it is the folder of the source, so that the name must differ."""
        key = (source.folder, source.root)
        if key not in self._targets:
            path, root = source.file.path, source.file.root
            if root is None:
                self._targets[key] = (source.folder, True) if output is None else (os.fspath(output.path), False)
            else:
                folder = self._beside(root) if output is None else output.path
                self._targets[key] = (os.fspath(folder / path.relative_to(root).parent), False)
        return self._targets[key]

    def _beside(self, root: Path) -> Path:
        """Return the folder beside a folder."""
        root = root if root.name not in ("", "..") else root.resolve()
        if not root.name:
            raise ValueError(f"there can be no folder beside {root}: choose an output")
        return root.with_name(fitted_name(root.name, self.naming.folder))

    def _names(self, source: _Source, is_beside: bool) -> Iterator[str]:
        """Generate the names that a target may have, the best one first."""
        tag = self.naming.tag if is_beside else ""
        suffix, stem = source.suffix, source.stem
        if self._owns(source, suffix.lower()):
            yield fitted_name(stem, tag + suffix)
        if not source.keeps_type:
            yield fitted_name(source.name, tag + suffix)
        yield fitted_name(stem, self.naming.tag + suffix)
        yield fitted_name(source.name, self.naming.tag + suffix)
        for number in count(2):
            yield fitted_name(stem, f"{tag}-{number}{suffix}")

    def _companion(self, source: _Source, folder: str, target: str) -> str:
        """Return the path of the image or video beside a target.

        Args:
            source: the source.
            folder: folder of the target.
            target: name of the target.
        """
        target_stem, target_suffix = split_suffix(target)
        ending = self.naming.ending_for(target_suffix)
        for name in self._companion_names(source, target, target_stem, ending):
            path = _joined(folder, name)
            resolved = self.resolved(path)
            if resolved not in self.taken and resolved not in self.own:
                self.taken[resolved] = source
                return path
        raise AssertionError("names do not end")

    def _companion_names(self, source: _Source, target: str, target_stem: str, ending: str) -> Iterator[str]:
        """Generate the names that a companion may have, the best one first."""
        if target_stem not in (source.stem, source.stem + self.naming.tag) or self._owns(source):
            yield fitted_name(target_stem, ending)
        yield fitted_name(target, ending)
        for number in count(2):
            yield fitted_name(target_stem, f"-{number}{ending}")

    def _owns(self, source: _Source, suffix: str | None = None) -> bool:
        """Tell whether a file may use its stem alone, among the files of its folder that differ only in their suffix.

        Args:
            source: the file.
            suffix: suffix of the targets that count; None counts all files.
        """
        peers = self._peers(source)
        if len(peers) < 2 and source.name in peers:
            return True
        written = {name: self.naming.written(_suffix(name)) for name in peers}
        ranks = [
            (other != _suffix(name), name)
            for name, other in written.items()
            if name != source.name and suffix in (None, other)
        ]
        return all((not source.keeps_type, source.name) < rank for rank in ranks)

    def _peers(self, source: _Source) -> Collection[str]:
        """Return the names of the files in the folder of a source that have its stem, including its own name."""
        folder = source.folder
        if folder not in self._folders:
            names = self._folders[folder] = {}
            try:
                found = sorted(os.listdir(folder or os.curdir))  # noqa: PTH208
            except OSError:
                found = []
            for name in found:
                stem, suffix = split_suffix(name)
                if suffix.lower() in self.naming.sources and self.records.entry(_joined(folder, name)) is None:
                    names.setdefault(stem, []).append(name)
        return self._folders[folder].get(source.stem, [])


def _joined(folder: str, name: str) -> str:
    """Join a folder and a name."""
    return os.path.join(folder, name)  # noqa: PTH118


def _suffix(name: str) -> str:
    """Return the suffix of a name in lower case."""
    return split_suffix(name)[1].lower()
