"""Videos as other tools write them, and as they come out of a damaged recording."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from passband.io.video import VideoError, VideoReader
from passband.io.video.surround import Surround
from passband.io.video.template import with_video_elements
from tests import clips, edits
from tests.joining import joined

MPEG_TS = 188  # bytes of a packet of a transport stream


def _renamed(path, old, new, last=False):
    """The same file with another name of a codec."""
    data = path.read_bytes()
    place = data.rindex(old) if last else data.index(old)
    path.write_bytes(data[:place] + new + data[place + len(old) :])
    return path


def _without_decoder(path):
    """The same MP4 with a last sound that is of Apple's spatial codec, so it says."""
    return _renamed(_renamed(path, b"mp4a", b"apac", last=True), b"esds", b"free", last=True)


def _with_two_sounds(path):
    source = clips.write_clip(path.with_name("one.mp4"), clips.even(10))
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        video, first, second = (out.add_stream_from_template(container.streams[n], opaque=True) for n in (0, 1, 1))
        for packet in container.demux():
            if packet.size:
                targets = [video] if packet.stream.type == "video" else [first, second]
                for target in targets:
                    copy = av.Packet(bytes(packet))
                    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                    copy.is_keyframe, copy.stream = packet.is_keyframe, target
                    out.mux(copy)
    return path


def test_sound_without_a_decoder_is_left_out_with_a_note_where_other_sound_remains(tmp_path):
    source = _without_decoder(_with_two_sounds(tmp_path / "clip.mp4"))
    result = joined(source, tmp_path / "out.mp4")
    assert result.copied == ("audio aac",)
    assert result.notes == (".mp4 cannot hold stream 2 (audio without a decoder), so it is left out",)


def test_the_only_sound_is_not_left_out_without_being_asked(tmp_path):
    source = _without_decoder(clips.write_clip(tmp_path / "clip.mp4", clips.even(10)))
    with pytest.raises(VideoError, match=r"stream 1 .*\(audio without a decoder\): .*leave out what .mp4"):
        joined(source, tmp_path / "out.mp4")
    assert joined(source, tmp_path / "out.mp4", drop_unsupported=True).frames == 10


