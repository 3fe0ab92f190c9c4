"""Rows of `gpu.py` that compare every job on the device with the CPU in float32."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from gpu_rows import Bench, NotHereError, Row, agreement, peak_memory, tf32, time_limit
from sfnet import build
from torch import Tensor, nn

from passband.curriculum import low_pass_ratio
from passband.inference.engines import TorchEngine
from passband.inference.restoration.planned import restore_within
from passband.losses import focal_frequency_loss, frequency_loss, multiscale_loss
from passband.models import build_model, load_model
from passband.models.classification.gated import logits_of
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.ops.cube import image_cube
from passband.ops.dct import block_dct

BAR = 60.0
"""PSNR in dB that float32 shall reach."""
COMPILE_LIMIT = 75.0
"""Time in seconds after which a compilation is given up."""


class Job(NamedTuple):
    """A job: a network, its input, and the tensor to compare."""

    network: Callable[[Bench], nn.Module]
    input: Callable[[Bench], Tensor]
    output: Callable[[nn.Module, Tensor], Tensor]


def photo(bench: Bench, height: int = 256, width: int = 256) -> Tensor:
    """Return one photo of the benchmark in a size."""
    size = (64, 96) if bench.small else (height, width)
    return nn.functional.interpolate(bench.photos[:1], size, mode="bilinear", antialias=True)


def _cube(bench: Bench) -> Tensor:
    """Return the 24 lowest channels of coefficients of a photo, as a classifier takes them."""
    return block_dct(photo(bench) * 255 - 128)[:, :24] / 60


def _features(model: nn.Module, image: Tensor) -> Tensor:
    """Return the feature maps of a detector, flattened."""
    return torch.cat([level.flatten() for level in model.backbone(image).values()])  # type: ignore[operator]


def _inspected(model: nn.Module, windows: Tensor) -> Tensor:
    """Return all that an inspector finds, side by side."""
    findings = model(windows)
    return torch.cat([findings.kinds, findings.psnr[:, None], findings.gains], dim=1)


def _published(bench: Bench) -> nn.Module:
    """Return the published SFNet with random weights that make every branch matter."""
    return build("sfnet-small" if bench.small else "sfnet")


JOBS = {
    "restore, sfnet": Job(_published, photo, lambda model, x: model(x)[-1]),
    "restore, general": Job(lambda bench: load_model("general"), photo, lambda model, x: model(x)[-1]),
    "restore, fsnet-small": Job(lambda bench: build("fsnet-small"), photo, lambda model, x: model(x)[-1]),
    "restore, convir-tiny": Job(
        lambda bench: build("convir-tiny"), lambda bench: photo(bench).repeat(1, 1, 2, 1), lambda model, x: model(x)[-1]
    ),
    "classify, dct-resnet50": Job(
        lambda bench: build_model("dct-resnet50", channels=24, classes=10),
        _cube,
        lambda model, x: logits_of(model(x)),
    ),
    "classify, gated": Job(
        lambda bench: build_model("gated-dct-resnet18", channels=24, classes=10, width=32),
        _cube,
        lambda model, x: logits_of(model(x)),
    ),
    "segment, unet": Job(lambda bench: build_model("unet", width=16, depth=4), photo, lambda model, x: model(x)),
    "detect, features": Job(
        lambda bench: build_model("dct-mask-rcnn-resnet18"),
        photo,
        _features,
    ),
    "inspect": Job(
        lambda bench: load_model("inspector"),
        lambda bench: 100 * torch.randn(2, 3, 96, 16, 16, generator=torch.Generator().manual_seed(1)),
        _inspected,
    ),
}
MODES = ("float32", "float32 with TF32", "bfloat16", "float16")


def _run(bench: Bench, job: Job, mode: str, device: torch.device) -> Tensor:
    """Return the output of a job on a device in a mode."""
    torch.manual_seed(0)
    model, given = job.network(bench).eval(), job.input(bench).to(device)
    dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(mode)
    if device.type == "cpu" and mode == "float16":
        raise NotHereError("float16 needs a GPU")
    if dtype is not None and isinstance(model, ThreeScaleNetwork):
        model = TorchEngine(model, mode, device).model  # keeps some layers in float32
    model = model.to(device)
    context = nullcontext() if dtype is None else torch.autocast(device.type, dtype)
    with torch.inference_mode(), context, tf32(mode == "float32 with TF32"):
        return job.output(model, given).float()


def _job_row(name: str, job: Job) -> Row:
    def measure(bench: Bench) -> dict[str, Any]:
        reference = _run(bench, job, "float32", torch.device("cpu"))
        figures: dict[str, Any] = {}
        for mode in MODES:
            try:
                figures[mode] = agreement(_run(bench, job, mode, bench.device), reference)
            except Exception as error:
                figures[mode] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        figures["is_good"] = figures["float32"].get("db", 0) >= BAR
        return figures

    return Row("correctness", name, 4, measure)


def _values(bench: Bench) -> dict[str, Any]:
    """Compare losses, their gradients, cubes and low-pass filters."""
    figures: dict[str, Any] = {}
    image, clean = (0.9 * photo(bench) + 0.05), photo(bench)

    def gradient(device: torch.device, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        restored = image.clone().to(device).requires_grad_()  # a leaf of its own on each device
        loss(restored, clean.to(device)).backward()
        assert restored.grad is not None
        return restored.grad

    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "gradient of multiscale_loss": lambda restored, clean: multiscale_loss([restored], clean),
        "gradient of frequency_loss": frequency_loss,
        "gradient of focal_frequency_loss": focal_frequency_loss,
    }
    for name, loss in losses.items():
        figures[name] = agreement(gradient(bench.device, loss), gradient(torch.device("cpu"), loss))
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "low_pass_ratio": lambda x: low_pass_ratio(x, 0.4),
        "image_cube": lambda x: image_cube(x),
    }
    for name, function in functions.items():
        figures[name] = agreement(function(clean.to(bench.device)), function(clean))
    return figures


def _parts(bench: Bench) -> dict[str, Any]:
    """Compare bands and tiles, which a cap on memory causes, with the whole image."""
    model = load_model("general").to(bench.device).eval()
    image = nn.functional.interpolate(
        bench.photos[:1], (128, 192) if bench.small else (1080, 1920), mode="bilinear", antialias=True
    ).to(bench.device)
    figures: dict[str, Any] = {}
    with torch.inference_mode(), tf32(False):
        whole, plan = restore_within(model, image)
        figures["whole"] = {"plan": plan.how}
        for cap in (1_000_000_000, 500_000_000) if bench.is_cuda else (4_000_000_000,):
            with peak_memory(bench) as peak:
                restored, plan = restore_within(model, image, cap)
            figures[f"cap {cap / 1e9:g} GB"] = {"plan": plan.how, **agreement(restored, whole), **peak}
    return figures


def _variants(bench: Bench) -> dict[str, Any]:
    """Compare channels-last, a CUDA graph, and autocast with the eager network on the device."""
    if not bench.is_cuda:
        raise NotHereError("channels-last and CUDA graphs are compared on a GPU")
    from gpu_speed import captured

    figures: dict[str, Any] = {}
    image = photo(bench).to(bench.device)
    with torch.inference_mode(), tf32(False):
        model = _published(bench).to(bench.device).eval()
        reference = model(image)[-1].clone()
        replay, output = captured(model, image)
        image.copy_(image.flip(-1))
        flipped = model(image)[-1].clone()
        replay()
        figures["CUDA graph, another image"] = agreement(output[-1], flipped)
        image.copy_(image.flip(-1))
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        figures["channels-last"] = agreement(model(image.contiguous(memory_format=torch.channels_last))[-1], reference)
    return figures


def _compiled(bench: Bench) -> dict[str, Any]:
    """Compare the compiled small network with the eager one."""
    if not bench.is_cuda:
        raise NotHereError("the network is compiled for a GPU")
    image = photo(bench).to(bench.device)
    with torch.inference_mode(), tf32(False), time_limit(COMPILE_LIMIT):
        reference = TorchEngine(load_model("general"), "float32", bench.device)(image)
        engine = TorchEngine(load_model("general"), "float32", bench.device, compile=True)
        return {"float32 compiled": agreement(engine(image), reference)}


ROWS = [
    *(_job_row(name, job) for name, job in JOBS.items()),
    Row("correctness", "losses and operations", 3, _values),
    Row("correctness", "cap on memory", 4, _parts),
    Row("correctness", "graph and layout", 4, _variants),
]
COMPILED_ROWS = [Row("correctness", "compiled, general", 45, _compiled)]
