from fractions import Fraction

import numpy as np
import pytest
import torch

from passband.io.arrays import from_array
from passband.io.video import VideoError, VideoReader
from tests import clips


def _read(path, start=0):
    with VideoReader(path) as reader:
        return reader, list(reader.frames(lambda: start))


def test_every_frame_comes_with_its_time_stamp_at_a_variable_rate(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.UNEVEN)
    reader, frames = _read(path)
    assert [frame.pts * reader.format.time_base for frame in frames] == [Fraction(t, 90000) for t in clips.UNEVEN]
    assert (reader.lost, reader.notes, reader.expected) == (0, [], 10)


def test_starting_later_gives_the_same_frames(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.UNEVEN)
    whole, rest = _read(path)[1], _read(path, start=7)[1]
    assert [frame.pts for frame in rest] == [frame.pts for frame in whole[7:]]
    assert all(torch.equal(a.image, b.image) for a, b in zip(rest, whole[7:], strict=True))


@pytest.mark.parametrize("color", [(1, 1, 1, 1), (2, 1, 1, 1), (1, 6, 6, 6), (0, 2, 2, 2)], ids=str)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_colors_are_those_that_were_written(tmp_path, pixels, color):
    image = clips.pictures(1)[0]
    path = clips.write_clip(
        tmp_path / "clip.mkv", [0], images=[image], pixels=pixels, color=color, crf=1, audio=None,
        codec="libx265" if "10" in pixels else "libx264",
    )  # fmt: skip
    if color[0] == 2:  # swscale writes limited range into the frames it makes: say what is stored
        color = (1, *color[1:])
    with VideoReader(path) as reader:
        frame = next(reader.frames())
        assert reader.format.pixels == pixels
        assert reader.format.color[1:] == color[1:]
    error = (frame.image - from_array(image)[0]).abs().mean().item()
    assert error < 0.03


def test_full_range_reaches_black_and_white(tmp_path):
    import av

    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.codec_context.width, stream.codec_context.height, stream.codec_context.pix_fmt = 4, 2, "yuv444p"
        stream.codec_context.color_range = 2
        frame = av.VideoFrame.from_ndarray(np.stack([np.full((2, 4), v, np.uint8) for v in (255, 128, 128)]), "yuv444p")
        frame.color_range, frame.pts = 2, 0
        out.mux([*stream.encode(frame), *stream.encode()])
    reader, (frame,) = _read(path)
    assert reader.format.coding.full_range
    torch.testing.assert_close(frame.image, torch.ones(3, 2, 4), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("codec", "pixels", "read_as"),
    [
        ("ffv1", "bgr0", "yuv444p"),
        ("ffv1", "gray", "yuv420p"),
        ("ffv1", "yuv420p12le", "yuv420p10le"),
        ("mjpeg", "yuvj422p", "yuv422p"),
        ("ffv1", "yuv410p", "yuv444p"),
    ],
)
def test_other_kinds_of_pixels_become_planes_that_lose_nothing_but_depth(tmp_path, codec, pixels, read_as):
    image = clips.pictures(1)[0]
    color = (2, 2, 2, 2) if "j" in pixels else None
    path = clips.write_clip(
        tmp_path / "clip.mkv", [0], images=[image], codec=codec, pixels=pixels, audio=None, color=color
    )
    with VideoReader(path) as reader:
        assert reader.format.pixels == read_as
        seen = next(reader.frames()).image
    expected = from_array(image)[0]
    if pixels == "gray":
        expected = (
            (expected * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True).expand(3, -1, -1)
        )
    assert (seen - expected).abs().mean().item() < 0.05


