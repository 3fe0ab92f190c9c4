"""How data sets of pairs are laid out, and what the names in them say.

The tables follow the sets as their authors publish them, and as widely used repackagings have them.
"""

import re
from pathlib import Path

LAYOUTS = (
    ("degraded", "clean"),
    ("hazy", "gt"),
    ("hazy", "clear"),
    ("hazy", "clean"),
    ("haze", "gt"),
    ("haze", "clear"),
    ("blur", "sharp"),
    ("blur", "gt"),
    ("real_blur", "gt"),
    ("train_blur", "train_sharp"),
    ("val_blur", "val_sharp"),
    ("input", "target"),
    ("input", "gt"),
    ("input", "ground_truth"),
    ("input", "groundtruth"),
    ("inputC", "target"),
    ("source", "target"),
    ("Snow", "Gt"),
    ("synthetic", "gt"),
    ("synthetic", "original"),
    ("data", "gt"),
    ("lq", "gt"),
    ("rain", "norain"),
    ("rain", "gt"),
    ("rain", "clean"),
    ("rainy", "norain"),
    ("rainy", "gt"),
    ("rainy", "clean"),
    ("rainy_image", "ground_truth"),
    ("raindrop", "gt"),
    ("rainstreak", "gt"),
    ("rainstreak_raindrop", "gt"),
    ("in", "gt"),
    ("low", "high"),
    ("low", "normal"),
    ("noisy", "gt"),
    ("noisy", "clean"),
    ("raw-890", "reference-890"),
)
"""Names of the degraded and the clean folder, in any case, as this library and the published data sets have them:
RESIDE, HSTS, Haze4K, O-HAZE, I-HAZE and Dense-HAZE; GoPro, REDS, RealBlur, RSBlur; Rain13K and its test sets, Rain12,
Rain200, Rain1400, SPA-Data, RainDS, DeRainDrop, Outdoor-Rain; DPDD (as Restormer and as its authors have it), LFDOF;
CSD and SRRS, Snow100K; LOL; UIEB; BasicSR."""
DUAL_LAYOUTS = (
    ("inputL", "inputR", "target"),
    ("left", "right", "target"),
    *[(f"{part}_l/source", f"{part}_r/source", f"{part}_c/target") for part in ("train", "val", "test")],
)
"""Names of the folders of the left view, the right view and the clean picture of dual-pixel pairs (DPDD)."""
SHARED_LAYOUTS = (("train", "GT"), ("test/test-close-ups", "GT"), ("test/test-long-shot", "GT"))
"""Names of degraded folders that are each one part of a set, and of the clean folder that is for all of them (HIDE)."""
IN_ORDER = "source"
"""The degraded folder of a set whose files have unlike names and belong together in their order (DPDD as published)."""

_DEGRADED = (
    *("degraded", "hazy", "haze", "blur", "blurry", "blurred", "real", "input", "in", "source", "snow", "snowy"),
    *("synthetic", "rain", "rainy", "raindrop", "rainstreak", "rd", "lq", "low", "noisy", "noise"),
)
_CLEAN = (
    *("clean", "gt", "clear", "sharp", "target", "norain", "nohaze", "hq", "high", "normal", "mean", "reference"),
    *("groundtruth", "ground[ _-]truth"),
)
_ROLE = re.compile(rf"(?<![a-z])(?:({'|'.join(_DEGRADED)})|({'|'.join(_CLEAN)}))(?![a-z])", re.IGNORECASE)
"""Words that say which of a pair a file is, as in `01_outdoor_hazy` and `01_outdoor_GT`, or `low00001` and
`normal00001`."""
_SCALE = re.compile(r"(?<=\d)x[2-4](?![a-z0-9])", re.IGNORECASE)
"""What the names of rainy pictures end with in Rain200 (`norain-1x2`)."""
_VIEW = re.compile("left|right|l|r|c", re.IGNORECASE)
"""Words that say which view of a scene a file is."""


def scene(stem: Path) -> str:
    """What a name says of its scene: all but the words that say which of a pair, or which view, it is.

    Args:
        stem: a path within a folder, without suffix.
    """
    words = re.split(r"[\W_]+", _SCALE.sub("", _ROLE.sub(" ", stem.name)))
    return (stem.parent / "_".join(word for word in words if word and not _VIEW.fullmatch(word))).as_posix()


def is_clean(name: str) -> bool | None:
    """Which of a pair a file is by the last word in its name that says so; None where no word does.

    Args:
        name: without suffix.
    """
    found = list(_ROLE.finditer(name))
    return found[-1][2] is not None if found else None
