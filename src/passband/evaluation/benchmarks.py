"""Published figures to compare with measured ones: an entry for each benchmark of SFNet, FSNet and ConvIR."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from passband.naming import entry


@dataclass(frozen=True)
class Benchmark:
    """A test set, the way its table was scored, and the figures of the table."""

    name: str
    task: str
    protocol: str
    """Name of the protocol, a key of `metrics.PROTOCOLS`."""
    pool_window: int | None
    """Window of the released test-time pooling; None for global pooling."""
    figures: Mapping[str, tuple[float, float | None]]
    """PSNR in dB and SSIM by source, with the published digits."""
    views: int = 1
    """Number of images of a scene that the network gets."""
    counts: tuple[int, ...] = ()
    """Numbers of pairs in the set; several if it is used in parts, or was published more than once."""
    names: str = ""
    """Regular expression that matches within the name of each pair; empty if repackagings have other names."""

    def mismatch(self, names: Sequence[str]) -> str:
        """Return the reason why pairs are not those of the benchmark; empty if they may be.

        Args:
            names: names of the pairs that were scored, see `data.pairs.Pair`.
        """
        if len(names) not in self.counts:
            return f"{self.name} has {' or '.join(map(str, self.counts))} images, and these data have {len(names)}"
        other = [name for name in names if not re.search(self.names, name)]
        if other:
            return f"{len(other)} of these images have other names than those of {self.name}, such as {other[0]}"
        return ""


PAPER = "paper"
"""Source of figures: the paper of SFNet."""
FSNET, CONVIR_S, CONVIR_B, CONVIR_L = "FSNet", "ConvIR-S", "ConvIR-B", "ConvIR-L"
"""Sources of figures: the papers of these networks."""
RERUN = "rerun"
"""Source of figures: an independent run of the released code with the released weights."""

_NUMBERED = r"(^|/|rain-)\d+(_\d+)?$"
"""Names of rainy images: 1, 001, rain-001, norain-1 or 1_14."""

_ALL = (
    Benchmark(
        "SOTS-Indoor",
        "dehaze",
        "sfnet",
        246,
        {
            PAPER: (41.24, 0.996),
            RERUN: (41.24, 0.9962),
            FSNET: (42.45, 0.997),
            CONVIR_S: (41.53, 0.996),
            CONVIR_B: (42.72, 0.997),
        },
        counts=(500,),
        names=r"14\d\d_\d",
    ),
    Benchmark(
        "SOTS-Outdoor",
        "dehaze",
        "sfnet",
        210,
        {
            PAPER: (40.05, 0.996),
            RERUN: (39.26, 0.9956),
            FSNET: (40.40, 0.997),
            CONVIR_S: (37.95, 0.994),
            CONVIR_B: (39.42, 0.996),
        },
        counts=(492, 500),
        names=r"\d{4}_[\d.]+",
    ),
    Benchmark(
        "Dense-Haze",
        "dehaze",
        "sfnet",
        None,
        {PAPER: (17.46, 0.578), FSNET: (17.13, 0.65), CONVIR_S: (17.45, 0.648), CONVIR_B: (16.86, 0.621)},
        counts=(5, 55),
        names=r"\d\d",
    ),
    # the weights of SOTS indoor and outdoor on sets they were not trained for, then fine-tuned on these
    Benchmark(
        "I-Haze",
        "dehaze",
        "sfnet",
        246,
        {
            RERUN: (12.54, 0.588),
            f"{RERUN}, fine-tuned": (18.44, 0.8422),
            CONVIR_S: (21.95, 0.888),
            CONVIR_B: (22.44, 0.887),
        },
        counts=(5, 30, 35),
        names=r"\d\d",
    ),
    Benchmark(
        "O-Haze",
        "dehaze",
        "sfnet",
        210,
        {
            RERUN: (17.93, 0.7652),
            f"{RERUN}, fine-tuned": (22.51, 0.9078),
            CONVIR_S: (25.25, 0.784),
            CONVIR_B: (25.36, 0.78),
        },
        counts=(5, 45),
        names=r"\d\d",
    ),
    Benchmark(
        "Haze4K",
        "dehaze",
        "sfnet",
        None,
        {FSNET: (34.12, 0.99), CONVIR_S: (33.36, 0.99), CONVIR_B: (34.15, 0.99), CONVIR_L: (34.50, 0.99)},
        counts=(1000,),
        names=r"\d+",
    ),
    Benchmark(
        "NH-HAZE",
        "dehaze",
        "sfnet",
        None,
        {FSNET: (20.55, 0.81), CONVIR_S: (20.65, 0.807), CONVIR_B: (20.66, 0.802)},
        counts=(5, 55),
        names=r"\d\d",
    ),
    Benchmark(
        "GoPro",
        "deblur",
        "rgb",
        80,
        {PAPER: (33.27, 0.963), FSNET: (33.29, 0.963), CONVIR_L: (33.28, 0.963)},
        counts=(1111,),
        names="GOPR",
    ),
    Benchmark(
        "HIDE", "deblur", "rgb", 110, {PAPER: (31.10, 0.941), FSNET: (31.05, 0.941)}, counts=(2025,), names="from"
    ),
    Benchmark(
        "RSBlur",
        "deblur",
        "rgb",
        75,
        {PAPER: (34.35, 0.872), FSNET: (34.31, 0.872), CONVIR_L: (34.06, 0.868)},
        counts=(3360,),
    ),
    Benchmark("RealBlur-R", "deblur", "rgb", 80, {RERUN: (33.46, None)}, counts=(980,)),
    Benchmark("RealBlur-J", "deblur", "rgb", 80, {RERUN: (26.24, None)}, counts=(980,)),
    Benchmark(
        "CSD",
        "desnow",
        "sfnet",
        200,
        {PAPER: (38.41, 0.99), FSNET: (38.37, 0.99), CONVIR_S: (38.43, 0.99), CONVIR_B: (39.10, 0.99)},
        counts=(2000,),
        names=r"\d$",
    ),
    Benchmark(
        "SRRS",
        "desnow",
        "sfnet",
        None,
        {
            PAPER: (32.40, 0.98),
            RERUN: (32.51, 0.9824),
            FSNET: (32.33, 0.98),
            CONVIR_S: (32.25, 0.98),
            CONVIR_B: (32.39, 0.98),
        },
        counts=(2000,),
        names=r"\d$",
    ),
    Benchmark(
        "Snow100K",
        "desnow",
        "sfnet",
        None,
        {
            PAPER: (33.79, 0.95),
            RERUN: (33.83, 0.9541),
            FSNET: (33.76, 0.95),
            CONVIR_S: (33.79, 0.95),
            CONVIR_B: (33.92, 0.96),
        },
        counts=(2000,),
        names=r"\d$",
    ),
    Benchmark(
        "Test100",
        "derain",
        "y-matlab",
        None,
        {PAPER: (31.47, 0.919), CONVIR_L: (31.40, 0.919)},
        counts=(98, 100),
        names=_NUMBERED,
    ),
    Benchmark("Rain100H", "derain", "y-matlab", None, {PAPER: (31.90, 0.908)}, counts=(100,), names=_NUMBERED),
    Benchmark("Rain100L", "derain", "y-matlab", None, {PAPER: (38.21, 0.974)}, counts=(100,), names=_NUMBERED),
    Benchmark(
        "Test2800",
        "derain",
        "y-matlab",
        None,
        {PAPER: (33.69, 0.937), CONVIR_L: (33.73, 0.937)},
        counts=(2800,),
        names=_NUMBERED,
    ),
    Benchmark("Test1200", "derain", "y-matlab", None, {PAPER: (32.55, 0.911)}, counts=(1200,), names=_NUMBERED),
    Benchmark(
        "DPDD-single",
        "defocus",
        "rgb",
        None,
        {
            PAPER: (26.23, 0.811),
            FSNET: (26.22, 0.811),
            CONVIR_S: (26.06, 0.81),
            CONVIR_B: (26.16, 0.814),
            CONVIR_L: (26.36, 0.82),
        },
        counts=(76,),
        names="1P0A",
    ),
    Benchmark("DPDD-dual", "defocus", "rgb", None, {PAPER: (26.34, 0.817)}, views=2, counts=(76,), names="1P0A"),
)
BENCHMARKS = {benchmark.name: benchmark for benchmark in _ALL}
"""Cui et al., "Selective Frequency Network for Image Restoration", ICLR 2023; "Image Restoration via Frequency
Selection", TPAMI 2023 (FSNet); "Revitalizing Convolutional Network for Image Restoration", TPAMI 2024 (ConvIR).

