"""Restores videos frame by frame; the work can be resumed, and everything but the frames stays as it was."""

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
from passband.io.video.encoding import (
    Encoding,
    Segment,
    SegmentEncoder,
    choose_encoding,
    read_segment,
    read_time_stamps,
    write_segment,
)
from passband.io.video.join import check_target, join

SEGMENT_PIXELS = 100_000_000
"""Number of pixels in a segment, after which work is saved: 108 frames of 1280x720, a minute or less of work."""
_SEGMENT_FRAMES = range(24, 241)  # shorter segments waste bits on key frames, longer ones lose more work when killed
_BATCH_PIXELS = 1 << 18  # small frames are restored in batches


@dataclass(frozen=True)
class VideoProgress:
    """The progress of a video.

    Attributes:
        done: number of restored frames, including those of earlier runs.
        total: number of frames in the video by its header; None if the header does not give it.
        frames_per_second: speed of this run.
        seconds_left: estimate of the time left, in seconds; None at the beginning, or if the total is unknown.
    """

    done: int
    total: int | None
    frames_per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class VideoSummary:
    """The result for one video.

    Attributes:
        frames: number of frames.
        resumed: number of frames that an earlier run had restored.
        lost: number of frames of the source that do not decode and are missing.
        seconds: time of this run.
        codec: codec of the restored stream, a key of `io.video.encoding.CODECS`.
        crf: quality of the codec; None if it loses nothing.
        pixels: pixel format of the stored frames, such as `yuv420p`.
        time_error: largest difference between a time stamp in the written file and in the source, in seconds. It is
            not 0 only if the container counts in coarser units, as Matroska does in milliseconds.
        copied: streams that were copied packet by packet, such as `audio aac eng`.
        flicker: flicker before and after restoration, in 8-bit levels; see `temporal.Flicker`.
        notes: sentences about losses, damage and parts that were left out.
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
        """The result without the notes, in one line."""
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
        """The flicker that restoration added, in 8-bit levels; negative if it removed some."""
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
    """Restore the first video stream of a file, and copy all other streams.

    Frames are restored in constant memory. Each finished segment is kept in a folder `NAME.parts` beside the target. A
    run that was killed continues after the last segment if it is started again with the same source, weights and
    settings, and gives the same frames. The folder is removed when the complete target is written. (x264 does not
    repeat its own bits on CPUs with AVX-512; the other codecs do.)

    Args:
        restorer: restorer with one network for all frames.
        source: path of the degraded video.
        target: path of the restored video; its suffix is one of `io.video.join.VIDEO_TARGETS`.
        codec: name of the codec, a key of `io.video.encoding.CODECS`; None for the one that most players support.
        crf: quality, smaller is better; None for the codec's default.
        temporal: strength of smoothing over frames in [0, 1), such as `temporal.STRENGTH`; None restores each frame
            by itself.
        overwrite: whether an existing target is replaced.
        drop_unsupported: whether sound and subtitles that the target cannot hold are left out with a note, instead of
            an error.
        compare: path of a video that shows both before and after, or None; see `compare_videos`.
        compare_pixels: largest number of pixels of its frames; None keeps every pixel.
        report: function that is called after each batch of frames.

    Returns:
        The result for the video.

    Raises:
        VideoError: if the source cannot be restored, or the target cannot hold it.
        FileExistsError: if the target exists and must not be replaced.
        OSError: if a file cannot be read or written.
        MemoryError: if the frames do not fit, or fit only in tiles although they are smoothed.
        ValueError: if each image has its own choice of a network, the strength is out of range, or the statistics of
            the network cannot be smoothed.
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
        # smoothed frames are restored one by one, because bands split a batch
        batch = 1 if temporal is not None else max(1, min(_SEGMENT_FRAMES[0] // 2, _BATCH_PIXELS // pixels))
        frames_wanted = min(max(SEGMENT_PIXELS // pixels, _SEGMENT_FRAMES[0]), _SEGMENT_FRAMES[-1])
        length = frames_wanted // batch * batch  # so that batches do not depend on the frame at which a run begins
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
        except VideoError:  # the source is bad, so no segment can be used
            parts.remove()
            raise
        except (MemoryError, ValueError):
            if not parts.segments:  # nothing was restored
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
    """The state that continues from segment to segment."""

    flicker: Flicker
    smoother: Smoother | None

    @property
    def extras(self) -> dict[str, Tensor]:
        """Return the state as tensors."""
        extras = {f"flicker.{name}": value for name, value in self.flicker.state.items()}
        if self.smoother is not None:
            extras |= {f"average.{slot}": value.cpu() for slot, value in self.smoother.averages.items()}
        return extras

    def load(self, extras: dict[str, Tensor]) -> None:
        """Restore the state of the end of a segment."""
        for name, value in extras.items():
            kind, _, key = name.partition(".")
            if kind == "flicker":
                self.flicker.state[key] = value
            elif self.smoother is not None:
                self.smoother.averages[key] = value


class _Parts:
    """The folder of finished segments beside a target.

    Args:
        folder: path of the folder.
        job: everything that decides the segments; segments of another job are removed.
    """

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
            except (FileNotFoundError, SafetensorError):  # the segment is missing, or a crash of the machine damaged it
                break
            self.segments.append(path)
            self.frames += frames
        if self.segments:
            self.extras = dict(read_segment(self.segments[-1]).extras)

    def add(self, number: int, segment: Segment) -> None:
        """Save a segment."""
        write_segment(self._path(number), segment)
        self.segments.append(self._path(number))
        self.frames += len(segment.packets)

    def remove(self) -> None:
        """Remove the folder and its content."""
        shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        """Return the path of a segment."""
        return self.folder / f"{number:06d}.safetensors"


def _restore_batch(
    restorer: Restorer, group: list[Frame], encoder: SegmentEncoder, reader: VideoReader, state: _State
) -> None:
    """Restore a batch of frames and encode it."""
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
    """Return sentences about properties of the frames that the new file cannot hold."""
    lost = []
    if video.alpha and not encoding.alpha:
        lost.append(
            f"transparency is not kept by codec {encoding.codec} in {suffix}; codec vp9 keeps it in .webm and .mkv, "
            "and codec ffv1 in .mkv"
        )
    if video.surround and not video.surround.can_be_written:
        lost.append("how the image wraps around the viewer, or holds two eyes, is not kept")
    elif video.surround.stereo is not None and suffix == ".mov":
        lost.append("how the image holds two eyes is not kept in .mov; .mp4 and .mkv keep it")
    return lost


def _describe(
    restorer: Restorer, source: Path, encoding: Encoding, temporal: float | None, length: int
) -> dict[str, object]:
    """Return everything that decides the content of a segment."""
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
    """Tell whether a description is that of a job."""
    try:
        return json.loads(description.read_text(encoding="utf-8")) == job
    except (OSError, ValueError):
        return False


def _progress(done: int, total: int | None, here: int, elapsed: float) -> VideoProgress:
    """Return the progress after some frames of this run."""
    speed = here / elapsed if elapsed > 0 else 0.0
    left = max(total - done, 0) / speed if total is not None and speed > 0 else None
    return VideoProgress(done, total, speed, left)
