"""Headers of streams with what PyAV has no call for.

PyAV makes a stream that is copied from a stream of another file. Where the new one shall say more than the old, that
file is written in memory: its header as Matroska, with an element added.
"""

from collections.abc import Iterator
from io import BytesIO

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

# elements of Matroska; source: RFC 9559
_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _CODEC_DELAY = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x56AA
_PARENTS = (_SEGMENT, _TRACKS, _ENTRY, _VIDEO)
# checksums, and what tells the places and the lengths of others
_UNFIT = (0xBF, 0xEC, 0x114D9B74)
# codecs that every muxer takes a stream of, which only makes room for another
_SEATS = {"audio": "aac", "video": "mpeg4"}


def element(name: int, content: bytes) -> bytes:
    """An element of Matroska."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (len(content) | 1 << 56).to_bytes(8, "big") + content


_CLUSTER = element(0x1F43B675, element(0xE7, b"\0"))  # empty; readers look for one


def without_decoder(out: OutputContainer, source: Stream) -> Stream:
    """Add a copy of a stream to a file by its parameters alone, without asking for its codec.

    PyAV refuses codecs that the muxer writes under the names of Microsoft's files, and streams without a decoder.

    Args:
        out: the file to be written.
        source: the stream that is copied.

    Returns:
        The new stream. Whether the muxer takes it shows when the header is written.

    Raises:
        ValueError: for a kind of stream that this file does not have.
        FFmpegError: where the parameters cannot be copied.
    """
    if source.type == "subtitle":
        new = out.add_mux_stream("mov_text" if out.format.name in ("mp4", "mov") else "subrip")
        BitStreamFilterContext("null", source, new)
    elif source.type in _SEATS:
        with av.open(BytesIO(), "w", format="matroska") as seat:
            new = out.add_stream_from_template(seat.add_stream(_SEATS[source.type]), opaque=True)
        BitStreamFilterContext("null", source, new)
        new.codec_context.codec_tag = "\0\0\0\0"  # the muxer has its own name for the codec
    else:
        raise ValueError(f"{source.type} streams are not copied by their parameters")
    new.time_base = source.time_base
    return new


def with_hidden_start(stream: Stream, seconds: float) -> Stream:
    """A copy of an audio stream's header that says how much of its beginning is not to be heard.

    Args:
        stream: of the source.
        seconds: from the first packet to what is to be heard.

    Returns:
        A stream to be copied from; the given one where Matroska cannot hold its codec.
    """
    delay = element(_CODEC_DELAY, round(seconds * 1e9).to_bytes(8, "big"))
    try:
        with av.open(header := BytesIO(), "w", format="matroska") as out:
            out.add_stream_from_template(stream, opaque=True)
            out.start_encoding()
    except (FFmpegError, ValueError):
        return stream
    return _template(header.getvalue(), _ENTRY, delay)


def with_video_elements(header: bytes, elements: bytes) -> Stream:
    """A stream to be copied from, of a Matroska file of one video stream, with more said of the images.

    Args:
        header: of the file.
        elements: to be added to the description of the video.
    """
    return _template(header, _VIDEO, elements)


def _template(header: bytes, target: int, extra: bytes) -> Stream:
    """The stream of a header, with `extra` at the end of one of the elements that describe it."""
    rewritten = b"".join(_rewritten(header, target, extra))
    return av.open(BytesIO(rewritten), format="matroska").streams[0]


def _rewritten(content: bytes, target: int, extra: bytes) -> Iterator[bytes]:
    replaced = {name for name, _ in _children(extra)}
    for name, inner in _children(content):
        if name in _PARENTS:
            inner = b"".join(_rewritten(inner, target, extra))
        elif name in replaced or name in _UNFIT:
            continue
        end = _CLUSTER if name == _SEGMENT else b""
        yield element(name, inner + (extra if name == target else b"") + end)


def _children(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The names and contents of the elements of one."""
    place = 0
    while place < len(content):
        width = 9 - content[place].bit_length()
        name, place = int.from_bytes(content[place : place + width], "big"), place + width
        width = 9 - content[place].bit_length()
        size = int.from_bytes(content[place : place + width], "big") & ((1 << 7 * width) - 1)
        unknown = size == (1 << 7 * width) - 1
        place += width
        end = len(content) if unknown else place + size
        yield name, content[place:end]
        place = end
