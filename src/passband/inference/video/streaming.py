"""Restores videos frame by frame; the work can be resumed, and everything but the frames stays as it was."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_hex

from passband.inference.restorer import Restorer
from passband.inference.video.compare import COMPARE_PIXELS, compare_videos
from passband.inference.video.flicker import Flicker
from passband.inference.video.parts import Parts
from passband.inference.video.segments import SegmentRestorer, plan_segments
from passband.io.paths import parts_folder
from passband.io.video import VideoError, VideoFormat, VideoReader
from passband.io.video.encoding import Encoding
from passband.io.video.join import join
from passband.naming import counted


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
        flicker: flicker before and after restoration, in 8-bit levels; see `flicker.Flicker`.
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
        parts = [f"{counted(self.frames, 'frame')} in {self.seconds:.0f} s, {self.codec} ({quality})"]
        if self.resumed:
            parts.append(f"{self.resumed} restored by an earlier run")
        if self.lost:
            parts.append(f"{self.lost} lost")
        parts.append(f"copied: {', '.join(self.copied)}" if self.copied else "no other streams")
        return "; ".join(parts)


def restore_video(
    restorer: Restorer,
    source: Path | str,
    target: Path | str,
    *,
    codec: str | None = None,
    crf: int | None = None,
    temporal: float | None = None,
    overwrite: bool = False,
    drop_unsupported: bool = False,
    compare: Path | str | None = None,
    compare_pixels: int | None = COMPARE_PIXELS,
    report: Callable[[VideoProgress], None] | None = None,
    run: str | None = None,
) -> VideoSummary:
    """Restore the first video stream of a file, and copy all other streams.

    Frames are restored in constant memory. Each finished segment is kept in a folder `NAME.parts` beside the target. A
    run that was killed continues after the last segment if it is started again with the same source, weights and
    settings, and gives the same frames. The folder is removed when the complete target is written. (x264 does not
    repeat its own bits on CPUs with AVX-512; the other codecs do.) Two runs cannot restore the same target at once.

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
        run: name of the run whose other processes may restore segments of this video; None for a run of its own.

    Returns:
        The result for the video.

    Raises:
        VideoError: if the source cannot be restored, the target cannot hold it, or another run is restoring it.
        FileExistsError: if the target exists and must not be replaced.
        OSError: if a file cannot be read or written.
        MemoryError: if the frames do not fit, or fit only in tiles although they are smoothed.
        ValueError: if each image has its own choice of a network, the strength is out of range, or the statistics of
            the network cannot be smoothed.
    """
    started = time.monotonic()
    source, target = Path(source), Path(target)
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
        plan = plan_segments(restorer, reader, target, codec, crf, temporal, drop_unsupported=drop_unsupported)
        encoding = plan.encoding
        with Parts(parts_folder(target), plan.job, run or token_hex(8)) as parts:
            segments = SegmentRestorer(restorer, reader, plan, smoother)
            if smoother is not None:
                segments.resume(parts.keep_first())
            done = resumed = parts.frames
            begun = time.monotonic()

            def tell(frames: int) -> None:
                nonlocal done
                done += frames
                if report is not None:
                    report(_progress(done, reader.expected, done - resumed, time.monotonic() - begun))

            try:
                for number in count():
                    if number in parts.numbers:
                        continue
                    segment = segments.restore(number, tell)
                    if segment is None:
                        break
                    parts.add(number, segment)
            except VideoError:  # the source is bad, so no segment can be used
                parts.remove()
                raise
            except (MemoryError, ValueError):
                if not parts.numbers:  # nothing was restored
                    parts.remove()
                raise
            joined = join(
                source, target, reader.stream, video, encoding, parts.paths, reader.last_duration, reader.jumps
            )
            flicker = Flicker.of_segments(parts.flickers).figures
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
            flicker=flicker,
            notes=(*parts.notes, *_what_is_lost(video, encoding, target.suffix.lower()), *reader.notes, *joined.notes),
        )


def _what_is_lost(video: VideoFormat, encoding: Encoding, suffix: str) -> list[str]:
    """Return sentences about properties of the frames that the new file cannot hold."""
    lost = []
    if video.alpha and not encoding.alpha:
        lost.append(
            f"transparency is not kept by codec {encoding.codec} in {suffix}; codec vp9 keeps it in .webm and .mkv, "
            "and codec ffv1 in .mkv"
        )
    if video.surround and not video.surround.can_be_written:
        lost.append("the metadata of 360-degree and stereo video are not kept")
    elif video.surround.stereo is not None and suffix == ".mov":
        lost.append("the metadata of stereo video are not kept in .mov; .mp4 and .mkv keep them")
    return lost


def _progress(done: int, total: int | None, here: int, elapsed: float) -> VideoProgress:
    """Return the progress after some frames of this run."""
    speed = here / elapsed if elapsed > 0 else 0.0
    left = max(total - done, 0) / speed if total is not None and speed > 0 else None
    return VideoProgress(done, total, speed, left)
