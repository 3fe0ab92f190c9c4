"""Writes the streams of a joined file: copied streams, and the stream that segments replace."""

import errno
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise, repeat
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal
from av.stream import Stream
from av.video.stream import VideoStream

from passband.io.video import VideoFormat
from passband.io.video.encoding import ALPHA, Encoding, Segment, decode_times
from passband.io.video.format import open_url
from passband.io.video.header import add_restored
from passband.io.video.streams import CopyMethod, StreamCopy, add_copy

# Keys that a muxer writes itself, and keys that are no longer true of a stream that was compressed again.
_OWN_KEYS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
_STALE_KEYS = frozenset({"ENCODER", "BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "ALPHA_MODE"})
_SYSTEM_ERRORS = 1 << 16  # FFmpeg's own error numbers are above this, those of the system are below
_MP4 = (".mp4", ".m4v", ".mov")

Payload = tuple[bytes, bool, bytes]
"""A packet of the restored stream, whether it is a key frame, and its transparency."""


class Joiner:
    """Writes a joined file.

    Args:
        source: open source file.
        out: file to write.
        suffix: suffix of the file, in lower case.
        copies: treatment of each stream of the source.

    Attributes:
        copied: names of the copied streams, such as `audio aac`.
        notes: sentences about everything in the source that the file does not contain.
        restored_out: stream of the restored frames, after `add_streams`.
    """

    def __init__(self, source: InputContainer, out: OutputContainer, suffix: str, copies: Sequence[StreamCopy]):
        self.source, self.out, self.suffix, self.copies = source, out, suffix, copies
        self.streams: dict[int, Stream] = {}
        self.copied: list[str] = []
        self.notes: list[str] = []
        self.restored_out: VideoStream
        self.time_base: Fraction

    def add_streams(self, video: VideoFormat, encoding: Encoding) -> None:
        """Add all streams, metadata and chapters.

        Args:
            video: properties that all restored frames share.
            encoding: compression of the restored frames.

        Raises:
            ValueError: if the file cannot hold the restored stream.
            FFmpegError: if an encoder cannot be opened.
        """
        self.out.metadata.update({key: value for key, value in self.source.metadata.items() if key not in _OWN_KEYS})
        self.out.set_chapters(self.source.chapters())
        for stream, copy in zip(self.source.streams, self.copies, strict=True):
            metadata = stream.metadata
            if copy.method is CopyMethod.RESTORED:
                self.restored_out = new = add_restored(self.out, video, encoding)
                self.time_base = video.time_base
                metadata = {key: value for key, value in metadata.items() if not _is_stale(key)}
            elif copy.method is CopyMethod.MUXER:
                continue
            elif copy.method is CopyMethod.NONE:
                self.notes.append(f"{self.suffix} cannot hold stream {copy.index} ({copy.name}), so it is left out")
                continue
            elif copy.method is CopyMethod.COVER:
                _attach_cover(self.out, self.source.name, stream)
                self.copied.append(f"cover {copy.name}")
                continue
            else:
                new = add_copy(self.out, stream, copy, starts_hidden=self.suffix not in _MP4)
                self.copied.append(copy.name)
            new.metadata.update(metadata)
            new.disposition = stream.disposition
            self.streams[stream.index] = new

    def copy(
        self, packets: Iterable[Packet], payloads: Iterable[Payload], pts: Sequence[int], last_duration: int
    ) -> None:
        """Copy packets of the source, and replace those of the restored stream.

        Args:
            packets: packets of the source, in its order.
            payloads: packets of the restored stream, in decoding order.
            pts: time stamp of each of them, in units of the video's time base.
            last_duration: duration of the last frame, in units of the video's time base.
        """
        restored = self._restored_packets(payloads, pts, last_duration)
        hidden, refused = Counter[int](), Counter[int]()
        shown: set[int] = set()
        end = Fraction(0)
        for packet in packets:
            index, copy = packet.stream_index, self.copies[packet.stream_index]
            if packet.size and packet.pts is not None and copy.method is not CopyMethod.COVER:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if copy.method is CopyMethod.RESTORED:
                # Each packet takes the place of one packet of the source, so that the streams stay interleaved.
                if (new := next(restored, None)) is not None:
                    self.out.mux_one(new)
            elif index in self.streams and packet.size and not _is_gap(packet):
                if not packet.is_discard:
                    shown.add(index)
                elif index in shown or hidden[index] < copy.start.dropped:
                    hidden[index] += 1
                    continue
                elif self._would_be_heard(packet):
                    continue
                refused[index] += not self._mux(packet)
        for new in restored:
            self.out.mux_one(new)
        self._note(hidden, "hidden by an edit list")
        self._note(refused, "damaged or out of order")
        self._note_end(end)

    def _would_be_heard(self, packet: Packet) -> bool:
        """Tell whether a packet that only primes the decoder would be heard.

        The MP4 muxer hides such packets only before time 0.
        """
        return self.suffix in _MP4 and packet.stream.type == "audio" and packet.pts is not None and packet.pts >= 0

    def _mux(self, packet: Packet) -> bool:
        """Write a copied packet. Returns whether the muxer accepted it."""
        packet.stream = self.streams[packet.stream_index]
        if packet.pts is None:
            packet.pts = packet.dts
        try:
            self.out.mux_one(packet)
        except FFmpegError as error:
            if error.errno == errno.EINVAL or (error.errno or 0) > _SYSTEM_ERRORS:
                return False
            raise
        return True

    def _note(self, counts: Counter[int], reason: str) -> None:
        for index, count in sorted(counts.items()):
            if count:
                packets = "packet is" if count == 1 else "packets are"
                self.notes.append(f"{count} {packets} left out of stream {index} ({self.copies[index].name}): {reason}")

    def _note_end(self, end: Fraction) -> None:
        promised = Fraction(self.source.duration or 0, av.time_base) + Fraction(
            self.source.start_time or 0, av.time_base
        )
        if promised - end > Fraction(1, 2):
            self.notes.append(
                f"the file ends at {float(end):.1f} s of the {float(promised):.1f} s that its header promises"
            )

    def _restored_packets(
        self, payloads: Iterable[Payload], pts: Sequence[int], last_duration: int
    ) -> Iterator[Packet]:
        durations = {before: after - before for before, after in pairwise(sorted(pts))}
        for (payload, key, alpha), time, decode_time in zip(payloads, pts, decode_times(pts), strict=True):
            packet = Packet(payload)
            packet.pts, packet.dts, packet.time_base = time, decode_time, self.time_base
            packet.duration = durations.get(time, last_duration)
            packet.is_keyframe = key
            if alpha:
                data: Any = PacketSideData
                side_data = data(packet_sidedata_type_from_literal(ALPHA), len(alpha))
                side_data.update(alpha)
                packet.set_sidedata(side_data)
            packet.stream = self.restored_out
            yield packet


def payloads(segment: Segment) -> Iterator[Payload]:
    """Iterate over the packets of a segment.

    Args:
        segment: compressed frames.

    Yields:
        The content of each packet, whether it can be decoded without those before it, and the data of its alpha
        channel, which is empty if there is none.
    """
    return zip(segment.packets, segment.keys, segment.alpha or repeat(b""), strict=False)


def container_options(
    suffix: str, source: InputContainer, video: VideoFormat, first: int, *, index_first: bool = True
) -> dict[str, str]:
    """Return the options of the muxer for a file.

    Args:
        suffix: suffix of the file, in lower case.
        source: open source file.
        video: properties that the restored frames share.
        first: time stamp of the first restored frame, in units of the video's time base.
        index_first: whether to move the index of an MP4 file to its beginning. The muxer then reads its file again.

    Returns:
        Options of FFmpeg.
    """
    # FFmpeg regards projections around the viewer as unofficial.
    strict = {"strict": "unofficial"} if video.surround else {}
    if suffix not in _MP4:
        # AAC begins before 0 with sound that must not be heard. By default, the muxer would shift all streams because
        # of it.
        return strict | ({"avoid_negative_ts": "disabled"} if first >= 0 else {})
    # With the index first, the file can be played while it loads. Apple's own keys are kept only with an extra flag.
    flags = ["faststart"] * index_first + ["use_metadata_tags"] * any(key.startswith("com.") for key in source.metadata)
    # A first frame after 0 is stored in units of the movie, which must be as fine as those of the video.
    scale = {"movie_timescale": str(max(1000, video.time_base.denominator))}
    return strict | scale | ({"movflags": "+".join(flags)} if flags else {})


def _attach_cover(out: OutputContainer, source: str, stream: Stream) -> None:
    """Attach a cover image. Matroska stores it as a file; as a stream it would be a video of one frame."""
    kind = stream.codec_context.name.replace("mjpeg", "jpeg")
    with open_url(source) as container:
        packets = container.demux(container.streams[stream.index])
        image = next((bytes(packet) for packet in packets if packet.size), b"")
    name = stream.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
    out.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), image)


def _is_gap(packet: Packet) -> bool:
    """Tell whether a packet is a pause between two subtitles in MP4, which the MP4 muxer writes itself."""
    stream = packet.stream
    if stream.type != "subtitle" or stream.codec_context is None or stream.codec_context.name != "mov_text":
        return False
    return packet.size == 2 and bytes(packet) == b"\0\0"


def _is_stale(key: str) -> bool:
    return key.split("-")[0].upper() in _STALE_KEYS or key.startswith("_STATISTICS")
