"""Segments of one video on several workers: the same file as from one process, however they come and go."""

from dataclasses import dataclass

import pytest

from passband.inference import Restorer, VideoOptions, plan_jobs, restore_files
from passband.inference.files import video_parts
from passband.inference.video import segments
from passband.inference.video.parts import Parts
from passband.io.image import write_image
from passband.io.paths import parts_folder
from passband.scale.schedule import Event, WorkersExecutor
from tests import clips

CODEC = "ffv1"  # the same bits on every CPU


def write_clip(folder):
    """Write a video of ten frames."""
    folder.mkdir()
    clips.write_clip(folder / "clip.mkv", clips.UNEVEN)


@dataclass(frozen=True)
class Hands(WorkersExecutor):
    """Workers of this process, which answer in turn, the latest first; some die with their first segments."""

    deaths: tuple[int, ...] = ()

    def _crew(self):
        return _Crew(self.workers, [*self.deaths])


class _Worker:
    def __init__(self, crew, run):
        self.crew, self.run, self.events, self.opened = crew, run, [Event("ready")], ({}, video_parts.ExitStack())

    def send(self, piece):
        number = getattr(piece, "number", None)
        if number in self.crew.deaths:
            self.crew.deaths.remove(number)
            self.events.append(Event("died", "killed"))
            return
        self.crew.log.append(number if hasattr(piece, "number") else "whole")
        video_parts._OPEN, video_parts._CLOSING = self.opened  # of a process of its own
        self.events.append(Event("result", self.run(piece)))

    def kill(self):
        pass


class _Crew:
    log = ()

    def __init__(self, size, deaths):
        self.size, self.deaths, self.workers = size, deaths, []
        type(self).log = []

    def start(self, payload):
        import pickle

        self.workers.append(_Worker(self, pickle.loads(payload)))
        return self.workers[-1]

    def wait(self, workers, seconds):
        return next([(worker, worker.events.pop(0))] for worker in reversed(workers) if worker.events)

    def close(self):
        for worker in self.workers:
            video_parts._OPEN, video_parts._CLOSING = worker.opened
            video_parts.close_videos()


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """Segments of four frames, so that a small video of ten has three."""
    monkeypatch.setattr(segments, "_SEGMENT_FRAMES", range(4, 5))
    monkeypatch.setattr(segments, "_BATCH_PIXELS", 2 * 64 * 48)


@pytest.fixture
def restore(tiny_weights, tmp_path):
    """Restores a folder with one video, and returns the result of the video and the pieces that workers got."""
    restorer = Restorer(tiny_weights, "cpu")

    def restore(source, name, executor=None, **options):
        more = {} if executor is None else {"executor": executor}
        video = VideoOptions(codec=CODEC, temporal=options.pop("temporal", None))
        results = list(restore_files(restorer, plan_jobs([source], tmp_path / name), video=video, **options, **more))
        (result,) = (one for one in results if one.job.is_video)
        return result, list(_Crew.log)

    return restore


def assert_same(one, other):
    """Check that two videos have the same packets; the container itself has a random number."""
    for stream in (0, 1):
        assert clips.packets(one.job.target, stream) == clips.packets(other.job.target, stream)


@pytest.mark.parametrize("deaths", [(), (1,), (0, 2)])
@pytest.mark.parametrize("workers", [2, 3])
def test_segments_on_several_workers_make_the_file_of_one_process(restore, tmp_path, workers, deaths):
    write_clip(tmp_path / "in")
    alone, _ = restore(tmp_path / "in", "alone")
    shared, log = restore(tmp_path / "in", "shared", Hands(workers, deaths=deaths))
    assert (shared.status, shared.notes) == ("restored", alone.notes)
    assert_same(shared, alone)
    assert log[0] is None
    assert {0, 1, 2} <= set(log)
    assert log[-1] == "whole"
    assert (shared.result.frames, shared.result.resumed) == (10, 0)
    assert shared.result.flicker == alone.result.flicker
    assert not parts_folder(shared.job.target).exists()


def test_images_beside_a_video_are_restored_at_the_same_time(restore, tmp_path, photograph):
    write_clip(tmp_path / "in")
    for name in ("a.png", "z.png"):
        write_image(tmp_path / "in" / name, photograph[:, :16, :16])
    shared, log = restore(tmp_path / "in", "shared", Hands(2))
    assert shared.status == "restored"
    assert log.count("whole") == 3
    assert {path.name for path in (tmp_path / "shared").iterdir()} == {".passband.jsonl", "a.png", "clip.mkv", "z.png"}


def test_segments_of_an_earlier_run_are_not_restored_again(restore, tmp_path, monkeypatch):
    write_clip(tmp_path / "in")
    alone, _ = restore(tmp_path / "in", "alone")

    class KilledError(BaseException):
        """Stands for a run that was killed."""

    finished = segments.SegmentRestorer.restore

    def killed(self, number, tell):
        if number == 1:
            raise KilledError
        return finished(self, number, tell)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(segments.SegmentRestorer, "restore", killed)
        restore(tmp_path / "in", "shared", Hands(2))
    shared, log = restore(tmp_path / "in", "shared", Hands(2))
    assert 0 not in log
    assert {1, 2} <= set(log)
    assert shared.result.resumed == 4
    assert_same(shared, alone)


def test_segments_of_a_video_that_another_command_restores_are_left_to_it(restore, tmp_path):
    write_clip(tmp_path / "in")
    alone, _ = restore(tmp_path / "in", "alone")
    folder = parts_folder(tmp_path / "shared" / "clip.mkv")
    with Parts(folder, {"job": "of another command"}, "another"):
        for executor in (None, Hands(2)):
            refused, log = restore(tmp_path / "in", "shared", executor)
            assert refused.status == "failed"
            assert "another process restores this video" in refused.reason
            assert f"{folder}: wait until it ends, or choose another output" in refused.reason
        assert log == [None, "whole"]
        assert [path.name for path in folder.iterdir()] == ["job.json"]
    shared, _ = restore(tmp_path / "in", "shared", Hands(2))
    assert_same(shared, alone)


def test_one_process_continues_segments_behind_a_gap(restore, tmp_path, monkeypatch):
    write_clip(tmp_path / "in")
    alone, _ = restore(tmp_path / "in", "alone")
    shared_run = Hands(2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("passband.inference.files.restoring.restore_video", _interrupted)
        restore(tmp_path / "in", "later", shared_run)
    (parts_folder(tmp_path / "later" / "clip.mkv") / "000001.safetensors").unlink()
    later, _ = restore(tmp_path / "in", "later")
    assert later.result.resumed == 6
    assert_same(later, alone)


def _interrupted(*_, **__):
    raise KeyboardInterrupt


def test_smoothed_videos_and_bad_ones_are_not_split(restore, tmp_path):
    write_clip(tmp_path / "in")
    _, log = restore(tmp_path / "in", "smooth", Hands(2), temporal=0.5)
    assert log == ["whole"]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "clip.mkv").write_bytes(b"no video")
    result, log = restore(tmp_path / "bad", "out", Hands(2))
    assert log == [None, "whole"]
    assert result.status == "failed"
    assert "clip.mkv" in result.reason
