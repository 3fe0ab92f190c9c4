"""Telling what is wrong with a picture, how strong it is, and which network would mend it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from passband.data.datasets.crops import CLEAN
from passband.data.inspection_views import Views, file_views, pixel_views
from passband.io.conversion import AnyImage, as_tensor
from passband.io.image import DEFAULT_MAX_PIXELS
from passband.models.inspector import InspectorNetwork, share_as_strange
from passband.naming import described, listed
from passband.tasks.weights import load_of_task
from passband.weights_io import INSPECTOR

FOUND = 0.5
"""A degradation is said to be there from this probability on."""
LEAST_GAIN = 0.3
"""A network that is expected to gain less, in dB, is not worth its work."""
LEAST_CONFIDENCE = 0.1
"""Below it a picture is like nothing that the inspector learned from."""
COMMON = 0.05
"""Confidence is full where at least this share of the pictures learned from is as strange."""


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a picture, and what would help.

    Attributes:
        probabilities: of each kind of degradation, and of `clean`, in [0, 1]; several may be likely.
        psnr: estimate of that of the picture against its unknown clean form, in dB.
        gains: what each restoration network is expected to gain, in dB.
        confidence: 1 for a picture like those that the inspector learned from, toward 0 for one like none of them.
    """

    probabilities: Mapping[str, float]
    psnr: float
    gains: Mapping[str, float]
    confidence: float

    @property
    def found(self) -> dict[str, float]:
        """The degradations that are there, likeliest first, with their probabilities."""
        likely = {kind: chance for kind, chance in self.probabilities.items() if kind != CLEAN and chance >= FOUND}
        return dict(sorted(likely.items(), key=lambda item: -item[1]))

    @property
    def is_known(self) -> bool:
        """Whether the picture is like those that the inspector learned from."""
        return self.confidence >= LEAST_CONFIDENCE

    @property
    def is_degraded(self) -> bool:
        """Whether the picture is known, and has a degradation that is likelier than that it is clean."""
        return self.is_known and any(chance > self.probabilities.get(CLEAN, 0.0) for chance in self.found.values())

    @property
    def best(self) -> tuple[str, float] | None:
        """The network that is expected to gain most, and how much in dB; None where no network is known."""
        return max(self.gains.items(), key=lambda item: item[1], default=None)

    @property
    def choice(self) -> str | None:
        """The network to restore the picture with; None where it is better left alone."""
        best = self.best
        return best[0] if self.is_degraded and best is not None and best[1] > LEAST_GAIN else None

    @property
    def line(self) -> str:
        """What was found and chosen: `rain (0.93), about 24 dB: derain-small, expected +5.1 dB`."""
        if not self.is_known:
            return f"like nothing that the inspector knows (confidence {self.confidence:.2f}): left alone"
        if not self.is_degraded:
            kind, chance = max(self.probabilities.items(), key=lambda item: item[1])
            sure = "" if chance >= FOUND else "nothing is sure, likeliest is "
            return f"{sure}{kind} ({chance:.2f}): left alone"
        kinds = ", ".join(f"{kind} ({chance:.2f})" for kind, chance in self.found.items())
        what = f"{kinds}, about {self.psnr:.0f} dB"
        if self.best is None:
            return f"{what}: no network is known"
        name, gain = self.best
        if self.choice is None:
            return f"{what}: no network is expected to help ({name} {gain:+.1f} dB): left alone"
        return f"{what}: {name}, expected {gain:+.1f} dB"

    def among(self, networks: Sequence[str]) -> "Diagnosis":
        """The same with the gains of some networks alone."""
        kept = {name: gain for name, gain in self.gains.items() if name in networks}
        return Diagnosis(self.probabilities, self.psnr, kept, self.confidence)


@dataclass(frozen=True)
class Inspected:
    """What became of a file."""

    source: Path
    diagnosis: Diagnosis | None = None
    """None where it failed."""
    error: str | None = field(default=None)
    """Why it failed."""

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        if self.diagnosis is None:
            return {"file": str(self.source), "error": self.error}
        found = self.diagnosis
        return {
            "file": str(self.source),
            "found": list(found.found),
            "probabilities": dict(found.probabilities),
            "psnr": found.psnr,
            "gains": dict(found.gains),
            "confidence": found.confidence,
            "choice": found.choice,
            "line": found.line,
            "error": None,
        }


