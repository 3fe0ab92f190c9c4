"""Writes the shards of a folder one by one. Each is complete or absent, and a second run skips those that are done."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from passband.data.images import walk
from passband.data.shards.contents import FolderContent, find_content
from passband.data.shards.journal import Journal
from passband.data.shards.plan import PlannedMember, PlannedShard, plan_shards
from passband.io.failures import failure
from passband.io.files import copy_whole, results_folder, write_whole
from passband.io.hidden import is_hidden
from passband.io.records import signature
from passband.io.shards import is_shards
from passband.io.shards.index import INDEX_FILE, Container, ShardIndex, whole_file, write_index
from passband.io.shards.opening import address_of
from passband.io.shards.tar import TarWriter
from passband.io.sizes import parse_bytes
from passband.naming import listed

SIZE = "128MB"
"""Size of a shard, unless another one is given."""
NAMED = 10


class PackError(ValueError):
    """A folder cannot be packed. The message says what to do."""


@dataclass
class Packed:
    """The result of packing a folder.

    Attributes:
        content: kind of the samples, see `contents.CONTENTS`.
        samples: number of samples in all shards.
        files: number of files in all shards.
        bytes: length of all shards.
        written: names of the shards that were written.
        skipped: names of the shards that an earlier run had written.
        removed: names of shards of an earlier run that are not needed any more.
        passed_over: number of files that belong to no sample, by suffix.
        failed: reason for each file that could not be read; its sample is missing.
    """

    content: str
    samples: int = 0
    files: int = 0
    bytes: int = 0
    written: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


def pack_folder(
    source: str | Path,
    output: str | Path,
    *,
    content: str = "auto",
    name: str | None = None,
    size: str | int = SIZE,
    count: int | None = None,
    seed: int | None = 0,
    overwrite: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Packed:
    """Pack the files of a folder into tar files, as the package webdataset reads them.

    Files are copied byte for byte. The files of a sample lie behind each other, and share a key.

    Args:
        source: folder to pack: images, pairs (see `data.pairs.find_pairs`), images with masks (see
            `data.masks.find_mask_pairs`), annotations in COCO's format with their images, or a folder for each class.
        output: folder for the tar files and their index.
        content: one of `contents.CONTENTS`; `auto` takes the first one that fits.
        name: beginning of the names of the tar files; None for the name of the source.
        size: largest size of a tar file, such as `128MB`. A larger sample has a tar file of its own.
        count: largest number of samples in a tar file; None for no limit.
        seed: seed that decides the order of the samples; None keeps the order of their names.
        overwrite: whether tar files of other programs in `output` may be replaced.
        report: function that is called with the number of finished samples and the number of all samples.

    Returns:
        The tar files that were written, and the files that were left out.

    Raises:
        PackError: if the folders or the options do not fit.
        ContentError: if the folder does not hold the content.
        FileNotFoundError: if the folder does not exist or holds no images.
        ValueError: if files have no partner, or the size is not one.
        OSError: if a file cannot be written.
    """
    for folder in (source, output):
        if address_of(folder) is not None:
            raise PackError(f"{folder} is an address: pack a folder of this machine, and copy the shards there")
    source, output = Path(source), results_folder(output)
    most_bytes = parse_bytes(size, "the size of a shard")
    if count is not None and count < 1:
        raise PackError(f"a shard needs at least 1 sample; got {count}")
    if output.resolve().is_relative_to(source.resolve()):
        raise PackError(f"{output} lies in {source}, which is packed: choose a folder outside of it")
    if is_shards(source):
        raise PackError(f"{source} holds shards already")
    name = source.resolve().name if name is None else name
    if "/" in name or not name or is_hidden(name):
        raise PackError(f"the name of shards is the beginning of a file name; got {name!r}")
    found = find_content(source, content)
    _check_inside(found, source)
    shards = list(plan_shards(found.samples, source, name, seed, most_bytes, count))
    journal = Journal(output)
    if not overwrite:
        _check_free(output, shards, journal)

    result = Packed(found.kind, passed_over=_passed_over(found, source))
    total, done = len(found.samples), 0
    containers: list[Container] = []
    for shard in shards:
        container = journal.finished(shard.file, shard.sources)
        if container is None:
            container, failures = _write(shard, output, journal)
            result.written.append(shard.file)
            result.failed += failures
        else:
            result.skipped.append(shard.file)
        containers.append(container)
        done += len(shard.samples)
        report(done, total)
    options = {"name": name, "size": most_bytes, "count": count, "seed": seed}
    beside = tuple(_copy(path, source, output) for path in found.beside)
    result.removed = journal.remove_others([shard.file for shard in shards])
    index = ShardIndex(found.kind, tuple(containers), beside, found.classes, options)
    if result.written or result.removed or not (output / INDEX_FILE).exists():
        write_index(output / INDEX_FILE, index)
    journal.end()
    result.samples = total - len(result.failed)
    result.files = sum(path is not None for container in containers for path in container.paths) + len(beside)
    result.bytes = sum(container.bytes for container in containers)
    return result


def _check_inside(found: FolderContent, source: Path) -> None:
    """Refuse files outside the folder, which would have no path in it."""
    files = [path for sample in found.samples for _, path in sample.files] + list(found.beside)
    if outside := [
        path for path in files if not path.is_relative_to(source) or ".." in path.parts[len(source.parts) :]
    ]:
        raise PackError(
            f"{source} needs files outside of it, such as {listed(outside, NAMED)}: pack the folder that holds both"
        )


def _check_free(output: Path, shards: Sequence[PlannedShard], journal: Journal) -> None:
    """Refuse to replace files of other programs."""
    foreign = [shard.file for shard in shards if (output / shard.file).exists() and not journal.knows(shard.file)]
    if foreign:
        raise PackError(
            f"{output / foreign[0]} exists, but passband has no record of writing this file: choose another output or "
            "name, or use --overwrite to replace it"
        )


def _write(shard: PlannedShard, output: Path, journal: Journal) -> tuple[Container, list[str]]:
    """Write a shard. Samples with a file that cannot be read are left out, and the reasons are returned."""
    journal.begin()
    failures: list[str] = []
    names, paths, labels = [], [], []
    members = []
    target = output / shard.file
    with write_whole(target) as temporary:
        with temporary.open("wb") as file:
            tar = TarWriter(file)
            for sample in shard.samples:
                try:
                    contents = [_content(member) for member in sample]
                except OSError as error:
                    path = next(member.source for member in sample if isinstance(member.source, Path))
                    failures.append(failure(error, path))
                    continue
                for member, content in zip(sample, contents, strict=True):
                    members.append(tar.add(member.name, content))
                    names.append(member.name)
                    paths.append(member.path)
                    labels.append(member.label)
            tar.end()
        container = Container(
            shard.file,
            tar.size,
            tar.checksum.hexdigest(),
            tuple(names),
            tuple(paths),
            tuple(member.offset for member in members),
            tuple(member.size for member in members),
            tuple(member.checksum for member in members),
            tuple(labels),
            "" if failures else shard.sources,  # a shard with failures is written again by the next run
        )
        journal.add(container)
    return container, failures


def _content(member: PlannedMember) -> bytes:
    """Return the content of a member.

    Raises:
        OSError: if its file cannot be read, or has changed since it was listed.
    """
    if isinstance(member.source, bytes):
        return member.source
    content = member.source.read_bytes()
    if len(content) != member.size:
        raise OSError(f"{member.source} has changed while the folder was packed: run the command again")
    return content


def _copy(path: Path, source: Path, output: Path) -> Container:
    """Copy a file that lies beside the shards, and return its entry of the index."""
    inside = path.relative_to(source).as_posix()
    target = output / inside
    told = signature(path)
    if not target.is_file() or signature(target)["sha256"] != told["sha256"]:
        copy_whole(path, target)
    return whole_file(inside, told["bytes"], told["sha256"])


def _passed_over(found: FolderContent, source: Path) -> Counter[str]:
    """Count the files that belong to no sample, by suffix."""
    packed = {path for sample in found.samples for _, path in sample.files} | set(found.beside)
    return Counter(
        path.suffix.lower() or "without a suffix"
        for parent, _, files in walk(source, lambda error: None)
        for path in (parent / name for name in files)
        if path not in packed and not is_hidden(path.name)
    )
