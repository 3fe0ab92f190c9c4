import json
import shutil
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from passband.inference import Restorer
from passband.inference.restoration import memory, planned
from passband.inference.video import segments as inference_video
from passband.inference.video.streaming import restore_video
from passband.io.video import VideoError, VideoReader
from tests import clips


class KilledError(Exception):
    """Stands for a run that was killed."""


class Still(Restorer):
    """Returns frames unchanged, and counts them."""

    def __init__(self, weights, gain=1.0):
        super().__init__(weights, device="cpu")
        self.gain, self._seen = gain, []

    @property
    def seen(self):
        return sum(self._seen)

    def restore(self, degraded):
        self._seen.append(len(degraded))
        return degraded * self.gain


@pytest.fixture
def still(identity_weights):
    return Still(identity_weights)


@pytest.fixture
def short_segments(monkeypatch):
    """Segments of four frames, so that a small video has several."""
    monkeypatch.setattr(inference_video, "_SEGMENT_FRAMES", range(4, 5))
    monkeypatch.setattr(inference_video, "_BATCH_PIXELS", 2 * 64 * 48)


def _killed_after(frames):
    def report(progress):
        if progress.done >= frames:
            raise KilledError

    return report


def test_an_identity_network_returns_every_frame_and_everything_else(tmp_path, identity_weights):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.UNEVEN, subtitles="mov_text")
    summary = restore_video(Restorer(identity_weights, device="cpu"), source, tmp_path / "out.mp4", crf=0)
    assert (summary.frames, summary.lost, summary.resumed, summary.time_error) == (10, 0, 0, 0)
    assert (summary.codec, summary.crf, summary.pixels) == ("h264", 0, "yuv420p")
    assert clips.times(tmp_path / "out.mp4") == clips.times(source)
    for stream in (1, 2):
        assert clips.packets(tmp_path / "out.mp4", stream) == clips.packets(source, stream)
    for before, after in zip(clips.frames(source), clips.frames(tmp_path / "out.mp4"), strict=True):
        # crf 0 loses nothing, and what the network leaves alone is not converted back and forth
        assert all(bytes(a) == bytes(b) for a, b in zip(before.planes, after.planes, strict=True))
    assert not list(tmp_path.glob("*.parts"))


def test_paths_may_be_texts(tmp_path, identity_weights):
    source = str(clips.write_clip(tmp_path / "clip.mp4", clips.even(2), audio=None))
    target, both = str(tmp_path / "out.mp4"), str(tmp_path / "both.mp4")
    restorer = Restorer(identity_weights, device="cpu")
    chosen, _ = restorer.for_video(source, target)
    assert chosen is restorer
    assert restore_video(restorer, source, target, compare=both).frames == 2
    assert len(clips.frames(tmp_path / "out.mp4")) == len(clips.frames(tmp_path / "both.mp4")) == 2
    with VideoReader(source) as reader:
        assert len(list(reader.frames())) == 2
    auto = Restorer("auto", device="cpu")
    assert auto.for_video(source, target)[1] == auto.for_video(Path(source), Path(target))[1] != ""


