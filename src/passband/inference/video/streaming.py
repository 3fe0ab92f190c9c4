"""Restoring videos: streamed frame by frame, resumable, with everything but the pictures as it was."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path

import av
import torch
from safetensors import SafetensorError
from torch import Tensor

from passband.inference.restorer import Restorer
from passband.inference.video.compare import COMPARE_PIXELS, compare_videos
from passband.inference.video.temporal import Flicker, Smoother
from passband.io.files import PARTS_JOB, parts_folder, write_whole
from passband.io.video import Frame, VideoError, VideoFormat, VideoReader
from passband.io.video.color import change_planes
from passband.io.video.join import check_target, join
from passband.io.video.segment import (
    Encoding,
    Segment,
    SegmentEncoder,
    choose_encoding,
    read_segment,
    read_time_stamps,
    write_segment,
)

SEGMENT_PIXELS = 100_000_000
"""Pixels after which work is kept: 108 frames of 1280x720, about a minute's work or less on most machines."""
_SEGMENT_FRAMES = range(24, 241)  # shorter ones would waste bits on key frames, longer ones lose more when killed
_BATCH_PIXELS = 1 << 18  # small frames are restored several at a time


@dataclass(frozen=True)
class VideoProgress:
    """How far a video is.

    Attributes:
        done: frames restored, by earlier runs, too.
        total: frames to restore, as far as the header tells; None where it does not.
        frames_per_second: of this run.
        seconds_left: None where the total is not known, or nothing is done yet.
    """

    done: int
    total: int | None
    frames_per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class VideoSummary:
    """What became of a video.

    Attributes:
        frames: how many it has.
        resumed: how many of them an earlier run had restored.
        lost: frames of the source that do not decode and are missing.
        seconds: this run took.
        codec: of the restored stream, a key of `io.video_segment.CODECS`.
        crf: its quality; None where nothing is lost.
        pixels: how its frames are stored, such as `yuv420p`.
        time_error: the largest difference of a time stamp from that of the source, in seconds, read back from the
            written file. Not 0 only where the container counts in coarser units, as Matroska does in milliseconds.
        copied: the streams copied packet by packet, such as `audio aac eng`.
        flicker: before and after restoration, in 8-bit levels; see `temporal.Flicker`.
        notes: what was lost, damaged or left out, a sentence each.
    """

    frames: int
    resumed: int
    lost: int
    seconds: float
    codec: str
    crf: int | None
    pixels: str
    time_error: float
    copied: tuple[str, ...]
    flicker: tuple[float, float]
    notes: tuple[str, ...]

    @property
    def line(self) -> str:
        """All of it but the notes, in one line."""
        quality = "nothing lost" if self.crf is None else f"crf {self.crf}"
        parts = [f"{self.frames} frames in {self.seconds:.0f} s, {self.codec} ({quality})"]
        if self.resumed:
            parts.append(f"{self.resumed} restored by an earlier run")
        if self.lost:
            parts.append(f"{self.lost} lost")
        parts.append(f"copied: {', '.join(self.copied)}" if self.copied else "no other streams")
        return "; ".join(parts)

    @property
    def added_flicker(self) -> float:
        """The flicker that restoration added, in 8-bit levels; below 0 where it took some away."""
        return self.flicker[1] - self.flicker[0]


