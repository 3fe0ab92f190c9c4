"""Says in sentences what the page does and found."""

from collections.abc import Iterable

from passband.app.settings import Limits
from passband.app.work.restoration import Restored
from passband.data.datasets.crops import CLEAN
from passband.inference.inspection.inspector import Diagnosis

KINDS = {
    "rain": "rain",
    "snow": "snow",
    "haze": "haze",
    "motion-blur": "motion blur",
    "defocus": "defocus blur",
    "raindrop": "drops on glass",
    "scratch": "scratches",
}
"""Words for the kinds of degradation."""


def limits_sentence(limits: Limits) -> str:
    """Say which files the page takes.

    Args:
        limits: limits of the page.
    """
    hours = "an hour" if limits.keep_seconds == 3600 else f"{limits.keep_seconds / 60:g} minutes"
    megapixels = f"{limits.image_pixels / 1e6:g} megapixel{'' if limits.image_pixels == 1_000_000 else 's'}"
    return (
        f"PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC or a short video, up to {limits.upload_bytes / 1e6:g} MB and "
        f"{megapixels} each, at most {limits.files} files. Files stay on this computer and "
        f"are removed after {hours}."
    )


def finding(diagnosis: Diagnosis) -> str:
    """Say what was found in an image, and what is expected to help.

    Args:
        diagnosis: diagnosis of the image.
    """
    if not diagnosis.is_known:
        return "This image is unlike all photos that the inspector has learned from, so its findings are not reliable."
    if not diagnosis.is_degraded:
        chance = diagnosis.probabilities.get(CLEAN, 0.0)
        if chance >= 0.5:
            return f"This photo looks clean (probability {100 * chance:.0f} %)."
        return "No degradation was found with certainty."
    seen = diagnosis.found or dict([diagnosis.likeliest])
    kinds = [f"{KINDS.get(kind, kind)} (probability {100 * chance:.0f} %)" for kind, chance in seen.items()]
    sentence = f"The inspector sees {_listed(kinds)}."
    if diagnosis.best is None:
        return sentence
    name, gain = diagnosis.best
    if diagnosis.choice is None:
        return f"{sentence} No network is expected to improve it clearly."
    return f"{sentence} Expected gain with {name}: {gain:.1f} dB."


def done(result: Restored, asked: str) -> str:
    """Say which network restored a file.

    Args:
        result: the result.
        asked: weights that were asked for.
    """
    if result.weights is None:
        return "Left alone. Choose a network to restore it anyway."
    chosen = f"{result.weights}, which was chosen automatically," if asked == "auto" else result.weights
    return f"Restored by {chosen} in {duration(result.seconds)}."


def duration(seconds: float) -> str:
    """Say a time.

    Args:
        seconds: time in seconds.
    """
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} second{'s' if round(seconds) != 1 else ''}"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _listed(parts: Iterable[str]) -> str:
    """Join parts to a list in a sentence."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