Protocols and windows are those of the released scripts, if there are any: they score dehazing and desnowing by
`sfnet`, PSNR of deblurring by `rgb` and deraining by `y-matlab`; no released script shows which SSIM was used for
deblurring and defocus. The windows are those of SFNet, which FSNet shares; ConvIR has none. Windows of RealBlur, I-Haze
and O-Haze are those of the weights' own benchmark. RealBlur's and RSBlur's own scripts align the images before they
score; nothing is aligned here. Counts and names are those of the authors and of widely used repackagings."""


def find_benchmark(name: str) -> Benchmark:
    """Return the benchmark of a name, in upper or lower case.

    Args:
        name: name of the benchmark.

    Raises:
        ValueError: if the name is unknown; the message suggests the nearest one.
    """
    by_lower = {known.lower(): known for known in BENCHMARKS}
    return entry(by_lower.get(name.lower(), name), BENCHMARKS, "benchmark")


def beside_published(
    benchmark: Benchmark, psnr: float, ssim: float, *, is_comparison: bool = True
) -> list[dict[str, str | float | None]]:
    """Return a row for each published figure, with the measured one and the difference.

    Args:
        benchmark: the benchmark.
        psnr: measured PSNR in dB.
        ssim: measured SSIM, up to 1.
        is_comparison: whether the images are those of the benchmark, see `Benchmark.mismatch`.

    Returns:
        Rows of `source`, `psnr`, `psnr_published`, `psnr_difference` and the same for SSIM. A difference is measured
        minus published; it is None if nothing was published, or the images are others.
    """
    return [
        {
            "source": source,
            "psnr": psnr,
            "psnr_published": published_psnr,
            "psnr_difference": psnr - published_psnr if is_comparison else None,
            "ssim": ssim,
            "ssim_published": published_ssim,
            "ssim_difference": ssim - published_ssim if is_comparison and published_ssim is not None else None,
        }
        for source, (published_psnr, published_ssim) in benchmark.figures.items()
    ]
