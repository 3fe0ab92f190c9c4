import pytest

from passband.naming import entry, nearest

KNOWN = {"GoPro": 1, "SOTS-Indoor": 2, "SOTS-Outdoor": 3}


@pytest.mark.parametrize(
    ("typed", "meant"), [("gopro", "GoPro"), ("sots-indor", "SOTS-Indoor"), ("outdoor", "SOTS-Outdoor")]
)
def test_the_nearest_name_is_found_whatever_the_case(typed, meant):
    assert nearest(typed, KNOWN) == meant


def test_where_nothing_is_known_nothing_is_near():
    assert nearest("a", []) is None
    with pytest.raises(ValueError, match=r"^unknown thing 'a' \(known: \)$"):
        entry("a", {}, "thing")


def test_a_known_name_gives_its_entry_and_an_unknown_one_the_nearest_and_all():
    assert entry("GoPro", KNOWN, "benchmark") == 1
    message = r"^unknown benchmark 'GoPr'; did you mean 'GoPro'\? \(known: GoPro, SOTS-Indoor, SOTS-Outdoor\)$"
    with pytest.raises(ValueError, match=message):
        entry("GoPr", KNOWN, "benchmark")
