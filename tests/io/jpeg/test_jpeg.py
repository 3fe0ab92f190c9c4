import io
import os
import subprocess
import sys
from pathlib import Path

import jpeglib
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import idctn

from passband.io.jpeg import (
    JpegCoefficients,
    JpegError,
    JpegHeader,
    backend,
    dequantize,
    read_channels,
    read_channels_batch,
    read_coefficients,
    read_coefficients_batch,
    read_header,
    reader_library,
    write_coefficients,
)
from passband.io.jpeg import engine as jpeg_engine
from tests.io.jpeg.jpeg_files import ENGINES, all_kinds, encoded, photograph, random_coefficients

KINDS = all_kinds()
ROOT = Path(__file__).parents[3]


def same(one: JpegCoefficients, other: JpegCoefficients) -> bool:
    """Whether two files say the same."""
    return (
        one.header == other.header
        and torch.equal(one.quantization, other.quantization)
        and len(one.blocks) == len(other.blocks)
        and all(torch.equal(a, b) for a, b in zip(one.blocks, other.blocks, strict=True))
    )


def by_jpeglib(data: bytes, tmp_path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    picture = jpeglib.read_dct(str(path))
    planes = [picture.Y, picture.Cb, picture.Cr] if picture.has_chrominance else [picture.Y]
    return planes, [picture.get_component_qt(index) for index in range(len(planes))]


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_has_the_blocks_and_tables_that_jpeglib_finds(kind, engine, tmp_path):
    coefficients = read_coefficients(KINDS[kind])
    planes, tables = by_jpeglib(KINDS[kind], tmp_path)
    assert len(coefficients.blocks) == len(planes)
    for blocks, steps, plane, table in zip(coefficients.blocks, coefficients.quantization, planes, tables, strict=True):
        np.testing.assert_array_equal(blocks.numpy(), plane.reshape(*plane.shape[:2], 64), strict=True)
        np.testing.assert_array_equal(steps.numpy(), table.reshape(64))


@pytest.mark.parametrize("kind", KINDS)
def test_headers_are_what_pillow_says(kind, engine):
    with Image.open(io.BytesIO(KINDS[kind])) as picture:
        layers = picture.layer
        header = read_header(KINDS[kind])
        assert (header.width, header.height) == picture.size
        assert header.sampling == tuple((across, down) for _, across, down, _ in layers)
        assert len(layers) == (1 if header.color_space == "gray" else 3)
        assert (header.color_space == "rgb") == (kind == "RGB")
    assert read_coefficients(KINDS[kind]).header == header


@pytest.mark.parametrize("kind", KINDS)
def test_grids_are_those_of_the_blocks(kind):
    coefficients = read_coefficients(KINDS[kind])
    assert coefficients.header.grids == tuple(blocks.shape[:2] for blocks in coefficients.blocks)


@pytest.mark.parametrize("kind", ["gray", "progressive gray", "RGB", "quality 1"])
def test_dequantized_blocks_are_the_dct_of_the_pixels(kind, engine):
    data = KINDS[kind]
    with Image.open(io.BytesIO(data)) as picture:
        if kind == "quality 1":
            picture.draft("YCbCr", picture.size)
        pixels = np.asarray(picture).astype(np.float64)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    for component, values in enumerate(dequantize(read_coefficients(data))[: 1 if kind == "quality 1" else 3]):
        _, rows, columns = values.shape
        blocks = values.double().numpy().reshape(8, 8, rows, columns)
        samples = idctn(blocks, axes=(0, 1), norm="ortho").transpose(2, 0, 3, 1).reshape(8 * rows, 8 * columns)
        decoded = (samples + 128).clip(0, 255)[: pixels.shape[0], : pixels.shape[1]]
        # libjpeg's integer transform rounds to levels, at times to the second nearest
        np.testing.assert_allclose(decoded, pixels[..., component], atol=1.01)


@pytest.mark.parametrize("kind", ["4:2:0", "progressive gray"])
def test_a_path_its_text_its_bytes_and_a_tensor_of_them_are_one_source(kind, engine, tmp_path):
    path = tmp_path / "gräser 1.jpg"
    path.write_bytes(KINDS[kind])
    wanted = read_coefficients(KINDS[kind])
    content = torch.frombuffer(bytearray(KINDS[kind]), dtype=torch.uint8)
    spread = content.repeat_interleave(2)[::2]
    for source in (path, str(path), content, spread):
        assert same(read_coefficients(source), wanted)


def test_tensors_outlive_the_call_and_can_be_written_to():
    first = read_coefficients(KINDS["4:2:0"])
    before = first.blocks[0].clone()
    for _ in range(50):
        read_coefficients(KINDS["4:4:4"])
    assert torch.equal(first.blocks[0], before)
    first.blocks[0].add_(1)
    assert torch.equal(first.blocks[0], before + 1)
    assert torch.equal(read_coefficients(KINDS["4:2:0"]).blocks[0], before)


def test_nothing_of_one_picture_is_left_in_the_memory_of_the_next(engine):
    data = KINDS["progressive 4:2:0"]
    cut = data[: len(data) // 2]
    wanted = read_coefficients(cut, allow_truncated=True)
    assert (wanted.blocks[0] == 0).any()
    for _ in range(20):
        blocks = read_coefficients(data).blocks
        for plane in blocks:
            plane.fill_(77)
        del blocks, plane  # its memory may be taken by the next
        assert same(read_coefficients(cut, allow_truncated=True), wanted)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at a Linux process's memory")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_memory_kept_for_pictures_to_come_is_bounded(threads):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}  # malloc itself keeps none
    command = f"from tests.io.jpeg.test_jpeg import megabytes_held_and_kept as measure; print(*measure({threads}))"
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    held, kept = map(float, done.stdout.split())
    assert held > 200
    assert kept < 80


def megabytes_held_and_kept(threads: int) -> tuple[float, float]:
    """What a process has grown by with the coefficients of many pictures, and after letting them go."""

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    large = encoded(Image.new("RGB", (1024, 512)))
    before = resident()
    held = read_coefficients_batch([large] * 150, threads=threads)
    grown = resident() - before
    del held
    return grown, resident() - before


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"RGB"}))
def test_a_file_written_is_read_as_it_was(kind, engine, tmp_path):
    coefficients = read_coefficients(KINDS[kind])
    assert same(read_coefficients(write_coefficients(coefficients)), coefficients)
    assert write_coefficients(coefficients, tmp_path / "new" / "picture.jpg") is None
    assert same(read_coefficients(tmp_path / "new" / "picture.jpg"), coefficients)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["picture.jpg"]


