"""Draws the pictures of two pages about frequencies from images that come with scikit-image.

    python docs/draw_frequency.py [FOLDER]

The folder is docs/frequency without an argument.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from skimage import data
from torch import Tensor

from passband import as_tensor, read_image, write_image
from passband.analysis.filters import analyze_filters
from passband.analysis.images import analyze_image_channels, analyze_image_parts, analyze_image_spectrum
from passband.drawing.frequencies.spectrum import shrunk
from passband.io.jpeg import dequantize, read_coefficients
from passband.ops.dct import block_dct, dct_matrix, inverse_block_dct
from passband.ops.fourier import band_split

SIDE = 256
"""Height and width of the photo, in pixels."""
WIDTH = 1200
"""Longest side of the pictures of the commands, in pixels."""
RATIOS = (0.05, 0.15, 0.4)
"""Radii of the low part, as shares of the Nyquist frequency."""
KEPT = (1, 6, 24, 64)
"""Numbers of coefficients of a block that are kept, lowest frequencies first."""


def main() -> None:
    """Draw all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "frequency"
    folder.mkdir(parents=True, exist_ok=True)
    photo = as_tensor(data.astronaut())[:, :SIDE, 110 : 110 + SIDE]
    gray = photo.mean(0, keepdim=True)
    for name, draw in (("spectrum", spectrum), ("parts", parts), ("blocks", blocks)):
        save(draw(gray), folder / f"{name}.png")
    save(channels(photo), folder / "channels.png")
    analyses(folder)


def analyses(folder: Path) -> None:
    """Make the pictures of "Frequencies of an image", which the commands draw, as JPEG files of one width."""
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "cat.jpg"
        write_image(source, as_tensor(data.chelsea()), quality=92)
        analyze_image_spectrum(source, Path(work) / "spectrum")
        analyze_image_parts(source, Path(work) / "parts")
        analyze_image_channels(source, Path(work) / "channels")
        analyze_filters(source, Path(work) / "filters")
        for name in ("spectrum", "parts", "channels", "filters"):
            write_image(
                folder / f"analyze-{name}.jpg", shrunk(read_image(Path(work) / name / f"{name}.png"), WIDTH), quality=82
            )


def spectrum(gray: Tensor) -> plt.Figure:
    """Show an image beside the logarithm of its spectrum's amplitude, the mean in the middle."""
    amplitude = torch.fft.fftshift(torch.fft.fft2(gray[0], norm="ortho")).abs()
    figure, axes = plt.subplots(1, 2, figsize=(6, 3.2))
    show(axes[0], gray[0], "image")
    show(axes[1], amplitude.clamp(min=1e-3).log(), "spectrum (logarithm of the amplitude)", low=None, high=None)
    for ratio in RATIOS:
        circle = plt.Circle((SIDE / 2, SIDE / 2), ratio * SIDE / 2, fill=False, color="white", linewidth=0.8)
        axes[1].add_patch(circle)
    return figure


def parts(gray: Tensor) -> plt.Figure:
    """Show the low and the high part of an image at several ratios."""
    figure, axes = plt.subplots(2, len(RATIOS), figsize=(6, 4.4))
    for column, ratio in enumerate(RATIOS):
        low, high = band_split(gray[None], ratio * SIDE / 2)
        show(axes[0, column], low[0, 0], f"low, ratio {ratio:g}")
        show(axes[1, column], high[0, 0] + 0.5, f"high, ratio {ratio:g}")
    return figure


def blocks(gray: Tensor) -> plt.Figure:
    """Show the 64 patterns of an 8 x 8 DCT, and an image made of some coefficients of each of its blocks."""
    matrix = dct_matrix(8).float()
    patterns = torch.einsum("vy,ux->vuyx", matrix, matrix)
    tiled = torch.nn.functional.pad(patterns, (1, 1, 1, 1), value=0.25).permute(0, 2, 1, 3).reshape(80, 80)
    order = sorted(range(64), key=lambda index: (index // 8 + index % 8, index))
    coefficients = block_dct(gray[None])
    figure, axes = plt.subplots(1, 1 + len(KEPT), figsize=(10, 2.3))
    show(axes[0], tiled, "64 patterns", low=-0.25, high=0.25)
    for axis, count in zip(axes[1:], KEPT, strict=True):
        mask = torch.zeros(64)
        mask[order[:count]] = 1
        show(axis, inverse_block_dct(coefficients * mask[None, :, None, None])[0, 0], f"{count} of 64")
    return figure


def channels(photo: Tensor) -> plt.Figure:
    """Show frequency channels of a JPEG file: one coefficient of every block, as an image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        write_image(path, photo, quality=95)
        components = dequantize(read_coefficients(path))
    figure, axes = plt.subplots(3, 6, figsize=(8, 4.4))
    for row, (name, component) in enumerate(zip(("Y", "Cb", "Cr"), components, strict=True)):
        for column, index in enumerate((0, 1, 8, 9, 2, 16)):
            values = component[index]
            limit = float(values.abs().max()) if index == 0 else float(values.abs().quantile(0.98))
            show(axes[row, column], values, f"{name}, v {index // 8}, u {index % 8}", low=-limit, high=limit)
    return figure


def show(axis: Axes, values: Tensor, title: str, low: float | None = 0.0, high: float | None = 1.0) -> None:
    """Draw values in gray."""
    axis.imshow(values.numpy(), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axis.set_title(title, fontsize=8)
    axis.axis("off")


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure as a small PNG file with 64 grays."""
    from io import BytesIO

    from PIL import Image

    figure.tight_layout(pad=0.8)
    content = BytesIO()
    figure.savefig(content, dpi=100)
    plt.close(figure)
    Image.open(content).convert("L").quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    main()