def test_subtitles_without_a_decoder_are_copied_where_the_container_can(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mkv", clips.even(10), subtitles="webvtt")
    source = _renamed(source, b"D_WEBVTT/SUBTITLES", b"S_HDMV/TEXTST".ljust(18, b"\0"))
    result = joined(source, tmp_path / "out.mkv")
    assert (result.copied, result.notes) == (("audio aac", "subtitle without a decoder"), ())
    assert clips.packets(tmp_path / "out.mkv", 2) == clips.packets(source, 2)
    assert joined(source, tmp_path / "out.mp4").notes == (
        ".mp4 cannot hold stream 2 (subtitle without a decoder), so it is left out",
    )


def test_teletext_is_left_out_with_a_note(tmp_path):
    video = clips.write_clip(tmp_path / "video.ts", clips.even(10), audio="mp2")
    with av.open(str(video)) as container, av.open(str(tmp_path / "clip.ts"), "w") as out:
        streams = [out.add_stream_from_template(stream, opaque=True) for stream in container.streams]
        text = out.add_mux_stream("dvb_teletext")
        for number, packet in enumerate(container.demux()):
            if packet.size:
                page = av.Packet(b"\x10" + bytes([2, 44]) + bytes(44))
                page.pts = page.dts = 90000 + 3600 * number
                page.time_base, page.stream = clips.Fraction(1, 90000), text
                packet.stream = streams[packet.stream_index]
                out.mux([packet, page])
    result = joined(tmp_path / "clip.ts", tmp_path / "out.mkv")
    assert result.copied == ("audio mp2",)
    assert result.notes == (".mkv cannot hold stream 2 (subtitle without a decoder), so it is left out",)


def test_a_second_video_that_decodes_is_restored_where_the_first_does_not(tmp_path):
    first = clips.write_clip(tmp_path / "first.mkv", clips.even(5), codec="ffv1", audio=None)
    second = clips.write_clip(tmp_path / "second.mkv", clips.even(9), audio=None)
    both = _renamed(clips.with_further_video(tmp_path / "both.mkv", first, second), b"V_FFV1", b"V_FFV9")
    with VideoReader(both) as reader:
        assert reader.stream == 1
        assert len(list(reader.frames())) == 9


@pytest.mark.parametrize(("audio", "suffix"), [("aac", ".mkv"), ("aac", ".mp4"), ("mp2", ".mkv")])
@pytest.mark.parametrize("seed", range(2))
def test_a_transport_stream_with_packets_gone_is_restored_to_its_end(tmp_path, audio, suffix, seed):
    source = clips.write_clip(tmp_path / "clip.ts", clips.even(75), size=(192, 128), audio=audio, crf=4)
    parts = np.frombuffer(source.read_bytes(), np.uint8).reshape(-1, MPEG_TS)
    kept = np.random.default_rng(seed).random(len(parts)) > 0.03
    kept[:60] = True
    kept[len(parts) // 2 : len(parts) // 2 + 60] = False
    source.write_bytes(parts[kept].tobytes())
    result = joined(source, target := tmp_path / f"out{suffix}")
    assert result.frames == len(clips.times(target)) > 20
    assert clips.packets(target, 1)[-1][0] > 2


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_two_recordings_one_after_the_other_play_on(tmp_path, suffix):
    first = edits.write_flash(tmp_path / "first", 3.0, at=2.0, suffix=".ts").read_bytes()
    second = edits.write_flash(tmp_path / "second", 3.0, at=1.0, suffix=".ts")
    second.write_bytes(first + second.read_bytes())
    result = joined(second, target := tmp_path / f"out{suffix}")
    assert result.frames == 150
    times = np.diff([float(time) for time in clips.times(target)])
    assert np.abs(times - 0.04).max() < 0.005
    flashes = [frame.time for frame in clips.frames(target) if frame.to_ndarray(format="gray").mean() > 128]
    heard, wave = edits.heard(target)
    clicks = [float(heard[np.where(np.abs(heard - flash) < 0.2, np.abs(wave), 0).argmax()]) for flash in flashes]
    assert flashes[1] - flashes[0] == pytest.approx(2.0, abs=0.005)
    assert clicks == pytest.approx(flashes, abs=0.005)


def test_packets_that_the_muxer_refuses_are_counted(tmp_path):
    source = clips.write_clip(tmp_path / "clip.ts", clips.even(25))
    data = bytearray(source.read_bytes())
    header = b"\xff\xf1"  # of a packet of AAC in a transport stream
    places = [place for place in range(len(data) // 2, len(data)) if data[place : place + 2] == header]
    for place in places[2:5]:
        data[place + 1] = 0
    source.write_bytes(bytes(data))
    (note,) = joined(source, tmp_path / "out.mp4").notes
    assert note.endswith("left out of stream 1 (audio aac): damaged or out of order")


@pytest.mark.parametrize("name", ["12:30:05.mp4", "Clip: one.mp4", "d:1/clip.mp4", "http:clip.mp4", "%d clip.mp4"])
def test_names_with_a_colon_are_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    picture = tmp_path / "cover.jpg"
    Image.new("RGB", (16, 16), "red").save(picture)
    Path(name).parent.mkdir(exist_ok=True)
    Path("out:2").mkdir()
    written = clips.write_clip(tmp_path / "plain.mp4", clips.even(5), cover=picture.read_bytes())
    source = written.rename(tmp_path / name).relative_to(tmp_path)
    target = Path("out:2") / Path(name).name
    assert joined(source, target).frames == 5
    assert len(clips.times(target.absolute())) == 5
    assert joined(source, target.with_suffix(".mkv")).copied == ("audio aac", "cover video mjpeg")


def test_only_a_file_without_its_index_is_said_to_have_lost_it(tmp_path):
    whole = clips.write_clip(tmp_path / "clip.mp4", clips.even(9)).read_bytes()
    index = whole.index(b"moov") - 4
    for name, data in {
        "cut.mp4": whole[:index],
        "cut_in_index.mp4": whole[: index + 40],
        "cut.mov": whole[8 + int.from_bytes(whole[:4], "big") - 8 : index],
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(VideoError, match=f"{name} has no index"):
            VideoReader(tmp_path / name)
    (tmp_path / "bad.mp4").write_bytes(whole[: index + 8] + bytes(len(whole) - index - 8))
    with pytest.raises(VideoError, match="bad.mp4 .*(not a video|contains no video)") as caught:
        VideoReader(tmp_path / "bad.mp4")
    assert "index" not in str(caught.value)


def test_frames_of_h264_in_avi_are_shown_evenly(tmp_path):
    source = clips.write_clip(
        tmp_path / "clip.avi", list(range(25)), time_base=clips.Fraction(1, 25), audio="mp2", size=(96, 64)
    )
    joined(source, target := tmp_path / "out.mkv")
    assert clips.times(target) == [clips.Fraction(number, 25) for number in range(25)]


def test_repeated_frames_of_avi_are_no_losses(tmp_path):
    shown = [0, 1, 2, 5, 6, 9, 10]
    source = clips.write_clip(
        tmp_path / "clip.avi", shown, codec="mjpeg", pixels="yuvj420p", color=(2, 2, 2, 2), audio=None,
        time_base=clips.Fraction(1, 25),
    )  # fmt: skip
    with VideoReader(source) as reader:
        frames = list(reader.frames())
    assert [frame.pts for frame in frames] == shown
    assert (reader.lost, reader.notes) == (0, [])


@pytest.mark.parametrize("threads", ["1", "3"])  # one thread makes coded frames of less than 20 bytes
def test_frames_after_a_cut_of_an_avi_are_counted_as_lost(tmp_path, threads):
    source = clips.write_clip(
        tmp_path / "clip.avi", list(range(40)), codec="mpeg4", audio=None, time_base=clips.Fraction(1, 25),
        encoder_options={"threads": threads},
    )  # fmt: skip
    data = source.read_bytes()
    source.write_bytes(data[: data.index(b"movi") + (len(data) - data.index(b"movi")) // 2])
    with VideoReader(source) as reader:
        frames = list(reader.frames())
    assert 0 < len(frames) < 40
    assert len(frames) + reader.lost == 40


def test_vp8_frames_that_are_never_shown_are_no_losses(tmp_path):
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "arnr-maxframes": "7", "arnr-strength": "5"}
    source = clips.write_clip(
        tmp_path / "clip.webm", list(range(0, 2400, 40)), codec="libvpx", audio=None,
        time_base=clips.Fraction(1, 1000), encoder_options=options,
    )  # fmt: skip
    with VideoReader(source) as reader:
        assert len(list(reader.frames())) == 60
    assert reader.lost == 0


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", None), (".mkv", "vp9"), (".mkv", "ffv1")])
def test_transparency_is_kept_where_the_codec_can(tmp_path, suffix, codec):
    joined(clips.DATA / "alpha.webm", target := tmp_path / f"out{suffix}", codec)
    with VideoReader(clips.DATA / "alpha.webm") as before, VideoReader(target) as after:
        assert after.format.alpha
        for first, second in zip(before.frames(), after.frames(), strict=True):
            assert (first.alpha - second.alpha).abs().mean() < 2  # of 255
            assert first.alpha.mean() < 200
    assert _tags(target).get("alpha_mode") == (None if codec == "ffv1" else "1")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_transparency_that_is_not_kept_is_not_promised(tmp_path, suffix):
    joined(clips.DATA / "alpha.webm", target := tmp_path / f"out{suffix}")
    assert "alpha_mode" not in _tags(target)


def _tags(path):
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.streams.video[0].metadata.items()}


def _all_around(path, surround):
    """A video of H.264 that says how it wraps around the viewer."""
    flat = clips.write_clip(path.with_name("flat.mkv"), clips.even(5), audio=None)
    template = with_video_elements(flat.read_bytes(), surround.elements)
    with av.open(str(flat)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(template, opaque=True)
        stream.codec_context.framerate = clips.Fraction(25)
        for packet in container.demux():
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return path


def _surround(projection=0, angles=(0, 0, 0), bounds=(0, 0, 0, 0), stereo=2, flags=0):
    words = [projection, *(angle * 65536 for angle in angles), *bounds, 0]
    return Surround(np.array(words, np.int32).tobytes(), np.array([stereo, flags, *[0] * 7], np.int32).tobytes())


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9"])
@pytest.mark.parametrize(
    "surround", [_surround(), _surround(2, (30, -20, 5), (1, 2, 3, 4), 1, 1), _surround(1)], ids=str
)
def test_how_a_picture_wraps_around_the_viewer_is_kept(tmp_path, codec, surround):
    joined(_all_around(tmp_path / "clip.mkv", surround), target := tmp_path / "out.mkv", codec)
    with VideoReader(target) as reader:
        written = reader.format.surround
    assert written.spherical == surround.spherical
    assert written.stereo[:8] == surround.stereo[:8]  # the rest is not said in Matroska


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_projection_is_kept_in_mp4(tmp_path, suffix):
    source = _all_around(tmp_path / "clip.mkv", _surround())
    joined(source, target := tmp_path / f"out{suffix}")
    with VideoReader(target) as reader:
        assert reader.format.surround.spherical == _surround().spherical
    assert suffix == ".mov" or b"st3d\0\0\0\0\1" in target.read_bytes()  # top and bottom


def test_ffmpeg_and_its_encoders_print_nothing(tmp_path, capfd):
    damaged = clips.write_clip(tmp_path / "clip.mp4", clips.even(25), options={"movflags": "faststart"})
    damaged.write_bytes(damaged.read_bytes()[:-3000])
    for codec, suffix in [("h264", "mp4"), ("h265", "mp4"), ("vp9", "webm"), ("av1", "mkv"), ("ffv1", "mkv")]:
        joined(damaged, tmp_path / f"{codec}.{suffix}", codec, drop_unsupported=True)
    assert capfd.readouterr() == ("", "")
