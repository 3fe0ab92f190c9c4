"""Plans which sample goes into which shard, before anything is written."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from passband.data.shards.contents import Sample
from passband.io.shards.tar import BLOCK


@dataclass(frozen=True)
class PlannedMember:
    """A member of a shard.

    Attributes:
        name: name in the tar file.
        source: file to pack, or the content.
        path: path of the file within the folder; None for content that is made.
        size: length in bytes.
        modified: time of the last change of the file in nanoseconds; 0 for content that is made.
        label: number of the class; None without classes.
    """

    name: str
    source: Path | bytes
    path: str | None
    size: int
    modified: int = 0
    label: int | None = None


@dataclass(frozen=True)
class PlannedShard:
    """A shard that is to be written.

    Attributes:
        file: name of the tar file.
        samples: members of each sample.
    """

    file: str
    samples: tuple[tuple[PlannedMember, ...], ...]

    @property
    def sources(self) -> str:
        """The checksum of everything that decides the content of the shard."""
        told = [
            (one.name, one.path, one.size, one.modified, one.source.hex() if isinstance(one.source, bytes) else "")
            for sample in self.samples
            for one in sample
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def plan_shards(
    samples: Sequence[Sample], folder: Path, name: str, seed: int | None, most_bytes: int, most_samples: int | None
) -> Iterator[PlannedShard]:
    """Yield the shards of a folder.

    Args:
        samples: samples, sorted by name.
        folder: folder that is packed.
        name: beginning of the names of the tar files.
        seed: seed of the order of the samples; None keeps the order of their names.
        most_bytes: bytes that a shard may hold; a sample that is larger has a shard of its own.
        most_samples: samples that a shard may hold; None for no limit.

    Raises:
        OSError: if a file cannot be read.
    """
    order = range(len(samples)) if seed is None else np.random.default_rng(seed).permutation(len(samples)).tolist()
    keys = unique_keys([sample.name for sample in samples])
    waiting: list[tuple[PlannedMember, ...]] = []
    number, size = 0, 0
    for place in order:
        members = tuple(_members(samples[place], keys[place], folder))
        length = sum(BLOCK + one.size + -one.size % BLOCK for one in members)
        if waiting and (size + length > most_bytes or len(waiting) == most_samples):
            yield PlannedShard(f"{name}-{number:06d}.tar", tuple(waiting))
            waiting, number, size = [], number + 1, 0
        waiting.append(members)
        size += length
    yield PlannedShard(f"{name}-{number:06d}.tar", tuple(waiting))


def unique_keys(names: Sequence[str]) -> list[str]:
    """Return a key for each name, as webdataset needs it: without dots in the last part, and used once.

    Args:
        names: names of the samples, such as paths without suffixes.
    """
    used: set[str] = set()
    keys = []
    for name in names:
        folder, slash, last = name.rpartition("/")
        key = wanted = f"{folder}{slash}{last.replace('.', '_')}"
        number = 2
        while key.lower() in used:
            key, number = f"{wanted}~{number}", number + 1
        used.add(key.lower())
        keys.append(key)
    return keys


def _members(sample: Sample, key: str, folder: Path) -> Iterator[PlannedMember]:
    """Yield the members of a sample."""
    for role, path in sample.files:
        stat = path.stat()
        end = f"{role}{path.suffix.lower()}" if role else path.suffix.lower().removeprefix(".")
        inside = path.relative_to(folder).as_posix()
        yield PlannedMember(f"{key}.{end}", path, inside, stat.st_size, stat.st_mtime_ns, sample.label)
    for end, content in sample.made:
        yield PlannedMember(f"{key}.{end}", content, None, len(content))
