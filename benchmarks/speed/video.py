"""Measures the peak memory of restoring a video of 10 seconds and of 10 minutes, which must not grow with the length.

    python benchmarks/speed/video.py [--seconds 10 600] [--size 320 180] [-o video.json]

The script makes the clips (25 frames per second, with sound), and restores them with a network that returns its input,
because the memory of a network does not depend on the length. Each clip runs in its own process, whose peak resident
memory is printed. The limit is 1.1 times the memory for 60 times the length.
"""

import argparse
import json
import tempfile
import time
from fractions import Fraction
from pathlib import Path

from figures import run_child, write_figures

RATE = 25


def make_clip(path: Path, seconds: int, size: tuple[int, int]) -> None:
    """Write a clip with a drifting pattern and a tone."""
    import av
    import numpy as np

    width, height = size
    y, x = np.mgrid[:height, : width + 256]
    pattern = (127 + 80 * np.sin(x / 11) * np.cos(y / 7)).astype(np.uint8)
    tone = (8000 * np.sin(np.arange(1024) / 20)).astype(np.int16)[None]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "23"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound = out.add_stream("aac", rate=48000, layout="mono")
        chunks = 0
        for number in range(seconds * RATE):
            image = np.repeat(pattern[:, number % 256 : number % 256 + width, None], 3, axis=2)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
            while chunks * 1024 / 48000 < (number + 1) / RATE:
                chunk = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
                chunk.sample_rate, chunk.pts = 48000, chunks * 1024
                out.mux(sound.encode(chunk))
                chunks += 1
        out.mux(video.encode())
        out.mux(sound.encode())


def child(source: Path, target: Path) -> None:
    """Restore one clip, and print its results as JSON."""
    import torch

    from passband.inference import Restorer, restore_video
    from passband.provenance import peak_memory

    class Same(Restorer):
        def restore(self, degraded: torch.Tensor) -> torch.Tensor:
            return degraded

    started = time.perf_counter()
    summary = restore_video(Same(), source, target)
    figures = {
        "frames": summary.frames,
        "seconds": time.perf_counter() - started,
        "bytes": peak_memory(torch.device("cpu")),
        "time_error": summary.time_error,
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, nargs=2, default=[10, 600], help="lengths of the clips in seconds")
    parser.add_argument("--size", type=int, nargs=2, default=[320, 180], help="width and height in pixels")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the results")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return

    figures = {}
    print(f"{'clip':>8}{'frames':>9}{'seconds':>9}{'frames/s':>10}{'peak MB':>9}{'of first':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for length in options.seconds:
            source = Path(folder) / f"{length}.mp4"
            make_clip(source, length, tuple(options.size))
            figure = run_child(__file__, "--child", str(source), str(Path(folder) / f"{length}_restored.mp4"))
            figures[f"{length} s"] = figure
            figure["ratio"] = figure["bytes"] / next(iter(figures.values()))["bytes"]
            print(
                f"{length:>6} s{figure['frames']:>9}{figure['seconds']:>9.1f}"
                f"{figure['frames'] / figure['seconds']:>10.1f}{figure['bytes'] / 1e6:>9.0f}{figure['ratio']:>10.3f}"
            )
    write_figures(options.output, figures)


if __name__ == "__main__":
    main()
