import io
from fractions import Fraction

import av
import pytest
from PIL import Image

from passband.io.video import VideoError, VideoReader
from passband.io.video.encoding import SegmentEncoder, choose_encoding, write_segment
from passband.io.video.join import join, target_suffix
from tests import clips
from tests.joining import joined


@pytest.fixture
def cover():
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("start", [0, 12345, 900000])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_time_stamps_of_a_variable_rate_are_kept_exactly(tmp_path, suffix, start):
    pts = [time + start for time in clips.UNEVEN]
    source = clips.write_clip(tmp_path / f"clip{suffix}", pts)
    result = joined(source, tmp_path / f"out{suffix}")
    assert result.time_error == 0
    assert result.frames == len(pts)
    assert clips.times(tmp_path / f"out{suffix}") == clips.times(source)


@pytest.mark.parametrize(
    ("suffix", "codec", "audio"), [(".mkv", "libx264", "flac"), (".webm", "libvpx-vp9", "libopus")]
)
def test_milliseconds_of_matroska_are_kept_exactly(tmp_path, suffix, codec, audio):
    source = clips.write_clip(tmp_path / f"clip{suffix}", clips.even(11, start=90 * 123), codec=codec, audio=audio)
    result = joined(source, tmp_path / f"out{suffix}")
    assert result.time_error == 0
    assert clips.times(tmp_path / f"out{suffix}") == clips.times(source)
    assert clips.packets(tmp_path / f"out{suffix}", 1) == clips.packets(source, 1)


def test_time_stamps_finer_than_the_target_can_hold_are_rounded_and_the_error_is_told(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", [0, 3001, 6002], audio=None)
    result = joined(source, tmp_path / "out.mkv")
    assert 0 < result.time_error <= 0.0005


def test_sound_that_begins_before_the_pictures_does_not_move_them_in_matroska(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(9))
    assert clips.packets(source, 1)[0][0] < 0  # AAC's first packet only primes its decoder
    assert joined(source, tmp_path / "out.mkv").time_error == 0
    for before, after in zip(clips.packets(source, 1), clips.packets(tmp_path / "out.mkv", 1), strict=True):
        assert after[1] == before[1]
        assert abs(after[0] - before[0]) <= Fraction(1, 1000)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_pictures_that_begin_before_0_are_kept(tmp_path, suffix):
    source = clips.write_clip(tmp_path / "clip.nut", clips.even(5), audio=None)
    with VideoReader(source) as reader:
        encoding = choose_encoding(reader.format, source, suffix)
        encoder = SegmentEncoder(reader.format, encoding)
        for frame in reader.frames():
            encoder.add(frame.pts - round(Fraction(1, 25) / reader.format.time_base), frame.luma, frame.chroma)
        write_segment(tmp_path / "0.safetensors", encoder.finish({}))
        target, parts = tmp_path / f"out{suffix}", [tmp_path / "0.safetensors"]
        assert join(source, target, 0, reader.format, encoding, parts, reader.last_duration).frames == 5


@pytest.mark.parametrize(("suffix", "subtitles"), [(".mp4", "mov_text"), (".mkv", "subrip")])
def test_sound_and_subtitles_are_copied_byte_by_byte_in_their_time(tmp_path, suffix, subtitles):
    source = clips.write_clip(tmp_path / f"clip{suffix}", clips.UNEVEN, subtitles=subtitles)
    target = tmp_path / f"out{suffix}"
    result = joined(source, target)
    assert [name.split()[0] for name in result.copied] == ["audio", "subtitle"]
    assert len(clips.packets(source, 1)) > 50
    assert b"hello" in b"".join(payload for _, payload in clips.packets(source, 2))
    for stream in (1, 2):
        assert clips.packets(target, stream) == clips.packets(source, stream)


def test_further_video_streams_are_copied_as_they_are(tmp_path):
    first = clips.write_clip(tmp_path / "first.mp4", clips.even(5), audio=None)
    second = clips.write_clip(tmp_path / "second.mp4", clips.even(9), size=(80, 32), audio=None)
    both = clips.with_further_video(tmp_path / "both.mp4", first, second)
    joined(both, tmp_path / "out.mp4")
    assert clips.packets(tmp_path / "out.mp4", 1) == clips.packets(both, 1)
    assert len(clips.times(tmp_path / "out.mp4")) == 5


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", None), (".mkv", "h264"), (".mov", "h265")])
def test_color_pixel_aspect_and_turn_are_kept(tmp_path, suffix, codec):
    source = clips.write_clip(
        tmp_path / "clip.mp4", clips.even(3), color=(1, 6, 6, 6), aspect=Fraction(4, 3), rotation=90, audio=None
    )
    target = tmp_path / f"out{suffix}"
    joined(source, target, codec)
    before, after = clips.frames(source)[0], clips.frames(target)[0]
    assert (after.color_range, after.color_primaries, after.color_trc, after.colorspace) == (1, 6, 6, 6)
    assert after.rotation == before.rotation == 90
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", None), (".mkv", "av1"), (".mkv", "ffv1")])
def test_color_and_turn_are_kept_by_the_other_codecs_too(tmp_path, suffix, codec):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3), color=(1, 6, 6, 6), rotation=-90, audio=None)
    joined(source, tmp_path / f"out{suffix}", codec)
    after = clips.frames(tmp_path / f"out{suffix}")[0]
    assert (after.color_range, after.color_primaries, after.color_trc, after.colorspace) == (1, 6, 6, 6)
    assert after.rotation == -90


