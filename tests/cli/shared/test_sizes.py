import pytest

from passband.cli.shared.sizes import parse_size


def test_a_size_is_width_by_height_and_one_side_a_square():
    assert (parse_size("1280x720"), parse_size("640X480"), parse_size("56")) == ((720, 1280), (480, 640), (56, 56))


@pytest.mark.parametrize("wrong", ["", "0", "8x", "x8", "1x2x3", "-8", "8.5", "\u00b2"])
def test_other_texts_are_refused_with_an_example(wrong):
    with pytest.raises(ValueError, match="such as 1280x720"):
        parse_size(wrong)
