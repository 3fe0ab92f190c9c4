"""Decodes coded frames: handles transparency, restores missing time stamps, and counts lost frames."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from pathlib import Path

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from passband.io.video.clock import Clock

# Decoders that read the transparency that WebM stores beside the coded frames. FFmpeg's own decoders do not.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# Codecs whose frames may be decoded in another order than they are shown.
_REORDERED = frozenset(("h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "vc1", "wmv3"))
_LONGEST_WAIT = 17
"""Largest number of coded frames that wait to be shown. H.264 reorders at most 16."""
_EMPTY_MPEG4 = 19
"""Largest size in bytes of a coded MPEG-4 frame that only repeats the previous one, as in FFmpeg's decoder."""


class Decoder:
    """Decodes a video stream and counts its frames.

    Args:
        container: open file.
        stream: stream of the file.
        path: path of the file.

    Attributes:
        packets: number of coded frames so far, without those that are not shown.
        decoded: number of frames decoded so far.
        damaged: number of decoded frames that have errors.
        notes: sentences about everything that is lost.
        clock: correction of the time stamps of a transport stream; None for other files.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, path: Path):
        self.packets = self.decoded = self.damaged = 0
        self.notes: list[str] = []
        self._container, self._stream = container, stream
        self._promised = stream.frames or 0  # in the header
        self._discarded = self._hidden = self._refused = self._slots = 0
        self._is_avi = container.format.name == "avi"
        self._is_cut = not self._is_avi or _avi_is_cut(path)
        self._pending: list[int] | None = [] if self._is_avi and stream.codec_context.name in _REORDERED else None
        self._context = stream.codec_context
        self._begun = False
        self.clock = Clock() if container.format.name in ("mpegts", "mpeg") else None

    @property
    def lost(self) -> int:
        """Number of frames in the file or its header that could not be decoded; final after the last frame."""
        # small frames count as hidden although some are shown, and would hide that the decoder refused others
        coded = max(self._refused, self.packets - self._hidden - self.decoded)
        if self._is_avi:  # the header counts slots; empty slots repeat the previous frame
            return coded + (max(0, self._promised - self._slots) if self._is_cut else 0)
        return max(coded, self._promised - self._discarded - self.decoded)

    def frames(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Decode all frames. This can be called only once.

        Yields:
            The time stamp of each frame in units of the stream, or None if the file has none, and the frame.
        """
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError as error:  # the file is damaged at the beginning of a packet
                self.notes.append(f"the file cannot be read beyond frame {self.decoded} ({error.strerror})")
                return
            if packet.size:
                if self.clock is not None:
                    self.clock.correct(packet)
                self._count(packet)
            elif packet.pts is not None:
                continue  # an empty slot, which a decoder would interpret as the end
            try:
                frames = self._context.decode(packet)
            except FFmpegError:
                if packet.size and not packet.is_discard:
                    self._refused += not _shows_nothing(packet, self._context.name)
                if self._pending and packet.dts in self._pending:
                    self._pending.remove(packet.dts)
                    heapify(self._pending)
                continue  # counted as lost
            for frame in frames:
                self.decoded += 1
                self.damaged += frame.is_corrupt
                yield self._time(frame), frame

    def _count(self, packet: av.Packet) -> None:
        if not self._begun:
            self._begin(packet)
        if packet.is_discard:
            self._discarded += 1
            return
        self.packets += 1
        self._hidden += _shows_nothing(packet, self._context.name)
        if packet.dts is not None:
            self._slots = packet.dts + 1
            if self._pending is not None:
                heappush(self._pending, packet.dts)

    def _begin(self, packet: av.Packet) -> None:
        """Use a decoder that supports transparency if the first coded frame has any."""
        self._begun = True
        if not packet.has_sidedata("matroska_block_additional"):
            return
        try:
            context = CodecContext.create(_ALPHA_DECODERS[self._context.name], "r")
        except (KeyError, ValueError):
            self.notes.append("no decoder for the transparency is installed, so it is not kept")
            return
        assert isinstance(context, VideoCodecContext)
        self._context = context

    def _time(self, frame: av.VideoFrame) -> int | None:
        if self._pending is None:
            return frame.pts
        while len(self._pending) > _LONGEST_WAIT:  # these coded frames produced nothing, and raised no error
            heappop(self._pending)
        return heappop(self._pending) if self._pending else frame.pts


def _shows_nothing(packet: av.Packet, codec: str) -> bool:
    """Tell whether a coded frame is not shown itself: it repeats the previous one, or only others refer to it."""
    if codec == "mpeg4":
        return packet.size <= _EMPTY_MPEG4
    return codec in ("vp8", "libvpx") and not bytes(packet)[0] & 0x10


def _avi_is_cut(path: Path) -> bool:
    """Tell whether an AVI file is shorter than its header says."""
    with path.open("rb") as file:
        head = file.read(8)
    return int.from_bytes(head[4:8], "little") + 8 > path.stat().st_size
