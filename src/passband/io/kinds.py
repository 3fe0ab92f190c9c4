"""What a file is, by its first bytes, for files whose names do not say."""

import re
from pathlib import Path

from passband.io.image.kinds import KINDS, kind_of

_PICTURES = {kind: suffix for suffix, kind in reversed(KINDS.items())}  # the first suffix of each
_VIDEOS = {
    b"\x1a\x45\xdf\xa3": ".mkv",
    b"FLV\x01": ".flv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": ".wmv",
    b"\0\0\x01\xba": ".mpg",
}
# files of the family of MP4 that are no videos: still images, raw files of Canon, sound
_STILL = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ", b"M4A ")
_TRANSPORT = 188  # bytes of a packet of MPEG-TS, each of which begins with 0x47
_TYPE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}")
_LEGACY = frozenset((".jif", ".jfi", ".pjp", ".pjpeg"))


def names_a_type(suffix: str) -> bool:
    """Whether a suffix looks like that of a file type: `.gif` or `.mp4`, but not the end of `2026.11.26`.

    Old suffixes of JPEG files do not count, because no program but a browser writes them, and the content tells.
    """
    return _TYPE.fullmatch(suffix) is not None and suffix.lower() not in _LEGACY


def suffix_by_content(path: Path) -> str:
    """The suffix, in lower case, that an image or video of this content has; empty for any other content.

    Raises:
        OSError: for a file that cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_TRANSPORT + 1)
    kind = kind_of(head)
    if kind is not None:
        return _PICTURES[kind]
    if head[4:8] == b"ftyp":
        return (
            "" if head[8:12] in _STILL else {b"qt  ": ".mov", b"3gp": ".3gp"}.get(head[8:12].rstrip(b"456789"), ".mp4")
        )
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return ".avi"
    if len(head) > _TRANSPORT and head[0] == head[_TRANSPORT] == 0x47:
        return ".ts"
    suffix = next((suffix for start, suffix in _VIDEOS.items() if head.startswith(start)), "")
    return ".webm" if suffix == ".mkv" and b"webm" in head[:64] else suffix
