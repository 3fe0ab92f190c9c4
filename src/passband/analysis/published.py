"""What was published, to stand beside what is measured: one entry per benchmark of SFNet's tables."""

from collections.abc import Mapping
from dataclasses import dataclass

from passband.naming import entry


@dataclass(frozen=True)
class Benchmark:
    """A test set, how its table was scored, and the table's figures."""

    name: str
    task: str
    protocol: str
    """A key of `metrics.PROTOCOLS`."""
    pool_window: int | None
    """Of the released test-time pooling; None is global."""
    figures: Mapping[str, tuple[float, float | None]]
    """Where from to (PSNR in dB, SSIM), with as many digits as were published."""
    views: int = 1
    """Pictures of a scene that the network gets."""


PAPER = "paper"
RERUN = "rerun"
"""An independent run of the released code with the released weights."""

_ALL = (
    Benchmark("SOTS-Indoor", "dehaze", "sfnet", 246, {PAPER: (41.24, 0.996), RERUN: (41.24, 0.9962)}),
    Benchmark("SOTS-Outdoor", "dehaze", "sfnet", 210, {PAPER: (40.05, 0.996), RERUN: (39.26, 0.9956)}),
    Benchmark("Dense-Haze", "dehaze", "sfnet", None, {PAPER: (17.46, 0.578)}),
    # the weights of SOTS indoor and outdoor on sets they were not trained for, then fine-tuned on these
    Benchmark("I-Haze", "dehaze", "sfnet", 246, {RERUN: (12.54, 0.588), f"{RERUN}, fine-tuned": (18.44, 0.8422)}),
    Benchmark("O-Haze", "dehaze", "sfnet", 210, {RERUN: (17.93, 0.7652), f"{RERUN}, fine-tuned": (22.51, 0.9078)}),
    Benchmark("GoPro", "deblur", "rgb", 80, {PAPER: (33.27, 0.963)}),
    Benchmark("HIDE", "deblur", "rgb", 110, {PAPER: (31.10, 0.941)}),
    Benchmark("RSBlur", "deblur", "rgb", 75, {PAPER: (34.35, 0.872)}),
    Benchmark("RealBlur-R", "deblur", "rgb", 80, {RERUN: (33.46, None)}),
    Benchmark("RealBlur-J", "deblur", "rgb", 80, {RERUN: (26.24, None)}),
    Benchmark("CSD", "desnow", "sfnet", 200, {PAPER: (38.41, 0.99)}),
    Benchmark("SRRS", "desnow", "sfnet", None, {PAPER: (32.40, 0.98), RERUN: (32.51, 0.9824)}),
    Benchmark("Snow100K", "desnow", "sfnet", None, {PAPER: (33.79, 0.95), RERUN: (33.83, 0.9541)}),
    Benchmark("Test100", "derain", "y-matlab", None, {PAPER: (31.47, 0.919)}),
    Benchmark("Rain100H", "derain", "y-matlab", None, {PAPER: (31.90, 0.908)}),
    Benchmark("Rain100L", "derain", "y-matlab", None, {PAPER: (38.21, 0.974)}),
    Benchmark("Test2800", "derain", "y-matlab", None, {PAPER: (33.69, 0.937)}),
    Benchmark("Test1200", "derain", "y-matlab", None, {PAPER: (32.55, 0.911)}),
    Benchmark("DPDD-single", "defocus", "rgb", None, {PAPER: (26.23, 0.811)}),
    Benchmark("DPDD-dual", "defocus", "rgb", None, {PAPER: (26.34, 0.817)}, views=2),
)
BENCHMARKS = {benchmark.name: benchmark for benchmark in _ALL}
"""Cui et al., "Selective Frequency Network for Image Restoration", ICLR 2023.

Protocols and windows are those of the released scripts where there is one: they score dehazing and desnowing by
`sfnet`, PSNR of deblurring by `rgb` and deraining by `y-matlab`; which SSIM the tables of deblurring and defocus hold,
no released script says. Windows of RealBlur, I-Haze and O-Haze are those of the weights' own benchmark. RealBlur's and
RSBlur's own scripts align the pictures before they score; nothing is aligned here."""


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of a name, in any case.

    Raises:
        ValueError: for an unknown one, naming the nearest.
    """
    by_lower = {known.lower(): known for known in BENCHMARKS}
    return entry(by_lower.get(name.lower(), name), BENCHMARKS, "benchmark")


def beside_published(benchmark: Benchmark, psnr: float, ssim: float) -> list[dict[str, str | float | None]]:
    """A row per published figure, with what was measured and the difference.

    Args:
        benchmark: whose figures.
        psnr: measured, dB.
        ssim: measured, up to 1.

    Returns:
        Rows of `source`, `psnr`, `psnr_published`, `psnr_difference` and the same of SSIM; differences are measured
        minus published, None where nothing was published.
    """
    return [
        {
            "source": source,
            "psnr": psnr,
            "psnr_published": published_psnr,
            "psnr_difference": psnr - published_psnr,
            "ssim": ssim,
            "ssim_published": published_ssim,
            "ssim_difference": None if published_ssim is None else ssim - published_ssim,
        }
        for source, (published_psnr, published_ssim) in benchmark.figures.items()
    ]
