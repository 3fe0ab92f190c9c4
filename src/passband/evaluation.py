"""Scoring a network on a folder of pairs, with a report that says how."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.analysis.published import Benchmark, beside_published, find_benchmark
from passband.analysis.report import FIGURES, write_pictures, write_report
from passband.data.pairs import Pair, find_pairs
from passband.data.restoration import read_pair
from passband.io.image import write_image
from passband.layers.pooling import POOL_MODES
from passband.metrics import PROTOCOLS, SSIM_WINDOW
from passband.models import load_model, pick_device
from passband.models.sfnet import mean_view
from passband.naming import entry
from passband.ops.tiling import map_tiles
from passband.provenance import environment, peak_memory, weights_checksum
from passband.tasks.restoration import check_views, input_views, restore_batch

WHOLE = 1536
"""Sides up to this many pixels are restored whole, longer ones in tiles of it."""
OVERLAP = 192
"""Pixels over which tiles blend."""
GLOBAL = "global"
"""The mode of pooling without a window, beside `layers.pooling.POOL_MODES`."""

Restore = Callable[[Float[Tensor, "1 C H W"]], Float[Tensor, "1 3 H W"]]


def evaluate(
    weights: str | Path,
    data: Path,
    output: Path,
    *,
    protocol: str | None = None,
    benchmark: str | None = None,
    pool_window: int | None = None,
    pool_mode: str | None = None,
    save: bool = False,
    device: str = "auto",
    report: Callable[[dict[str, Any], int], None] = lambda row, count: None,
    **overrides: Any,
) -> dict[str, Any]:
    """Score a network against the clean pictures, and the degraded input beside it.

    Writes evaluation.json (what is returned), evaluation.csv (a row per picture), report.md (the same to be read) and
    worst_median_best.png (degraded | restored | clean, and the same enlarged where there is most detail).

    Args:
        weights: a shipped name, a folder, a published SFNet pickle, or a hub id. Weights with 6 input channels get
            left and right views.
        data: a folder of pairs, see `data.pairs.find_pairs`.
        output: a folder for the report.
        protocol: a key of `metrics.PROTOCOLS`; None for the benchmark's, or `"rgb"`.
        benchmark: a key of `analysis.published.BENCHMARKS`, whose protocol and pooling window are then the defaults and
            whose published figures stand beside the measured ones.
        pool_window: the network's test-time pooling window; None for the benchmark's, or the weights' own.
        pool_mode: how the window is read, see `layers.LocalAvgPool2d`, or `"global"` for none; None for the weights'
            own.
        save: write every restored picture, too, as restored/NAME.png.
        device: see `models.pick_device`.
        report: called with each picture's figures and the number of pictures.
        overrides: further keywords of the network's constructor.

    Returns:
        What evaluation.json holds: `mean` and `images` (PSNR in dB, SSIM up to 1), and all that decides them.

    Raises:
        ValueError: for an unknown protocol, benchmark or pooling mode, a mode without a window, pairs of two sizes,
            pictures too small for SSIM, unpaired files, or pairs of another number of views than the weights take.
        CheckpointError: for weights that cannot be used.
    """
    known = find_benchmark(benchmark) if benchmark else None
    protocol = protocol or (known.protocol if known else "rgb")
    score = entry(protocol, PROTOCOLS, "protocol")
    place = pick_device(device)
    model = _load(weights, known, pool_window, pool_mode, overrides)
    views = min(2, input_views(model))
    check_views(model, views, weights)
    if known and known.views != views:
        taken = "left and right views" if known.views == 2 else "one view"
        raise ValueError(
            f"{known.name} is for {taken} of a scene, but {weights} takes {3 * views} input channels: choose weights "
            f"for {3 * known.views}"
        )
    pairs = find_pairs(data, views)
    model = model.to(place)

    @torch.inference_mode()
    def restore(degraded: Float[Tensor, "1 C H W"]) -> Float[Tensor, "1 3 H W"]:
        restored = map_tiles(partial(restore_batch, model), degraded.to(place), WHOLE, OVERLAP, model.multiple)  # type: ignore[arg-type]
        return restored.clamp(0, 1).cpu()

    rows: list[dict[str, Any]] = []
    tiled = 0
    for pair in pairs:
        degraded, clean = _read(pair, data)
        started = time.perf_counter()
        restored = restore(degraded)
        seconds = time.perf_counter() - started
        tiled += max(clean.shape[-2:]) > WHOLE
        figures = [*score(restored, clean), *score(mean_view(degraded), clean)]
        row: dict[str, Any] = {"name": pair.name, **dict(zip(FIGURES, (one.item() for one in figures), strict=True))}
        row |= {"seconds": seconds, "file": f"restored/{pair.name}.png" if save else None}
        if save:
            write_image(output / row["file"], restored[0])
        rows.append(row)
        report(row, len(pairs))

    ranked = sorted(range(len(rows)), key=lambda number: rows[number]["psnr"])
    shown = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    mean = {name: sum(row[name] for row in rows) / len(rows) for name in FIGURES}
    numbers = getattr(model, "numbers", {})
    result = {
        "mean": mean,
        "images": rows,
        "protocol": protocol,
        "protocol_summary": (score.__doc__ or "").strip().splitlines()[0],
        "benchmark": known.name if known else None,
        "published": beside_published(known, mean["psnr"], mean["ssim"]) if known else [],
        "weights": str(weights),
        "weights_sha256": weights_checksum(model),
        "network": {"architecture": getattr(model, "name", type(model).__name__), **numbers},
        "data": str(data),
        **{rank: rows[number]["name"] for rank, number in shown.items()},
        "notes": _notes(numbers, known, pairs[0], tiled, views),
        "device": str(place),
        "precision": str(next(model.parameters()).dtype).removeprefix("torch."),
        "seconds": sum(row["seconds"] for row in rows),
        "peak_memory_bytes": peak_memory(place),
        **environment(),
    }
    write_report(output, result)
    write_pictures(output / "worst_median_best.png", (_row(pairs[n], restore) for n in dict.fromkeys(shown.values())))
    return result


def _load(
    weights: str | Path,
    benchmark: Benchmark | None,
    pool_window: int | None,
    pool_mode: str | None,
    overrides: dict[str, Any],
) -> nn.Module:
    """The network, pooling as asked for: by the arguments, else by the benchmark, else as its own config says."""
    if pool_mode is not None:
        entry(pool_mode, dict.fromkeys((*POOL_MODES, GLOBAL)), "pool_mode")
    if pool_mode == GLOBAL and pool_window is not None:
        raise ValueError(f"pool_mode global has no window, but pool_window is {pool_window}: leave out one of the two")
    model = load_model(weights, **overrides)
    numbers = getattr(model, "numbers", {})
    if "pool_window" not in numbers:
        if pool_window is None and pool_mode is None:
            return model
        raise ValueError(f"{weights} is a {type(model).__name__}, which has no pooling window: leave out the pooling")
    asked = {"pool_window": pool_window, "pool_mode": pool_mode}
    if pool_window is None and benchmark is not None and "pool_window" not in overrides:
        asked["pool_window"] = benchmark.pool_window
    asked = {name: value for name, value in asked.items() if value is not None}
    if pool_mode == GLOBAL:
        asked = {"pool_window": None}
    elif pool_mode is not None and asked.get("pool_window", numbers["pool_window"]) is None:
        raise ValueError(f"pool_mode {pool_mode} needs a window, and {weights} has none: give pool_window, too")
    return load_model(weights, **overrides, **asked) if asked else model


def _read(pair: Pair, data: Path) -> list[Float[Tensor, "1 _ H W"]]:
    """The pictures of a pair, if they can be scored."""
    degraded, clean = (image[None] for image in read_pair(pair))
    if min(clean.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(
            f"{pair.clean} is {clean.shape[-1]}x{clean.shape[-2]}: SSIM needs pictures of at least "
            f"{SSIM_WINDOW}x{SSIM_WINDOW} pixels; leave it out of {data}"
        )
    return [degraded, clean]


def _row(pair: Pair, restore: Restore) -> tuple[Tensor, Tensor, Tensor]:
    """A pair and what is restored of it, for showing."""
    degraded, clean = read_pair(pair)
    return mean_view(degraded[None])[0], restore(degraded[None])[0], clean


def _notes(numbers: dict[str, Any], benchmark: Benchmark | None, first: Pair, tiled: int, views: int) -> list[str]:
    """What a reader of the figures must know."""
    notes = []
    if benchmark and benchmark.pool_window is not None and benchmark.pool_window == numbers.get("pool_window"):
        notes.append(
            f"The network pools as for the table of {benchmark.name} (pool_window {benchmark.pool_window}), which "
            "suits the published weights; pool_mode global does without."
        )
    if numbers.get("pool_mode") == "first" and numbers["pool_window"] is not None:
        notes.append(
            f"The pooling window is that of the first picture ({first.name}) for all of them (pool_mode first), so the "
            "figures depend on which file sorts first, as those of the released code do."
        )
    if tiled:
        notes.append(
            f"{tiled} pictures with a side above {WHOLE} pixels were restored in overlapping tiles, of which each has "
            "statistics of its own."
        )
    if views == 2:
        notes.append("The degraded picture of a pair is the mean of its left and right view.")
    return notes
