"""Files written whole, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    A reader, a crash or Ctrl-C never sees half a file. Parent folders are made. The temporary name keeps the
    suffix of `path`, because many writers choose their format by it.

    Args:
        path: where the file shall be.

    Yields:
        The path to write to.

    Raises:
        OSError: naming `path`, where it cannot be written (read-only folder, full disk).
    """
    temporary = path.with_name(f".{token_hex(6)}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}") from error
