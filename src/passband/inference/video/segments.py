"""Restores the segments of a video. Without temporal smoothing, each can be restored by itself."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import av
import torch
from torch import Tensor

from passband.inference.restorer import Restorer
from passband.inference.video.cuts import luma_cells
from passband.inference.video.flicker import Flicker
from passband.inference.video.temporal import Smoother
from passband.io.video import Frame, VideoReader
from passband.io.video.color import change_planes
from passband.io.video.encoding import Encoding, Segment, SegmentEncoder, choose_encoding
from passband.io.video.join import check_target

SEGMENT_PIXELS = 100_000_000
"""Number of pixels in a segment, after which work is saved: 108 frames of 1280x720, a minute or less of work."""
_SEGMENT_FRAMES = range(24, 241)  # shorter segments waste bits on key frames, longer ones lose more work when killed
_BATCH_PIXELS = 1 << 18  # small frames are restored in batches
_FORMAT = 2  # of the tensors that are kept with a segment


@dataclass(frozen=True)
class SegmentPlan:
    """Everything that decides the segments of a video.

    Attributes:
        encoding: compression of the frames.
        batch: number of frames that are restored at once.
        length: number of frames of a segment; a multiple of `batch`, so that batches do not depend on the segment at
            which a run begins.
        job: description of the work, for `parts.Parts`.
    """

    encoding: Encoding
    batch: int
    length: int
    job: dict[str, object]


def plan_segments(
    restorer: Restorer,
    reader: VideoReader,
    target: Path,
    codec: str | None,
    crf: int | None,
    temporal: float | None,
    *,
    drop_unsupported: bool,
) -> SegmentPlan:
    """Plan the segments of a video.

    Args:
        restorer: restorer with one network for all frames.
        reader: opened video.
        target: path of the restored video, whose suffix decides the kind of file.
        codec: name of the codec, a key of `io.video.encoding.CODECS`; None for the one that most players support.
        crf: quality, smaller is better; None for the codec's default.
        temporal: strength of smoothing over frames in [0, 1); None restores each frame by itself.
        drop_unsupported: whether sound and subtitles that the target cannot hold are left out.

    Returns:
        Encoding, frames of a batch and of a segment, and the description of all that decides the segments.

    Raises:
        VideoError: if the target cannot hold the video.
    """
    video = reader.format
    encoding = choose_encoding(video, reader.path, target.suffix.lower(), codec, crf)
    check_target(reader.path, target, reader.stream, video, encoding, drop_unsupported=drop_unsupported)
    pixels = video.width * video.height
    # smoothed frames are restored one by one, because bands split a batch
    batch = 1 if temporal is not None else max(1, min(_SEGMENT_FRAMES[0] // 2, _BATCH_PIXELS // pixels))
    frames = min(max(SEGMENT_PIXELS // pixels, _SEGMENT_FRAMES[0]), _SEGMENT_FRAMES[-1])
    length = frames // batch * batch
    return SegmentPlan(encoding, batch, length, _describe(restorer, reader.path, encoding, temporal, length))


class SegmentRestorer:
    """Restores segments of one video, in rising order of their numbers.

    Args:
        restorer: restorer with one network for all frames.
        reader: reader of the video.
        plan: plan of its segments.
        smoother: smoother over frames; None restores each frame by itself.
    """

    def __init__(self, restorer: Restorer, reader: VideoReader, plan: SegmentPlan, smoother: Smoother | None = None):
        self._restorer, self._reader, self._plan, self._smoother = restorer, reader, plan, smoother
        self._start = 0
        self._frames = reader.frames(lambda: self._start)
        self._flicker = Flicker()

    def resume(self, extras: Mapping[str, Tensor]) -> None:
        """Continue the smoothing after a segment.

        Args:
            extras: tensors that were kept with the segment.
        """
        if "flicker.cells" in extras:
            self._flicker.state["cells"] = extras["flicker.cells"]
        for name, value in extras.items():
            kind, _, key = name.partition(".")
            if kind == "average" and self._smoother is not None:
                self._smoother.averages[key] = value

    def restore(self, number: int, tell: Callable[[int], None]) -> Segment | None:
        """Restore a segment.

        Args:
            number: number of the segment, above that of the call before.
            tell: function that is called with the number of frames of each batch.

        Returns:
            The segment, or None if the video ends before it.

        Raises:
            VideoError: if the video cannot be restored.
            MemoryError, ValueError: see `streaming.restore_video`.
        """
        self._start = number * self._plan.length
        segment = islice(self._frames, self._plan.length)
        encoder = SegmentEncoder(self._reader.format, self._plan.encoding)
        self._flicker.state["sums"] = torch.zeros(3, dtype=torch.float64)
        if self._smoother is None:
            self._flicker.state.pop("cells", None)
        self._flicker.state.pop("first", None)
        done = 0
        while group := list(islice(segment, self._plan.batch)):
            self._restore_batch(group, encoder, self._start + done, is_first=done == 0)
            done += len(group)
            tell(len(group))
        return encoder.finish(self._extras()) if done else None

    def _extras(self) -> dict[str, Tensor]:
        """Return the state at the end of a segment."""
        extras = {f"flicker.{name}": value for name, value in self._flicker.state.items()}
        if self._smoother is not None:
            extras |= {f"average.{slot}": value.cpu() for slot, value in self._smoother.averages.items()}
        return extras

    def _restore_batch(self, group: list[Frame], encoder: SegmentEncoder, number: int, *, is_first: bool) -> None:
        """Restore a batch of frames, the first of which has a number in the video, and encode it."""
        restorer, flicker, smoother = self._restorer, self._flicker, self._smoother
        degraded = torch.stack([frame.image for frame in group])
        cuts = flicker.cuts(degraded)
        if smoother is not None:
            jumps = flicker.jumps(degraded)
            smoother.begin([cut or jump for cut, jump in zip(cuts, jumps, strict=True)])
        restored = restorer.restore_frames(degraded, number).float().cpu()
        if smoother is not None and not smoother.used:
            raise ValueError(
                "temporal smoothing needs frames that pass through the network's own pooling layers, which "
                f"{type(restorer).__name__} bypasses: run it without"
            )
        if is_first:
            flicker.state["first"] = torch.cat([luma_cells(degraded[:1]).cpu(), luma_cells(restored[:1]).cpu()])
        # the step between two segments is added when they are joined
        flicker.add(degraded, restored, [is_first or cuts[0], *cuts[1:]])
        luma, chroma = (
            torch.stack(planes) for planes in zip(*((frame.luma, frame.chroma) for frame in group), strict=True)
        )
        luma, chroma = change_planes(luma, chroma, degraded, restored, self._reader.format.coding)
        for frame, frame_luma, frame_chroma in zip(group, luma, chroma, strict=True):
            encoder.add(frame.pts, frame_luma, frame_chroma, frame.alpha)


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
        "format": _FORMAT,
        "network": restorer.checksum(),
        "restorer": {
            key: value for key, value in vars(restorer).items() if isinstance(value, simple) and not key.startswith("_")
        },
        "device": str(restorer.device),
        "versions": {"torch": torch.__version__, "av": av.__version__},
    }
