"""Measures the gains of restoration networks on the images of an inspection set, for an inspector to learn from."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from passband.config import InspectionRecipe
from passband.data.datasets.crops import UNUSABLE, crop_and_flip
from passband.data.datasets.inspection import BEST, InspectionImage
from passband.data.gains import GainTable, GainTableError, read_gains
from passband.io.image import read_image
from passband.metrics import psnr
from passband.tasks.inspection import Inspection, made_of

Restore = Callable[[Tensor], Tensor]
"""Function that restores a batch B 3 H W in [0, 1]."""
SPECIALISTS = {
    "rain": "derain-small",
    "snow": "desnow-small",
    "haze": "dehaze-small",
    "defocus": "defocus-small",
    "motion-blur": "deblur-small",
    "raindrop": "raindrop-small",
    "scratch": "scratch-small",
}
"""Name of the specialist for each kind, shipped or not. It is drawn more often if not all networks are measured."""
_LIKELY = 2 / 3
_KEPT = 20  # number of images after which the table is written


def measure_gains(
    recipe: InspectionRecipe,
    data: Path,
    output: Path,
    restorers: Mapping[str, Restore],
    *,
    count: int,
    most: int | None = None,
    part: int | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> GainTable:
    """Restore the first images of a recipe with each network and record the gains; resumes a table that exists.

    Args:
        recipe: recipe that says how images are made.
        data: folder that they are made from.
        output: path of the table, an .npz file.
        restorers: `Restorer.restore` of each network, by name.
        count: number of images, which are numbered from 0.
        most: number of networks for each image: `general`, and others that are drawn by the image's number, among which
            the specialist of its kind is more likely; None for all.
        part: side of the square in the middle of an image that is restored, in pixels; None for the whole image.
        report: function that is called with the number of finished images, after each.

    Returns:
        The table. Images that cannot be made, and networks that were not drawn, have NaN.

    Raises:
        GainTableError: if `output` is a table of other images or networks.
    """
    settings = made_of(recipe)
    table = read_gains(output, settings) if output.exists() else GainTable(tuple(restorers), settings)
    if table.networks != tuple(restorers):
        raise GainTableError(
            f"{output} is of the networks {', '.join(table.networks)}, and gains of {', '.join(restorers)} are needed: "
            "choose another output"
        )
    images = Inspection(recipe).images(data)
    for number in range(count):
        if number not in table.rows:
            try:
                image = images(number)
            except UNUSABLE:
                table.rows[number] = (math.nan,) * len(restorers)
            else:
                drawn = _drawn(list(restorers), image.kind, most, number)
                table.rows[number] = tuple(
                    gain_on(image, restorers[name], part) if name in drawn else math.nan for name in restorers
                )
            if len(table.rows) % _KEPT == 0:
                table.write(output)
        report(number + 1)
    table.write(output)
    return table


def gain_on(made: InspectionImage, restore: Restore, part: int | None = None) -> float:
    """Return the gain of a network on an image, in dB.

    Args:
        made: the image.
        restore: function that restores it.
        part: side of the square that is restored, as in `measure_gains`.

    Returns:
        PSNR of the restored image minus that of the degraded one; each counts as at most `BEST` dB.
    """
    images = [read_image(made.content), made.clean]
    degraded, clean = (image[None] for image in (images if part is None else crop_and_flip(images, part, None)))
    before, after = (min(BEST, psnr(image, clean).item()) for image in (degraded, restore(degraded).float().cpu()))
    return after - before


def _drawn(names: Sequence[str], kind: str, most: int | None, number: int) -> set[str]:
    """Return the names of the networks that are measured on an image."""
    if most is None or most >= len(names):
        return set(names)
    rng = np.random.default_rng([number, 5])
    first = ["general"] if "general" in names else []
    special = [SPECIALISTS[one] for one in kind.split("+") if SPECIALISTS.get(one) in names]
    likely = special if rng.random() < _LIKELY else []
    others = [str(name) for name in rng.permutation([name for name in names if name not in (*first, *likely)])]
    return {*[*first, *likely, *others][:most]}