def restore_video(
    restorer: Restorer,
    source: Path,
    target: Path,
    *,
    codec: str | None = None,
    crf: int | None = None,
    temporal: float | None = None,
    overwrite: bool = False,
    drop_unsupported: bool = False,
    compare: Path | None = None,
    compare_pixels: int | None = COMPARE_PIXELS,
    report: Callable[[VideoProgress], None] | None = None,
) -> VideoSummary:
    """Restore the first video stream of a file, and copy everything else of it.

    Frames stream through in constant memory. Each finished segment is kept in a folder `NAME.parts` beside the
    target; a run that was killed goes on after the last one when it is started again with the same source, weights
    and settings, and gives the same frames. The folder is removed when the target is written, whole. (x264 itself does
    not repeat its bits on processors with AVX-512; the other codecs do.)

    Args:
        restorer: the network.
        source: the degraded video.
        target: where the restored one goes; one of `io.video_join.VIDEO_TARGETS`.
        codec: a key of `io.video_segment.CODECS`; None for what plays most widely.
        crf: quality, smaller is better; None for the codec's default.
        temporal: strength of smoothing over frames in [0, 1), such as `temporal.STRENGTH`; None for each frame by
            itself.
        overwrite: replace a target that exists.
        drop_unsupported: leave out sound and subtitles that the target cannot hold, with a note, instead of refusing.
        compare: where a video goes that shows this one before and after, if anywhere; see `compare_videos`.
        compare_pixels: that its frames have at most; None keeps every pixel.
        report: called after each batch of frames.

    Returns:
        What was done.

    Raises:
        VideoError: for a source that cannot be restored, or a target that cannot hold it.
        FileExistsError: for a target that exists, unless it may be replaced.
        OSError: for a file that cannot be read or written.
        MemoryError: for frames that do not fit, or, where they are smoothed, fit in tiles alone.
        ValueError: for a strength outside [0, 1), or a network whose statistics cannot be smoothed.
    """
    started = time.monotonic()
    if restorer.choice.fixed is None:
        raise ValueError(
            f"a video is restored by one network: take the one that Restorer({restorer.weights!r}).for_video("
            f"{str(source)!r}) chooses"
        )
    if target.exists():
        if target.resolve() == source.resolve():
            raise VideoError(f"{source} would be replaced by its restored video: choose another output")
        if not overwrite:
            raise FileExistsError(f"{target} exists: choose another output, or overwrite it")
    smoothing = nullcontext() if temporal is None else restorer.smoothing(temporal)
    with VideoReader(source) as reader, smoothing as smoother:
        video = reader.format
        encoding = choose_encoding(video, source, target.suffix.lower(), codec, crf)
        check_target(source, target, reader.stream, video, encoding, drop_unsupported=drop_unsupported)
        pixels = video.width * video.height
        # one by one where they are smoothed, since bands split a batch
        batch = 1 if temporal is not None else max(1, min(_SEGMENT_FRAMES[0] // 2, _BATCH_PIXELS // pixels))
        wanted = min(max(SEGMENT_PIXELS // pixels, _SEGMENT_FRAMES[0]), _SEGMENT_FRAMES[-1])
        length = wanted // batch * batch  # so that batches are the same wherever a run begins
        job = _describe(restorer, source, encoding, temporal, length)
        parts = _Parts(parts_folder(target), job)
        state = _State(Flicker(), smoother)
        state.load(parts.extras)
        done = resumed = parts.frames
        frames = reader.frames(start=done)
        begun = time.monotonic()
        try:
            for number in count(len(parts.segments)):
                segment = islice(frames, length)
                encoder = SegmentEncoder(video, encoding)
                while group := list(islice(segment, batch)):
                    _restore_batch(restorer, group, encoder, reader, state)
                    done += len(group)
                    if report is not None:
                        report(_progress(done, reader.expected, done - resumed, time.monotonic() - begun))
                if done == parts.frames:
                    break
                parts.add(number, encoder.finish(state.extras))
        except VideoError:  # the source itself is at fault: nothing of this work can be used
            parts.remove()
            raise
        except (MemoryError, ValueError):
            if not parts.segments:  # it could not even begin
                parts.remove()
            raise
        joined = join(
            source, target, reader.stream, video, encoding, parts.segments, reader.last_duration, reader.jumps
        )
        parts.remove()
        if compare is not None:
            compare_videos(source, target, compare, pixels=compare_pixels)
        return VideoSummary(
            frames=joined.frames,
            resumed=resumed,
            lost=reader.lost,
            seconds=time.monotonic() - started,
            codec=encoding.codec,
            crf=encoding.crf,
            pixels=video.pixels,
            time_error=joined.time_error,
            copied=joined.copied,
            flicker=state.flicker.figures,
            notes=(*parts.notes, *_what_is_lost(video, encoding, target.suffix.lower()), *reader.notes, *joined.notes),
        )


@dataclass
class _State:
    """What goes on from segment to segment."""

    flicker: Flicker
    smoother: Smoother | None

    @property
    def extras(self) -> dict[str, Tensor]:
        """All of it as tensors."""
        extras = {f"flicker.{name}": value for name, value in self.flicker.state.items()}
        if self.smoother is not None:
            extras |= {f"average.{slot}": value.cpu() for slot, value in self.smoother.averages.items()}
        return extras

    def load(self, extras: dict[str, Tensor]) -> None:
        """Go on where a segment ended."""
        for name, value in extras.items():
            kind, _, key = name.partition(".")
            if kind == "flicker":
                self.flicker.state[key] = value
            elif self.smoother is not None:
                self.smoother.averages[key] = value


class _Parts:
    """The folder of finished segments beside a target."""

    def __init__(self, folder: Path, job: dict[str, object]):
        self.folder = folder
        self.segments: list[Path] = []
        self.frames = 0
        self.extras: dict[str, Tensor] = {}
        self.notes: list[str] = []
        description = folder / PARTS_JOB
        if folder.exists() and not _says(description, job):
            shutil.rmtree(folder)
            self.notes.append(f"{folder.name} was of another source, network or setting and has been removed")
        if not folder.exists():
            with write_whole(description) as temporary:
                temporary.write_text(json.dumps(job, indent=2) + "\n", encoding="utf-8")
        for number in count():
            path = self._path(number)
            try:
                frames = len(read_time_stamps(path))
            except (FileNotFoundError, SafetensorError):  # not there, or lost to a crash of the machine
                break
            self.segments.append(path)
            self.frames += frames
        if self.segments:
            self.extras = dict(read_segment(self.segments[-1]).extras)

    def add(self, number: int, segment: Segment) -> None:
        """Keep a segment."""
        write_segment(self._path(number), segment)
        self.segments.append(self._path(number))
        self.frames += len(segment.packets)

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"


def _restore_batch(
    restorer: Restorer, group: list[Frame], encoder: SegmentEncoder, reader: VideoReader, state: _State
) -> None:
    degraded = torch.stack([frame.image for frame in group])
    cuts = state.flicker.cuts(degraded)
    if state.smoother is not None:
        jumps = state.flicker.jumps(degraded)
        state.smoother.begin([cut or jump for cut, jump in zip(cuts, jumps, strict=True)])
    restored = restorer.restore(degraded).float().cpu()
    if state.smoother is not None and not state.smoother.used:
        raise ValueError(
            "temporal smoothing needs frames that pass through the network's own pooling layers, which "
            f"{type(restorer).__name__} bypasses: run it without"
        )
    state.flicker.add(degraded, restored, cuts)
    luma, chroma = (
        torch.stack(planes) for planes in zip(*((frame.luma, frame.chroma) for frame in group), strict=True)
    )
    luma, chroma = change_planes(luma, chroma, degraded, restored, reader.format.coding)
    for frame, frame_luma, frame_chroma in zip(group, luma, chroma, strict=True):
        encoder.add(frame.pts, frame_luma, frame_chroma, frame.alpha)


def _what_is_lost(video: VideoFormat, encoding: Encoding, suffix: str) -> list[str]:
    """What of the pictures the new file does not hold, a sentence each."""
    lost = []
    if video.alpha and not encoding.alpha:
        lost.append(
            f"transparency is not kept by codec {encoding.codec} in {suffix}; codec vp9 keeps it in .webm and .mkv, "
            "and codec ffv1 in .mkv"
        )
    if video.surround and not video.surround.can_be_written:
        lost.append("how the picture wraps around the viewer, or holds two eyes, is not kept")
    elif video.surround.stereo is not None and suffix == ".mov":
        lost.append("how the picture holds two eyes is not kept in .mov; .mp4 and .mkv keep it")
    return lost


def _describe(
    restorer: Restorer, source: Path, encoding: Encoding, temporal: float | None, length: int
) -> dict[str, object]:
    """All that decides what a segment holds."""
    stat = source.stat()
    simple = (str, int, float, bool, type(None))
    return {
        "source": {"name": source.name, "bytes": stat.st_size, "modified": stat.st_mtime_ns},
        "encoding": asdict(encoding),
        "temporal": temporal,
        "segment": length,
        "network": restorer.checksum(),
        "restorer": {
            key: value for key, value in vars(restorer).items() if isinstance(value, simple) and not key.startswith("_")
        },
        "device": str(restorer.device),
        "versions": {"torch": torch.__version__, "av": av.__version__},
    }


def _says(description: Path, job: dict[str, object]) -> bool:
    try:
        return json.loads(description.read_text(encoding="utf-8")) == job
    except (OSError, ValueError):
        return False


def _progress(done: int, total: int | None, here: int, elapsed: float) -> VideoProgress:
    speed = here / elapsed if elapsed > 0 else 0.0
    left = max(total - done, 0) / speed if total is not None and speed > 0 else None
    return VideoProgress(done, total, speed, left)
