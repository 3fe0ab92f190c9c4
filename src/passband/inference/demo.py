"""The demonstration: a photograph that everybody has, degraded and restored."""

from collections.abc import Sequence
from pathlib import Path

from passband.data.datasets.crops import degraded_as_file
from passband.data.degradations import VERSIONS
from passband.drawing.comparison import comparison_rows, restoration_captions
from passband.inference.restorer import Restorer
from passband.io.arrays import from_array
from passband.io.image import write_image
from passband.metrics import psnr

VERSION = 1
"""Version of the simulators that are shown."""


def demonstrate(
    restorer: Restorer, output: Path, kinds: Sequence[str] | None = None, *, seed: int = 1
) -> dict[str, tuple[float, float]]:
    """Degrade a photograph that comes with scikit-image, restore it, and write the pictures.

    Args:
        restorer: the network.
        output: gets demo.png: a row per degradation, each degraded | restored | clean.
        kinds: degradations of the first version of the simulators, whose strength is moderate; None for all.
        seed: of the degradations.

    Returns:
        Kind to PSNR in dB, degraded and restored.

    Raises:
        ValueError: for an unknown kind.
    """
    from skimage.data import chelsea

    clean = from_array(chelsea())[0]
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
