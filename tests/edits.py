"""Makes videos whose edit lists hide parts, and measures the delay between sound and images."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from tests import clips

_PARENTS = (b"moov", b"trak")


def write_flash(path: Path, seconds: float, at: float, audio: str = "aac", suffix: str = ".mp4") -> Path:
    """Write a video of 25 frames per second that is black except one white frame, and silent except a click with it.

    The first half second has a loud tone, which an edit list may hide.

    Args:
        path: path of the video. Its suffix is replaced.
        seconds: length of the video in seconds.
        at: time of the flash and the click in seconds, a multiple of 1/25.
        audio: name of an audio encoder.
        suffix: suffix of the container.
    """
    count = round(seconds * 25)
    images = [np.full((48, 64, 3), 255 * (number == round(at * 25)), np.uint8) for number in range(count)]
    video = clips.write_clip(path.with_suffix(".mkv"), clips.even(count), images=images, audio=None, codec="libx264")
    time = np.arange(round(seconds * 48000)) / 48000
    wave = np.where(time < 0.5, 9000 * np.sin(2 * np.pi * 440 * time), 0)
    click = round(at * 48000)
    wave[click : click + 12] = 30000
    target = path.with_suffix(suffix)
    with av.open(str(video)) as pictures, av.open(str(target), "w") as out:
        copied = out.add_stream_from_template(pictures.streams[0])
        sound = out.add_stream(audio, rate=48000)
        sound.codec_context.layout = "mono"
        sound.codec_context.bit_rate = 192000
        for packet in pictures.demux():
            if packet.size:
                packet.stream = copied
                out.mux(packet)
        for start in range(0, len(wave), 960):
            chunk = av.AudioFrame.from_ndarray(wave[None, start : start + 960].astype(np.int16), "s16", "mono")
            chunk.sample_rate, chunk.pts = 48000, start
            out.mux(sound.encode(chunk))
        out.mux(sound.encode())
    return target


def apart(path: Path) -> float:
    """Return the delay of the click after the flash in seconds, in the decoded video."""
    flash = next(frame.time for frame in clips.frames(path) if frame.to_ndarray(format="gray").mean() > 128)
    times, wave = heard(path)
    return float(times[np.abs(wave).argmax()]) - flash


def heard(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the time of each sound sample in seconds, and the samples in [-1, 1]."""
    times, waves = [], []
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            try:
                frames = packet.decode()
            except FFmpegError:
                continue
            for frame in frames:
                wave = frame.to_ndarray()[0].astype(np.float64)
                waves.append(wave / 32768 if frame.format.name.startswith("s16") else wave)
                times.append(float(frame.pts * frame.time_base) + np.arange(len(wave)) / frame.sample_rate)
    return np.concatenate(times), np.concatenate(waves)


def with_edits(path: Path, edits: Sequence[tuple[float, float]]) -> Path:
    """Give all streams of an MP4 file an edit list. The index of the file must be at its end.

    Args:
        path: path of the file, which is changed.
        edits: duration of each edit in seconds, and its start in the unedited video in seconds; -1 for a pause.
    """
    data = path.read_bytes()
    start = data.rindex(b"moov") - 4
    path.write_bytes(data[:start] + _edited(data[start:], edits, {}))
    return path


def _edited(boxes: bytes, edits: Sequence[tuple[float, float]], scales: dict[bytes, int]) -> bytes:
    made = b""
    while boxes:
        size, kind = int.from_bytes(boxes[:4], "big"), boxes[4:8]
        content, boxes = boxes[8:size], boxes[size:]
        if kind == b"mvhd":
            scales[kind] = int.from_bytes(content[12:16], "big")
        if kind in _PARENTS:
            content = _edited(content, edits, scales)
        if kind == b"trak":
            header, old = content.index(b"mdhd") + 4, content.index(b"elst") + 4
            scale = int.from_bytes(content[header + 12 : header + 16], "big")
            begin = int.from_bytes(content[old + 12 : old + 16], "big")  # samples before it only prime the decoder
            length = int.from_bytes(content[old - 16 : old - 12], "big")
            content = content[: old - 16] + content[old - 16 + length :]
            content += _box(b"edts", _box(b"elst", _entries(edits, scales[b"mvhd"], scale, begin)))
        made += _box(kind, content)
    return made


def _entries(edits: Sequence[tuple[float, float]], movie_scale: int, scale: int, first: int) -> bytes:
    made = bytes(4) + len(edits).to_bytes(4, "big")
    for duration, begin in edits:
        place = -1 if begin < 0 else first + round(begin * scale)
        made += round(duration * movie_scale).to_bytes(4, "big") + place.to_bytes(4, "big", signed=True)
        made += (1).to_bytes(2, "big") + bytes(2)
    return made


def _box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content
