"""Files written whole, or not at all."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


class WriteError(OSError):
    """A file that cannot be written, in one sentence that names it."""

    def __str__(self) -> str:
        """The sentence, without the number of the error."""
        return str(self.strerror)


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
        WriteError: naming `path`, where it cannot be written (read-only folder, full disk).
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
        reason = str(error.strerror or error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"no space left for it in {path.parent}; free some there, or choose another folder"
        raise WriteError(error.errno, f"cannot write {path}: {reason}") from error
