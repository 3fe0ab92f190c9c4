"""Which streams of a source a kind of file can hold, found out by muxing their headers and first packets."""

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
"""Suffixes that can be written, lower case, and FFmpeg's names of what they are; the widest come first."""

_TRIED = 4  # packets of each stream
_PAUSE = 8  # bytes of text so short that all of it may be headers
_LOOKED_AT = 1 << 23  # bytes of the source in which the first packets are looked for


class Way(Enum):
    """How a stream comes into the new file."""

    RESTORED = "restored"
    TEMPLATE = "template"
    PARAMETERS = "parameters"
    """Without asking for the codec; see `video_template.without_decoder`."""
    COVER = "cover"
    MUXER = "muxer"
    """The muxer makes it itself, from chapters and metadata."""
    NONE = "none"


@dataclass(frozen=True)
class Lead:
    """Where a stream begins.

    Attributes:
        packets: the first that are copied.
        dropped: how many before these an edit list hides and nothing needs.
        hidden: from the first packet that is copied to what is to be heard, in seconds.
    """

    packets: Sequence[Packet] = ()
    dropped: int = 0
    hidden: float = 0.0


@dataclass(frozen=True)
class Copy:
    """What becomes of one stream.

    Attributes:
        index: of the stream in the source.
        way: how it is written.
        name: what messages call it.
        required: whether a file without it is not what was asked for.
        lead: where it begins.
    """

    index: int
    way: Way
    name: str
    required: bool = False
    lead: Lead = field(default_factory=Lead)


def plan_copies(source: InputContainer, suffix: str, restored: int, leads: Mapping[int, Lead]) -> list[Copy]:
    """Say what becomes of each stream of a source.

    Args:
        source: an open file.
        suffix: of the file to be written, a key of `CONTAINERS`.
        restored: the index of the stream that is compressed anew.
        leads: of `find_leads`.

    Returns:
        One for each stream. A stream that is not required may be left out with a note: data, attachments and covers,
        images and texts that nothing here decodes, and such sound where other sound remains.
    """
    copies = []
    for stream in source.streams:
        lead = leads.get(stream.index, Lead())
        way = Way.RESTORED if stream.index == restored else _way(stream, suffix, lead)
        copies.append(Copy(stream.index, way, stream_name(stream), _is_required(stream), lead))
    heard = any(copy.way in (Way.TEMPLATE, Way.PARAMETERS) for copy in _of_type(source, copies, "audio"))
    return [
        Copy(copy.index, copy.way, copy.name, False, copy.lead)
        if heard and stream.type == "audio" and stream.codec_context is None
        else copy
        for stream, copy in zip(source.streams, copies, strict=True)
    ]


def find_leads(source: InputContainer, restored: int) -> dict[int, Lead]:
    """Read where the streams of a file begin. The file is to be opened again for anything else."""
    wanted = {
        stream.index
        for stream in source.streams
        if stream.index != restored and stream.type in ("audio", "video", "subtitle", "data")
    }
    first: dict[int, list[Packet]] = {index: [] for index in wanted}
    looked_at = 0
    for packet in readable(source):
        looked_at += packet.size
        index = packet.stream_index
        if packet.size and index in wanted:
            first[index].append(packet)
            if sum(not one.is_discard for one in first[index]) >= _TRIED:
                wanted.remove(index)
        found = not wanted or looked_at > _LOOKED_AT
        if found and not any(packets and all(one.is_discard for one in packets) for packets in first.values()):
            break
    return {index: _lead(source.streams[index], packets) for index, packets in first.items()}


def add_copy(out: OutputContainer, stream: Stream, copy: Copy, *, starts_hidden: bool) -> Stream:
    """Add a stream that is copied to a file to be written.

    Args:
        out: the file.
        stream: of the source.
        copy: what becomes of it, by its template or its parameters.
        starts_hidden: say in the header how much of the beginning is not to be heard, as Matroska does; an edit list
            says it elsewhere.

    Returns:
        The new stream.

    Raises:
        ValueError: where it does not fit.
        FFmpegError: likewise.
    """
    if copy.way is Way.PARAMETERS:
        return without_decoder(out, stream)
    template = with_hidden_start(stream, copy.lead.hidden) if starts_hidden and copy.lead.hidden else stream
    new = out.add_stream_from_template(template, opaque=True)
    new.time_base = stream.time_base
    return new


