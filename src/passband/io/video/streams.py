"""Finds out which streams of a source a kind of file can hold, by writing their headers and first packets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from io import BytesIO

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

from passband.io.video.template import with_hidden_start, without_decoder

CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".webm": "webm"}
"""Suffixes that can be written, in lower case, and their names in FFmpeg, beginning with those that hold the most."""

_TRIED = 4  # number of packets of each stream that are tried
_PAUSE = 8  # subtitle packets up to this length in bytes may consist only of headers
_MOST_BYTES = 1 << 23  # number of bytes of the source that are searched for the first packets


class CopyMethod(Enum):
    """Treatment of a stream in the new file."""

    RESTORED = "restored"
    TEMPLATE = "template"
    PARAMETERS = "parameters"
    """Copied without using the codec; see `video.template.without_decoder`."""
    COVER = "cover"
    MUXER = "muxer"
    """Written by the muxer itself, from chapters and metadata."""
    NONE = "none"


@dataclass(frozen=True)
class StreamStart:
    """Beginning of a stream.

    Attributes:
        packets: first packets that are copied.
        dropped: number of packets before these that an edit list hides and that no decoder needs.
        hidden: time from the first copied packet to the first sound that is heard, in seconds.
    """

    packets: Sequence[Packet] = ()
    dropped: int = 0
    hidden: float = 0.0


@dataclass(frozen=True)
class StreamCopy:
    """Treatment of one stream.

    Attributes:
        index: index of the stream in the source.
        method: way in which it is written.
        name: name of the stream for messages.
        required: whether a file without this stream is an error.
        start: beginning of the stream.
    """

    index: int
    method: CopyMethod
    name: str
    required: bool = False
    start: StreamStart = field(default_factory=StreamStart)


def plan_copies(
    source: InputContainer, suffix: str, restored: int, starts: Mapping[int, StreamStart]
) -> list[StreamCopy]:
    """Decide how each stream of a source is written.

    Args:
        source: open file.
        suffix: suffix of the file to write, a key of `CONTAINERS`.
        restored: index of the stream that is compressed again.
        starts: beginning of each stream, from `find_starts`.

    Returns:
        One entry for each stream. Streams that are not required may be left out with a note: data, attachments and
        covers, images and texts without a decoder, and sound without a decoder if other sound remains.
    """
    copies = []
    for stream in source.streams:
        start = starts.get(stream.index, StreamStart())
        method = CopyMethod.RESTORED if stream.index == restored else _method_for(stream, suffix, start)
        copies.append(StreamCopy(stream.index, method, stream_name(stream), _is_required(stream), start))
    has_sound = any(
        copy.method in (CopyMethod.TEMPLATE, CopyMethod.PARAMETERS) for copy in _of_type(source, copies, "audio")
    )
    return [
        StreamCopy(copy.index, copy.method, copy.name, False, copy.start)
        if has_sound and stream.type == "audio" and stream.codec_context is None
        else copy
        for stream, copy in zip(source.streams, copies, strict=True)
    ]


def find_starts(source: InputContainer, restored: int) -> dict[int, StreamStart]:
    """Read the beginnings of the streams of a file.

    The file must be opened again before it is used for anything else.

    Args:
        source: open file.
        restored: index of the stream that is compressed again, which is left out.

    Returns:
        What was found of each other stream that has packets, by the index of the stream.
    """
    incomplete = {
        stream.index
        for stream in source.streams
        if stream.index != restored and stream.type in ("audio", "video", "subtitle", "data")
    }
    first: dict[int, list[Packet]] = {index: [] for index in incomplete}
    bytes_read = 0
    for packet in readable_packets(source):
        bytes_read += packet.size
        index = packet.stream_index
        if packet.size and index in incomplete:
            first[index].append(packet)
            if sum(not item.is_discard for item in first[index]) >= _TRIED:
                incomplete.remove(index)
        has_enough = not incomplete or bytes_read > _MOST_BYTES
        if has_enough and not any(packets and all(item.is_discard for item in packets) for packets in first.values()):
            break
    return {index: _start_of(source.streams[index], packets) for index, packets in first.items()}


def add_copy(out: OutputContainer, stream: Stream, copy: StreamCopy, *, starts_hidden: bool) -> Stream:
    """Add a copied stream to a file.

    Args:
        out: file to write.
        stream: stream of the source.
        copy: treatment of the stream, from its template or its parameters.
        starts_hidden: whether the header states how much sound at the beginning must not be heard, as in Matroska. In
            other files, an edit list states it.

    Returns:
        The new stream.

    Raises:
        ValueError: if the file cannot hold the stream.
        FFmpegError: if the file cannot hold the stream.
    """
    if copy.method is CopyMethod.PARAMETERS:
        return without_decoder(out, stream)
    template = with_hidden_start(stream, copy.start.hidden) if starts_hidden and copy.start.hidden else stream
    new = out.add_stream_from_template(template, opaque=True)
    new.time_base = stream.time_base
    return new


def can_mux(suffix: str, add: Callable[[OutputContainer], Stream], packets: Sequence[Packet]) -> bool:
    """Tell whether a kind of file can hold a stream.

    The header and the packets are written to a file in memory, and at least one packet must be read back.

    Args:
        suffix: suffix of the file.
        add: function that adds the stream to the file.
        packets: first packets of the stream. They are not changed.
    """
    file, bytes_muxed = BytesIO(), 0
    try:
        with av.open(file, "w", format=CONTAINERS[suffix]) as out:
            stream = add(out)
            for packet in map(copy_packet, packets):
                packet.stream = stream
                with suppress(FFmpegError):  # a packet may be damaged; the others are still tried
                    out.mux_one(packet)
                    bytes_muxed += packet.size
            out.start_encoding()
        if not packets:
            return True
        with av.open(BytesIO(file.getvalue()), "r") as written:
            bytes_back = sum(packet.size for packet in written.demux())
    except (FFmpegError, ValueError):
        return False
    # Headers of packets may be left out, and pauses between subtitles are added.
    return 0 < bytes_muxed < 2 * bytes_back + _PAUSE


def copy_packet(packet: Packet) -> Packet:
    """Copy a packet, because muxing changes the time stamps of the packet that it receives.

    Args:
        packet: packet to copy, with its content, time stamps and side data.
    """
    new = Packet(bytes(packet))
    new.pts, new.dts, new.time_base, new.duration = packet.pts, packet.dts, packet.time_base, packet.duration
    new.is_keyframe, new.stream = packet.is_keyframe, packet.stream
    for data in packet.iter_sidedata():
        new.set_sidedata(data)
    return new


def readable_packets(source: InputContainer) -> Iterator[Packet]:
    """Yield the packets of a file up to the first damage.

    Args:
        source: opened file.

    Yields:
        Packets of all streams, in the order of the file.
    """
    with suppress(FFmpegError):
        yield from source.demux()


def stream_name(stream: Stream) -> str:
    """Return the name of a stream for messages, such as `audio aac eng`.

    Args:
        stream: stream of an opened file.
    """
    if stream.codec_context is not None:
        codec = stream.codec_context.name
    elif stream.type in ("data", "attachment"):
        codec = getattr(stream, "name", None)
    else:  # unknown to PyAV
        codec = "without a decoder"
    parts = (stream.type, codec, stream.metadata.get("language", ""))
    name = " ".join(part for part in parts if part and part != "und")
    return name.encode(errors="replace").decode()  # bytes that are not UTF-8 could not be printed


def _start_of(stream: Stream, packets: list[Packet]) -> StreamStart:
    shown = next((position for position, packet in enumerate(packets) if not packet.is_discard), len(packets))
    # Sound decoders need the previous packet. Image decoders need all packets since a key frame.
    dropped = max(0, shown - 1) if stream.type == "audio" else 0
    hidden = 0.0
    if stream.type == "audio" and packets:
        rate = getattr(stream, "sample_rate", 0) or 0
        if rate and packets[0].has_sidedata("skip_samples"):
            hidden = int.from_bytes(bytes(packets[0].get_sidedata("skip_samples"))[:4], "little") / rate
        hidden -= float(sum((packet.duration or 0) * packet.time_base for packet in packets[:dropped]))
    return StreamStart(packets[dropped : dropped + _TRIED], dropped, max(0.0, hidden))


def _method_for(stream: Stream, suffix: str, start: StreamStart) -> CopyMethod:
    if stream.type == "data" and (stream.discard == Discard.all or "timecode" in stream.metadata):
        return CopyMethod.MUXER
    if stream.type == "video" and stream.disposition & Disposition.attached_pic and suffix == ".mkv":
        return CopyMethod.COVER
    if stream.type == "video" and _is_cut_within(stream):
        return CopyMethod.NONE
    for method in (CopyMethod.TEMPLATE, CopyMethod.PARAMETERS):
        copy = StreamCopy(stream.index, method, "", start=start)

        def add(out: OutputContainer, copy: StreamCopy = copy) -> Stream:
            return add_copy(out, stream, copy, starts_hidden=False)

        if can_mux(suffix, add, start.packets):
            return method
    return CopyMethod.NONE


def _is_cut_within(stream: Stream) -> bool:
    """Tell whether an edit list hides frames after the first shown one. Copied packets cannot express that."""
    entries = iter(stream.index_entries)
    return any(not entry.is_discard for entry in entries) and any(entry.is_discard for entry in entries)


def _is_required(stream: Stream) -> bool:
    if stream.type == "subtitle":
        return stream.codec_context is not None
    if stream.type == "video":
        still = bool(stream.disposition & Disposition.attached_pic)
        return not still and stream.codec_context is not None and not _is_cut_within(stream)
    return stream.type == "audio"


def _of_type(source: InputContainer, copies: list[StreamCopy], kind: str) -> list[StreamCopy]:
    return [copy for stream, copy in zip(source.streams, copies, strict=True) if stream.type == kind]
