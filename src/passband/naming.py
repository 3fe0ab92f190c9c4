"""Looks up names that users type, suggests the nearest known name, prints names on one line, and tells the version."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from pathlib import Path
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
        "general default all any mixed universal everything",
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
"""Groups of words that mean the same in image restoration and recognition. A word may be in several groups."""
CLOSE = 0.6
"""Similarity from which one spelling may be a misspelling of another, 0 to 1."""
CONTAINED = 3
"""Length in letters from which a name is also searched for inside longer names."""
LONGEST = 200
"""Largest number of characters of a name that a message quotes."""
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that show nothing and change the direction of others: the property Bidi_Control of Unicode."""
_COMMON = frozenset(("best", "last", "weights"))
"""Names of folders of weights in every run."""
LISTED = 20
"""Largest number of names that an error lists."""


def short_name(path: str | Path) -> str:
    """Return the end of a path that tells weights from others, such as `tuned/weights/best`.

    Args:
        path: name or path of weights.
    """
    parts, count = Path(path).parts or ("",), 1
    while parts[-count] in _COMMON and count < len(parts):
        count += 1
    return "/".join(parts[-count:])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that the user probably meant, ignoring case.

    Misspellings are tried first (`genral` for `general`), then synonyms (`fog` for `haze`), then parts of a name
    (`outdoor` for `SOTS-Outdoor`).

    Args:
        name: name as the user typed it.
        known: all known names.

    Returns:
        The nearest name, or None if no known name is near. An error then suggests nothing.
    """
    names = list(known)
    similarities = {other: _similarity(name, other) for other in names}
    best = max(names, key=similarities.__getitem__, default=None)
    if best is None or similarities[best] == 1:
        return best
    plain = _plain(name)
    synonyms = [other for other in names if _meanings(name) & _meanings(other)]
    containing = [other for other in names if len(plain) >= CONTAINED and plain in _plain(other)]
    if synonyms and (similarities[best] < CLOSE or _meanings(name) - _meanings(best)):
        return max(synonyms, key=lambda other: (_meanings(name) == _meanings(other), similarities[other]))
    if similarities[best] >= CLOSE:
        return best
    return max(containing, key=similarities.__getitem__, default=None)


def suggestion(name: object, known: Iterable[str]) -> str:
    """Return a sentence that suggests the nearest name, with a space before it.

    Args:
        name: name as the user typed it.
        known: all known names.

    Returns:
        A sentence such as " Did you mean 'general'?", or an empty text if no known name is near.
    """
    known_name = nearest(str(name), known)
    return "" if known_name is None else f" Did you mean {known_name!r}?"


def listed(known: Iterable[object], most: int = LISTED, between: str = ", ") -> str:
    """Join names for a message.

    Args:
        known: names in the order of the message.
        most: largest number of names to show.
        between: text between two names.

    Returns:
        All names, or the first `most` names and the number of the others.
    """
    names = list(map(str, known))
    ending = f"{between}and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + ending


def counted(count: float, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as `1 point`, `8 points` or `1.5 points`.

    Args:
        count: the number. A float has up to six digits.
        noun: noun for the number 1; a verb may follow, as in `mask is`.
        plural: the same for other numbers, as in `masks are`. None adds an `s`.
    """
    number = f"{count:g}" if isinstance(count, float) else count
    return f"{number} {noun if count == 1 else plural or f'{noun}s'}"


def by_kind(notes: Iterable[str]) -> dict[str, list[str]]:
    """Return notes by their kind, in their order. Notes of one kind differ in numbers only.

    Args:
        notes: sentences, such as those about the pages of a file.
    """
    kinds: dict[str, list[str]] = {}
    for note in notes:
        kinds.setdefault(re.sub(r"[+-]?\d+(\.\d+)?", "#", note), []).append(note)
    return kinds


