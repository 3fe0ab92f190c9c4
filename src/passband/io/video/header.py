"""Writes the header of the stream of restored frames in a new file."""

from io import BytesIO

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from passband.io.video import VideoFormat
from passband.io.video.encoding import CODECS, Encoding, configure, planes
from passband.io.video.streams import CONTAINERS
from passband.io.video.template import with_video_elements


def add_restored(out: OutputContainer, video: VideoFormat, encoding: Encoding) -> VideoStream:
    """Add the stream of restored frames to a file. Its encoder writes the same headers as those of the segments.

    Args:
        out: file to write.
        video: properties that all frames share.
        encoding: compression of the frames.

    Returns:
        The new stream.

    Raises:
        ValueError: if the file cannot hold the stream.
        FFmpegError: if the encoder cannot be opened.
    """
    codec = CODECS[encoding.codec]
    if video.surround and video.surround.can_be_written:
        header = BytesIO()
        with av.open(header, "w", format="matroska") as alone:
            encoder = _add_encoded_stream(alone, video, encoding).codec_context
            alone.start_encoding()
        template = with_video_elements(header.getvalue(), video.surround.elements)
        stream = out.add_stream_from_template(template, opaque=True)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.extradata = encoder.extradata  # the muxer converts it together with the packets
        context.pix_fmt, context.framerate = planes(video, encoding), video.rate
        context.color_range, context.color_primaries, context.color_trc, context.colorspace = video.color
    else:
        stream = _add_encoded_stream(out, video, encoding)
    stream.time_base = video.time_base
    if codec.tag and out.format.name in ("mp4", "mov"):
        stream.codec_context.codec_tag = codec.tag
    # VP9 stores transparency beside its packets, other codecs store it inside
    if encoding.alpha and encoding.codec == "vp9":
        stream.metadata["alpha_mode"] = "1"
    stream.set_display_matrix(video.display_matrix)
    return stream


def can_hold_restored(suffix: str, video: VideoFormat, encoding: Encoding) -> bool:
    """Tell whether a kind of file can hold the stream of restored frames, by writing a header.

    Args:
        suffix: suffix of the file with its dot, a key of `CONTAINERS`.
        video: properties that all frames share.
        encoding: compression of the frames.
    """
    try:
        with av.open(BytesIO(), "w", format=CONTAINERS[suffix]) as out:
            add_restored(out, video, encoding)
            out.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True


def _add_encoded_stream(out: OutputContainer, video: VideoFormat, encoding: Encoding) -> VideoStream:
    stream = out.add_stream(CODECS[encoding.codec].encoder, rate=video.rate)
    assert isinstance(stream, VideoStream)
    configure(stream.codec_context, video, encoding)
    stream.time_base = video.time_base
    return stream
