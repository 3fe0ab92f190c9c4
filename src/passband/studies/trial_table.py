"""Tries restoration networks on the images of an inspection set, for the judge of an inspector to learn from."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from passband.config import InspectionRecipe
from passband.data.cubes.inspection import file_views
from passband.data.datasets.crops import UNUSABLE, crop_and_flip
from passband.data.datasets.inspection import BEST, InspectionImage, kinds_of
from passband.data.gains import UNREADABLE, GainTableError
from passband.inference.inspection.trials import WINDOW, Trials
from passband.io.files import write_whole
from passband.io.image import read_image
from passband.metrics import psnr
from passband.models.inspection.inspector import InspectorNetwork, first_features
from passband.models.inspection.trials import trial_features
from passband.provenance import weights_checksum
from passband.tasks.inspection import Inspection, made_of

_KEPT = 50  # number of images after which the table is written


@dataclass
class TrialTable:
    """Trials of images whose degradations are known.

    Attributes:
        made_of: description of the images and of the inspector; another table is refused.
        rows: features, kinds as 0 and 1, PSNR in dB, and gains in dB of each network, joined, by the number of the
            image. Images that cannot be made have none.
        sizes: number of values of each of these four parts.
    """

    made_of: str
    sizes: tuple[int, int, int, int]
    rows: dict[int, np.ndarray] = field(default_factory=dict)

    def parts(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the features B F, kinds B K, PSNR B 1 and gains B N of some images.

        Args:
            numbers: numbers of the images.
        """
        values = torch.from_numpy(np.stack([self.rows[number] for number in numbers])).float()
        features, kinds, strength, gains = values.split(list(self.sizes), 1)
        return features, kinds, strength, gains

    def write(self, path: Path) -> None:
        """Write the table; an interrupted write leaves no file.

        Args:
            path: path of the file, a compressed archive of numpy (.npz).

        Raises:
            OSError: if the file cannot be written.
        """
        numbers, content = sorted(self.rows), io.BytesIO()
        rows = np.array([self.rows[number] for number in numbers], np.float32).reshape(-1, sum(self.sizes))
        np.savez_compressed(
            content, made_of=np.array(self.made_of), sizes=np.array(self.sizes), numbers=np.array(numbers), rows=rows
        )
        with write_whole(path) as temporary:
            temporary.write_bytes(content.getvalue())


def read_trials(path: Path) -> TrialTable:
    """Read a table.

    Args:
        path: path of a file that `TrialTable.write` wrote.

    Raises:
        GainTableError: if the table is damaged.
        FileNotFoundError: if there is no such file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            first, second, third, fourth = (int(size) for size in stored["sizes"])
            rows = dict(zip(stored["numbers"].tolist(), stored["rows"], strict=True))
            return TrialTable(str(stored["made_of"]), (first, second, third, fourth), rows)
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise GainTableError(f"{path} is no table of trials, or is damaged ({error}): make it again") from error


def measure_trials(
    recipe: InspectionRecipe,
    data: Path,
    output: Path,
    inspector: InspectorNetwork,
    trials: Trials,
    *,
    count: int,
    report: Callable[[int], None] = lambda done: None,
) -> TrialTable:
    """Try networks on the first images of a recipe; resumes a table that exists.

    Args:
        recipe: recipe that says how images are made.
        data: folder that they are made from.
        output: path of the table, an .npz file.
        inspector: inspector in evaluation mode, whose first predictions are part of the features.
        trials: the networks that the inspector knows.
        count: number of images, which are numbered from 0.
        report: function that is called with the number of finished images, after each.

    Returns:
        The table, without images that cannot be made.

    Raises:
        GainTableError: if `output` is a table of other images, networks or of another inspector.
    """
    description = f"{made_of(recipe)} {weights_checksum(inspector)} {trials.checksum()}"
    table = read_trials(output) if output.exists() else None
    if table is not None and table.made_of != description:
        raise GainTableError(f"{output} is of other images, networks or of another inspector: choose another output")
    images, measured = Inspection(recipe).images(data), 0
    for number in range(count):
        if table is None or number not in table.rows:
            try:
                parts = measure_trial(images(number), inspector, trials)
            except UNUSABLE:
                report(number + 1)
                continue
            if table is None:
                features, kinds, strength, gains = map(len, parts)
                table = TrialTable(description, (features, kinds, strength, gains))
            table.rows[number], measured = torch.cat(parts).numpy(), measured + 1
            if measured % _KEPT == 0:
                table.write(output)
        report(number + 1)
    if table is None:
        raise GainTableError(f"none of the first {count} images of {data} can be made")
    table.write(output)
    return table


@torch.inference_mode()
def measure_trial(image: InspectionImage, inspector: InspectorNetwork, trials: Trials) -> list[Float[Tensor, " n"]]:
    """Try networks on an image, and describe its middle.

    Args:
        image: the image.
        inspector: inspector in evaluation mode.
        trials: the networks.

    Returns:
        Features, kinds as 0 and 1, PSNR in dB, and the gain of each network in dB.
    """
    views = file_views(image.content)
    first = first_features(inspector(views.windows[None], views.overview[None]))[0]
    degraded = read_image(image.content)
    side = min(WINDOW, *degraded.shape[-2:])
    degraded, clean, *changes = crop_and_flip([degraded, image.clean, *trials.changes(degraded)], side, None)
    before = _score(degraded[None], clean[None])
    gains = [_score((degraded + change)[None], clean[None]) - before for change in changes]
    features = torch.cat([trial_features(degraded[None], torch.stack(changes)[:, None]).flatten(), first])
    return [features, kinds_of(image.kind), torch.tensor([before]), torch.tensor(gains)]


def _score(image: Float[Tensor, "1 3 H W"], clean: Float[Tensor, "1 3 H W"]) -> float:
    """Return the PSNR in dB, at most `BEST`."""
    return min(BEST, psnr(image, clean).item())
