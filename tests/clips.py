"""Makes small videos with images, a tone, subtitles and metadata."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import Any

import av
import numpy as np

UNEVEN = (0, 3000, 4000, 9001, 20000, 20001, 33333, 50000, 61234, 99999)
"""Time stamps of a variable frame rate, in 1/90000 s."""

DATA = Path(__file__).parent / "data" / "video"
"""Videos of other tools."""

X265 = "log-level=none:bframes=0"
"""Without B frames: with them x265 leaves the decoding times of a clip of one or two frames unset."""


def even(frames: int, start: int = 0) -> list[int]:
    """Return time stamps of 25 frames per second, in 1/90000 s."""
    return [start + 3600 * number for number in range(frames)]


def pictures(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """Return images of a drifting pattern of smooth blobs, H W 3, uint8."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float64)
    return [
        np.stack([127 + 100 * np.sin((x + number) / (9 + c)) * np.cos(y / (7 + c)) for c in range(3)], axis=-1).astype(
            np.uint8
        )
        for number in range(count)
    ]


def _made_once(write: Callable[..., Path]) -> Callable[..., Path]:
    """Return a writer that keeps clips in memory, because many tests start with the same clips."""
    made: dict[Any, bytes] = {}

    @wraps(write)
    def once(path: Path, pts: Sequence[int], **options: Any) -> Path:
        images = options.get("images")
        shown = None if images is None else tuple((image.shape, image.dtype.str, image.tobytes()) for image in images)
        others = repr(sorted((name, value) for name, value in options.items() if name != "images"))
        key = (path.suffix, tuple(pts), shown, others)
        if key not in made:
            made[key] = write(path, pts, **options).read_bytes()
        else:
            path.write_bytes(made[key])
        return path

    return once


@_made_once
def write_clip(
    path: Path,
    pts: Sequence[int],
    *,
    images: Sequence[np.ndarray] | None = None,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    color: tuple[int, int, int, int] | None = None,
    crf: int = 12,
    time_base: Fraction = Fraction(1, 90000),
    audio: str | None = "aac",
    subtitles: str | None = None,
    chapters: bool = False,
    rotation: float | None = None,
    aspect: Fraction | None = None,
    interlaced: bool = False,
    metadata: dict[str, str] | None = None,
    attachment: bytes | None = None,
    cover: bytes | None = None,
    options: dict[str, str] | None = None,
    encoder_options: dict[str, str] | None = None,
) -> Path:
    """Write a video.

    Args:
        path: its suffix says the container.
        pts: a time stamp per frame, in units of `time_base`.
        images: one per frame, H W 3; None for `pictures`.
        size: width and height in pixels.
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format.
        color: codes of range, primaries, transfer function and matrix.
        crf: of libx264.
        time_base: seconds per unit.
        audio: an encoder; None for none.
        subtitles: "mov_text", "subrip" or "webvtt".
        chapters: two, of half a second.
        rotation: degrees, counter-clockwise.
        aspect: of a pixel.
        interlaced: mark the pictures so.
        metadata: of the file.
        attachment: of a font.
        cover: a JPEG file (MP4 alone).
        options: of the container.
        encoder_options: of the video's encoder, beside those of the other arguments.
    """
    images = images if images is not None else pictures(len(pts), size)
    with av.open(str(path), "w", container_options=options or {}) as out:
        video = out.add_stream(codec, rate=25)
        context: Any = video.codec_context
        context.height, context.width = images[0].shape[:2]
        context.pix_fmt, context.time_base, video.time_base = pixels, time_base, time_base
        context.options = {"libx264": {"crf": str(crf), "bf": "2"}, "libx265": {"x265-params": X265}}.get(codec, {})
        context.options = {**context.options, **(encoder_options or {})}
        if interlaced:
            context.options = {**context.options, "x264-params": "interlaced=1"}
        if color:
            context.color_range, context.color_primaries, context.color_trc, context.colorspace = color
        if aspect:
            context.sample_aspect_ratio = aspect
        if rotation is not None:
            video.set_display_rotation(rotation)
        sound: Any = out.add_stream(audio, rate=48000) if audio else None
        if sound:
            sound.codec_context.layout = "mono"
        texts = out.add_mux_stream(subtitles, time_base=Fraction(1, 1000)) if subtitles else None
        if attachment:
            out.add_attachment("font.ttf", "font/ttf", attachment)
        art: Any = out.add_stream("mjpeg") if cover else None
        if art:
            art.codec_context.width = art.codec_context.height = 16
            art.codec_context.pix_fmt, art.codec_context.time_base = "yuvj420p", Fraction(1, 90000)
            art.disposition = av.stream.Disposition.attached_pic
        if chapters:
            out.set_chapters(
                [
                    {
                        "id": n,
                        "start": 500 * n,
                        "end": 500 * n + 500,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": t},
                    }
                    for n, t in enumerate(["first", "second"])
                ]
            )
        out.metadata.update(metadata or {})
        out.start_encoding()
        if art:
            out.mux(_packet(cover or b"", 0, 0, Fraction(1, 90000), art))
        for number, text in enumerate(["hello", "world"] if texts else []):
            data = text.encode()
            data = len(data).to_bytes(2, "big") + data if subtitles == "mov_text" else data
            out.mux(_packet(data, 100 + 300 * number, 200, Fraction(1, 1000), texts))
        for time, image in zip(pts, images, strict=True):
            frame = av.VideoFrame.from_ndarray(image).reformat(
                format=pixels, dst_colorspace="ITU709" if color and color[3] == 1 else None
            )
            frame.pts, frame.time_base = time, time_base
            if color:
                frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace = color
            out.mux(video.encode(frame))
        out.mux(video.encode())
        for start in range(0, int((pts[-1] - pts[0]) * time_base * 48000) + 1024 if sound else 0, 1024):
            tone = (8000 * np.sin(np.arange(start, start + 1024) / 20)).astype(np.int16)
            chunk = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
            chunk.sample_rate, chunk.pts, chunk.time_base = 48000, start, Fraction(1, 48000)
            out.mux(sound.encode(chunk))
        if sound:
            out.mux(sound.encode())
    return path


def with_further_video(path: Path, *sources: Path) -> Path:
    """Write the first streams of several files into one file."""
    with ExitStack() as stack:
        out = stack.enter_context(av.open(str(path), "w"))
        opened = [stack.enter_context(av.open(str(source))) for source in sources]
        streams = [out.add_stream_from_template(container.streams[0], opaque=True) for container in opened]
        for container, stream in zip(opened, streams, strict=True):
            for packet in container.demux(container.streams[0]):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    return path


def packets(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    """Return time stamp in seconds and payload of each packet of a stream."""
    with av.open(str(path)) as container:
        found = container.demux(container.streams[index])
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in found if packet.size]


def frames(path: Path) -> list[av.VideoFrame]:
    """Return the decoded frames of the first video stream."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def times(path: Path) -> list[Fraction]:
    """Return the presentation time of each frame in seconds."""
    return [frame.pts * frame.time_base for frame in frames(path)]


def _packet(data: bytes, time: int, duration: int, time_base: Fraction, stream: Any) -> av.Packet:
    packet = av.Packet(data)
    packet.pts = packet.dts = time
    packet.duration, packet.time_base, packet.stream, packet.is_keyframe = duration, time_base, stream, True
    return packet
