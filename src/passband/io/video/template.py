"""Builds stream headers with properties that PyAV cannot set.

PyAV creates a copied stream from a stream of another file. To set more properties than that stream has, such a file is
written in memory: its header in Matroska format, with an added element.
"""

from collections.abc import Iterator
from io import BytesIO

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

# Elements of Matroska. Source: RFC 9559.
_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _CODEC_DELAY = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x56AA
_PARENTS = (_SEGMENT, _TRACKS, _ENTRY, _VIDEO)
# Checksums, and elements that store positions and lengths of others.
_OMITTED = (0xBF, 0xEC, 0x114D9B74)
# Codecs that every muxer accepts. Their streams are placeholders whose parameters are replaced.
_PLACEHOLDERS = {"audio": "aac", "video": "mpeg4"}


def element(name: int, content: bytes) -> bytes:
    """Encode an element of Matroska.

    Args:
        name: identifier of the element, with its leading bits as in RFC 9559.
        content: content of the element, below 2^56 bytes.

    Returns:
        Identifier, length in 8 bytes, and content.
    """
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (len(content) | 1 << 56).to_bytes(8, "big") + content


_CLUSTER = element(0x1F43B675, element(0xE7, b"\0"))  # empty, because readers expect one


def without_decoder(out: OutputContainer, source: Stream) -> Stream:
    """Add a copy of a stream to a file by its parameters, without using its codec.

    PyAV refuses streams without a decoder, and codecs that the muxer writes with the names of Microsoft's formats.

    Args:
        out: file to write.
        source: stream that is copied.

    Returns:
        The new stream. An error shows only when the header is written.

    Raises:
        ValueError: if the kind of stream cannot be copied in this way.
        FFmpegError: if the parameters cannot be copied.
    """
    if source.type == "subtitle":
        new = out.add_mux_stream("mov_text" if out.format.name in ("mp4", "mov") else "subrip")
        BitStreamFilterContext("null", source, new)
    elif source.type in _PLACEHOLDERS:
        with av.open(BytesIO(), "w", format="matroska") as placeholder:
            new = out.add_stream_from_template(placeholder.add_stream(_PLACEHOLDERS[source.type]), opaque=True)
        BitStreamFilterContext("null", source, new)
        new.codec_context.codec_tag = "\0\0\0\0"  # the muxer has its own name for the codec
    else:
        raise ValueError(f"{source.type} streams are not copied by their parameters")
    new.time_base = source.time_base
    return new


def with_hidden_start(stream: Stream, seconds: float) -> Stream:
    """Copy the header of an audio stream, and state how much of its beginning must not be heard.

    Args:
        stream: stream of the source.
        seconds: time from the first packet to the first sound that is heard, in seconds.

    Returns:
        A stream that serves as a template. It is the given stream if Matroska cannot hold its codec.
    """
    delay = element(_CODEC_DELAY, round(seconds * 1e9).to_bytes(8, "big"))
    try:
        header = BytesIO()
        with av.open(header, "w", format="matroska") as out:
            out.add_stream_from_template(stream, opaque=True)
            out.start_encoding()
    except (FFmpegError, ValueError):
        return stream
    return _stream_of_header(header.getvalue(), _ENTRY, delay)


def with_video_elements(header: bytes, elements: bytes) -> Stream:
    """Return the stream of a Matroska header with one video stream, with further elements in its description.

    Args:
        header: header of the file.
        elements: elements to add to the description of the video.

    Returns:
        A stream that serves as a template.
    """
    return _stream_of_header(header, _VIDEO, elements)


def _stream_of_header(header: bytes, target: int, extra: bytes) -> Stream:
    """Return the stream of a header with `extra` at the end of one of its elements."""
    rewritten = b"".join(_rewrite(header, target, extra))
    return av.open(BytesIO(rewritten), format="matroska").streams[0]


def _rewrite(content: bytes, target: int, extra: bytes) -> Iterator[bytes]:
    replaced = {name for name, _ in _children(extra)}
    for name, inner in _children(content):
        if name in _PARENTS:
            inner = b"".join(_rewrite(inner, target, extra))
        elif name in replaced or name in _OMITTED:
            continue
        end = _CLUSTER if name == _SEGMENT else b""
        yield element(name, inner + (extra if name == target else b"") + end)


def _children(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the names and contents of the elements in an element."""
    position = 0
    while position < len(content):
        width = 9 - content[position].bit_length()
        name, position = int.from_bytes(content[position : position + width], "big"), position + width
        width = 9 - content[position].bit_length()
        size = int.from_bytes(content[position : position + width], "big") & ((1 << 7 * width) - 1)
        unknown = size == (1 << 7 * width) - 1
        position += width
        end = len(content) if unknown else position + size
        yield name, content[position:end]
        position = end
