"""A table on disk of what restoration networks gain on the pictures of an inspection set."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from passband.io.files import write_whole


class GainTableError(ValueError):
    """A table that cannot be used, with its path and what to do in the message."""


@dataclass
class GainTable:
    """What each network gained on each picture.

    Attributes:
        networks: names, in the order of the columns.
        made_of: says which pictures the numbers stand for; tables of other pictures are refused.
        rows: number of a picture to the gain of each network in dB, NaN where it was not measured.
    """

    networks: tuple[str, ...]
    made_of: str
    rows: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def gains(self, number: int, networks: Sequence[str]) -> list[float]:
        """The gains of some networks on a picture, in dB; NaN where one is not known."""
        row = dict(zip(self.networks, self.rows.get(number, ()), strict=False))
        return [row.get(name, math.nan) for name in networks]

    def write(self, path: Path) -> None:
        """Write the table, whole."""
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
        path: what `GainTable.write` wrote.
        made_of: which pictures it must be of.

    Raises:
        GainTableError: where it is missing, damaged or of other pictures.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
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
            f"{path}: there is no table of gains. Make it with `python benchmarks/gain_table.py`, or learn without "
            'gains: --set data.gains=""'
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise GainTableError(f"{path} is no table of gains, or is damaged ({error}): make it again") from error
    if table.made_of != made_of:
        raise GainTableError(
            f"{path} is of pictures that were made in another way ({table.made_of}) than the recipe says ({made_of}): "
            "make the table again, or set data and seed as they were"
        )
    return table
