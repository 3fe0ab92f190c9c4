"""Tells file types by the first bytes of files and by names, and names of files from those of folders."""

import os
import re
from pathlib import Path

from passband.io.image.kinds import KINDS, kind_of
from passband.io.paths import from_home

_IMAGES = {kind: suffix for suffix, kind in reversed(KINDS.items())}  # first suffix of each type
_VIDEOS = {
    b"\x1a\x45\xdf\xa3": ".mkv",
    b"FLV\x01": ".flv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": ".wmv",
    b"\0\0\x01\xba": ".mpg",
}
# Types of the MP4 family that are not videos: still images, raw photos of Canon cameras, and sound.
_STILL = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ", b"M4A ")
_TRANSPORT = 188  # bytes in a packet of MPEG-TS; each packet begins with 0x47
_TYPE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}")
_LEGACY = frozenset((".jif", ".jfi", ".pjp", ".pjpeg"))


def names_a_type(suffix: str) -> bool:
    """Tell whether a suffix looks like a file type, such as `.gif` or `.mp4`, but unlike the end of `2026.11.26`.

    Old suffixes of JPEG files do not count: only browsers write them, and the content tells the type.

    Args:
        suffix: suffix with its dot.
    """
    return _TYPE.fullmatch(suffix) is not None and suffix.lower() not in _LEGACY


def named_folder(output: str | Path) -> Path:
    """Return the path of a folder for images, unless it names a file.

    Args:
        output: path of the folder; a leading `~` is the home folder, and a slash at the end says that it is a folder.

    Raises:
        ValueError: if the path is a file, or ends like one and is not a folder yet.
    """
    path = from_home(output)
    is_folder = path.is_dir() or str(output).endswith(("/", os.sep))
    if not is_folder and (path.exists() or names_a_type(path.suffix)):
        raise ValueError(f"a folder is needed, and {path} names a file: write {path}{os.sep} if you mean a folder")
    return path


def suffix_by_content(path: Path) -> str:
    """Return the usual suffix of an image or video with this content, in lower case.

    Args:
        path: path of the file.

    Returns:
        The suffix with its dot, or an empty text if the content is neither an image nor a video.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_TRANSPORT + 1)
    kind = kind_of(head)
    if kind is not None:
        return _IMAGES[kind]
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
