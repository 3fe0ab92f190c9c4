"""Inspects images: finds degradations and their strength, and predicts the gain of each restoration network."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.data.cubes.inspection import Views, file_views, pixel_views
from passband.data.datasets.crops import CLEAN
from passband.inference.inspection.last_file import LastFile
from passband.inference.inspection.trials import LIMITS, Trials
from passband.inference.rebuilding import Rebuilt
from passband.io.conversion import AnyImage, as_tensor
from passband.io.image import DEFAULT_MAX_PIXELS, read_image
from passband.models import load_model, pick_device
from passband.models.inspection.inspector import InspectorNetwork, share_as_strange
from passband.naming import described, listed
from passband.provenance import weights_checksum
from passband.weights_finding import INSPECTOR

FOUND = 0.5
"""Probability from which a degradation counts as found."""
MOST_CLEAN = 0.3
"""Largest probability of a clean image at which an image counts as degraded after a trial of the networks."""
LEAST_GAIN = 0.4
"""Expected gain in dB up to which a network is not used. Clean photos often promise a little gain."""
LEAST_GAIN_IF_FOUND = 0.05
"""The same for a network if the degradation that it was trained for is found; less than this is printed as 0.0 dB."""
PREFERENCE = 1.0
"""Gain in dB by which a network is preferred if the degradation that it was trained for is certain; in proportion, if
the degradation is less likely. The expected gains of networks are less certain than the kind of the degradation."""
LEAST_CONFIDENCE = 0.1
"""Confidence below which an image counts as unlike all images that the inspector learned from."""
UNSURE = "not sure, most likely "
COMMON = 0.05
"""Share of training images that are at least as strange, from which the confidence is full."""


@dataclass(frozen=True)
class Diagnosis:
    """The degradations of an image, and the networks that would help.

    Attributes:
        probabilities: probability of each kind of degradation, and of `clean`, in [0, 1]; several may be likely.
        psnr: estimated PSNR of the image against its unknown clean version, in dB.
        gains: expected gain of each restoration network, in dB.
        confidence: similarity to the images that the inspector learned from, from 0 (none is similar) to 1.
        tried: whether the networks were tried on the image.
        special: kind of degradation that a network was trained for, by the name of the network; networks for all kinds
            have none.
    """

    probabilities: Mapping[str, float]
    psnr: float
    gains: Mapping[str, float]
    confidence: float
    tried: bool = False
    special: Mapping[str, str] = field(default_factory=dict)

    @property
    def found(self) -> dict[str, float]:
        """The degradations that were found with their probabilities, the likeliest one first."""
        likely = {kind: chance for kind, chance in self.probabilities.items() if kind != CLEAN and chance >= FOUND}
        return dict(sorted(likely.items(), key=lambda item: -item[1]))

    @property
    def is_known(self) -> bool:
        """Whether the image is similar to those that the inspector learned from."""
        return self.confidence >= LEAST_CONFIDENCE

    @property
    def is_degraded(self) -> bool:
        """Whether the image is known and degraded.

        After a trial, `clean` must be unlikely. Without a trial, a degradation must be found and likelier than `clean`.
        """
        clean = self.probabilities.get(CLEAN, 0.0)
        is_found = clean <= MOST_CLEAN if self.tried else any(chance > clean for chance in self.found.values())
        return self.is_known and is_found

    @property
    def best(self) -> tuple[str, float] | None:
        """The network to prefer, and its expected gain in dB; None if no network is known.

        Networks that help come first. Among them, the gain and the `PREFERENCE` for the likely degradations decide.
        """

        def rank(item: tuple[str, float]) -> tuple[bool, float]:
            name, gain = item
            return self._helps(name), gain + PREFERENCE * self.probabilities.get(self.special.get(name, ""), 0.0)

        return max(self.gains.items(), key=rank, default=None)

    @property
    def choice(self) -> str | None:
        """The network to restore the image with; None if the image is better left alone."""
        best = self.best
        return best[0] if self.is_degraded and best is not None and self._helps(best[0]) else None

    def _helps(self, network: str) -> bool:
        """Tell whether a network is expected to gain enough to be used."""
        return self.gains[network] > (LEAST_GAIN_IF_FOUND if self.special.get(network) in self.found else LEAST_GAIN)

    @property
    def line(self) -> str:
        """A sentence with the findings and the choice: `rain (0.93), about 24 dB: derain-small, expected +5.1 dB`."""
        if not self.is_known:
            return f"like nothing that the inspector knows (confidence {self.confidence:.2f}): left alone"
        if not self.is_degraded:
            kind, chance = max(self.probabilities.items(), key=lambda item: item[1])
            unsure = "" if chance >= FOUND else UNSURE
            clean = f", or clean ({self.probabilities[CLEAN]:.2f})" if not unsure and kind != CLEAN else ""
            return f"{unsure}{kind} ({chance:.2f}){clean}: left alone"
        kinds = ", ".join(f"{kind} ({chance:.2f})" for kind, chance in self.found.items()) or "{}{} ({:.2f})".format(
            UNSURE, *self.likeliest
        )
        findings = f"{kinds}, about {self.psnr:.0f} dB"
        if self.best is None:
            return f"{findings}: no network is known"
        name, gain = self.best
        if self.choice is None:
            return f"{findings}: no network is expected to help ({name} {gain:+.1f} dB): left alone"
        return f"{findings}: {name}, expected {gain:+.1f} dB"

    @property
    def likeliest(self) -> tuple[str, float]:
        """The likeliest degradation and its probability, whether it was found or not."""
        degradations = [item for item in self.probabilities.items() if item[0] != CLEAN]
        return max(degradations or self.probabilities.items(), key=lambda item: item[1])

    def among(self, networks: Sequence[str]) -> "Diagnosis":
        """Return the diagnosis with the gains of some networks alone.

        Args:
            networks: names of the networks to keep.
        """
        gains = {name: gain for name, gain in self.gains.items() if name in networks}
        return replace(self, gains=gains)


@dataclass(frozen=True)
class Inspected:
    """The result for one file."""

    source: Path
    diagnosis: Diagnosis | None = None
    """The diagnosis; None if the file failed."""
    error: str | None = field(default=None)
    """The reason why the file failed."""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        if self.diagnosis is None:
            return {"file": str(self.source), "error": self.error}
        diagnosis = self.diagnosis
        return {
            "file": str(self.source),
            "found": list(diagnosis.found),
            "probabilities": dict(diagnosis.probabilities),
            "psnr": diagnosis.psnr,
            "gains": dict(diagnosis.gains),
            "confidence": diagnosis.confidence,
            "choice": diagnosis.choice,
            "line": diagnosis.line,
            "error": None,
        }


class Inspector(Rebuilt):
    """Inspects images with one small network of block-DCT coefficients.

    Args:
        weights: weights to load: the shipped ones, or a folder that training with a recipe of the task inspection made.
        device: name of a device, see `models.pick_device`. A CPU is fast enough.
        trial: whether the restoration networks are tried on a few regions of each image, if the inspector has learned
            to judge this. Without it, an inspection is about 50 times as fast, and less certain.

    Attributes:
        model: the network, on its device and ready for evaluation.
        kinds: names of the degradations that it tells apart, and `clean`.
        networks: names of the restoration networks whose gain it predicts.
        special: kind of degradation that a network was trained for, by the name of the network.
        trials: the trials of these networks; None without them.

    Raises:
        CheckpointError: if the weights cannot be used, or are not an inspector's.
        ValueError: if this machine does not have the device.
    """

    def __init__(self, weights: str | Path = INSPECTOR, device: str = "cpu", *, trial: bool = True):
        self.device = pick_device(device)
        model = load_model(weights, task="inspection")
        assert isinstance(model, InspectorNetwork)
        self.model = model.to(self.device, torch.float32)
        self.weights, self._device_name = str(weights), device
        self.kinds, self.networks, self.trial = model.kinds, model.networks, trial
        self.special: Mapping[str, str] = model.arguments.get("special", {})
        self._last: LastFile[Diagnosis] = LastFile()
        self.trials = Trials(self.networks, device) if trial and model.judge is not None else None

    def __repr__(self) -> str:
        facts = {"kinds": f"[{listed(self.kinds, 9)}]", "networks": f"[{listed(self.networks, 9)}]"}
        return described(self, self.weights, facts)

    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"weights": self.weights, "device": self._device_name, "trial": self.trial}

    def checksum(self) -> str:
        """Return the SHA-256 of the network and of all limits that decide a diagnosis and its choice."""
        limits = (FOUND, MOST_CLEAN, LEAST_GAIN, LEAST_GAIN_IF_FOUND, PREFERENCE, LEAST_CONFIDENCE, COMMON, *LIMITS)
        facts = (weights_checksum(self.model), sorted(self.special.items()), self.trial, limits)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def __call__(self, image: AnyImage) -> Diagnosis:
        """Inspect an image.

        Args:
            image: a path, the bytes of an image file, a PIL image, an array H W or H W 3 of uint8, uint16 or float in
                [0, 1], or a tensor 3 H W in [0, 1]. The coefficients of a JPEG file are read without decoding it.

        Raises:
            ImageError: if the file is not an image.
            OSError: if the file cannot be read.
            ValueError: if a tensor or array has another shape.
        """
        if isinstance(image, str | PathLike | bytes):
            return self.inspect_file(image if isinstance(image, bytes) else Path(image))
        pixels = as_tensor(image).float().cpu()
        return self._diagnose(pixel_views(pixels), lambda: pixels)

    def inspect_file(self, file: Path | bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Diagnosis:
        """Inspect an image file.

        Args:
            file: path of the file, or its content.
            max_pixels: number of pixels above which an image is refused before it is read.

        Raises:
            ImageError: if the file is not an image, damaged or too large.
            OSError: if the file cannot be read.
        """

        def diagnose() -> Diagnosis:
            views = file_views(file, max_pixels=max_pixels)
            return self._diagnose(views, lambda: read_image(file, max_pixels=max_pixels))

        return self._last.get(file, diagnose, max_pixels)

    def inspect(self, paths: Sequence[str | Path]) -> Iterator[Inspected]:
        """Inspect files one by one; a bad file does not stop the others.

        Args:
            paths: paths of the images.

        Yields:
            The result for each file, in their order; that of a bad file holds the reason.
        """
        for path in map(Path, paths):
            try:
                yield Inspected(path, self.inspect_file(path))
            except (ValueError, OSError, MemoryError) as error:
                yield Inspected(path, error=str(error))

    @torch.no_grad()
    def _diagnose(self, views: Views, pixels: Callable[[], Float[Tensor, "3 H W"]]) -> Diagnosis:
        """Return the diagnosis of prepared views; the pixels are read only for a trial."""
        findings = self.model(views.windows[None].to(self.device), views.overview[None].to(self.device))
        features = None
        if self.trials is not None and share_as_strange(findings.strangeness.item()) >= LEAST_CONFIDENCE * COMMON:
            features = self.trials(pixels())
            if features is not None:
                findings = self.model.after_trial(findings, features.to(self.device))
        share = share_as_strange(findings.strangeness.item())
        return Diagnosis(
            dict(zip(self.kinds, findings.kinds[0].sigmoid().tolist(), strict=True)),
            findings.psnr.item(),
            dict(zip(self.networks, findings.gains[0].tolist(), strict=True)),
            min(1.0, share / COMMON),
            features is not None,
            self.special,
        )


def mean_of(diagnoses: Sequence[Diagnosis]) -> Diagnosis:
    """Return the mean of several diagnoses, such as those of frames of a video.

    Args:
        diagnoses: diagnoses of one inspector, at least one.
    """
    count, first = len(diagnoses), diagnoses[0]
    return Diagnosis(
        {kind: sum(one.probabilities[kind] for one in diagnoses) / count for kind in first.probabilities},
        sum(one.psnr for one in diagnoses) / count,
        {name: sum(one.gains[name] for one in diagnoses) / count for name in first.gains},
        sum(one.confidence for one in diagnoses) / count,
        first.tried,
        first.special,
    )
