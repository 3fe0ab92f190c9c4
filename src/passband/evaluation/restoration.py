"""Scoring a network on a folder of pairs, with a report that says how."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from passband.data.datasets.crops import read_pair
from passband.data.pairs import Pair, find_pairs
from passband.drawing.comparison import restoration_captions
from passband.evaluation.benchmarks import Benchmark, beside_published, find_benchmark
from passband.evaluation.restoration_report import FIGURES, write_images, write_report
from passband.inference.memory import Plan, parse_memory, restore_within
from passband.inference.memory_probe import live_bytes_per_pixel
from passband.io.files import failure
from passband.io.image import write_image
from passband.io.image.size import stored_size
from passband.layers.pooling import POOL_MODES
from passband.metrics import PROTOCOLS, SSIM_WINDOW
from passband.models import SFNet, load_model, pick_device
from passband.models.sfnet import mean_view
from passband.naming import entry, printable
from passband.provenance import environment, peak_memory, weights_checksum
from passband.tasks.restoration import check_views, input_views

GLOBAL = "global"
"""The mode of pooling without a window, beside `layers.pooling.POOL_MODES`."""

Restore = Callable[[Float[Tensor, "1 C H W"]], tuple[Float[Tensor, "1 3 H W"], Plan]]


def evaluate_restoration(
    weights: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    protocol: str | None = None,
    benchmark: str | None = None,
    pool_window: int | None = None,
    pool_mode: str | None = None,
    save: bool = False,
    device: str = "auto",
    memory: int | str | None = None,
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
            whose published figures stand beside the measured ones; with differences where count and names of the
            pictures are those of the benchmark, and with a note where they are not.
        pool_window: the network's test-time pooling window; None for the benchmark's, or the weights' own.
        pool_mode: how the window is read, see `layers.LocalAvgPool2d`, or `"global"` for none; None for the weights'
            own.
        save: write every restored picture, too, as restored/NAME.png.
        device: see `models.pick_device`.
        memory: what the process may hold at its peak, such as `"2GB"`; None for most of what is free. A large picture
            is restored by bands, which give the same, or where that does not fit in tiles, which come near it; the
            notes name those.
        report: called with each picture's figures, or with the `name` and `reason` of one that cannot be scored, and
            the number of pictures.
        overrides: further keywords of the network's constructor.

    Returns:
        What evaluation.json holds: `mean` and `images` (PSNR in dB, SSIM up to 1), `failed` (pairs that are
            damaged, of two sizes or too small, or do not fit into memory: they are in no mean), and all that decides
            them.

    Raises:
        ValueError: for an unknown protocol, benchmark or pooling mode, a mode without a window, a memory that is no
            size, unpaired files, pairs of another number of views than the weights take, or where no pair can be
            scored.
        CheckpointError: for weights that cannot be used.
    """
    data, output = Path(data), Path(output)
    known = find_benchmark(benchmark) if benchmark else None
    protocol = protocol or (known.protocol if known else "rgb")
    score = entry(protocol, PROTOCOLS, "protocol")
    torch_device = pick_device(device)
    cap = None if memory is None else parse_memory(memory)
    model = _load(weights, known, pool_window, pool_mode, overrides)
    views = min(2, input_views(model))
    check_views(model, views, weights)
    if known and known.views != views:
        taken = "left and right views" if known.views == 2 else "one view"
        raise ValueError(
            f"{known.name} is for {taken} of a scene, but {weights} takes {3 * views} input channels: choose weights "
            f"for {3 * known.views}"
        )
    closed: list[OSError] = []
    pairs = find_pairs(data, views, closed.append)
    problems = _problems(pairs, data)
    model = model.to(torch_device)
    live_bytes_per_pixel(model)  # found once, in no picture's seconds

    def restore(degraded: Float[Tensor, "1 C H W"]) -> tuple[Float[Tensor, "1 3 H W"], Plan]:
        restored, plan = restore_within(model, degraded.to(torch_device), cap)
        return restored.clamp(0, 1).cpu(), plan

    rows: list[dict[str, Any]] = []
    scored: list[Pair] = []
    failed: list[dict[str, str]] = []

    def score_pair(pair: Pair) -> dict[str, Any]:
        degraded, clean = _read(pair, data)
        started = time.perf_counter()
        restored, plan = restore(degraded)
        seconds = time.perf_counter() - started
        figures = [*score(restored, clean), *score(mean_view(degraded), clean)]
        row: dict[str, Any] = {
            "name": printable(pair.name),
            **dict(zip(FIGURES, (one.item() for one in figures), strict=True)),
        }
        row |= {"seconds": seconds, "computed": plan.how, "file": f"restored/{pair.name}.png" if save else None}
        if save:
            write_image(output / row["file"], restored[0])
        return row

    for pair in pairs:
        reason = problems.get(pair.name)
        if reason is None:
            try:
                rows.append(score_pair(pair))
            except Exception as error:  # of any kind: a bad file may break what reads it in any way
                reason = failure(error, *_paths(pair))
        if reason is None:
            scored.append(pair)
            report(rows[-1], len(pairs))
        else:
            failed.append({"name": printable(pair.name), "reason": reason})
            report(failed[-1], len(pairs))
    if not rows:
        raise ValueError(f"none of {len(pairs)} pairs could be scored: {_listed([one['reason'] for one in failed])}")

    ranked = sorted(range(len(rows)), key=lambda number: rows[number]["psnr"])
    shown = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    mean = {name: sum(row[name] for row in rows) / len(rows) for name in FIGURES}
    arguments = getattr(model, "arguments", {})
    other = known.mismatch([pair.name for pair in scored]) if known else ""
    result = {
        "mean": mean,
        "images": rows,
        "failed": failed,
        "protocol": protocol,
        "protocol_summary": (score.__doc__ or "").strip().splitlines()[0],
        "benchmark": known.name if known else None,
        "published": beside_published(known, mean["psnr"], mean["ssim"], is_comparison=not other) if known else [],
        "weights": str(weights),
        "weights_sha256": weights_checksum(model),
        "network": {"architecture": getattr(model, "name", type(model).__name__), **arguments},
        "data": str(data),
        **{rank: rows[number]["name"] for rank, number in shown.items()},
        "notes": [
            *_not_compared(known, other),
            *_notes(arguments, known, scored[0], views),
            *_tiled(rows, isinstance(model, SFNet)),
            *_left_out(failed, len(pairs), closed),
        ],
        "device": str(torch_device),
        "precision": str(next(model.parameters()).dtype).removeprefix("torch."),
        "seconds": sum(row["seconds"] for row in rows),
        "peak_memory_bytes": peak_memory(torch_device),
        **environment(),
    }
    write_report(output, result)
    distinct = list(dict.fromkeys(shown.values()))
    write_images(
        output / "worst_median_best.png",
        (_row(scored[number], restore) for number in distinct),
        [restoration_captions(rows[number]["psnr_degraded"], rows[number]["psnr"]) for number in distinct],
        [f"{_ranks(shown, number)}: {rows[number]['name']}" for number in distinct],
    )
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
    arguments = getattr(model, "arguments", {})
    if "pool_window" not in arguments:
        if pool_window is None and pool_mode is None:
            return model
        raise ValueError(f"{weights} is a {type(model).__name__}, which has no pooling window: leave out the pooling")
    asked = {"pool_window": pool_window, "pool_mode": pool_mode}
    if pool_window is None and benchmark is not None and "pool_window" not in overrides:
        asked["pool_window"] = benchmark.pool_window
    asked = {name: value for name, value in asked.items() if value is not None}
    if pool_mode == GLOBAL:
        asked = {"pool_window": None}
    elif pool_mode is not None and asked.get("pool_window", arguments["pool_window"]) is None:
        raise ValueError(f"pool_mode {pool_mode} needs a window, and {weights} has none: give pool_window, too")
    return load_model(weights, **overrides, **asked) if asked else model


