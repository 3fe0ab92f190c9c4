"""Keeps decoded images as raw files in a temporary folder: each image is decoded once, and memory stays small."""

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.pairs import Pair
from passband.evaluation.pair_scores import pair_paths
from passband.io.failures import WriteError, naming_file
from passband.io.image.size import stored_size

FOLDER = ".decoded"
"""Name of the temporary folder in the folder of the report."""
LEVELS = ((np.uint8, 255), (np.uint16, 65535))
"""Types of stored values, and the value that stands for 1."""


class DecodedImages:
    """Decoded images on the disk, for the time of a `with` block.

    Images of 8 or 16 bits are stored as such, which loses nothing. Others are stored as float32.

    Args:
        output: folder in which the temporary folder is made.
        needed: expected size in bytes of all images.

    Raises:
        WriteError: if the disk has no room for them, or the folder cannot be written.
    """

    def __init__(self, output: Path, needed: int = 0):
        self.folder = output / FOLDER
        self._forms: dict[str, tuple[tuple[int, ...], type, int]] = {}
        self._needed = needed

    def __enter__(self) -> "DecodedImages":
        with naming_file(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)  # a comparison that was killed leaves its images
            self.folder.mkdir(parents=True)
        free = shutil.disk_usage(self.folder).free
        if free < self._needed:
            self.__exit__()
            raise WriteError(
                errno.ENOSPC,
                f"the decoded images need {self._needed / 1e6:,.1f} MB in {self.folder.parent} for the time of the "
                f"comparison, and {free / 1e6:,.1f} MB are free: choose another folder with -o, or compare fewer "
                "images",
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name: str, image: Float[Tensor, "1 C H W"]) -> None:
        """Store an image.

        Args:
            name: name of the image, which is a file name.
            image: image in [0, 1].

        Raises:
            WriteError: if the file cannot be written.
        """
        values, dtype, top = image.numpy(), np.float32, 1
        for smaller, greatest in LEVELS:
            levels = np.rint(values * np.float32(greatest)).astype(smaller)
            if np.array_equal(levels.astype(np.float32) / np.float32(greatest), values):
                values, dtype, top = levels, smaller, greatest
                break
        with naming_file(self.folder / name):
            (self.folder / name).write_bytes(np.ascontiguousarray(values).data)  # tofile tells no reason
        self._forms[name] = (tuple(image.shape), dtype, top)

    def read(self, name: str) -> Float[Tensor, "1 C H W"]:
        """Return a stored image, equal to the image that was written.

        Args:
            name: name of the image.

        Returns:
            Values in [0, 1], in float32.
        """
        shape, dtype, top = self._forms[name]
        values = np.fromfile(self.folder / name, dtype).reshape(shape)
        return torch.from_numpy(values.astype(np.float32) / np.float32(top))

    def __contains__(self, name: str) -> bool:
        return name in self._forms


def decoded_size(pairs: Sequence[Pair], folders: int = 0) -> int:
    """Return the size in bytes of the decoded images of pairs, for 8 bits, from the headers of the clean files.

    Args:
        pairs: all pairs.
        folders: number of finished images of each pair that are stored also.
    """
    total = 0
    for pair in pairs:
        width, height = stored_size(pair.clean) or (0, 0)
        total += 3 * width * height * (len(pair_paths(pair)) + folders)
    return total


def restored_name(place: int, number: int) -> str:
    """Return the name of a stored restored image.

    Args:
        place: number of the contestant.
        number: number of the pair.
    """
    return f"restored-{place}-{number}"
