import math

import pytest

from passband.comparison.differences import caution, difference_rows, difference_sentence, rivalries
from passband.reports.figures import Figure

PSNR = Figure("psnr", "PSNR", "dB", spelling=".2f")
LPIPS = Figure("lpips", "LPIPS", higher_is_better=False)


def rows(first, second, figure=PSNR):
    return difference_rows({"a": {figure.name: first}, "b": {figure.name: second}}, [("a", "b")], [figure])


def test_a_constant_lead_is_an_interval_of_one_point_and_wins_everywhere():
    (row,) = rows([30.0, 31.0, 32.0], [29.0, 30.0, 31.0])
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((1, 1, 1))
    assert (row["wins"], row["losses"], row["ties"], row["better"]) == (3, 0, 0, "a")
    assert difference_sentence(row, PSNR) == (
        "a is better than b by 1.00 dB in PSNR (95 % interval 1.00 to 1.00); it is better on 3 of 3 images."
    )


def test_a_smaller_value_wins_where_lower_is_better():
    (row,) = rows([0.1, 0.2], [0.3, 0.4], LPIPS)
    assert (row["wins"], row["losses"], row["better"]) == (2, 0, "a")
    assert difference_sentence(row, LPIPS).startswith("a is better than b by 0.2000 in LPIPS (95 % interval 0.2000 to")


def test_an_interval_around_zero_names_no_better_one():
    (row,) = rows([1.0, 5.0, 3.0], [2.0, 1.0, 4.0])
    assert row["low"] < 0 < row["high"]
    assert row["better"] is None
    assert "no convincing difference: a is ahead by 0.67 dB in PSNR" in difference_sentence(row, PSNR)


def test_a_difference_that_no_table_shows_is_a_tie():
    (row,) = rows([30.0001, 31.0], [30.0, 30.9999])
    assert (row["wins"], row["losses"], row["ties"], row["better"]) == (0, 0, 2, None)
    assert PSNR.number(-0.0001, signed=True) == "0.00"
    assert "are equal in PSNR, in the digits shown" in difference_sentence(row, PSNR)


def test_infinite_values_are_left_out_of_the_mean():
    (row,) = rows([math.inf, 31.0, 33.0], [30.0, 30.0, 31.0])
    assert row["count"] == 2
    assert row["mean"] == pytest.approx(1.5)
    (row,) = rows([math.inf], [math.inf])
    assert row["mean"] is None
    assert "no image has a finite PSNR of both" in difference_sentence(row, PSNR)


def test_one_image_shows_no_spread():
    (row,) = rows([31.0], [30.0])
    assert row["better"] is None
    assert "on the only image, which shows no spread" in difference_sentence(row, PSNR)
    assert caution(1)[0].startswith("1 image is few")
    assert caution(10) == []


def test_up_to_four_are_compared_in_pairs_and_more_with_the_first():
    assert rivalries("abc") == [("a", "b"), ("a", "c"), ("b", "c")]
    assert rivalries("abcde") == [(name, "a") for name in "bcde"]
    assert rivalries("abc", "b") == [("a", "b"), ("c", "b")]
    assert rivalries(["x", "y"], "degraded", "degraded") == [("x", "degraded"), ("y", "degraded")]
    with pytest.raises(
        ValueError, match=r"--against names a contestant, one of general, other, degraded; got 'genral'"
    ):
        rivalries(["general", "other"], "genral", "degraded")
