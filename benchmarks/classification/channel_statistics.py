"""Measures mean and standard deviation of the frequency channels of the JPEG files in a folder.

    python benchmarks/classification/channel_statistics.py FOLDER [--stride 8]
        [--of "355 ImageNet photographs"] -o statistics.json

The coefficients of every file are dequantized, brought onto one grid without decoding pixels, turned upright, and
cropped to the cells inside the image. Every cell of every image has the same weight, and the chroma of gray files is
zero. Files that cannot be read in this way are named and left out. The statistics of ImageNet in
`passband.data.cubes.channel_statistics` were measured with this script.
"""

import argparse
import datetime
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from passband import __version__
from passband.data.cubes.channel_statistics import ChannelStatistics
from passband.io.jpeg import JpegError, dequantize, read_coefficients, reader_library
from passband.ops.cube import assemble_cube, sampling_ratios
from passband.ops.dct_geometry import crop_blocks, orient

SUFFIXES = (".jpg", ".jpeg")


def cubes(paths: list[Path], stride: int, kinds: Counter[str]) -> Iterator[Float[Tensor, "1 K h w"]]:
    """Yield the cube of every readable file, and count the types of the files."""
    for path in paths:
        try:
            coefficients = read_coefficients(path)
        except JpegError as error:
            print(f"left out: {error}")
            continue
        if coefficients.color_space == "rgb":
            print(f"left out: {path} holds RGB, not YCbCr")
            continue
        ratios = sampling_ratios(coefficients.header.factors)
        cube = assemble_cube([component[None] for component in dequantize(coefficients)], ratios, stride)
        kinds["gray" if len(ratios) == 1 else f"chroma 1/{ratios[1][0]} x 1/{ratios[1][1]}"] += 1
        rows, columns = coefficients.height // stride, coefficients.width // stride
        yield orient(crop_blocks(cube, 0, 0, rows, columns), coefficients.orientation, stride)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--stride", type=int, choices=(8, 4), default=8, help="side in pixels of the area that a cell of a cube covers"
    )
    parser.add_argument("--of", default="JPEG files", help="description of the files, stored with the statistics")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    kinds: Counter[str] = Counter()
    provenance = {
        "files": options.of,
        "read": f"own coefficients by {reader_library()}, dequantized, upright, cells within the picture",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "version": f"passband {__version__}",
    }
    statistics = ChannelStatistics.fit(cubes(paths, options.stride, kinds), options.stride, provenance)
    # the kinds are known when all files have been read
    provenance["kinds"] = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    replace(statistics, provenance=provenance).save(options.output)
    print(f"{statistics.images} pictures ({provenance['kinds']}), {statistics.positions} cells")
    print(f"{'':<6}{'Y':>20}{'Cb':>20}{'Cr':>20}\n{'v u':<6}" + f"{'mean':>11}{'std':>9}" * 3)
    size = options.stride**2
    for v, u in ((0, 0), (0, 1), (1, 0), (1, 1), (options.stride - 1, options.stride - 1)):
        places = [component * size + options.stride * v + u for component in range(3)]
        figures = "".join(f"{statistics.mean[place]:>11.2f}{statistics.std[place]:>9.2f}" for place in places)
        print(f"{v} {u:<4}{figures}")


if __name__ == "__main__":
    main()