def test_ten_bits_are_kept(tmp_path):
    source = clips.write_clip(
        tmp_path / "clip.mkv", clips.even(3), codec="libx265", pixels="yuv420p10le", color=(1, 9, 1, 9), audio=None
    )
    joined(source, tmp_path / "out.mkv")
    frame = clips.frames(tmp_path / "out.mkv")[0]
    assert frame.format.name == "yuv420p10le"
    assert (frame.color_primaries, frame.colorspace) == (9, 9)


def test_a_lossless_codec_returns_the_planes_exactly(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mkv", clips.even(6), audio=None)
    joined(source, tmp_path / "out.mkv", "ffv1")
    for before, after in zip(clips.frames(source), clips.frames(tmp_path / "out.mkv"), strict=True):
        assert all(bytes(a) == bytes(b) for a, b in zip(before.planes, after.planes, strict=True))


def test_metadata_and_chapters_are_kept(tmp_path):
    metadata = {"title": "Rain", "creation_time": "2020-01-02T03:04:05.000000Z"}
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(25), chapters=True, metadata=metadata)
    joined(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container, av.open(str(source)) as original:
        assert metadata.items() <= container.metadata.items()
        assert len(container.streams) == len(original.streams)
        titles = [(float(c["start"] * c["time_base"]), c["metadata"]["title"]) for c in container.chapters()]
    assert titles == [(0.0, "first"), (0.5, "second")]


@pytest.mark.parametrize(("suffix", "lost"), [(".mkv", 0), (".mp4", 1)])
def test_metadata_that_are_not_utf8_stop_nothing_and_messages_with_them_can_be_printed(tmp_path, suffix, lost):
    clip = clips.write_clip(
        tmp_path / "a.mkv", clips.even(3), metadata={"title": "Rain"}, attachment=b"a font", subtitles=None
    )
    source = tmp_path / "clip.mkv"
    source.write_bytes(clip.read_bytes().replace(b"Rain", b"R\xe9in").replace(b"font.ttf", b"f\xf6nt.ttf"))
    notes = joined(source, tmp_path / f"out{suffix}").notes
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.metadata["title"][::3] == "Rn"
    assert len(notes) == lost
    assert b"nt.ttf" * lost in "".join(notes).encode()


def test_what_a_telephone_says_of_itself_is_kept(tmp_path):
    metadata = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.location.ISO6709": "+47.0+008.0/"}
    source = clips.write_clip(
        tmp_path / "clip.mov", clips.even(3), metadata=metadata, options={"movflags": "use_metadata_tags"}
    )
    joined(source, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as container:
        assert metadata.items() <= container.metadata.items()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cover_picture_stays_one(tmp_path, cover, suffix):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3), cover=cover)
    joined(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        (art,) = (s for s in container.streams.video if s.disposition & av.stream.Disposition.attached_pic)
        assert bytes(next(container.demux(art))) == cover


def test_attached_fonts_are_kept_where_the_container_can_and_told_where_not(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mkv", clips.even(3), attachment=b"a font", subtitles=None)
    assert joined(source, tmp_path / "out.mkv").notes == ()
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.attachments[0].data == b"a font"
    assert joined(source, tmp_path / "out.mp4").notes == (
        ".mp4 cannot hold stream 2 (attachment font.ttf), so it is left out",
    )


def test_how_long_the_last_frame_is_shown_is_kept(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", [0, 3600, 7200, 9000000], audio=None)
    joined(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration == pytest.approx(100_040_000, abs=1000)  # microseconds: 100 s and one frame


def test_a_file_that_ends_before_its_header_promises_is_noted(tmp_path):
    whole = clips.write_clip(tmp_path / "clip.mkv", clips.even(60)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 3])
    (note,) = joined(tmp_path / "cut.mkv", tmp_path / "out.mkv").notes
    assert note.startswith("the file ends at ")
    assert note.endswith(" s of the 2.4 s that its header promises")


def test_what_a_container_cannot_hold_is_refused_before_any_work(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mkv", clips.even(3), subtitles="subrip")
    with pytest.raises(
        VideoError, match=r"\.mp4 cannot hold stream 2 of .*clip.mkv \(subtitle .*name the target out.mkv"
    ):
        joined(source, tmp_path / "out.mp4")
    with pytest.raises(VideoError, match=r"\.webm cannot hold stream 1 of .*\(audio aac\): name the target out.mkv"):
        joined(source, tmp_path / "out.webm")
    with pytest.raises(VideoError, match=r"\.webm cannot hold codec h264: name the target out.mkv"):
        joined(source, tmp_path / "out.webm", "h264")
    assert not list(tmp_path.glob("*.safetensors"))


def test_subtitles_of_mp4_are_sent_back_to_mp4(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3), subtitles="mov_text")
    with pytest.raises(VideoError, match=r"\.mkv cannot hold stream 2 .*name the target out.mp4"):
        joined(source, tmp_path / "out.mkv")


def test_a_suffix_that_is_not_written_gets_another_name(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3))
    with pytest.raises(VideoError, match=r"videos are written as .m4v, .*; got out.wmv: name it out.mkv"):
        joined(source, tmp_path / "out.wmv")
    assert [target_suffix(suffix) for suffix in (".MP4", ".avi", ".webm")] == [".MP4", ".mkv", ".webm"]


@pytest.mark.parametrize(("name", "codec", "audio"), [("clip.ts", "libx264", "mp2"), ("clip.avi", "mpeg4", "mp2")])
def test_other_containers_become_matroska(tmp_path, name, codec, audio):
    tick = Fraction(1, 25) if name.endswith("avi") else Fraction(1, 90000)
    pts = list(range(7)) if name.endswith("avi") else clips.even(7)
    source = clips.write_clip(tmp_path / name, pts, codec=codec, audio=audio, time_base=tick)
    result = joined(source, tmp_path / "out.mkv")
    assert result.time_error <= 0.0005  # Matroska counts milliseconds
    assert result.frames == 7
    assert [p for _, p in clips.packets(tmp_path / "out.mkv", 1)] == [p for _, p in clips.packets(source, 1)]


def test_nothing_is_left_where_writing_fails(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write"):
        _joined_into(source, tmp_path, tmp_path / "file" / "out.mp4")
    assert not list(tmp_path.glob("*.partial*"))


def _joined_into(source, folder, target):
    with VideoReader(source) as reader:
        encoding = choose_encoding(reader.format, source, ".mp4")
        encoder = SegmentEncoder(reader.format, encoding)
        for frame in reader.frames():
            encoder.add(frame.pts, frame.luma, frame.chroma)
        write_segment(folder / "0.safetensors", encoder.finish({}))
        join(source, target, reader.stream, reader.format, encoding, [folder / "0.safetensors"], 3600)
