from fractions import Fraction

import numpy as np
import pytest

from passband.inference import plan_jobs, restore_files
from passband.inference.video.compare import compare_videos
from passband.inference.video.streaming import restore_video
from passband.io.video import VideoError
from tests import clips
from tests.inference.video.test_video import Still


def _halves(path):
    """The shape of the first frame, and how bright the left and the right of its lower part are."""
    gray = clips.frames(path)[0].to_ndarray(format="gray").astype(float)
    lower = gray[gray.shape[0] // 2 :, 14:-14]
    middle = lower.shape[1] // 2
    return gray.shape, lower[:, : middle - 6].mean(), lower[:, middle + 6 :].mean()


def test_a_video_is_shown_before_and_after_side_by_side_at_the_same_times(tmp_path, identity_weights):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.UNEVEN, size=(160, 128), color=(1, 1, 1, 1))
    compare = tmp_path / "out_compare.mp4"
    restore_video(Still(identity_weights, gain=0.5), source, tmp_path / "out.mp4", compare=compare)
    assert clips.times(compare) == clips.times(source)
    (height, width), left, right = _halves(compare)
    assert height % 2 == width % 2 == 0
    assert right < 0.7 * left


@pytest.mark.parametrize(("rotation", "tall"), [(0, False), (90, True), (180, False), (-90, True)])
def test_the_comparison_is_upright(tmp_path, rotation, tall):
    images = [np.zeros((96, 128, 3), np.uint8) for _ in range(2)]
    for image in images:
        image[:20] = 255  # the upper part as stored
    source = clips.write_clip(tmp_path / "clip.mp4", [0, 3600], images=images, rotation=rotation, audio=None, crf=1)
    compare_videos(source, source, tmp_path / "compare.mp4", pixels=None)
    gray = (
        clips.frames(tmp_path / "compare.mp4")[0]
        .to_ndarray(format="gray")
        .astype(float)[-100 if not tall else -130 : -12]
    )
    left = gray[:, 14 : gray.shape[1] // 2 - 6]
    edges = {0: left[:16], 180: left[-16:], 90: left[:, :16], -90: left[:, 96 - 16 : 96]}
    brightest = max(edges, key=lambda turn: edges[turn].mean())
    assert brightest == rotation


def test_pixels_that_are_not_square_are_shown_square(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", [0, 3600], size=(64, 96), aspect=Fraction(2, 1), audio=None)
    compare_videos(source, source, tmp_path / "compare.mp4")
    shape = clips.frames(tmp_path / "compare.mp4")[0].to_ndarray(format="gray").shape
    assert shape[1] > 2 * 128


def test_a_comparison_of_large_frames_is_made_smaller(tmp_path):
    source = clips.write_clip(tmp_path / "clip.mp4", [0, 3600], size=(1280, 720), audio=None)
    compare_videos(source, source, tmp_path / "compare.mp4", pixels=200_000)
    height, width = clips.frames(tmp_path / "compare.mp4")[0].to_ndarray(format="gray").shape
    assert 150_000 < height * width < 202_000


def test_the_size_is_chosen_where_videos_are_restored_and_another_one_restores_nothing_again(
    tmp_path, identity_weights
):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(2), size=(320, 240), audio=None)
    compare, network = tmp_path / "clip_restored_compare.mp4", Still(identity_weights)
    areas = []
    for pixels in (30_000, 60_000):
        list(restore_files(network, plan_jobs([source]), compare=True, compare_pixels=pixels))
        height, width = clips.frames(compare)[0].to_ndarray(format="gray").shape
        areas.append(height * width)
    assert 20_000 < areas[0] < 31_000 < 50_000 < areas[1] < 61_000
    assert network.seen == 2


def test_transparent_videos_are_compared(tmp_path):
    source = clips.DATA / "alpha.webm"
    compare_videos(source, source, tmp_path / "compare.mp4")
    assert len(clips.times(tmp_path / "compare.mp4")) == len(clips.times(source))


def test_videos_of_different_times_are_not_compared(tmp_path):
    first = clips.write_clip(tmp_path / "first.mp4", clips.even(5), audio=None)
    second = clips.write_clip(tmp_path / "second.mp4", [2 * time for time in clips.even(5)], audio=None)
    with pytest.raises(VideoError, match="first.mp4 and .*second.mp4 cannot be compared: .* different times"):
        compare_videos(first, second, tmp_path / "compare.mp4")
    assert not (tmp_path / "compare.mp4").exists()


def test_the_summary_of_a_video_is_one_line(tmp_path, identity_weights):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(5))
    summary = restore_video(Still(identity_weights), source, tmp_path / "out.mkv")
    assert summary.line == f"5 frames in {summary.seconds:.0f} s, h264 (crf 17); copied: audio aac"
    assert "\n" not in summary.line


def test_a_run_over_files_compares_videos_and_makes_only_what_is_missing(tmp_path, identity_weights):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(5))
    first = Still(identity_weights)
    (outcome,) = restore_files(first, plan_jobs([source]))
    assert (outcome.status, outcome.result.frames) == ("restored", 5)
    written = (tmp_path / "clip_restored.mp4").stat().st_mtime_ns
    again = Still(identity_weights)
    (outcome,) = restore_files(again, plan_jobs([source]), compare=True)
    assert (outcome.status, again.seen) == ("restored", 0)
    assert (tmp_path / "clip_restored.mp4").stat().st_mtime_ns == written
    compare = tmp_path / "clip_restored_compare.mp4"
    assert clips.times(compare) == clips.times(source)
    assert [outcome.status for outcome in restore_files(again, plan_jobs([source]), compare=True)] == ["skipped"]
    compare.unlink()
    list(restore_files(again, plan_jobs([source]), compare=True, overwrite=True))
    assert (again.seen, compare.exists()) == (5, True)
