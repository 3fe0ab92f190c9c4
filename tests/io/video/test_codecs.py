"""Sound of every codec that FFmpeg can write here, in every container that is only read."""

import re
from fractions import Fraction
from functools import cache

import av
import numpy as np
import pytest
from av.codec import codecs_available
from av.error import FFmpegError

from passband.io.video import VideoError
from passband.io.video.join import target_suffix
from passband.io.video.template import without_decoder
from tests import clips
from tests.joining import joined

CONTAINERS = {
    ".mkv": ("matroska", "mpeg4"),
    ".wmv": ("asf", "mpeg4"),
    ".avi": ("avi", "mpeg4"),
    ".3gp": ("3gp", "mpeg4"),
    ".ts": ("mpegts", "mpeg2video"),
}
LAYOUTS = ((48000, "stereo"), (44100, "stereo"), (22050, "mono"), (8000, "mono"), (16000, "mono"))
BIT_RATES = {"g723_1": 6300, "g726": 32000, "g726le": 32000, "wmav1": 64000, "wmav2": 64000}
NEEDED = {
    ".mkv": {"aac", "adpcm_ms", "pcm_mulaw", "wmav1", "wmav2", "libmp3lame", "libopus", "libopencore_amrnb"},
    ".wmv": {"wmav1", "wmav2"},
    ".avi": {"adpcm_ms", "pcm_mulaw", "libmp3lame"},
    ".3gp": {"libopencore_amrnb", "aac"},
    ".ts": {"aac", "mp2", "libopus"},
}
"""Codecs that the test must have met."""
MISSING = {"libopencore_amrnb"} - codecs_available
"""PyAV 19 comes without this encoder."""


@cache
def _encoders():
    names = []
    for name in sorted(codecs_available):
        try:
            codec = av.Codec(name, "w")
        except ValueError:
            continue
        if codec.type == "audio" and name not in ("anull", "comfortnoise"):
            names.append(name)
    return names


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A file with a tone for each codec that one can be made of."""
    folder = tmp_path_factory.mktemp("sounds")
    return {name: path for name in _encoders() if (path := _sound(folder, name)) is not None}


def _sound(folder, codec):
    for kind in ("wav", "avi", "asf", "mov", "nut", "flv", "mpeg"):
        for rate, layout in LAYOUTS:
            path = folder / f"{codec}.{kind}"
            try:
                _write_tone(path, kind, codec, rate, layout)
                if _decoded(path):
                    return path
            except (FFmpegError, ValueError, OSError):
                continue
    return None


def _write_tone(path, kind, codec, rate, layout):
    with av.open(str(path), "w", format=kind) as out:
        stream = out.add_stream(codec, rate=rate)
        context = stream.codec_context
        context.layout, context.options = layout, {"strict": "-2"}
        if codec in BIT_RATES:
            context.bit_rate = BIT_RATES[codec]
        context.open()
        channels, step = context.layout.nb_channels, context.frame_size or 1024
        for start in range(0, rate // 8, step):
            tone = 9000 * np.sin((start + np.arange(step)) / rate * 2 * np.pi * 440)
            frame = av.AudioFrame.from_ndarray(tone.astype(np.int16).repeat(channels)[None], "s16", layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def _decoded(path):
    """All samples of the sound, as bytes."""
    samples = []
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            try:
                frames = packet.decode()
            except FFmpegError:
                continue
            for frame in frames:
                of_plane = frame.samples * frame.format.bytes
                of_plane *= 1 if frame.format.is_planar else frame.layout.nb_channels
                samples += [bytes(plane)[:of_plane] for plane in frame.planes]
    return b"".join(samples)


def _with_sound(video, sound, target, kind):
    """Whether FFmpeg can put a sound into a kind of file, as `ffmpeg -c copy` does, and read it there."""
    try:
        with (
            av.open(str(video)) as pictures,
            av.open(str(sound)) as tone,
            av.open(str(target), "w", format=kind) as out,
        ):
            copied = [out.add_stream_from_template(pictures.streams[0], opaque=True)]
            try:
                copied.append(out.add_stream_from_template(tone.streams[0], opaque=True))
            except ValueError:
                copied.append(without_decoder(out, tone.streams[0]))
            for source, stream in zip((pictures, tone), copied, strict=True):
                for packet in source.demux():
                    if packet.size:
                        packet.stream = stream
                        out.mux(packet)
        return bool(_decoded(target))
    except (FFmpegError, ValueError, IndexError):
        return False


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_sound_that_a_container_has_is_kept_or_the_named_target_keeps_it(tmp_path, sounds, suffix):
    kind, codec = CONTAINERS[suffix]
    video = clips.write_clip(
        tmp_path / "video.nut", [0, 1, 2, 3, 4], size=(352, 288), codec=codec, audio=None, time_base=Fraction(1, 25)
    )
    tried = set()
    for name, sound in sounds.items():
        source, target = tmp_path / f"clip{suffix}", tmp_path / f"out{target_suffix(suffix)}"
        if not _with_sound(video, sound, source, kind):
            continue
        tried.add(name)
        target = _kept(source, target)
        assert _decoded(target) == _decoded(source), f"{name} in {suffix} became something else in {target.suffix}"
    assert tried >= NEEDED[suffix] - MISSING


def _kept(source, target):
    """Join, into the target that is named where the first does not hold everything."""
    try:
        joined(source, target)
    except VideoError as error:
        named = re.search(r"name the target out(\.\w+)", str(error))
        if named is None:
            raise
        joined(source, target := target.with_suffix(named[1]))
    return target


def test_what_no_container_holds_is_left_out_when_asked(tmp_path, sounds):
    video = clips.write_clip(tmp_path / "video.mp4", clips.even(3), subtitles="mov_text")
    with pytest.raises(VideoError, match=r"leave out what .webm cannot hold with --drop-unsupported"):
        joined(video, tmp_path / "out.webm")
    result = joined(video, tmp_path / "out.webm", drop_unsupported=True)
    assert result.copied == ()
    assert [note.partition(",")[0] for note in result.notes] == [
        ".webm cannot hold stream 1 (audio aac)",
        ".webm cannot hold stream 2 (subtitle mov_text)",
    ]
