"""JPEG coefficients through the package jpeglib, where the compiled reader was not built. See `io.jpeg`.

The package reads paths alone, keeps what it finds of metadata in global variables, and goes on after damage without a
word to its caller: libjpeg prints what is wrong to standard error. So a file's segments are walked first; it gets a
temporary copy without metadata, one at a time, and what is printed meanwhile is taken for the error.
"""

import tempfile
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import IO, TypeVar

import jpeglib
import numpy as np
import torch

from passband.io.jpeg.info import (
    Content,
    Failure,
    JpegCoefficients,
    JpegHeader,
    Outcome,
    Planes,
    Wanted,
    crop_fits,
)
from passband.io.jpeg.markers import Segments, walk
from passband.io.quiet import captured_stderr

NAME = "jpeglib"
LIBRARY = f"jpeglib {version('jpeglib')}"
_LOCK = threading.Lock()
Result = TypeVar("Result")
_STANDARD_CODES = bytes.fromhex(
    "ffc401a20000010501010101010100000000000000000102030405060708090a0b100002010303020403050504040000017d01020300"
    "041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a43"
    "4445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7"
    "a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa01000301"
    "01010101010101010000000000000102030405060708090a0b1100020102040403040705040400010277000102031104052131061241"
    "510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a"
    "535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4"
    "b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
"""The Huffman tables of ITU-T T.81, annex K.3, as a segment: they are meant where a file lacks one, as frames of
Motion JPEG videos do."""


def read_headers(sources: tuple[Content, ...], threads: int, max_pixels: int) -> list[JpegHeader | Failure]:
    """Read headers alone; a failure stands in the place of its file. The threads are not used."""
    return [_attempt(lambda source=source: _open(source, max_pixels).header) for source in sources]


def read_blocks(
    sources: tuple[Content, ...], threads: int, max_pixels: int, strict: bool
) -> list[JpegCoefficients | Failure]:
    """Read quantized blocks; a failure stands in the place of its file. The threads are not used."""
    return [_attempt(lambda source=source: _decode(_open(source, max_pixels), strict)) for source in sources]


def read_channels(
    sources: tuple[Content, ...], threads: int, max_pixels: int, strict: bool, wanted: Wanted
) -> list[Planes | Failure]:
    """Read chosen channels as numbers; a failure stands in the place of its file. The threads are not used."""

    def one(index: int) -> Planes:
        segments = _open(sources[index], max_pixels)
        if not crop_fits(segments.header, wanted.crops[index], wanted.flips[index]):
            raise Failure(Outcome.BAD_CROP, header=segments.header)
        return _channels(_decode(segments, strict), wanted, index)

    return [_attempt(lambda index=index: one(index)) for index in range(len(sources))]


def write_blocks(coefficients: JpegCoefficients) -> bytes:
    """Encode blocks, which are known to fit the header.

    Raises:
        Failure: where the package cannot write such a file.
    """
    header, tables = coefficients.header, coefficients.quantization.numpy()
    if header.color_space == "rgb":
        raise Failure(Outcome.UNSUPPORTED, "R, G and B in it, which jpeglib does not write")
    if len(header.factors) > 1 and sum(down * across for down, across in header.factors) > 10:
        raise Failure(Outcome.UNSUPPORTED, "more than ten blocks in an MCU, which jpeglib does not write")
    slots = [next(k for k, other in enumerate(tables) if (other == table).all()) for table in tables]
    used = sorted(set(slots))
    planes = [blocks.numpy().reshape(*blocks.shape[:2], 8, 8) for blocks in coefficients.blocks]
    with _LOCK, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        picture = jpeglib.from_dct(
            *planes,
            qt=np.stack([tables[slot].reshape(8, 8) for slot in used]).astype(np.uint16),
            quant_tbl_no=[used.index(slot) for slot in slots],
        )
        picture.height, picture.width = header.height, header.width
        picture.samp_factor = np.array([(down, across) for across, down in header.sampling], np.int32)
        try:
            picture.write_dct(str(path), flags=["+OPTIMIZE_CODING"])
        except OSError as error:
            raise Failure(Outcome.DAMAGED, "jpeglib has no code for one of its values") from error
        return path.read_bytes()


def _attempt(function: Callable[[], Result]) -> Result | Failure:
    try:
        return function()
    except Failure as failure:
        return failure
    except OSError as error:
        return Failure(Outcome.NO_FILE, os_error=error.errno or 0)
    except MemoryError:
        return Failure(Outcome.NO_MEMORY)


def _open(source: Content, max_pixels: int) -> Segments:
    """What the segments of a file say, judged as the compiled reader judges its headers."""
    segments = walk(Path(source).read_bytes() if isinstance(source, str) else bytes(source))
    if segments.header.height * segments.header.width > max_pixels:
        raise Failure(Outcome.TOO_LARGE, header=segments.header)
    if segments.header.height * segments.header.width > 512 * len(segments.bare):
        # jpeglib would take memory for all of them first
        raise Failure(Outcome.DAMAGED, "it has less than a bit for each block of pixels")
    return segments


def _decode(segments: Segments, strict: bool) -> JpegCoefficients:
    header = segments.header
    missing = sorted(set(range(len(header.sampling))) - segments.coded)
    if strict and missing:
        raise Failure(Outcome.RECOVERABLE, f"color component {missing[0] + 1} is in none of its scans")
    if strict and not segments.ended:
        raise Failure(Outcome.RECOVERABLE, "Premature end of JPEG file")
    with _LOCK, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        # the file's own tables take their place; libjpeg-turbo has none for progressive files either
        codes = b"" if b"\xff\xc2" in segments.bare else _STANDARD_CODES
        path.write_bytes(segments.bare[:2] + codes + segments.bare[2:])
        with captured_stderr() as text:
            try:
                picture = jpeglib.read_dct(str(path))
                planes = [picture.Y] if len(header.sampling) == 1 else [picture.Y, picture.Cb, picture.Cr]
                tables = np.stack([picture.get_component_qt(index) for index in range(len(planes))])
            except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
                raise Failure(Outcome.DAMAGED, _first_line(text) or "jpeglib cannot decode it") from error
            complaint = _first_line(text)
    if strict and complaint:
        raise Failure(Outcome.RECOVERABLE, complaint)
    grids = tuple(plane.shape[:2] for plane in planes)
    if grids != header.grids:
        raise Failure(Outcome.DAMAGED, f"jpeglib finds blocks of {grids} where its header says {header.grids}")
    return JpegCoefficients(
        tuple(torch.from_numpy(plane.reshape(*plane.shape[:2], 64).copy()) for plane in planes),
        torch.from_numpy(tables.reshape(len(planes), 64).astype(np.int32)),
        header,
    )


def _first_line(file: IO[bytes]) -> str:
    """What libjpeg printed first; empty where it printed nothing."""
    file.seek(0)
    return file.readline(200).decode("ascii", "replace").strip()


def _channels(coefficients: JpegCoefficients, wanted: Wanted, index: int) -> Planes:
    """What the compiled reader does while it reads, in torch."""
    header, flip = coefficients.header, wanted.flips[index]
    planes, first = [], 0
    for component, (blocks, (across, down)) in enumerate(zip(coefficients.blocks, header.factors, strict=True)):
        channels = torch.tensor(wanted.channels[component], dtype=torch.long)
        rows, columns = slice(None), slice(header.whole_mcus[1] * across if flip else None)
        if crop := wanted.crops[index]:
            rows = slice(crop[0] * down, (crop[0] + crop[2]) * down)
            columns = slice(crop[1] * across, (crop[1] + crop[3]) * across)
        values = blocks[rows, columns, channels].permute(2, 0, 1).float()
        values = values * coefficients.quantization[component, channels].float()[:, None, None]
        if flip:
            # a basis function of odd horizontal frequency is odd about the block's middle
            values = values.flip(-1) * torch.where(channels % 2 == 1, -1.0, 1.0)[:, None, None]
        if wanted.mean is not None and wanted.std is not None:
            here = slice(first, first + len(channels))
            values = (values - wanted.mean[here, None, None]) / wanted.std[here, None, None]
        planes.append(values.contiguous())
        first += len(channels)
    return tuple(planes)
