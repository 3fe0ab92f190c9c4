"""Restores the degraded images of a folder of pairs, and prints PSNR before and after.

    python examples/restore_folder.py PAIRS RESTORED [WEIGHTS]

PAIRS holds degraded/ and clean/ with files of the same names. `passband degrade photos/ PAIRS --kind rain` makes one.
"""

import sys
from pathlib import Path

import passband
from passband.metrics import psnr


def main(pairs: Path, output: Path, weights: str = "general") -> list[tuple[float, float]]:
    """Restore a folder.

    Args:
        pairs: folder with degraded/ and clean/.
        output: folder for the restored images.
        weights: a shipped name, a folder, or a run.

    Returns:
        PSNR before and after in dB, for each image in the order of names.
    """
    restorer = passband.Restorer(weights)
    scores = []
    for path in sorted((pairs / "degraded").iterdir()):
        degraded = passband.read_image(path)  # 3 x H x W, RGB in [0, 1]
        clean = passband.read_image(pairs / "clean" / path.name)
        restored = restorer(degraded)
        passband.write_image(output / path.name, restored)
        before, after = (float(psnr(image[None], clean[None])) for image in (degraded, restored))
        print(f"{path.name}: {before:.2f} dB before, {after:.2f} dB after")
        scores.append((before, after))
    return scores


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
