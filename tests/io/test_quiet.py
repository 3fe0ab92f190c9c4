import logging
import os
import threading
import warnings
from contextlib import suppress

import numpy as np
import pytest
import tifffile
from PIL import Image

from passband.io.image import ImageError, read_image
from passband.io.image.size import stored_size
from passband.io.mask import read_stored_mask
from passband.io.quiet import captured_stderr, without_warnings


def warn_as_pillow() -> None:
    warnings.warn_explicit("odd", UserWarning, "TiffImagePlugin.py", 1, module="PIL.TiffImagePlugin")


@pytest.mark.parametrize("read", [read_image, stored_size, read_stored_mask])
def test_a_tag_that_points_beyond_the_file_is_no_warning_and_no_damage(read, tmp_path):
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, np.full((5, 7), 9, np.uint8), metadata=None, software="x" * 40)
    data = bytearray(path.read_bytes())
    software = data.index((305).to_bytes(2, "little"))
    data[software + 8 : software + 12] = (2**31).to_bytes(4, "little")
    path.write_bytes(data)
    read(path)  # warnings are errors here
    assert read_image(path).mul(255).round().unique().tolist() == [9]


def test_what_tifffile_logs_is_not_printed_where_logging_is_not_set_up(tmp_path, monkeypatch, capfd):
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.zeros((5, 7, 2), np.uint16), photometric="minisblack", extrasamples=["unassalpha"])
    data = bytearray(path.read_bytes())
    data[data.index((305).to_bytes(2, "little")) + 2] = 99  # a type that is not known
    path.write_bytes(data)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    read_image(path)
    assert capfd.readouterr() == ("", "")


def test_overlapping_reads_are_quiet_until_the_last_ends_and_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    first, second = without_warnings(), without_warnings()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    warn_as_pillow()
    second.__exit__(None, None, None)
    assert list(warnings.filters) == before
    with pytest.raises(UserWarning, match="odd"):
        warn_as_pillow()
    with without_warnings(), pytest.raises(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)


@pytest.mark.parametrize("read", [read_image, read_stored_mask])
@pytest.mark.parametrize("mode", ["RGB", "1"])
def test_libtiff_prints_nothing(read, mode, tmp_path, capfd):
    compression = "group4" if mode == "1" else "tiff_lzw"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
    noise.convert(mode).save(tmp_path / "damaged.tif", compression=compression)
    data = bytearray((tmp_path / "damaged.tif").read_bytes())
    data[40:60] = bytes(range(7, 147, 7))
    (tmp_path / "damaged.tif").write_bytes(data)
    with suppress(ImageError):
        read(tmp_path / "damaged.tif")
    assert capfd.readouterr() == ("", "")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_a_second_caller_captures_after_the_first(capfd):
    heard = []

    def capture():
        with captured_stderr() as file:
            os.write(2, b"second")
            file.seek(0)
            heard.append(file.read())

    with captured_stderr() as file:
        thread = threading.Thread(target=capture)
        thread.start()
        thread.join(0.2)
        os.write(2, b"first")
        file.seek(0)
        heard.append(file.read())
    thread.join()
    assert heard == [b"first", b"second"]
    assert capfd.readouterr().err == ""


def test_standard_error_is_taken_and_given_back(capfd):
    with captured_stderr() as file:
        os.write(2, b"from C\n")
        file.seek(0)
        assert file.read() == b"from C\n"
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