def can_mux(suffix: str, add: Callable[[OutputContainer], Stream], packets: Sequence[Packet]) -> bool:
    """Whether a kind of file takes a stream: its header and at least one of its first packets, which it gives back.

    Args:
        suffix: of the file.
        add: adds the stream to it.
        packets: its first; they are not changed.
    """
    file, taken = BytesIO(), 0
    try:
        with av.open(file, "w", format=CONTAINERS[suffix]) as out:
            new = add(out)
            for packet in map(copied, packets):
                packet.stream = new
                with suppress(FFmpegError):  # it may be damaged; the others are tried
                    out.mux_one(packet)
                    taken += packet.size
            out.start_encoding()
        if not packets:
            return True
        with av.open(BytesIO(file.getvalue()), "r") as back:
            given = sum(packet.size for packet in back.demux())
    except (FFmpegError, ValueError):
        return False
    # headers of packets may be left out, and subtitles have pauses
    return 0 < taken < 2 * given + _PAUSE


def copied(packet: Packet) -> Packet:
    """A packet like another: muxing changes the times of what it is given."""
    new = Packet(bytes(packet))
    new.pts, new.dts, new.time_base, new.duration = packet.pts, packet.dts, packet.time_base, packet.duration
    new.is_keyframe, new.stream = packet.is_keyframe, packet.stream
    for data in packet.iter_sidedata():
        new.set_sidedata(data)
    return new


def readable(source: InputContainer) -> Iterator[Packet]:
    """The packets of a file, up to where it is damaged."""
    with suppress(FFmpegError):
        yield from source.demux()


def stream_name(stream: Stream) -> str:
    """What messages call a stream, such as `audio aac eng`."""
    if stream.codec_context is not None:
        codec = stream.codec_context.name
    elif stream.type in ("data", "attachment"):
        codec = getattr(stream, "name", None)
    else:  # PyAV does not know it
        codec = "without a decoder"
    parts = (stream.type, codec, stream.metadata.get("language", ""))
    return " ".join(part for part in parts if part and part != "und")


def _lead(stream: Stream, packets: list[Packet]) -> Lead:
    shown = next((place for place, packet in enumerate(packets) if not packet.is_discard), len(packets))
    # a decoder of sound needs the packet before; a decoder of images all since a key frame
    dropped = max(0, shown - 1) if stream.type == "audio" else 0
    hidden = 0.0
    if stream.type == "audio" and packets:
        rate = getattr(stream, "sample_rate", 0) or 0
        if rate and packets[0].has_sidedata("skip_samples"):
            hidden = int.from_bytes(bytes(packets[0].get_sidedata("skip_samples"))[:4], "little") / rate
        hidden -= float(sum((packet.duration or 0) * packet.time_base for packet in packets[:dropped]))
    return Lead(packets[dropped : dropped + _TRIED], dropped, max(0.0, hidden))


def _way(stream: Stream, suffix: str, lead: Lead) -> Way:
    if stream.type == "data" and (stream.discard == Discard.all or "timecode" in stream.metadata):
        return Way.MUXER
    if stream.type == "video" and stream.disposition & Disposition.attached_pic and suffix == ".mkv":
        return Way.COVER
    if stream.type == "video" and _is_cut_within(stream):
        return Way.NONE
    for way in (Way.TEMPLATE, Way.PARAMETERS):
        copy = Copy(stream.index, way, "", lead=lead)

        def add(out: OutputContainer, copy: Copy = copy) -> Stream:
            return add_copy(out, stream, copy, starts_hidden=False)

        if can_mux(suffix, add, lead.packets):
            return way
    return Way.NONE


def _is_cut_within(stream: Stream) -> bool:
    """Whether an edit list hides coded frames after the first that is shown, which packets alone cannot say."""
    entries = iter(stream.index_entries)
    return any(not entry.is_discard for entry in entries) and any(entry.is_discard for entry in entries)


def _is_required(stream: Stream) -> bool:
    if stream.type == "subtitle":
        return stream.codec_context is not None
    if stream.type == "video":
        still = bool(stream.disposition & Disposition.attached_pic)
        return not still and stream.codec_context is not None and not _is_cut_within(stream)
    return stream.type == "audio"


def _of_type(source: InputContainer, copies: list[Copy], kind: str) -> list[Copy]:
    return [copy for stream, copy in zip(source.streams, copies, strict=True) if stream.type == kind]
