from passband.metrics.intervals import Interval
from passband.reports.figures import Figure

PSNR = Figure("psnr", "PSNR", "dB", spelling=".2f")
LOSS = Figure("loss", "loss", higher_is_better=False)
ACCURACY = Figure("top1", "accuracy", "%", spelling=".1f", scale=100)


def test_labels_carry_the_unit_where_there_is_one():
    assert (PSNR.heading, PSNR.axis) == ("PSNR, dB", "PSNR [dB]")
    assert (LOSS.heading, LOSS.axis) == ("loss", "loss")


def test_the_direction_is_a_sign_and_words():
    assert (PSNR.sign, PSNR.better) == (1, "higher is better")
    assert (LOSS.sign, LOSS.better) == (-1, "lower is better")


def test_values_have_the_digits_scale_and_sign_of_the_figure():
    assert ACCURACY.number(0.5) == "50.0"
    assert ACCURACY.text(0.5) == "50.0 %"
    assert LOSS.text(2) == "2.0000"
    assert PSNR.number(1.234, signed=True) == "+1.23"
    assert PSNR.number(-1.234, signed=True) == "-1.23"
    assert PSNR.number(None) == "unknown"


def test_a_difference_that_vanishes_has_no_sign():
    assert PSNR.vanishes(-0.001)
    assert PSNR.number(-0.001, signed=True) == "0.00"
    assert not ACCURACY.vanishes(0.001)


def test_intervals_have_the_unit_once():
    interval = Interval(0.2, -0.1, 0.25)
    assert PSNR.span(interval) == "-0.10 to 0.25"
    assert PSNR.span(interval, with_unit=True) == "-0.10 to 0.25 dB"
