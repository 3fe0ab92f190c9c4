"""Restoring each picture with the network that an inspector expects to help most, or leaving it alone."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.drawing.before_after import PIXELS, write_comparison
from passband.inference.engines import Engine
from passband.inference.inspector import Diagnosis, Inspector, mean_of
from passband.inference.restorer import AUTO, Restorer
from passband.io.files import write_whole
from passband.io.image import DEFAULT_MAX_PIXELS, kind_of_file, read_stored_image, write_stored_image
from passband.io.image.kinds import KINDS
from passband.io.video import VideoReader
from passband.models import pick_device
from passband.ops.progress import Report
from passband.provenance import weights_checksum
from passband.weights_io import CheckpointError, shipped_weights

FRAMES = 5
"""Frames of a video that are inspected."""
FIRST_FRAMES = 240
"""They are taken evenly from so many at its beginning."""


class AutomaticRestorer(Restorer):
    """Restores each picture with the shipped network that is expected to gain most; `Restorer("auto")` makes one.

    A picture that is clean, that no network is expected to help by more than `inspector.LEAST_GAIN`, or that is like
    nothing the inspector knows, is left as it is. Networks are loaded when they are first chosen.

    Args:
        weights: `"auto"`.
        device: as for `Restorer`, and so are the rest.
        memory: see there.
        engine: see there.
        precision: see there.
        strength: see there.
        inspector: says what is wrong; None for the shipped one.
        overrides: keywords of the networks' constructors.

    Raises:
        CheckpointError: where the inspector knows none of the networks that ship.
        ValueError: as `Restorer`; for an unknown engine or option when the first network is loaded.
    """

    def __init__(
        self,
        weights: str | Path = AUTO,
        device: str = "auto",
        memory: int | str | None = None,
        *,
        engine: str = "torch",
        precision: str = "auto",
        strength: float = 1.0,
        inspector: Inspector | None = None,
        **overrides: Any,
    ):
        self.inspector = inspector or Inspector()
        self.choices = [name for name in self.inspector.networks if name in shipped_weights()]
        if not self.choices:
            raise CheckpointError(
                f"{self.inspector.weights} knows none of the networks that ship ({', '.join(shipped_weights())}), so "
                f"that it cannot choose: name a network, such as general"
            )
        options = {"engine": engine, "precision": precision, "strength": strength}
        self._options = {"device": device, "memory": memory, **options, **overrides}
        self._restorers: dict[str, Restorer] = {}
        self._statistics = None
        self.weights, self.device = str(weights), pick_device(device)
        self.engine_name, self.precision, self.strength = engine, precision, strength  # pyright: ignore
        self.memory = None

    @property
    def engine(self) -> Engine:  # pyright: ignore[reportIncompatibleVariableOverride]
        """There is no single one.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "auto chooses a network for each picture, but one network is needed here: name it, such as general"
        )

    def restorer(self, name: str) -> Restorer:
        """The restorer of one of the choices, loaded once."""
        if name not in self._restorers:
            self._restorers[name] = Restorer(name, **self._options)
        return self._restorers[name]

    def diagnose(self, picture: Path | Float[Tensor, "3 H W"], max_pixels: int = DEFAULT_MAX_PIXELS) -> Diagnosis:
        """What is wrong with a picture, with the gains of the networks that can be chosen.

        Args:
            picture: a file, or RGB in [0, 1].
            max_pixels: larger files are refused.
        """
        if isinstance(picture, Path):
            return self.inspector.inspect_file(picture, max_pixels=max_pixels).among(self.choices)
        return self.inspector(picture).among(self.choices)

    def checksum(self) -> str:
        """SHA-256 of the inspector and of all networks that may be chosen."""
        digest = hashlib.sha256(weights_checksum(self.inspector.model).encode())
        for name in self.choices:
            digest.update(f"{name} {hashlib.sha256(_stored(name)).hexdigest()}".encode())
        return digest.hexdigest()

    @torch.inference_mode()
    def restore(self, degraded: Float[Tensor, "B 3 H W"], report: Report | None = None) -> Float[Tensor, "B 3 H W"]:
        """Restore each picture of a batch with its own choice; those that are left alone come back as they are.

        Args:
            degraded: pictures in [0, 1].
            report: as for `Restorer.restore`.
        """
        restored = []
        for image in degraded:
            choice = self.diagnose(image).choice
            kept = image[None].to(self.device, torch.float32)
            restored.append(kept if choice is None else self.restorer(choice).restore(image[None], report))
        return torch.cat(restored)

    def restore_file(
        self,
        source: Path,
        target: Path,
        *,
        compare: Path | None = None,
        compare_pixels: int | None = PIXELS,
        quality: int = 95,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        report: Report | None = None,
    ) -> tuple[str, ...]:
        """Restore a file with the network that is chosen for it, or write it as it is.

        A file that is left alone is copied where the target is of its type; its pixels go into another type otherwise.

        Args:
            source: as for `Restorer.restore_file`, and so are the rest.
            target: see there.
            compare: see there.
            compare_pixels: see there.
            quality: see there.
            max_pixels: see there.
            report: see there.

        Returns:
            What was found and chosen, first; then as `Restorer.restore_file`.

        Raises:
            ImageError, OSError, MemoryError: as `Restorer.restore_file`.
        """
        diagnosis = self.diagnose(Path(source), max_pixels)
        if diagnosis.choice is not None:
            notes = self.restorer(diagnosis.choice).restore_file(
                source,
                target,
                compare=compare,
                compare_pixels=compare_pixels,
                quality=quality,
                max_pixels=max_pixels,
                report=report,
            )
            return (diagnosis.line, *notes)
        picture = read_stored_image(source, max_pixels=max_pixels)  # which says whether it is whole
        notes = picture.notes
        if kind_of_file(source) == KINDS.get(target.suffix.lower()):
            copy_whole(source, target)
        else:
            notes = (*notes, *write_stored_image(target, picture, quality=quality))
        if compare is not None:
            write_comparison(picture, target, compare, pixels=compare_pixels, max_pixels=max_pixels)
        return (diagnosis.line, *notes)

    def for_video(self, source: Path, target: Path | None = None) -> tuple[Restorer | None, str]:
        """Decide once for a video, from a few frames of its beginning.

        Args:
            source: the video.
            target: where it goes. A video that is left alone and goes into another container has to be encoded again:
                then there is a restorer that changes nothing, too.

        Returns:
            The restorer for all of its frames, None where it is better left alone; and what was found and chosen.

        Raises:
            VideoError: for a file that is no video.
            OSError: for one that cannot be read.
        """
        diagnoses = []
        with VideoReader(source) as reader:
            length = min(reader.expected or FIRST_FRAMES, FIRST_FRAMES)
            wanted = {(2 * number + 1) * length // (2 * FRAMES) for number in range(FRAMES)}
            for number, frame in enumerate(reader.frames()):
                if number in wanted:
                    diagnoses.append(self.diagnose(frame.image))
                if number >= max(wanted) and diagnoses:
                    break
        diagnosis = mean_of(diagnoses)
        line = f"{len(diagnoses)} frames were inspected: {diagnosis.line}"
        if diagnosis.choice is not None:
            return self.restorer(diagnosis.choice), line
        same = target is None or target.suffix.lower() == source.suffix.lower()
        return (None if same else Restorer(self.choices[0], **{**self._options, "strength": 0.0})), line


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file's content, whole or not at all.

    Args:
        source: the file.
        target: where it goes; missing folders are made.

    Raises:
        OSError: for a file that cannot be read or written.
    """
    with write_whole(target) as temporary, source.open("rb") as read, temporary.open("wb") as write:
        while part := read.read(1 << 20):
            write.write(part)


def _stored(name: str) -> bytes:
    """The bytes of a shipped network's weights."""
    return (shipped_weights()[name] / "model.safetensors").read_bytes()
