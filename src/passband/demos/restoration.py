"""Demonstrates restoration: degrades and restores a photo that is installed with scikit-image."""

from collections.abc import Sequence
from pathlib import Path

from passband.data.datasets.crops import degraded_as_file
from passband.data.degradations import VERSIONS
from passband.drawing.comparison import comparison_rows, restoration_captions
from passband.inference.restorer import Restorer
from passband.io.arrays import from_array
from passband.io.files import results_folder
from passband.io.image import write_image
from passband.metrics import psnr

VERSION = 1
"""Version of the simulators that the demonstration uses."""


def demonstrate(
    restorer: Restorer, output: Path, kinds: Sequence[str] | None = None, *, seed: int = 1
) -> dict[str, tuple[float, float]]:
    """Degrade a photo of scikit-image, restore it, and write the images.

    Args:
        restorer: the restorer.
        output: folder that gets demo.png, with a row degraded | restored | clean for each degradation.
        kinds: degradations of the first version of the simulators, whose strength is moderate; None for all.
        seed: seed of the degradations.

    Returns:
        PSNR in dB of the degraded and of the restored photo, by kind.

    Raises:
        ValueError: if a kind is unknown.
    """
    from skimage.data import chelsea

    output, clean = results_folder(output), from_array(chelsea())[0]
    gains, rows, captions = {}, [], []
    for kind in kinds or VERSIONS[VERSION]:
        degraded = degraded_as_file(clean, kind, seed=seed, index=0, version=VERSION)
        restored = restorer.restore(degraded[None])[0].cpu()
        before, after = (psnr(image[None], clean[None]).item() for image in (degraded, restored))
        gains[kind] = (before, after)
        rows.append([degraded, restored, clean])
        captions.append(restoration_captions(before, after, kind))
    write_image(output / "demo.png", comparison_rows(rows, captions))
    return gains
