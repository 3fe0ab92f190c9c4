from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passband.io.video import VideoError, VideoFormat
from passband.io.video.color import Coding, luma_weights
from passband.io.video.encoding import (
    CODECS,
    Encoding,
    Segment,
    SegmentEncoder,
    choose_encoding,
    decode_times,
    read_segment,
    read_time_stamps,
    write_segment,
)

VIDEO = VideoFormat(
    width=64,
    height=48,
    pixels="yuv420p",
    coding=Coding(*luma_weights(1, 64, 48), False, 8, (2, 2)),
    color=(1, 1, 1, 1),
    time_base=Fraction(1, 90000),
    rate=Fraction(25),
    aspect=None,
    display_matrix=None,
    frames=None,
)
DEEP = replace(VIDEO, pixels="yuv420p10le", coding=replace(VIDEO.coding, bits=10))


def _encode(video=VIDEO, encoding=None, pts=(0, 3600, 7201, 9000, 20000)):
    encoder = SegmentEncoder(video, encoding or Encoding("h264", 17))
    top = 1 << video.coding.bits
    for number, time in enumerate(pts):
        ramp = torch.arange(48 * 64).view(1, 48, 64) * (number + 1)
        encoder.add(time, (ramp % top).float(), torch.full((2, 24, 32), top / 2))
    return encoder.finish({"state": torch.tensor([1.5])})


def test_a_segment_comes_back_from_its_file_as_it_was(tmp_path):
    segment = _encode()
    write_segment(tmp_path / "0.safetensors", segment)
    again = read_segment(tmp_path / "0.safetensors")
    assert (again.packets, again.pts, again.keys) == (segment.packets, segment.pts, segment.keys)
    assert again.extras["state"].tolist() == [1.5]
    assert read_time_stamps(tmp_path / "0.safetensors") == segment.pts


def test_a_segment_holds_every_time_stamp_and_begins_with_a_key_frame():
    segment = _encode()
    assert sorted(segment.pts) == [0, 3600, 7201, 9000, 20000]
    assert segment.keys[0]


def test_the_same_frames_give_the_same_packets():
    assert _encode().packets == _encode().packets


def test_a_damaged_segment_says_what_to_do(tmp_path):
    write_segment(tmp_path / "0.safetensors", Segment([b"a"], [0], [True]))
    data = (tmp_path / "0.safetensors").read_bytes()
    (tmp_path / "0.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match=r"0.safetensors is damaged: remove it"):
        read_segment(tmp_path / "0.safetensors")


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=40, unique=True), st.integers(0, 4))
def test_packets_are_decoded_in_order_and_before_they_are_shown(times, reach):
    shown = sorted(times)
    # an order that decodes a frame at most `reach` places before it is its turn
    pts = [
        shown[index]
        for index in sorted(range(len(shown)), key=lambda index: index - reach * (index % (reach + 1) == 0))
    ]
    decoded = decode_times(pts)
    assert all(before < after for before, after in pairwise(decoded))
    assert all(decode <= show for decode, show in zip(decoded, pts, strict=True))


def test_without_reordering_a_frame_is_decoded_when_it_is_shown():
    assert decode_times([3, 5, 11]) == [3, 5, 11]


@pytest.mark.parametrize(
    ("video", "suffix", "expected"),
    [
        (VIDEO, ".mp4", Encoding("h264", 17)),
        (DEEP, ".mkv", Encoding("h265", 19)),
        (VIDEO, ".webm", Encoding("vp9", 20)),
        (DEEP, ".webm", Encoding("av1", 20)),
    ],
)
def test_codec_and_quality_follow_the_container_and_the_depth(tmp_path, video, suffix, expected):
    assert choose_encoding(video, tmp_path / "clip.mp4", suffix) == expected


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_compresses_and_its_worst_quality_is_taken(codec):
    worst = None if codec == "ffv1" else CODECS[codec].worst
    assert len(_encode(encoding=Encoding(codec, worst)).packets) == 5


@pytest.mark.parametrize(
    ("video", "options", "message"),
    [
        (VIDEO, {"codec": "divx"}, "codec must be one of h264, h265, vp9, av1, ffv1; got 'divx'"),
        (VIDEO, {"crf": 60}, "codec h264 takes a crf from 0 to 51; got 60"),
        (VIDEO, {"crf": -1}, "codec h264 takes a crf from 0 to 51; got -1"),
        (VIDEO, {"codec": "ffv1", "crf": 3}, "codec ffv1 is lossless and takes no crf; got 3"),
        (
            replace(VIDEO, aspect=Fraction(4, 3)),
            {"codec": "vp9"},
            "clip.mp4 has pixels with the aspect ratio 4/3, which codec vp9",
        ),
        (
            replace(DEEP, width=48),
            {},
            r"clip.mp4 is 48 pixels wide, and codec h265 can crash below 64: choose codec ffv1 and a target .mkv",
        ),
        (DEEP, {"codec": "vp9"}, "clip.mp4 has the pixel format yuv420p10le, which codec vp9 cannot store"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_one_sentence(tmp_path, video, options, message):
    with pytest.raises(VideoError, match=message):
        choose_encoding(video, tmp_path / "clip.mp4", ".mp4", **options)
