"""Rows of `gpu.py` that measure the speed and the memory of networks on the device."""

import gc
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import MethodType
from typing import Any

import torch
from gpu_rows import Bench, NotHereError, Row, agreement, median_seconds, peak_memory, tf32, time_limit
from sfnet import build, unfold_forward
from torch import Tensor, nn

from passband.inference.engines import TorchEngine
from passband.inference.restoration.planned import restore_within
from passband.layers import DynamicFilter

SMALL = {"sfnet": "sfnet-small", "fsnet": "fsnet-small", "convir": "convir-tiny"}
"""Networks that take the place of others on a CPU."""
SIZES = {"256": (256, 256), "720p": (720, 1280), "4K": (2160, 3840)}
VARIANTS = ("unfold", "eager", "channels-last", "CUDA graph")
CAP = 8_000_000_000
"""Cap on memory for 4K, in bytes."""
BATCHES = [(1, True), (8, True), (1, False)]
"""Numbers of images that are compared with the unfold network, and whether TF32 is allowed."""
COMPILE_LIMIT = 100.0
"""Time in seconds after which a compilation is given up."""


def prepared(bench: Bench, network: str, precision: str, variant: str) -> nn.Module:
    """Return a network on the device, in the form of a variant."""
    model = build(SMALL.get(network, network) if bench.small else network)
    if variant == "unfold":
        for module in model.modules():
            if isinstance(module, DynamicFilter):
                module.forward = MethodType(unfold_forward, module)  # type: ignore[method-assign]
    layout = torch.channels_last if variant == "channels-last" else torch.contiguous_format
    model = TorchEngine(model, "float32" if variant == "unfold" else precision, bench.device).model
    return model.to(memory_format=layout)  # type: ignore[call-overload]


def images(bench: Bench, size: str, batch: int, variant: str = "eager") -> Tensor:
    """Return a batch of photos in a size, on the device."""
    height, width = (96, 128) if bench.small else SIZES[size]
    batch = min(batch, 2) if bench.small else batch
    one = nn.functional.interpolate(bench.photos[:1], (height, width), mode="bilinear", antialias=True)
    made = one.repeat(batch, 1, 1, 1).to(bench.device)
    return made.contiguous(memory_format=torch.channels_last) if variant == "channels-last" else made


def context(bench: Bench, precision: str) -> Any:
    """Return the context of a precision."""
    dtypes = {"bfloat16": torch.bfloat16, "float16": torch.float16}
    return torch.autocast(bench.device.type, dtypes[precision]) if precision in dtypes else nullcontext()


