"""Stores a table of what restoration networks gain on the images of an inspection set."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from passband.io.files import write_whole

UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile)
"""Errors of `np.load` and of its result for damaged .npz files, such as empty ones and ones that are cut short."""


class GainTableError(ValueError):
    """Raised if a table cannot be used; the message names its path and says what to do."""


@dataclass
class GainTable:
    """The gain of each network on each image.

    Attributes:
        networks: names of the networks, in the order of the columns.
        made_of: description of the images that the numbers stand for; tables of other images are refused.
        rows: gain of each network in dB by the number of the image; NaN if it was not measured.
    """

    networks: tuple[str, ...]
    made_of: str
    rows: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def gains(self, number: int, networks: Sequence[str]) -> list[float]:
        """Return the gains of some networks on an image in dB; NaN if a gain is not known.

        Args:
            number: number of the image.
            networks: names of the networks, in the order of the result.
        """
        row = dict(zip(self.networks, self.rows.get(number, ()), strict=False))
        return [row.get(name, math.nan) for name in networks]

    def write(self, path: Path) -> None:
        """Write the table; an interrupted write leaves no file.

        Args:
            path: path of the file, a compressed archive of numpy (.npz).

        Raises:
            OSError: if the file cannot be written.
        """
        numbers = sorted(self.rows)
        content = io.BytesIO()
        np.savez_compressed(
            content,
            networks=np.array(self.networks),
            made_of=np.array(self.made_of),
            numbers=np.array(numbers, np.int64),
            gains=np.array([self.rows[number] for number in numbers], np.float32).reshape(-1, len(self.networks)),
        )
        with write_whole(path) as temporary:
            temporary.write_bytes(content.getvalue())


def read_gains(path: Path, made_of: str) -> GainTable:
    """Read a table.

    Args:
        path: path of a file that `GainTable.write` wrote.
        made_of: description of the images that the table must be of.

    Returns:
        The table.

    Raises:
        GainTableError: if the table is missing, damaged or of other images.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            table = GainTable(
                tuple(map(str, stored["networks"])),
                str(stored["made_of"]),
                {
                    int(number): tuple(map(float, row))
                    for number, row in zip(stored["numbers"], stored["gains"], strict=True)
                },
            )
    except FileNotFoundError as error:
        raise GainTableError(
            f"{path}: there is no table of gains. Make it with `python benchmarks/restoration/gain_table.py`, "
            'or train without gains: --set data.gains=""'
        ) from error
    except UNREADABLE as error:
        raise GainTableError(f"{path} is not a table of gains, or is damaged ({error}): make it again") from error
    if table.made_of != made_of:
        raise GainTableError(
            f"the recipe needs gains on images made with {made_of}, but {path} holds gains on images made with "
            f"{table.made_of}: make the table again, or use the data and seed of the table"
        )
    return table