def _problems(pairs: Sequence[Pair], data: Path) -> dict[str, str]:
    """Why pairs cannot be scored, by their names, as far as the headers of their files tell before any work.

    Raises:
        ValueError: where no pair is left.
    """
    problems = {}
    for pair in pairs:
        try:
            first, *others = [stored_size(path) for path in _paths(pair)]
            if first is not None and min(first) >= SSIM_WINDOW and all(size == first for size in others):
                continue
            _read(pair, data)  # a picture may be turned when it is read, and then have the other's size
        except Exception as error:
            problems[pair.name] = failure(error, *_paths(pair))
    if len(problems) == len(pairs):
        raise ValueError(f"none of {len(pairs)} pairs can be scored: {_listed(list(problems.values()))}")
    return problems


def _paths(pair: Pair) -> list[Path]:
    """The files of a pair."""
    return [path for path in (pair.degraded, pair.clean, pair.right) if path is not None]


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
    return mean_view(degraded[None])[0], restore(degraded[None])[0][0], clean


def _ranks(shown: dict[str, int], number: int) -> str:
    """Which of worst, median and best a picture is, such as `Worst and median`."""
    return " and ".join(rank for rank, other in shown.items() if other == number).capitalize()


def _not_compared(benchmark: Benchmark | None, mismatch: str) -> list[str]:
    """What to say of pictures that are not those of the benchmark."""
    if benchmark is None or not mismatch:
        return []
    return [f"This is no comparison with {benchmark.name}: {mismatch}. The published figures are of other pictures."]


