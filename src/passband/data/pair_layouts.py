"""The layouts of data sets of pairs, and the words in their file names.

The tables follow the data sets as their authors publish them, and as widely used repackagings have them.
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
"""Names of the folders of the left view, the right view and the clean image of dual-pixel pairs (DPDD)."""
SHARED_LAYOUTS = (("train", "GT"), ("test/test-close-ups", "GT"), ("test/test-long-shot", "GT"))
"""Names of degraded folders that are each one part of a data set, and of the clean folder that all of them share
(HIDE)."""
IN_ORDER = "source"
"""Name of the degraded folder of data sets whose files have different names and are paired in their order (DPDD as
published)."""

_DEGRADED = (
    *("degraded", "hazy", "haze", "blur", "blurry", "blurred", "real", "input", "in", "source", "snow", "snowy"),
    *("synthetic", "rain", "rainy", "raindrop", "rainstreak", "rd", "lq", "low", "noisy", "noise"),
)
_CLEAN = (
    *("clean", "gt", "clear", "sharp", "target", "norain", "nohaze", "hq", "high", "normal", "mean", "reference"),
    *("groundtruth", "ground[ _-]truth"),
)
_ROLE = re.compile(rf"(?<![a-z])(?:({'|'.join(_DEGRADED)})|({'|'.join(_CLEAN)}))(?![a-z])", re.IGNORECASE)
"""Words that tell whether a file is degraded or clean, as in `01_outdoor_hazy` and `01_outdoor_GT`, or `low00001` and
`normal00001`."""
_SCALE = re.compile(r"(?<=\d)x[2-4](?![a-z0-9])", re.IGNORECASE)
"""Endings of the names of rainy images in Rain200 (`norain-1x2`)."""
_VIEW = re.compile("left|right|l|r|c", re.IGNORECASE)
"""Words that name the view of a scene."""


def scene(stem: Path) -> str:
    """Return the part of a name that names the scene, without words for the role in a pair or for the view.

    Args:
        stem: path within a folder, without its suffix.
    """
    words = re.split(r"[\W_]+", _SCALE.sub("", _ROLE.sub(" ", stem.name)))
    return (stem.parent / "_".join(word for word in words if word and not _VIEW.fullmatch(word))).as_posix()


def is_clean(name: str) -> bool | None:
    """Tell whether a file is the clean one of a pair, by the last such word in its name; None without such a word.

    Args:
        name: name of the file, without its suffix.
    """
    found = list(_ROLE.finditer(name))
    return found[-1][2] is not None if found else None
