import unicodedata

import pytest

from passband.config import shipped_recipes
from passband.data.degradations import KINDS
from passband.naming import (
    DIRECTIONS,
    counted,
    entry,
    listed,
    nearest,
    printable,
    short_name,
    shortened,
    suggestion,
    with_article,
)

WEIGHTS = ("deblur-small", "defocus-small", "dehaze-small", "derain-small", "desnow-small", "general")


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


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("fog", "haze"), ("Foggy", "haze"), ("mist", "haze"), ("dehaze", "haze"), ("hase", "haze")),
        *(("blur", "motion-blur"), ("deblur", "motion-blur"), ("motion_blur", "motion-blur"), ("shake", "motion-blur")),
        *(("bokeh", "defocus"), ("out-of-focus", "defocus"), ("rainy", "rain"), ("snowfall", "snow"), ("snwo", "snow")),
    ],
)
def test_another_word_for_a_degradation_is_understood(typed, meant):
    assert nearest(typed, KINDS) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("derian-small", "derain-small"), ("genral", "general"), ("fog-small", "dehaze-small")),
        *(("rain", "derain-small"), ("shake", "deblur-small"), ("defocus", "defocus-small"), ("default", "general")),
    ],
)
def test_another_word_for_weights_is_understood(typed, meant):
    assert nearest(typed, WEIGHTS) == meant


@pytest.mark.parametrize(
    ("typed", "meant"), [("derian", "derain"), ("dct-smal", "dct-small"), ("deblur-gpro", "deblur-gopro")]
)
def test_a_misspelled_recipe_is_found(typed, meant):
    assert nearest(typed, shipped_recipes()) == meant


@pytest.mark.parametrize("typed", ["hail", "xyz", "", "??"])
def test_what_is_like_nothing_suggests_nothing(typed):
    assert nearest(typed, KINDS) is None
    assert suggestion(typed, KINDS) == ""
    with pytest.raises(ValueError, match=r"^unknown kind '.*' \(known: rain, "):
        entry(typed, KINDS, "kind")


def test_every_name_is_its_own_nearest():
    for names in (KINDS, WEIGHTS, shipped_recipes()):
        for name in names:
            assert nearest(name, names) == name
            assert nearest(name.upper().replace("-", "_"), names) == name


def test_long_lists_are_cut():
    assert listed(map(str, range(30)), 3) == "0, 1, 2, and 27 more"
    assert listed("ab", 3) == "a, b"


def test_a_name_of_any_characters_is_shown_on_one_line_that_can_be_encoded():
    plain = "Bildschirmfoto 1.00\N{NARROW NO-BREAK SPACE}Uhr caf\xe9 \N{GRINNING FACE}.png"
    assert printable(plain) == plain
    assert printable("caf\udce9\n\x1b[2J\u2028.png") == r"caf\xe9\n\x1b[2J\u2028.png"
    assert printable("\ud800").encode() == rb"\ud800"


def test_a_name_cannot_change_the_direction_of_writing():
    assert printable("photo\u202egpj.exe") == r"photo\u202egpj.exe"
    for character in DIRECTIONS:
        assert unicodedata.category(character) == "Cf"
        assert printable(character) == f"\\u{ord(character):04x}"
    arabic = "\N{ARABIC LETTER ALEF}\N{ZERO WIDTH NON-JOINER}\N{ARABIC LETTER BEH}.png"  # letters need no control
    assert printable(arabic) == arabic


def test_a_long_name_is_quoted_without_its_middle():
    assert shortened("a" * 200) == "a" * 200
    assert len(shortened("a" * 5000)) <= 200
    with pytest.raises(ValueError, match="unknown task") as caught:
        entry("x" * 5000, {"one": 1}, "task")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("general", "general"),
        ("runs/tuned/weights/best", "tuned/weights/best"),
        ("/a/b/own", "own"),
        ("owner/name", "name"),
        ("weights", "weights"),
        ("best/last", "best/last"),
        ("", ""),
    ],
)
def test_the_end_of_a_path_tells_weights_from_others(path, name):
    assert short_name(path) == name


@pytest.mark.parametrize(
    ("article", "names"),
    [
        ("an", "SFNet FSNet AVIF OmniSR XMP inspector int smp rgb-resnet50"),
        ("a", "ConvIR NAFNet HAT SwinIR U-Net unet PNG JPEG TIFF HEIC dct-resnet18 list classifier"),
    ],
)
def test_an_article_is_the_one_that_is_spoken_before_the_name(article, names):
    for name in names.split():
        assert with_article(name) == f"{article} {name}"


def test_a_number_has_its_noun_and_verb():
    assert [counted(count, "shard") for count in (0, 1, 2)] == ["0 shards", "1 shard", "2 shards"]
    assert [counted(count, "hour") for count in (0.5, 1.0, 1.25)] == ["0.5 hours", "1 hour", "1.25 hours"]
    assert counted(1, "mask is", "masks are") == "1 mask is"
    assert counted(0, "mask is", "masks are") == "0 masks are"