def test_what_the_network_changes_is_in_the_video(tmp_path, identity_weights):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3), color=(1, 1, 1, 1))
    restore_video(Still(identity_weights, gain=0.5), source, tmp_path / "out.mp4", crf=4)
    before, after = (
        clips.frames(path)[1].to_ndarray(format="gray").astype(float) for path in (source, tmp_path / "out.mp4")
    )
    # swscale's gray is full range luma, in which halved RGB is halved
    np.testing.assert_allclose(after.mean(), before.mean() / 2, atol=1.5)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny_weights):
    """Return a function that restores a video without an interruption, once for each smoothing over time."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    source = clips.write_clip(folder / "clip.mp4", clips.UNEVEN)

    @cache
    def restored(temporal):
        restorer, target = Restorer(tiny_weights, device="cpu"), folder / f"{temporal}.mkv"
        options = {"temporal": temporal, "codec": "ffv1"}  # which loses nothing, and repeats itself to the bit
        return restorer, source, target, options, restore_video(restorer, source, target, **options)

    return restored


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("temporal", [None, 0.8])
@pytest.mark.parametrize("killed", [3, 4, 5, 10])
def test_a_resumed_run_gives_the_same_packets_as_an_uninterrupted_one(tmp_path, uninterrupted, killed, temporal):
    restorer, source, target, options, whole = uninterrupted(temporal)
    with pytest.raises(KilledError):
        restore_video(restorer, source, tmp_path / "out.mkv", **options, report=_killed_after(killed))
    assert not (tmp_path / "out.mkv").exists()
    summary = restore_video(restorer, source, tmp_path / "out.mkv", **options)
    assert summary.resumed == (killed - 1) // 4 * 4
    assert summary.flicker == whole.flicker
    for stream in (0, 1):
        assert clips.packets(tmp_path / "out.mkv", stream) == clips.packets(target, stream)
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.usefixtures("short_segments")
def test_a_resumed_run_restores_only_what_is_missing(tmp_path, still, identity_weights):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(10))
    with pytest.raises(KilledError):
        restore_video(still, source, tmp_path / "out.mp4", report=_killed_after(9))
    again = Still(identity_weights)
    assert restore_video(again, source, tmp_path / "out.mp4").resumed == 8
    assert again.seen == 2


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("change", ["crf", "network", "temporal", "source"])
def test_segments_of_another_job_are_not_used(tmp_path, still, identity_weights, change):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(10))
    with pytest.raises(KilledError):
        restore_video(still, source, tmp_path / "out.mp4", report=_killed_after(9))
    again = Still(identity_weights)
    if change == "network":
        again.model.head[0].bias.data += 0.1
    if change == "source":
        clips.write_clip(source, clips.even(11))
    options = {"crf": {"crf": 30}}.get(change, {})
    if change == "temporal":
        again.restore = lambda degraded: Restorer.restore(again, degraded)
        options = {"temporal": 0.5}
    summary = restore_video(again, source, tmp_path / "out.mp4", **options)
    assert summary.resumed == 0
    assert summary.notes == ("out.mp4.parts was of another source, network or setting and has been removed",)


@pytest.mark.usefixtures("short_segments")
def test_a_segment_lost_to_a_crash_is_restored_again(tmp_path, still):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(10))
    with pytest.raises(KilledError):
        restore_video(still, source, tmp_path / "out.mp4", report=_killed_after(9))
    (tmp_path / "out.mp4.parts" / "000001.safetensors").write_bytes(b"")
    summary = restore_video(still, source, tmp_path / "out.mp4")
    assert (summary.resumed, summary.frames) == (4, 10)


def test_the_folder_of_parts_says_what_it_is_of(tmp_path, still):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(4))
    with pytest.raises(KilledError):
        restore_video(still, source, tmp_path / "out.mp4", codec="h265", report=_killed_after(1))
    job = json.loads((tmp_path / "out.mp4.parts" / "job.json").read_text())
    assert job["source"]["name"] == "clip.mp4"
    assert job["encoding"] == {"codec": "h265", "crf": 19, "alpha": False}


def test_a_video_that_is_being_restored_is_not_restored_a_second_time(tmp_path, still):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(4))

    def again(_):
        with pytest.raises(VideoError, match=r"another process restores this video into .*out\.mp4\.parts: wait"):
            restore_video(still, source, tmp_path / "out.mp4")
        seen.append(len(list((tmp_path / "out.mp4.parts").iterdir())))

    seen = []
    assert restore_video(still, source, tmp_path / "out.mp4", report=again).frames == 4
    assert seen
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "out.mp4"}


def test_files_of_the_user_in_the_folder_of_parts_stay(tmp_path, still):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(4))
    folder = tmp_path / "out.mp4.parts"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / ".0123456789ab.partial.safetensors").touch()  # from a run that was killed
    restore_video(still, source, tmp_path / "out.mp4")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_progress_counts_to_the_last_frame(tmp_path, still):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(30))
    seen = []
    restore_video(still, source, tmp_path / "out.mp4", report=seen.append)
    assert [progress.done for progress in seen] == sorted({progress.done for progress in seen})
    assert (seen[-1].done, seen[-1].total, seen[-1].seconds_left) == (30, 30, 0)
    assert all(progress.frames_per_second > 0 for progress in seen)


def test_smoothing_lowers_the_flicker_that_noise_adds_to_a_static_hazy_scene(tmp_path, photograph):
    hazy, noise = photograph[:, 100:148, 150:214] * 0.6 + 0.36, torch.Generator().manual_seed(0)
    frames = [(hazy + 0.04 * torch.randn(hazy.shape, generator=noise)).clamp(0, 1) for _ in range(12)]
    images = [(frame * 255).round().byte().movedim(0, -1).numpy().copy() for frame in frames]
    source = clips.write_clip(tmp_path / "clip.mkv", clips.even(12), images=images, codec="ffv1", audio=None)
    restorer = Restorer("dehaze-small", device="cpu")
    alone = restore_video(restorer, source, tmp_path / "alone.mkv")
    smoothed = restore_video(restorer, source, tmp_path / "smoothed.mkv", temporal=0.8)
    assert alone.flicker[0] == smoothed.flicker[0] > 1
    added, rest = (summary.flicker[1] - summary.flicker[0] for summary in (alone, smoothed))
    assert 0 < rest < 0.9 * added


def test_smoothing_that_the_restorer_bypasses_is_refused(tmp_path, still):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3))
    with pytest.raises(ValueError, match="temporal smoothing needs frames that pass through .* which Still bypasses"):
        restore_video(still, source, tmp_path / "out.mp4", temporal=0.8)
    assert not list(tmp_path.glob("out*"))


def test_smoothing_of_frames_that_fit_in_tiles_alone_is_refused_with_how_much_more_it_needs(
    tmp_path, tiny_weights, monkeypatch
):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3))
    restorer = Restorer(tiny_weights, "cpu", precision="float32")
    monkeypatch.setattr(planned, "free_memory", lambda *_: 10**6)
    with pytest.raises(MemoryError, match=r"64x48 pixels need .* GB .*cannot be cut into tiles, .* Allow .* GB more"):
        restore_video(restorer, source, tmp_path / "out.mp4", temporal=0.8)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("pool_window", [None, 100])
def test_smoothing_by_bands_gives_the_frames_of_smoothing_whole(tmp_path, tiny_weights, monkeypatch, pool_window):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(4), audio=None)
    restorer = Restorer(tiny_weights, "cpu", precision="float32", pool_window=pool_window)
    made = []

    def restore(model, image, plan, *settings):
        made.append(plan.mode)
        return run(model, image, plan, *settings)

    run = planned.restore_planned
    monkeypatch.setattr(planned, "restore_planned", restore)
    restore_video(restorer, source, tmp_path / "whole.mkv", codec="ffv1", temporal=0.8)
    monkeypatch.setattr(memory, "WHOLE_SLACK", 10**6)
    restore_video(restorer, source, tmp_path / "bands.mkv", codec="ffv1", temporal=0.8)
    assert made == ["whole"] * 4 + ["bands"] * 4
    for whole, banded in zip(clips.frames(tmp_path / "whole.mkv"), clips.frames(tmp_path / "bands.mkv"), strict=True):
        first, second = (frame.to_ndarray(format="gray").astype(int) for frame in (whole, banded))
        assert abs(first - second).max() <= 1  # of 255: a value near the middle of two may be rounded either way


def test_a_change_of_size_leaves_no_parts_behind(tmp_path, still):
    parts = [
        clips.write_clip(tmp_path / f"{size}.ts", clips.even(5, start=start), size=(size, 48), audio=None).read_bytes()
        for size, start in [(64, 0), (96, 18000)]
    ]
    (tmp_path / "clip.ts").write_bytes(b"".join(parts))
    with pytest.raises(VideoError, match="changes from 64x48 to 96x48 at frame 5"):
        restore_video(still, tmp_path / "clip.ts", tmp_path / "out.mkv")
    assert not list(tmp_path.glob("out*"))


def test_a_cut_video_is_restored_as_far_as_it_goes_and_says_so(tmp_path, still):
    whole = clips.write_clip(
        tmp_path / "clip.mp4", clips.even(40), audio=None, options={"movflags": "faststart"}
    ).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    summary = restore_video(still, tmp_path / "cut.mp4", tmp_path / "out.mp4")
    assert summary.lost > 0
    assert summary.frames + summary.lost == 40
    assert len(clips.times(tmp_path / "out.mp4")) == summary.frames
    assert summary.notes[0] == f"{summary.lost} of 40 frames could not be decoded and are lost"


def test_an_existing_target_is_replaced_only_when_asked(tmp_path, still):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3))
    shutil.copy(source, tmp_path / "out.mp4")
    with pytest.raises(FileExistsError, match="out.mp4 exists: choose another output, or overwrite it"):
        restore_video(still, source, tmp_path / "out.mp4")
    assert restore_video(still, source, tmp_path / "out.mp4", overwrite=True).frames == 3


def test_a_video_is_not_written_over_itself(tmp_path, still):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.even(3))
    with pytest.raises(VideoError, match="would be replaced by its restored video: choose another output"):
        restore_video(still, source, source, overwrite=True)


def test_time_stamps_of_a_whole_clip_are_kept_over_segment_borders(tmp_path, still, short_segments):
    source = clips.write_clip(tmp_path / "clip.mp4", clips.UNEVEN, time_base=Fraction(1, 90000))
    summary = restore_video(still, source, tmp_path / "out.mp4", codec="h265")
    assert summary.time_error == 0
    assert clips.times(tmp_path / "out.mp4") == clips.times(source)