class Inspector:
    """Says what is wrong with pictures, with one small network of block-DCT coefficients.

    Args:
        weights: the shipped ones, or a folder that training with a recipe of the task inspection made.
        device: see `models.pick_device`. The network is so small that a processor is fast enough.

    Attributes:
        kinds: names of what it tells apart.
        networks: names of the restoration networks whose gain it predicts.

    Raises:
        CheckpointError: for weights that cannot be used, or that are of no inspector.
        ValueError: for a device that is not here.
    """

    def __init__(self, weights: str | Path = INSPECTOR, device: str = "cpu"):
        model, _, self.device = load_of_task(weights, "inspection", device)
        assert isinstance(model, InspectorNetwork)
        self.model = model.to(self.device)
        self.weights = str(weights)
        self.kinds, self.networks = model.kinds, model.networks

    def __repr__(self) -> str:
        facts = {"kinds": f"[{listed(self.kinds, 9)}]", "networks": f"[{listed(self.networks, 9)}]"}
        return described(self, self.weights, facts)

    def __call__(self, picture: AnyImage) -> Diagnosis:
        """Say what is wrong with a picture.

        Args:
            picture: a path (of a JPEG file the coefficients are read, without decoding it), a PIL picture, an array
                H W or H W 3 of uint8, uint16 or float in [0, 1], or a tensor 3 H W in [0, 1].

        Raises:
            ImageError: for a file that is not a picture.
            OSError: for one that cannot be read.
            ValueError: for a tensor or array of another shape.
        """
        if isinstance(picture, str | PathLike):
            return self.inspect_file(Path(picture))
        return self._diagnose(pixel_views(as_tensor(picture).float().cpu()))

    def inspect_file(self, path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Diagnosis:
        """Say what is wrong with the picture in a file.

        Args:
            path: of the file.
            max_pixels: larger pictures are refused before they are read.

        Raises:
            ImageError: for a file that is not a picture, is damaged or too large.
            OSError: for one that cannot be read.
        """
        return self._diagnose(file_views(path, max_pixels=max_pixels))

    def inspect_content(self, content: bytes) -> Diagnosis:
        """Say what is wrong with the picture in a file's content.

        Args:
            content: of a picture file.

        Raises:
            ImageError: where it is no picture, or damaged.
        """
        return self._diagnose(file_views(content))

    def inspect(self, paths: Sequence[str | Path]) -> Iterator[Inspected]:
        """Inspect files one by one; a bad one does not keep the others from being done.

        Args:
            paths: of the pictures.

        Yields:
            What was found in each, in their order; a failed one carries the reason.
        """
        for path in map(Path, paths):
            try:
                yield Inspected(path, self.inspect_file(path))
            except (ValueError, OSError, MemoryError) as error:
                yield Inspected(path, error=str(error))

    @torch.inference_mode()
    def _diagnose(self, views: Views) -> Diagnosis:
        """What the network says of views."""
        found = self.model(views.windows[None].to(self.device), views.overview[None].to(self.device))
        strange = share_as_strange(found.strangeness.item())
        return Diagnosis(
            dict(zip(self.kinds, found.kinds[0].sigmoid().tolist(), strict=True)),
            found.psnr.item(),
            dict(zip(self.networks, found.gains[0].tolist(), strict=True)),
            min(1.0, strange / COMMON),
        )


def mean_of(diagnoses: Sequence[Diagnosis]) -> Diagnosis:
    """What is wrong with several pictures of one thing, such as frames of a video: the mean of all that is said.

    Args:
        diagnoses: by one inspector; at least one.
    """
    count, first = len(diagnoses), diagnoses[0]
    return Diagnosis(
        {kind: sum(one.probabilities[kind] for one in diagnoses) / count for kind in first.probabilities},
        sum(one.psnr for one in diagnoses) / count,
        {name: sum(one.gains[name] for one in diagnoses) / count for name in first.gains},
        sum(one.confidence for one in diagnoses) / count,
    )
