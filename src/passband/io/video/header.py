"""The stream of restored frames in a new file: what its header says."""

from io import BytesIO

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from passband.io.video import VideoFormat
from passband.io.video.segment import CODECS, Encoding, configure, planes
from passband.io.video.streams import CONTAINERS
from passband.io.video.template import with_video_elements


def add_restored(out: OutputContainer, video: VideoFormat, encoding: Encoding) -> VideoStream:
    """Add the stream of the restored frames; its encoder writes the headers that those of the segments wrote.

    Args:
        out: the file to be written.
        video: what all frames have in common.
        encoding: how they are compressed.

    Returns:
        The new stream.

    Raises:
        ValueError: where the file cannot hold it.
        FFmpegError: where the encoder does not begin.
    """
    codec = CODECS[encoding.codec]
    if video.surround and video.surround.can_be_written:
        with av.open(header := BytesIO(), "w", format="matroska") as alone:
            encoder = _encoded(alone, video, encoding).codec_context
            alone.start_encoding()
        template = with_video_elements(header.getvalue(), video.surround.elements)
        stream = out.add_stream_from_template(template, opaque=True)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.extradata = encoder.extradata  # the muxer turns it and the packets into its own form together
        context.pix_fmt, context.framerate = planes(video, encoding), video.rate
        context.color_range, context.color_primaries, context.color_trc, context.colorspace = video.color
    else:
        stream = _encoded(out, video, encoding)
    stream.time_base = video.time_base
    if codec.tag and out.format.name in ("mp4", "mov"):
        stream.codec_context.codec_tag = codec.tag
    if encoding.alpha and encoding.codec == "vp9":  # beside its packets; others have it in them
        stream.metadata["alpha_mode"] = "1"
    stream.set_display_matrix(video.display_matrix)
    return stream


def can_hold_restored(suffix: str, video: VideoFormat, encoding: Encoding) -> bool:
    """Whether a kind of file can hold the stream of restored frames, found by writing a header."""
    try:
        with av.open(BytesIO(), "w", format=CONTAINERS[suffix]) as out:
            add_restored(out, video, encoding)
            out.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True


def _encoded(out: OutputContainer, video: VideoFormat, encoding: Encoding) -> VideoStream:
    stream = out.add_stream(CODECS[encoding.codec].encoder, rate=video.rate)
    assert isinstance(stream, VideoStream)
    configure(stream.codec_context, video, encoding)
    stream.time_base = video.time_base
    return stream
