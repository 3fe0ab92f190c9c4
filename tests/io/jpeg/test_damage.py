import contextlib
import io
import itertools
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from passband.io.image import ImageError, read_stored_image
from passband.io.image.metadata.exif import reset_orientation
from passband.io.jpeg import (
    JpegError,
    read_channels,
    read_channels_batch,
    read_coefficients,
    read_coefficients_batch,
    read_header,
)
from passband.io.jpeg import engine as jpeg_engine
from tests.io.jpeg.jpeg_files import ENGINES, all_kinds, encoded, patched, photograph, segments, with_segment

KINDS = all_kinds()
PLAIN = KINDS["4:2:0"]
FRAME, SCAN, EXIF = 0xC0, 0xDA, 0xE1


# --- orientation -----------------------------------------------------------------------------------------------------


def exif(orientation: int, order: str = "<", kind: int = 3, entries: int = 3, at: int = 8) -> bytes:
    """An EXIF block whose directory has the orientation in the middle of other entries."""
    value = struct.pack(f"{order}{'HH' if kind == 3 else 'I'}", *((orientation, 0) if kind == 3 else (orientation,)))
    others = [struct.pack(f"{order}HHII", tag, 4, 1, 6) for tag in range(256, 256 + entries)]
    directory = [*others[:2], struct.pack(f"{order}HHI", 274, kind, 1) + value, *others[2:]]
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return header.ljust(at, b"\0") + struct.pack(f"{order}H", len(directory)) + b"".join(directory) + bytes(4)


@pytest.mark.parametrize("at", [8, 40])
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_read(orientation, order, kind, at, engine):
    data = with_segment(PLAIN, EXIF, b"Exif\0\0" + exif(orientation, order, kind, at=at))
    assert read_header(data).orientation == orientation
    assert read_coefficients(data).orientation == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_that_pillow_writes_are_read(orientation, engine):
    block = Image.Exif()
    block[274] = orientation
    assert read_header(encoded(photograph(9, 9), exif=block)).orientation == orientation


