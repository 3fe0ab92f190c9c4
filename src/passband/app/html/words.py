"""Says in sentences what the page does and found."""

from collections.abc import Iterable, Sequence

from passband.app.files.checks import megapixels
from passband.app.settings import Limits
from passband.app.work.restoration import Restored
from passband.data.datasets.crops import CLEAN
from passband.inference.inspection.auto import LISTED_SCENES
from passband.inference.inspection.inspector import Diagnosis
from passband.naming import counted
from passband.weights_finding import JOINT

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
    hours = "an hour" if limits.keep_seconds == 3600 else counted(limits.keep_seconds / 60, "minute")
    return (
        f"PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC or a short video, up to {limits.upload_bytes / 1e6:g} MB and "
        f"{megapixels(limits.image_pixels)} each, at most {counted(limits.files, 'file')}. Files stay on the computer "
        f"that runs this page, and are removed after {hours} at most."
    )


def findings(result: Restored) -> list[str]:
    """Say what was found in an image, and after its first network, or what was found in each scene of a video.

    Args:
        result: the result.
    """
    found = [_found(scene.decision.diagnoses) for scene in result.scenes]
    if len(found) == 1:
        return found[0]
    texts = []
    for scene, sentences in zip(result.scenes[:LISTED_SCENES], found, strict=False):
        name = result.network_of(scene)
        end = "Left alone." if name is None else f"Restored by {_chain(name)}."
        texts.append(" ".join((f"From frame {scene.start}:", *sentences, end)))
    more = len(found) - len(texts)
    return [*texts, f"{counted(more, 'more scene is', 'more scenes are')} not listed."] if more else texts


def _found(diagnoses: Sequence[Diagnosis]) -> list[str]:
    """Say what was found, and what was found after the first network."""
    befores = ["", *(f"After {one.choice}: " for one in diagnoses)]
    return [f"{before}{_finding(one)}" for before, one in zip(befores, diagnoses, strict=False)]


def _finding(diagnosis: Diagnosis) -> str:
    """Say what was found in an image, and what is expected to help."""
    if not diagnosis.is_known:
        return "This image is unlike all photos that the inspector has learned from, so its findings are not reliable."
    if not diagnosis.is_degraded:
        chance = diagnosis.probabilities.get(CLEAN, 0.0)
        if chance >= 0.5:
            return f"It looks clean (probability {100 * chance:.0f} %)."
        return "No degradation was found with certainty."
    seen = diagnosis.found or dict([diagnosis.likeliest])
    kinds = [f"{KINDS.get(kind, kind)} (probability {100 * chance:.0f} %)" for kind, chance in seen.items()]
    if diagnosis.found:
        sentence = f"The inspector sees {_listed(kinds)}."
    else:
        sentence = f"The inspector is not sure. The likeliest problem is {kinds[0]}."
    if diagnosis.best is None:
        return sentence
    name, gain = diagnosis.best
    if diagnosis.choice is None:
        return f"{sentence} No network is expected to improve it clearly."
    return f"{sentence} Expected gain with {name}: {gain:.1f} dB."


def done(result: Restored, asked: str, strength: float = 1.0) -> str:
    """Say which network restored a file.

    Args:
        result: the result.
        asked: weights that were asked for.
        strength: strength of the restoration, 0 to 1.
    """
    if result.weights is None:
        return "Left alone. To restore it anyway, choose a network in the settings."
    time = duration(result.seconds)
    how = "" if strength == 1 else f" with strength {strength:g}"
    if len({scene.decision.weights for scene in result.scenes}) > 1:
        return f"Each scene was restored by what was chosen for it{how}, in {time}."
    verb = "were" if JOINT in result.weights else "was"
    how += f", which {verb} chosen automatically," if asked == "auto" else ""
    return f"Restored by {_chain(result.weights)}{how} in {time}."


def _chain(weights: str) -> str:
    """Return names of networks that run one after the other in words."""
    return " and then ".join(weights.split(JOINT))


def duration(seconds: float) -> str:
    """Say a time.

    Args:
        seconds: time in seconds.
    """
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return counted(round(seconds), "second")
    if seconds < 5400:
        return counted(round(seconds / 60), "minute")
    return counted(round(seconds / 3600, 1), "hour")


def _listed(parts: Iterable[str]) -> str:
    """Join parts to a list in a sentence."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