def _notes(arguments: dict[str, Any], benchmark: Benchmark | None, first: Pair, views: int) -> list[str]:
    """What a reader of the figures must know of the network and its input."""
    notes = []
    if benchmark and benchmark.pool_window is not None and benchmark.pool_window == arguments.get("pool_window"):
        notes.append(
            f"The network pools as for the table of {benchmark.name} (pool_window {benchmark.pool_window}), which "
            "suits the published weights; pool_mode global does without."
        )
    if arguments.get("pool_mode") == "first" and arguments["pool_window"] is not None:
        notes.append(
            f"The pooling window is that of the first picture ({first.name}) for all of them (pool_mode first), so the "
            "figures depend on which file sorts first, as those of the released code do."
        )
    if views == 2:
        notes.append("The degraded picture of a pair is the mean of its left and right view.")
    return notes


def _tiled(rows: Sequence[dict[str, Any]], shared: bool) -> list[str]:
    """Which pictures were restored in tiles; bands give what the whole gives.

    Args:
        rows: of all pictures.
        shared: whether tiles share the statistics of the whole picture.
    """
    ways: dict[str, list[str]] = {}
    for row in rows:
        if row["computed"].startswith("tiles"):
            ways.setdefault(row["computed"], []).append(row["name"])
    tiles = (
        "share the whole picture's statistics, which comes near it but is not the same"
        if shared
        else "know nothing of each other, which gives something else"
    )
    return [
        f"{len(names)} of {len(rows)} pictures did not fit into memory and were restored in {way} that {tiles}: "
        f"{_listed(names, ', ')}."
        for way, names in ways.items()
    ]


def _left_out(failed: Sequence[dict[str, str]], count: int, closed: Sequence[OSError]) -> list[str]:
    """What is missing from the figures."""
    notes = []
    if failed:
        reasons = _listed([one["reason"] for one in failed])
        notes.append(f"{len(failed)} of {count} pairs could not be scored and are in no mean: {reasons}.")
    if closed:
        folders = _listed([f"{error.filename} ({error.strerror})" for error in closed], ", ")
        notes.append(f"{len(closed)} folders cannot be read, and pairs in them are left out: {folders}.")
    return notes


def _listed(items: Sequence[str], between: str = " | ", most: int = 10) -> str:
    """The first few of some texts."""
    return between.join(items[:most]) + (f"{between}and {len(items) - most} more" if len(items) > most else "")