def with_article(name: str) -> str:
    """Return a name with the article that is spoken before it: `a unet`, `an inspector`, `an SFNet`, `an AVIF`.

    Args:
        name: name of a network, a type or a file format. A name that begins like an abbreviation is spelled.
    """
    first = re.split(r"[\W\d_]", name)[0]
    abbreviation = first[:2] if first[:2].isupper() else first
    is_spelled = not set("aeiouy") & set(abbreviation.lower())
    return f"{'an' if first[:1].lower() in ('aefhilmnorsx' if is_spelled else 'aeio') else 'a'} {name}"


def entry(name: str, known: Mapping[str, Entry], what: str) -> Entry:
    """Return the entry that has a name.

    Args:
        name: name as the user typed it.
        known: all entries by name.
        what: kind of the entry for the error, such as `model`.

    Raises:
        ValueError: if no entry has this name. The message suggests the nearest name and lists the known names.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    known_name = nearest(str(name), known)
    hint = f"; did you mean {known_name!r}?" if known_name else ""
    raise ValueError(f"unknown {what} {shortened(repr(name))}{hint} (known: {listed(known)})")


def described(thing: object, name: str, facts: Mapping[str, object]) -> str:
    """Return the text that an object prints as, such as `Restorer('general', device=cpu)`.

    Args:
        thing: object whose class is named.
        name: name of what the object was made from, such as its weights.
        facts: further names and values, in the order of the text.
    """
    arguments = "".join(f", {key}={value}" for key, value in facts.items())
    return f"{type(thing).__name__}({name!r}{arguments})"


def _plain(name: str) -> str:
    """Return a name without case and separators."""
    return re.sub(r"[\W_]+", "", name.lower())


def _similarity(name: str, other: str) -> float:
    """Return the similarity of two spellings, 0 to 1, ignoring case and separators."""
    return SequenceMatcher(None, _plain(name), _plain(other), autojunk=False).ratio()


def _meanings(name: str) -> set[int]:
    """Return the numbers of the groups of synonyms to which a name or one of its words belongs."""
    lower = name.lower()
    words = {lower, *re.split(r"[\W_]+", lower)}
    if "-" in lower and any(lower in group for group in SYNONYMS):
        words = {lower}  # motion-blur counts as one word
    return {number for number, group in enumerate(SYNONYMS) if words & group}


def composed(text: str) -> str:
    """Return a text with composed letters.

    Equal names may differ in their bytes: some programs, mostly on macOS, store an accent as a character of its own.

    Args:
        text: name to compare with others.
    """
    return unicodedata.normalize("NFC", text)


def shortened(text: str, most: int = LONGEST) -> str:
    """Return a text with its middle left out if it is too long for a message.

    Args:
        text: text from a file, such as a name.
        most: largest length of the result, in characters.
    """
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def printable(text: str) -> str:
    r"""Return a text on one line, with an escape such as `\n` or `\xe9` for each character that does not show itself.

    File names may contain control characters, which could move the cursor of a terminal, or controls of the writing
    direction, which let `gpj.exe` read as `exe.jpg` also on pages. They may also contain bytes that are not valid
    UTF-8, which Python keeps as lone surrogates. The result can always be encoded as UTF-8.

    Args:
        text: text of any characters, such as a file name.
    """
    return text if text.isprintable() else "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    """Return a character, or its escape if it does not show itself."""
    kind = unicodedata.category(character)
    if kind == "Cs" and 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\x{ord(character) - 0xDC00:02x}"  # the surrogate stands for this byte
    if kind in ("Cc", "Cs", "Zl", "Zp") or character in DIRECTIONS:
        return character.encode("unicode_escape").decode("ascii")
    return character


def package_version() -> str:
    """Return the version of the installed package, or that of the source checkout from which it is imported."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("passband")
    except PackageNotFoundError:
        import tomllib
        from pathlib import Path

        project = Path(__file__).parents[2] / "pyproject.toml"
        if not project.is_file():
            return "unknown"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