@pytest.mark.parametrize("kind", ["4:2:0", "gray", "progressive 4:2:0", "restart every 3 MCUs"])
def test_pillow_sees_the_same_pixels_in_a_file_written(kind, engine):
    again = write_coefficients(read_coefficients(KINDS[kind]))
    pixels = [np.asarray(Image.open(io.BytesIO(data))) for data in (KINDS[kind], again)]
    np.testing.assert_array_equal(*pixels, strict=True)


@pytest.mark.parametrize(
    ("space", "sampling", "refusal"),
    [
        ("rgb", ((1, 1), (1, 1), (1, 1)), "R, G and B in it, which jpeglib does not write"),
        ("ycbcr", ((2, 2), (2, 2), (2, 2)), "more than ten blocks in an MCU, which jpeglib does not write"),
        ("ycbcr", ((4, 4), (1, 1), (2, 2)), "more than ten blocks in an MCU, which jpeglib does not write"),
    ],
)
def test_unusual_files_are_written_and_read_as_they_were_or_refused_by_jpeglib(space, sampling, refusal, engine):
    coefficients = random_coefficients(61, 130, sampling, color_space=space)
    if engine == "jpeglib":
        with pytest.raises(JpegError, match=refusal):
            write_coefficients(coefficients)
    else:
        assert same(read_coefficients(write_coefficients(coefficients)), coefficients)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_written_as_pillow_reads_it(orientation, engine):
    coefficients = random_coefficients(17, 23, ((1, 1),), orientation=orientation)
    data = write_coefficients(coefficients)
    assert same(read_coefficients(data), coefficients)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.getexif().get(274, 1) == orientation


def test_tables_of_16_bits_survive(engine):
    coefficients = random_coefficients(17, 23, ((2, 1), (1, 1), (1, 1)))
    coefficients.quantization[1, 5:7] = torch.tensor([65_535, 256], dtype=torch.int32)
    assert same(read_coefficients(write_coefficients(coefficients)), coefficients)


