"""Videos compressed anew and joined, as a network that changes nothing would leave them."""

from itertools import count, islice
from pathlib import Path
from typing import Any

from passband.io.video import VideoReader
from passband.io.video.encoding import SegmentEncoder, choose_encoding, write_segment
from passband.io.video.join import JoinedVideo, check_target, join


def joined(source: Path, target: Path, codec: str | None = None, crf: int | None = None, **options: Any) -> JoinedVideo:
    """Compress a video anew in segments of four frames, and join them."""
    with VideoReader(source) as reader:
        video = reader.format
        encoding = choose_encoding(video, source, target.suffix, codec, crf)
        check_target(source, target, reader.stream, video, encoding, **options)
        frames, segments = reader.frames(), []
        for number in count():
            if not (group := list(islice(frames, 4))):
                break
            encoder = SegmentEncoder(video, encoding)
            for frame in group:
                encoder.add(frame.pts, frame.luma, frame.chroma, frame.alpha)
            segments.append(target.with_name(f"{target.stem}.{number}.safetensors"))
            write_segment(segments[-1], encoder.finish({}))
        return join(source, target, reader.stream, video, encoding, segments, reader.last_duration, reader.jumps)
