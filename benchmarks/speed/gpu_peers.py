"""Rows of `gpu.py` that measure networks of other projects with random weights, if they are installed."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from gpu_rows import Bench, NotHereError, Row, median_seconds, peak_memory
from gpu_speed import free, images


def _nafnet() -> torch.nn.Module:
    from spandrel.architectures.NAFNet import NAFNet

    return NAFNet(width=32, middle_blk_num=12, enc_blk_nums=[2, 2, 4, 8], dec_blk_nums=[2, 2, 2, 2])


def _scunet() -> torch.nn.Module:
    from spandrel.architectures.SCUNet import SCUNet

    return SCUNet()


def _fbcnn() -> torch.nn.Module:
    from spandrel.architectures.FBCNN import FBCNN

    return FBCNN()


PEERS: dict[str, Callable[[], torch.nn.Module]] = {
    "NAFNet width 32": _nafnet,
    "SCUNet": _scunet,
    "FBCNN": _fbcnn,
}


def _measured(bench: Bench, build: Callable[[], torch.nn.Module], batch: int, precision: str) -> dict[str, Any]:
    """Return the speed and the peak memory of another network at 256 x 256."""
    if find_spec("spandrel") is None:
        raise NotHereError("no other network is installed; pip install 'passband[spandrel]' brings some")
    free(bench)
    torch.manual_seed(0)
    model = build().to(bench.device).eval()
    image = images(bench, "256", batch)
    is_half = precision == "bfloat16"
    with (
        torch.inference_mode(),
        torch.autocast(bench.device.type, torch.bfloat16, enabled=is_half),
        peak_memory(bench) as peak,
    ):
        seconds = median_seconds(bench, lambda: model(image))
    return {"ms": 1000 * seconds, "images_per_second": len(image) / seconds, "batch": len(image), **peak}


def _row(name: str, batch: int, precision: str) -> Row:
    return Row(
        "peers",
        f"{name} 256 x{batch} eager {precision}",
        4,
        lambda bench: _measured(bench, PEERS[name], batch, precision),
    )


ROWS = [_row(name, batch, precision) for name in PEERS for batch, precision in ((1, "float32"), (8, "bfloat16"))]