def test_what_does_not_fit_together_is_not_written(engine, tmp_path):
    good = random_coefficients(17, 23, ((2, 1), (1, 1), (1, 1)))
    header, blocks, steps = good.header, good.blocks, good.quantization
    two_factors = JpegHeader(17, 23, ((2, 1), (1, 1)))
    upside_down = JpegHeader(17, 23, header.sampling, orientation=9)
    too_high = JpegHeader(65_501, 23, header.sampling)
    cases = [
        (JpegCoefficients((blocks[0][:, :-1].contiguous(), *blocks[1:]), steps, header), "rows, columns"),
        (JpegCoefficients(blocks, steps[:2], header), "3 x 64 quantization steps"),
        (JpegCoefficients(blocks, -steps, header), "0 to 65535"),
        (JpegCoefficients(blocks, steps, two_factors), "3 pairs of sampling factors"),
        (JpegCoefficients(blocks, steps, upside_down), "orientation of 1 to 8"),
        (JpegCoefficients(blocks, steps, too_high), "1 to 65500 pixels"),
    ]
    for coefficients, message in cases:
        with pytest.raises(JpegError, match=f"a.jpg needs .*{message}"):
            write_coefficients(coefficients, tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_a_value_without_a_code_is_not_written(engine, tmp_path):
    coefficients = random_coefficients(17, 23, ((1, 1),))
    coefficients.blocks[0][0, 0, 9] = 20_000
    reason = "DCT coefficient out of range" if engine == "compiled" else "jpeglib has no code for one of its values"
    with pytest.raises(JpegError, match=rf"a\.jpg cannot be written as JPEG: {reason}"):
        write_coefficients(coefficients, tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7, 99])
def test_a_batch_is_its_files_one_by_one_whatever_the_threads(threads, engine):
    sources = list(KINDS.values()) * 2
    for got, source in zip(read_coefficients_batch(sources, threads=threads), sources, strict=True):
        assert same(got, read_coefficients(source))
    wanted = ((0, 1, 8), (0,), (9, 3))
    planes = read_channels_batch(sources, wanted, threads=threads)
    for got, source in zip(planes, sources, strict=True):
        assert all(map(torch.equal, got, read_channels(source, wanted)))


def test_an_empty_batch_is_empty(engine):
    assert read_coefficients_batch([], threads=3) == []
    assert read_channels_batch([], [[0]]) == []


def test_errors_of_a_batch_stand_in_their_files_places_or_the_first_is_raised(engine, tmp_path):
    sources = [KINDS["gray"], tmp_path / "missing.jpg", b"", KINDS["4:2:0"]]
    results = read_coefficients_batch(sources, threads=2, errors="return")
    assert [type(result) for result in results] == [JpegCoefficients, FileNotFoundError, JpegError, JpegCoefficients]
    assert results[1].filename == str(tmp_path / "missing.jpg")
    assert "number 2 of the batch) is empty" in str(results[2])
    assert same(results[3], read_coefficients(KINDS["4:2:0"]))
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        read_coefficients_batch(sources, threads=2)
    with pytest.raises(ValueError, match="at least one thread is needed to read, got 0"):
        read_coefficients_batch(sources, threads=0)


# --- which reader ----------------------------------------------------------------------------------------------------


def test_the_backend_is_named(engine):
    assert backend() == engine
    assert reader_library().startswith("libjpeg-turbo" if engine == "compiled" else "jpeglib 1.")


def test_the_compiled_reader_is_preferred():
    assert jpeg_engine.engine() is next(iter(ENGINES.values()))


def test_without_any_reader_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "passband.io.jpeg.compiled", None)
    monkeypatch.setitem(sys.modules, "passband.io.jpeg.fallback", None)
    monkeypatch.delattr("passband.io.jpeg.compiled", raising=False)
    monkeypatch.delattr("passband.io.jpeg.fallback", raising=False)
    monkeypatch.setattr(jpeg_engine, "engine", jpeg_engine.engine.__wrapped__)
    assert backend() == "none"
    assert reader_library() is None
    with pytest.raises(ImportError, match=r"pip install 'passband\[jpeg\]'"):
        read_coefficients(encoded(photograph(8, 8)))
