"""Names: the entry of one that somebody typed, or an error that suggests the one meant; and any name on one line."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import TypeVar

Entry = TypeVar("Entry")

SYNONYMS: tuple[frozenset[str], ...] = tuple(
    frozenset(words.split())
    for words in (
        "haze hazy dehaze dehazing fog foggy defog defogging mist misty smoke",
        "rain rainy derain deraining drizzle streaks",
        "snow snowy desnow desnowing snowfall flakes",
        "motion-blur motionblur blur blurry blurred deblur deblurring motion shake shaking camera-shake gopro",
        "defocus defocused out-of-focus outoffocus focus unfocused bokeh dpdd",
        "general default all any mixed universal everything deblur deblurring",
        "float16 fp16 half",
        "bfloat16 bf16",
        "float32 fp32 full single",
        "total-variation tv",
        "magnitude amplitude abs absolute",
        "energy power",
        "device gpu cuda cpu",
        "weights checkpoint ckpt model network",
        "learning_rate lr rate",
        "batch batch_size batchsize bs",
        "workers num_workers threads",
        "protocol metric scoring",
        "width channels features",
        "classification classify classifier",
        "segmentation segment segmenter semantic masks",
        "detection detect detector instances instance boxes",
        "restoration restore restorer denoise",
    )
)
"""Groups of words that mean the same in this field. A word may be in several groups."""
CLOSE = 0.6
"""Similarity of two spellings, 0 to 1, from which one may be a misspelling of the other."""
CONTAINED = 3
"""Letters that a name needs at least before names that contain it are suggested."""
LISTED = 20
"""Names that an error lists at most."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, whatever the case.

    A misspelling comes first (`genral`), then another word for the same thing (`fog` for `haze`), then a part of a name
    (`outdoor` for `SOTS-Outdoor`).

    Args:
        name: as typed.
        known: what there is.

    Returns:
        None where nothing is near, so that no error suggests what nobody meant.
    """
    names = list(known)
    alike = {other: _similarity(name, other) for other in names}
    best = max(names, key=alike.__getitem__, default=None)
    if best is None or alike[best] == 1:
        return best
    plain = _plain(name)
    synonyms = [other for other in names if _meanings(name) & _meanings(other)]
    containing = [other for other in names if len(plain) >= CONTAINED and plain in _plain(other)]
    if synonyms and (alike[best] < CLOSE or _meanings(name) - _meanings(best)):
        return max(synonyms, key=lambda other: (_meanings(name) == _meanings(other), alike[other]))
    if alike[best] >= CLOSE:
        return best
    return max(containing, key=alike.__getitem__, default=None)


def suggestion(name: object, known: Iterable[str]) -> str:
    """A sentence that suggests the nearest name, with a space before it; empty where nothing is near.

    Args:
        name: as typed.
        known: what there is.
    """
    near = nearest(str(name), known)
    return "" if near is None else f" Did you mean {near!r}?"


def listed(known: Iterable[str], most: int = LISTED) -> str:
    """Names in a row, of which the first are shown where there are many."""
    names = list(known)
    rest = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def entry(name: str, known: Mapping[str, Entry], what: str) -> Entry:
    """The entry of a name.

    Args:
        name: as typed.
        known: what there is.
        what: the kind of thing, for the error.

    Raises:
        ValueError: for an unknown name, with the nearest where one is near, and those that are known.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    near = nearest(str(name), known)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"unknown {what} {name!r}{hint} (known: {listed(known)})")


def described(thing: object, name: str, facts: Mapping[str, object]) -> str:
    """What a thing shows of itself when it is printed, such as `Restorer('general', device=cpu)`.

    Args:
        thing: whose class is named.
        name: of what it was made of.
        facts: what else, in order.
    """
    rest = "".join(f", {key}={value}" for key, value in facts.items())
    return f"{type(thing).__name__}({name!r}{rest})"


def _plain(name: str) -> str:
    """A name without case and separators."""
    return re.sub(r"[\W_]+", "", name.lower())


def _similarity(name: str, other: str) -> float:
    """How alike two names are spelled, 0 to 1, whatever the case and the separators."""
    return SequenceMatcher(None, _plain(name), _plain(other), autojunk=False).ratio()


def _meanings(name: str) -> set[int]:
    """The groups of synonyms that a name, or a word of it, belongs to."""
    lower = name.lower()
    words = {lower, *re.split(r"[\W_]+", lower)}
    if "-" in lower and any(lower in group for group in SYNONYMS):
        words = {lower}  # motion-blur is one word
    return {number for number, group in enumerate(SYNONYMS) if words & group}


def printable(text: str) -> str:
    r"""The text on one line, with an escape such as `\n` or `\xe9` for each character that no terminal can show.

    These are control characters, which a file name may hold and which could also move the cursor, and bytes of a file
    name that are no UTF-8, which Python keeps as lone surrogates. Encoded as UTF-8, the result raises no error.
    """
    return text if text.isprintable() else "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    """A character, or its escape."""
    kind = unicodedata.category(character)
    if kind == "Cs" and 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\x{ord(character) - 0xDC00:02x}"  # the byte that it stands for
    if kind in ("Cc", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode("ascii")
    return character