def test_odd_sizes_are_read_at_full_chroma_because_encoders_refuse_to_halve_them(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mkv", [0, 3600], size=(51, 37), codec="ffv1", pixels="yuv420p", audio=None)
    reader, frames = _read(path)
    assert reader.format.pixels == "yuv444p"
    assert frames[0].image.shape == (3, 37, 51)
    assert frames[0].chroma.shape == (2, 37, 51)


def test_transparency_and_depth_that_are_lost_are_noted(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mkv", [0], codec="ffv1", pixels="yuva444p12le", audio=None)
    reader, _ = _read(path)
    assert reader.format.alpha
    assert reader.notes == ["samples of more than 10 bits are rounded to 10 bits"]


def test_turn_and_pixel_aspect_are_read(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", [0, 3600], rotation=90, aspect=Fraction(4, 3))
    reader, _ = _read(path)
    matrix = reader.format.display_matrix
    assert matrix is not None
    assert np.abs(matrix).reshape(3, 3).tolist()[0][:2] == [0, 65536]  # a quarter turn, in 16.16
    assert reader.format.aspect == Fraction(4, 3)


def test_frames_after_a_cut_are_counted_as_lost(tmp_path):
    whole = clips.write_clip(
        tmp_path / "clip.mp4", clips.even(40), audio=None, options={"movflags": "faststart"}
    ).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    reader, frames = _read(tmp_path / "cut.mp4")
    assert 0 < len(frames) < 40
    assert len(frames) + reader.lost == 40
    assert reader.notes[0] == f"{reader.lost} of 40 frames could not be decoded and are lost"


def test_a_damaged_frame_does_not_stop_the_others(tmp_path):
    path = clips.write_clip(
        tmp_path / "clip.mkv", clips.even(9), codec="mjpeg", pixels="yuvj420p", color=(2, 2, 2, 2), audio=None
    )
    payloads = [payload for _, payload in clips.packets(path, 0)]
    data = bytearray(path.read_bytes())
    start = data.index(payloads[4])
    data[start : start + len(payloads[4])] = bytes(len(payloads[4]))
    path.write_bytes(bytes(data))
    reader, frames = _read(path)
    assert len(frames) == 8
    assert reader.notes == ["1 of 9 frames could not be decoded and are lost"]


def test_an_mp4_without_its_index_says_that_it_was_cut(tmp_path):
    whole = clips.write_clip(tmp_path / "clip.mp4", clips.even(9)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    with pytest.raises(VideoError, match="cut.mp4 has no index: the file is incomplete"):
        VideoReader(tmp_path / "cut.mp4")


@pytest.mark.parametrize("content", [b"", b"Dear diary, today I made a video.\n"])
def test_a_file_that_is_no_video_is_named(tmp_path, content):
    (tmp_path / "diary.mp4").write_bytes(content)
    with pytest.raises(VideoError, match="diary.mp4 is not a video, or its beginning is damaged"):
        VideoReader(tmp_path / "diary.mp4")


def test_a_missing_file_and_a_folder_are_told_as_python_tells_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.mp4"):
        VideoReader(tmp_path / "nowhere.mp4")
    with pytest.raises(IsADirectoryError):
        VideoReader(tmp_path)


def test_sound_alone_is_refused(tmp_path):
    import av

    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48000)
        chunk = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
        chunk.sample_rate, chunk.pts = 48000, 0
        out.mux([*stream.encode(chunk), *stream.encode()])
    with pytest.raises(VideoError, match="song.m4a contains no video, only audio"):
        VideoReader(tmp_path / "song.m4a")


def test_a_video_without_frames_is_refused(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mkv", clips.even(3), codec="ffv1", audio=None)
    data = bytearray(path.read_bytes())
    for _, payload in clips.packets(path, 0):
        start = data.index(payload)
        data[start : start + len(payload)] = bytes(len(payload))
    path.write_bytes(bytes(data))
    with pytest.raises(VideoError, match="clip.mkv has no frame that can be decoded"):
        VideoReader(path)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_with_the_reason(tmp_path, transfer, name):
    path = clips.write_clip(
        tmp_path / "clip.mkv", [0], codec="libx265", pixels="yuv420p10le", color=(1, 9, transfer, 9), audio=None
    )
    with pytest.raises(VideoError, match=rf"clip.mkv is HDR \({name}\).*convert it to standard range first"):
        VideoReader(path)


def test_interlaced_pictures_are_refused(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mp4", clips.even(3), interlaced=True, audio=None)
    with pytest.raises(VideoError, match="clip.mp4 is interlaced at frame 0.*deinterlace it first"):
        _read(path)


def test_a_change_of_size_is_refused_where_it_happens(tmp_path):
    parts = []
    for number, size in enumerate([(64, 48), (96, 64)]):
        path = clips.write_clip(tmp_path / f"{number}.ts", clips.even(5, start=18000 * number), size=size, audio=None)
        parts.append(path.read_bytes())
    (tmp_path / "clip.ts").write_bytes(b"".join(parts))
    with pytest.raises(VideoError, match="clip.ts changes from 64x48 to 96x64 at frame 5: cut it there"):
        _read(tmp_path / "clip.ts")


def test_a_matrix_that_cannot_become_rgb_is_refused(tmp_path):
    path = clips.write_clip(tmp_path / "clip.mkv", [0], color=(1, 1, 1, 8), audio=None)
    with pytest.raises(VideoError, match="stores colors by matrix 8 of ITU-T H.273"):
        VideoReader(path)


def test_a_cover_picture_is_not_the_video(tmp_path, photograph):
    import io

    from PIL import Image

    cover = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(cover, "JPEG")
    path = clips.write_clip(tmp_path / "clip.mp4", clips.even(3), cover=cover.getvalue())
    reader, frames = _read(path)
    assert len(frames) == 3
    assert frames[0].image.shape == (3, 48, 64)
    assert reader.stream == 0
