import csv
import json

import pytest
import torch

from passband.drawing.comparison import GAP, MARGIN
from passband.drawing.lettering import line_height
from passband.evaluation.pair_scores import FIGURES
from passband.evaluation.restoration_report import (
    ROWS,
    published_table,
    write_restoration_report,
    write_worst_median_best,
)
from passband.io.image import read_image
from passband.metrics import spectral_errors

ROW = {"psnr": 30.0, "ssim": 0.9, "psnr_degraded": 20.0, "ssim_degraded": 0.5, "seconds": 0.25, "file": None}

SPECTRUM = spectral_errors(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8))
"""Errors of an image by frequency."""


def result_of(count, **changes):
    """What an evaluation of `count` pictures returns."""
    return {
        "mean": {name: ROW[name] for name in FIGURES},
        "images": [{"name": f"picture {number}", **ROW} for number in range(count)],
        "protocol": "rgb",
        "protocol_summary": "floats",
        "benchmark": None,
        "published": [],
        "weights": "mine",
        "weights_sha256": "ab" * 32,
        "network": {"architecture": "SFNet", "width": 32},
        "data": "pairs",
        "worst": "picture 0",
        "median": "picture 0",
        "best": "picture 0",
        "notes": [],
        "device": "cpu",
        "precision": "float32",
        "seconds": 0.25 * count,
        "peak_memory_bytes": 2_500_000_000,
        "jpeg_decoder": "libjpeg-turbo 3",
        "versions": {"torch": "2"},
        "commit": None,
        **changes,
    }


def test_a_long_list_is_cut_in_the_page_and_whole_in_the_table(tmp_path):
    write_restoration_report(tmp_path, result_of(ROWS + 3), (), SPECTRUM)
    text = (tmp_path / "report.md").read_text()
    assert text.count("| picture ") == ROWS
    assert f"The first {ROWS} of {ROWS + 3}; all are in [evaluation.csv](evaluation.csv)." in text
    with (tmp_path / "evaluation.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == ROWS + 3


def test_what_is_not_known_is_said_and_infinity_is_valid_json(tmp_path):
    mean = {**{name: ROW[name] for name in FIGURES}, "psnr": float("inf")}
    write_restoration_report(tmp_path, result_of(1, mean=mean, peak_memory_bytes=None), (), SPECTRUM)
    text = (tmp_path / "report.md").read_text()
    assert "| peak memory of the process | not known here |" in text
    assert "| commit | not a checkout |" in text
    assert "| restored | inf | 0.9000 |" in text
    written = json.loads((tmp_path / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert written["mean"]["psnr"] == "inf"


def test_figures_that_were_not_published_are_left_empty():
    row = {"source": "rerun", "psnr_published": 26.24, "psnr_difference": 3.76}
    result = result_of(1, benchmark="RealBlur-J", published=[{**row, "ssim_published": None, "ssim_difference": None}])
    assert published_table(result)[3:] == ["| rerun | 26.24 |  |", "| ours - rerun | +3.76 |  |"]


def test_columns_are_aligned_and_a_frame_says_where_the_enlarged_part_lies(tmp_path):
    wide, small = torch.rand(3, 3, 400, 800), torch.rand(3, 3, 200, 300)
    write_worst_median_best(tmp_path / "a.png", iter([list(wide), list(small)]))
    sheet = read_image(tmp_path / "a.png")
    # two rows each: the picture, shrunk to 640 pixels where it is larger, and its part by whole numbers of pixels
    assert sheet.shape == (3, 320 + 3 * (320 // 3) + 2 * 200 + 3 * GAP, 3 * 640 + 2 * GAP)
    for column in range(3):
        left = column * (640 + GAP)
        shown = sheet[:, -400 - GAP : -200 - GAP, left : left + 300]
        same = ((shown - small[column]).abs().amax(0) < 0.501 / 255).float().mean()
        assert 0.95 < same < 1  # all but the frame
        part = sheet[:, -200:, left : left + 300]
        assert torch.equal(part, part[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2))


def test_titles_and_captions_are_written_above_pictures(tmp_path):
    row = list(torch.rand(3, 3, 100, 250))
    write_worst_median_best(
        tmp_path / "a.png", [row], [("degraded: 1.0 dB", "restored: 2.0 dB", "clean")], ["Worst: a.png"]
    )
    sheet = read_image(tmp_path / "a.png")[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    strip = line_height(12)
    assert sheet.shape == (3, 2 * strip + 200 + GAP, 3 * 250 + 2 * GAP)
    for top in (0, strip):
        assert sheet[:, top : top + strip, :200].min() < 0.3
