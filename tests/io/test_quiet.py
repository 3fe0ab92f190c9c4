import io
import logging
import os
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from passband.io.image import ImageError, read_image
from passband.io.image_header import stored_size
from passband.io.mask import read_stored_mask
from passband.io.quiet import captured_stderr, without_warnings
from passband.io.thumbnail import read_thumbnail


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


def test_standard_error_is_taken_and_given_back(capfd):
    with captured_stderr() as file:
        os.write(2, b"from C\n")
        file.seek(0)
        assert file.read() == b"from C\n"
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_masks_are_read_of_layouts_that_pillow_does_not_know(tmp_path):
    tifffile.imwrite(
        tmp_path / "mask.tif", np.full((5, 7, 2), 300, np.uint16), photometric="minisblack", extrasamples=["unassalpha"]
    )
    assert read_stored_mask(tmp_path / "mask.tif").values.unique().tolist() == [300]


def test_a_damaged_header_is_the_same_error_for_thumbnails(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (20, 20)).save(file, "JPEG")
    data = file.getvalue()
    for end in range(3, 160, 4):
        (tmp_path / "cut.jpg").write_bytes(data[:end])
        with pytest.raises(ImageError, match="cut short or damaged"):
            read_thumbnail(tmp_path / "cut.jpg", 4)