def captured(model: Callable[[Tensor], Any], image: Tensor) -> tuple[Callable[[], None], Any]:
    """Capture a network for one size as a CUDA graph.

    Returns:
        A function that runs it on the present content of `image`, and the output that it overwrites.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            model(image)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = model(image)
    return graph.replay, output


def measured(
    bench: Bench, network: str, size: str, batch: int, variant: str, precision: str, with_tf32: bool
) -> dict[str, Any]:
    """Return the speed and the peak memory of a variant."""
    if variant == "CUDA graph" and not bench.is_cuda:
        raise NotHereError("a CUDA graph needs a CUDA GPU")
    if precision == "float16" and not bench.is_cuda:
        raise NotHereError("float16 needs a GPU")
    free(bench)
    model = prepared(bench, network, precision, variant)

    def restore(image: Tensor) -> Any:
        with context(bench, precision):  # for each call, as the engine does it: the context keeps converted weights
            return model(image)

    with torch.inference_mode(), tf32(with_tf32), peak_memory(bench) as peak:
        image = images(bench, size, batch, variant)
        run = captured(restore, image)[0] if variant == "CUDA graph" else partial(restore, image)
        seconds = median_seconds(bench, run)
    return {"ms": 1000 * seconds, "images_per_second": len(image) / seconds, "batch": len(image), **peak}


def free(bench: Bench) -> None:
    """Give unused memory of the GPU back."""
    gc.collect()
    if bench.is_cuda:
        torch.cuda.empty_cache()


def _row(
    size: str,
    batch: int,
    variant: str,
    precision: str = "float32",
    *,
    network: str = "sfnet",
    with_tf32: bool = True,
    seconds: float = 2.5,
) -> Row:
    words = f"{precision}{'' if with_tf32 or precision != 'float32' else ' without TF32'}"
    return Row(
        "speed",
        f"{network} {size} x{batch} {variant} {words}",
        seconds,
        lambda bench: measured(bench, network, size, batch, variant, precision, with_tf32),
    )


def _unfold_ratio(bench: Bench, size: str, settings: list[tuple[int, bool]]) -> dict[str, Any]:
    """Compare engines with the unfold network in turns, also their outputs, for batches with or without TF32."""
    free(bench)
    unfold = prepared(bench, "sfnet", "float32", "unfold")

    def engine(precision: str, graphs: bool) -> TorchEngine:
        return TorchEngine(build("sfnet-small" if bench.small else "sfnet"), precision, bench.device, graphs=graphs)

    forms: dict[str, Callable[[Tensor], Tensor]] = {
        "unfold": lambda image: unfold(image)[-1],
        "float32 without graphs": engine("float32", graphs=False),
        "float32": engine("float32", graphs=True),
        "bfloat16 without graphs": engine("bfloat16", graphs=False),
        "bfloat16": engine("bfloat16", graphs=True),
    }
    figures: dict[str, Any] = {}
    for batch, with_tf32 in settings:
        image = images(bench, size, batch)
        with torch.inference_mode(), tf32(with_tf32):
            times: dict[str, list[float]] = {form: [] for form in forms}
            for _ in range(1 if bench.small else 2):
                for form, run in forms.items():
                    # the third run of a size records a graph
                    times[form].append(median_seconds(bench, partial(run, image), warmup=4, most=10))
            best = {form: min(values) for form, values in times.items()}
            reference = forms["unfold"](image)
            figures[f"x{len(image)}{' with TF32' if with_tf32 else ''}"] = {
                form: {
                    "ms": 1000 * best[form],
                    "times_faster": best["unfold"] / best[form],
                    "db": agreement(run(image), reference)["db"],
                }
                for form, run in forms.items()
            }
    return figures


def _capped(bench: Bench, precision: str, cap: int | None, network: str = "sfnet") -> dict[str, Any]:
    """Restore one 4K image within a cap on memory."""
    free(bench)
    engine = TorchEngine(build("sfnet-small" if bench.small else network), precision, bench.device)
    image = images(bench, "4K", 1)
    with torch.inference_mode(), engine.autocast(), peak_memory(bench) as peak:
        restore_within(engine.model, image, cap if bench.is_cuda else None)  # warm-up
        started = time.perf_counter()
        _, plan = restore_within(engine.model, image, cap if bench.is_cuda else None)
        bench.synchronize()
        seconds = time.perf_counter() - started
    figures = {"ms": 1000 * seconds, "images_per_second": 1 / seconds, "plan": plan.how, **peak}
    if cap is not None and "peak_gb" in figures:
        figures["is_good"] = figures["peak_gb"] <= cap / 1e9
    return figures


def _compiled(bench: Bench, network: str, precision: str) -> dict[str, Any]:
    """Measure a network that torch compiles and replays as CUDA graphs, at 256 x 256 and batch 1."""
    if not bench.is_cuda:
        raise NotHereError("the network is compiled for a GPU")
    free(bench)
    image = images(bench, "256", 1)
    with time_limit(COMPILE_LIMIT):
        started = time.perf_counter()
        engine = TorchEngine(build(network), precision, bench.device, compile=True)
        engine(image)
        bench.synchronize()
        compiling = time.perf_counter() - started
    with peak_memory(bench) as peak:
        seconds = median_seconds(bench, lambda: engine(image))
    return {"ms": 1000 * seconds, "images_per_second": 1 / seconds, "compile_seconds": compiling, **peak}


ROWS = [
    Row("speed", "unfold against passband, 256", 22, lambda bench: _unfold_ratio(bench, "256", BATCHES)),
    Row("speed", "unfold against passband, 720p", 12, lambda bench: _unfold_ratio(bench, "720p", BATCHES[:1])),
    _row("720p", 1, "eager"),
    _row("720p", 1, "channels-last", "bfloat16"),
    _row("720p", 1, "unfold", seconds=5),
    *(_row("256", 1, variant) for variant in VARIANTS[1:]),
    *(_row("256", 1, variant, "bfloat16") for variant in VARIANTS[1:]),
    *(_row("256", batch, "eager") for batch in (8, 32)),
    *(_row("256", batch, "channels-last", "bfloat16") for batch in (8, 32)),
    Row("speed", "sfnet 4K within 8 GB bfloat16", 5, lambda bench: _capped(bench, "bfloat16", CAP)),
    Row("speed", "sfnet 4K within 8 GB float32", 7, lambda bench: _capped(bench, "float32", CAP)),
    _row("256", 1, "eager", with_tf32=False),
    _row("256", 8, "eager", "float16"),
    _row("720p", 1, "CUDA graph", "bfloat16"),
    _row("720p", 8, "channels-last", "bfloat16", seconds=4),
    _row("4K", 1, "eager", seconds=5),
    _row("4K", 1, "channels-last", "bfloat16", seconds=4),
    Row("speed", "sfnet-small 4K bfloat16", 3, lambda bench: _capped(bench, "bfloat16", None, "sfnet-small")),
    Row("speed", "sfnet-small 4K within 2 GB", 6, lambda bench: _capped(bench, "bfloat16", CAP // 4, "sfnet-small")),
    *(_row("256", batch, "channels-last", "bfloat16", network="sfnet-small") for batch in (1, 32)),
    *(_row("256", 8, "eager", "bfloat16", network=network) for network in ("fsnet", "convir")),
    _row("720p", 8, "eager", seconds=6),
    _row("720p", 32, "channels-last", "bfloat16", seconds=10),
    _row("256", 32, "unfold", seconds=5),
    _row("4K", 1, "unfold", seconds=8),
]
FIRST = 17
"""Number of rows that come before the rows of training."""
COMPILED_ROWS = [
    Row("speed", "sfnet-small 256 x1 compiled bfloat16", 45, lambda bench: _compiled(bench, "sfnet-small", "bfloat16")),
    Row("speed", "sfnet 256 x1 compiled float32", COMPILE_LIMIT, lambda bench: _compiled(bench, "sfnet", "float32")),
    Row("speed", "sfnet 256 x1 compiled bfloat16", COMPILE_LIMIT, lambda bench: _compiled(bench, "sfnet", "bfloat16")),
]
