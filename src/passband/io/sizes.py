"""Reads sizes with units, such as `2GB`."""

import re

_UNITS = {"": 1, "b": 1} | {
    f"{letter}{kind}b": base**power
    for power, letter in enumerate("kmgt", start=1)
    for kind, base in (("", 1000), ("i", 1024))
}


def parse_bytes(size: str | int, what: str) -> int:
    """Return the number of bytes of a size such as `"2GB"`, `"1500 MB"`, `"2 GiB"` or 2_000_000_000.

    Args:
        size: size as text with a unit, or as a number of bytes.
        what: thing that has this size, for errors.

    Raises:
        ValueError: if it is anything else, or below 1 byte.
    """
    number = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]*)\s*", str(size).lower())
    unit = _UNITS.get(number[2], _UNITS.get(f"{number[2]}b")) if number else None
    if number is None or unit is None or isinstance(size, bool) or float(number[1]) * unit < 1:
        raise ValueError(f"{what} is a size such as '2GB' or '1500 MB', or a number of bytes; got {size!r}")
    return int(float(number[1]) * unit)