def test_other_segments_of_that_marker_are_passed_over(engine):
    data = with_segment(PLAIN, EXIF, b"Exif\0\0" + exif(6))
    data = with_segment(data, EXIF, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    assert read_header(data).orientation == 6
    assert read_header(with_segment(PLAIN, EXIF, b"Exif")).orientation == 1
    assert read_header(with_segment(PLAIN, EXIF, b"Exif\0\0" + exif(9))).orientation == 1


@given(st.data())
def test_a_damaged_exif_block_gives_what_the_reader_of_pictures_makes_of_it(data):
    block = bytearray(exif(6, data.draw(st.sampled_from("<>")), data.draw(st.sampled_from([3, 4]))))
    for _ in range(data.draw(st.integers(0, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    block = bytes(block[: data.draw(st.integers(0, len(block)) | st.just(len(block)))])
    assert read_header(with_segment(PLAIN, EXIF, b"Exif\0\0" + block)).orientation == reset_orientation(block)[0]


# --- what is refused -------------------------------------------------------------------------------------------------


def unsupported() -> list[tuple[bytes, str]]:
    return [
        (patched(PLAIN, FRAME, 4, b"\x0c"), "12-bit samples"),
        (patched(PLAIN, FRAME, 1, b"\xc9"), "arithmetic coding"),
        (patched(PLAIN, FRAME, 1, b"\xca"), "arithmetic coding"),
        (patched(PLAIN, FRAME, 1, b"\xc5"), "lossless or hierarchical coding"),
        (encoded(photograph(20, 20, "CMYK")), r"4 color components \(CMYK or YCCK\)"),
    ]


@pytest.mark.parametrize("case", range(5))
def test_kinds_that_are_not_supported_are_named(case, engine, tmp_path):
    data, reason = unsupported()[case]
    path = tmp_path / "odd.jpg"
    path.write_bytes(data)
    for read in (read_header, read_coefficients, lambda source: read_channels(source, [[0]])):
        with pytest.raises(JpegError, match=rf"odd\.jpg is a JPEG file with {reason}; .* Read its pixels"):
            read(path)


@pytest.mark.parametrize("read", [read_header, read_coefficients])
def test_a_claimed_size_over_the_limit_is_refused_before_memory_is_taken(read, engine):
    huge = patched(PLAIN, FRAME, 5, struct.pack(">HH", 65_500, 65_500))
    with pytest.raises(JpegError, match=r"is 65500x65500 pixels \(4,290,250,000\), over the limit of 200,000,000"):
        read(huge)
    with pytest.raises(JpegError, match=r"is 101x67 pixels \(6,767\), over the limit of 6,766; if you trust the file"):
        read(PLAIN, max_pixels=6_766)
    read(PLAIN, max_pixels=6_767)


def test_what_is_no_jpeg_is_named(engine, tmp_path):
    path = tmp_path / "picture.jpg"
    for content, message in [
        (b"", "is empty; a JPEG image is needed"),
        (b"\x89PNG\r\n\x1a\n", "is not a JPEG image: it starts with 0x89 0x50"),
        (b"\xff\xd8", "is a JPEG file that is incomplete or damaged"),
        (b"\xff\xd8\xff\xd9", "is a JPEG file that is incomplete or damaged"),
        (PLAIN[: segments(PLAIN)[FRAME]] + PLAIN[segments(PLAIN)[SCAN] :], "is a JPEG file that is incomplete or dam"),
        (patched(PLAIN, FRAME, 5, bytes(4)), "is a JPEG file that is incomplete or damaged"),
        (patched(PLAIN, FRAME, 11, b"\x51"), "is a JPEG file that is incomplete or damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(JpegError, match=rf"picture\.jpg {message}"):
            read_coefficients(path)
        with pytest.raises(ImageError, match="the JPEG data "):
            read_coefficients(content)


def test_a_file_that_is_not_there_or_vanishes_is_the_systems_error(engine, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        read_coefficients(tmp_path / "missing.jpg")
    with pytest.raises(OSError, match="folder"):
        (tmp_path / "folder").mkdir()
        read_coefficients(tmp_path / "folder")
    path = tmp_path / "coming and going.jpg"
    going = threading.Event()

    def come_and_go() -> None:
        while not going.is_set():
            path.write_bytes(PLAIN)
            path.unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        outcomes = read_coefficients_batch([path] * 100, threads=2, errors="return")
    finally:
        going.set()
        thread.join()
    for outcome in outcomes:
        # there and empty, there and half written, gone, or whole
        assert isinstance(outcome, JpegError | FileNotFoundError) or outcome.height == 67


@pytest.mark.parametrize("kind", ["4:2:0", "gray", "progressive 4:2:0", "restart every 3 MCUs"])
def test_a_truncated_file_is_an_error_unless_it_may_be(kind, engine):
    data = KINDS[kind]
    whole = read_coefficients(data)
    begin = segments(data)[SCAN]
    for length in (len(data) - 4, (begin + len(data)) // 2):  # more than the end marker is gone
        with pytest.raises(JpegError, match="damaged: Premature end.*Save it again .*allow_truncated=True"):
            read_coefficients(data[:length])
        partly = read_coefficients(data[:length], allow_truncated=True)
        assert partly.header == whole.header
        planes = read_channels(data[:length], [[0, 9]] * 3, allow_truncated=True)
        assert torch.equal(planes[0][1], partly.blocks[0][..., 9] * partly.quantization[0, 9].float())
    assert torch.equal(partly.blocks[0][0, 0, :1], whole.blocks[0][0, 0, :1])
    missing = (partly.blocks[0] != whole.blocks[0]).any(-1)
    assert missing[-1].any()
    assert not missing[0].any() or kind == "progressive 4:2:0"


def test_padding_between_headers_is_no_damage(engine):
    at = segments(PLAIN)[FRAME]
    for padding in (b"\xff\xff\xff", b"\0\0", b"\0\0\xff"):
        padded = PLAIN[:at] + padding + PLAIN[at:]
        assert torch.equal(read_coefficients(padded).blocks[0], read_coefficients(PLAIN).blocks[0])


def test_a_component_that_no_scan_has_is_damage(engine):
    gray = KINDS["gray"]
    frame = segments(gray)[FRAME]
    three = gray[: frame + 2] + struct.pack(">HBHHB", 17, 8, 53, 37, 3) + bytes([1, 17, 0, 2, 17, 0, 3, 17, 0])
    data = three + gray[frame + 2 + 11 :]
    with pytest.raises(JpegError, match="color component 2 is in none of its scans"):
        read_coefficients(data)
    coefficients = read_coefficients(data, allow_truncated=True)
    assert torch.equal(coefficients.blocks[0], read_coefficients(gray).blocks[0])
    assert not coefficients.blocks[2].any()


def test_thousands_of_scans_do_not_take_hours(engine):
    data = KINDS["progressive gray"]
    begin = data.index(b"\xff\xda")
    end = data.index(b"\xff", begin + 10)
    while data[end + 1] == 0:
        end = data.index(b"\xff", end + 2)
    many = data[:end] + data[begin:end] * 5000 + b"\xff\xd9"
    with pytest.raises(JpegError, match="damaged"):
        read_coefficients(many)
    with pytest.raises(JpegError, match="it has more than 500 scans"):
        read_coefficients(many, allow_truncated=True)


# --- random damage ---------------------------------------------------------------------------------------------------


def corrupted(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with bits turned, bytes replaced, or a part left out, put in twice or cut off."""
    content = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(2, len(content)))
        until = min(len(content), at + int(rng.integers(1, 40)))
        match rng.integers(7):
            case 0 | 1:
                content[at] ^= 1 << int(rng.integers(8))
            case 2 | 3:
                content[at] = rng.choice([0, 1, 0xFF, 0xD8, 0xD9, 0xDA, 0xC0, 0xC2, 0xC4, 0xDD, rng.integers(256)])
            case 4:
                del content[at:until]
            case 5:
                content[at:at] = content[at:until]
            case _:
                del content[max(at, 20) :]
    return bytes(content)


def damage(count: int, engine: str) -> None:
    """Read damaged files every way there is; run in a process of its own, which a crash ends."""
    jpeg_engine.engine = lambda: ENGINES[engine]
    small = [photograph(41, 35), photograph(24, 57)]
    options = itertools.product(small, ["4:4:4", "4:2:2", "4:2:0"], [{}, {"progressive": True}, {"optimize": True}])
    files = [encoded(image, subsampling=subsampling, **more) for image, subsampling, more in options]
    files += [encoded(small[0].convert("L"), exif=b"Exif\0\0" + exif(6)), encoded(small[1], restart_marker_blocks=2)]
    assert len(files) == 20
    rng = np.random.default_rng(0)
    read = failed = 0
    for number in range(count):
        data = corrupted(files[number % len(files)], rng)
        for may_be_cut in (False, True):
            try:
                coefficients = read_coefficients(data, allow_truncated=may_be_cut, max_pixels=1_000_000)
            except JpegError:
                failed += 1
            else:
                assert tuple(plane.shape[:2] for plane in coefficients.blocks) == coefficients.header.grids
                read += 1
            with contextlib.suppress(JpegError):
                crop = tuple(int(limit) for limit in rng.integers(0, 4, 4))
                flip = bool(rng.integers(2))
                planes = read_channels(
                    data, [[0, 9], [63], []], crop=crop, flip=flip, allow_truncated=may_be_cut, max_pixels=1_000_000
                )
                assert all(torch.isfinite(plane).all() for plane in planes)
    print(read, failed)


@pytest.mark.parametrize("name", ENGINES)
def test_two_thousand_damaged_files_give_coefficients_or_an_error_and_print_nothing(name):
    count = 2000 if name == "compiled" else 200  # jpeglib takes twenty times as long for small files
    command = f"from tests.io.jpeg.test_damage import damage; damage({count}, {name!r})"
    root = Path(__file__).parents[3]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    read, failed = map(int, done.stdout.split()[-2:])
    assert read + failed == 2 * count
    assert min(read, failed) > count // 4
    assert done.stderr == ""


def test_jpeglib_refuses_what_libjpeg_complains_of_and_reads_it_when_asked(monkeypatch, capfd):
    monkeypatch.setattr(jpeg_engine, "engine", lambda: ENGINES["jpeglib"])
    begin = PLAIN.index(b"\xff\xda") + 20
    damaged = PLAIN[:begin] + b"\xff\xd9" + PLAIN[begin:]
    with pytest.raises(JpegError, match="incomplete or damaged: Corrupt JPEG data: premature end of data segment"):
        read_coefficients(damaged)
    read_coefficients(damaged, allow_truncated=True)
    assert capfd.readouterr() == ("", "")


def test_a_file_without_tables_of_codes_has_the_standard_ones_as_frames_of_videos_do(engine):
    plain = bare = encoded(photograph(24, 24))
    while codes := segments(bare).get(0xC4):
        bare = bare[:codes] + bare[codes + 2 + int.from_bytes(bare[codes + 2 : codes + 4], "big") :]
    for planes in zip(read_coefficients(bare).blocks, read_coefficients(plain).blocks, strict=True):
        assert torch.equal(*planes)


def test_a_header_that_claims_more_blocks_than_the_file_has_bits_is_refused_before_jpeglib_takes_memory(monkeypatch):
    monkeypatch.setattr(jpeg_engine, "engine", lambda: ENGINES["jpeglib"])
    monkeypatch.setattr(ENGINES["jpeglib"].jpeglib, "read_dct", lambda path: pytest.fail("memory was taken"))
    with pytest.raises(JpegError, match="less than a bit for each block"):
        read_coefficients(patched(PLAIN, FRAME, 5, b"\xff\xdc\x0b\xb8"))


# --- only the end marker is missing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "progressive" not in kind])
def test_a_file_that_lacks_only_its_end_marker_is_read(kind):
    data = KINDS[kind]
    assert data.endswith(b"\xff\xd9")
    whole, unended = read_coefficients(data), read_coefficients(data[:-2])
    assert all(torch.equal(a, b) for a, b in zip(whole.blocks, unended.blocks, strict=True))
    flip = min(whole.header.whole_mcus) > 0
    (planes,) = read_channels_batch([data[:-2]], [[0, 1], [0], [0]], flips=[flip])
    for a, b in zip(planes, read_channels(data, [[0, 1], [0], [0]], flip=flip), strict=True):
        assert torch.equal(a, b)


def test_a_file_that_lacks_more_than_its_end_marker_is_refused():
    for cut in range(3, 40):
        with pytest.raises(JpegError, match="incomplete or damaged"):
            read_coefficients(PLAIN[:-cut])


def test_pixels_of_a_file_without_its_end_marker_are_read_with_a_note():
    path = Path(__file__).parents[2] / "data" / "no_eoi.jpg"
    picture = read_stored_image(path)
    assert picture.notes == ("its end marker is missing, but every block of pixels is there",)
    with Image.open(io.BytesIO(path.read_bytes() + b"\xff\xd9")) as image:
        np.testing.assert_array_equal((picture.image * 255).round().byte().permute(1, 2, 0), np.array(image))


def test_tables_alone_ahead_of_the_picture_are_passed_over_and_metadata_without_length_too(engine):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((24, 16)).save(file, "JPEG")
    data = file.getvalue()
    sound = read_coefficients(data)
    for changed in (data[:20] + b"\xff\xd9" + data, data[:4] + bytes(2) + data[6:]):
        again = read_coefficients(changed, allow_truncated=True)
        assert torch.equal(again.blocks[0], sound.blocks[0])


def test_a_damaged_restart_marker_is_said_and_the_rest_is_read_on_request():
    data = bytearray(encoded(photograph(96, 96), restart_marker_blocks=3))
    sound = read_coefficients(bytes(data))
    at = data.index(b"\xff\xd3")
    data[at + 1] = 0x53
    with pytest.raises(JpegError, match="found marker 0x53 instead of RST3"):
        read_coefficients(bytes(data))
    found = read_coefficients(bytes(data), allow_truncated=True)
    # decoders find the next restart marker again: most blocks are the same
    for blocks, others in zip(found.blocks, sound.blocks, strict=True):
        assert (blocks == others).all(-1).float().mean() > 0.8
