"""Chooses the fastest engine of this machine whose output agrees with torch in float32."""

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from operator import truediv
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passband.export.runtimes import refuse_coreml, runtime_of
from passband.hardware import processor
from passband.inference.engines.loading import ENGINES, Engine, TorchEngine, load_engine
from passband.inference.engines.precision import AGREEMENT, agreement, probe_images
from passband.io.remembered import remembered
from passband.models import load_model, pick_device
from passband.provenance import weights_checksum

_log = logging.getLogger(__name__)
AUTO_ENGINE = "auto"
"""Name that stands for the choice of an engine."""
CHOICES_FILE = "engines.json"
"""Name of the file in the cache folder that remembers the choices. Deleting it forgets them."""
SIDES = (64, 256)
"""Sides in pixels of the images that engines are timed on: a small one and a typical one."""
ROUNDS = 3
"""Number of times that each engine restores an image."""
FASTER = 1.05
"""Factor by which another engine must be faster than torch to be chosen."""


@dataclass(frozen=True)
class EngineChoice:
    """An engine, and why it was chosen."""

    engine: str
    """Name of the engine, as `load_engine` takes it."""
    reason: str
    """Sentence that gives the reason."""

    @property
    def line(self) -> str:
        """The engine and the reason in one line."""
        return f"engine {self.engine}: {self.reason}"


def choose_engine(
    weights: str | Path, precision: str = "auto", device: str = "auto", has_cap: bool = False, **overrides: Any
) -> EngineChoice:
    """Choose an engine for a network.

    Engines that are installed restore a small and a typical image in turns. The fastest one whose output agrees with
    torch in float32 to `precision.AGREEMENT` is chosen. The choice is kept in the user's cache folder for the same
    weights, precision, CPU, number of threads and versions.

    Args:
        weights: weights to load, as `load_engine` takes them.
        precision: name of the precision, as `load_engine` takes it. int8 is chosen only if it is named.
        device: name of a device for torch.
        has_cap: whether the memory has a cap, which only torch keeps.
        overrides: keywords of the network's constructor.

    Raises:
        CheckpointError: if the weights cannot be used, or are for another task.
        ExportError: if the weights are a Core ML package.
        ValueError: if the precision or the device is unknown.
    """
    refuse_coreml(weights)
    native = runtime_of(weights)
    if native is not None:
        return EngineChoice(native, "the exported file is for it")
    if precision == "int8":
        return EngineChoice("openvino", "it is the only engine that computes in int8")
    if has_cap:
        return EngineChoice("torch", "it is the only engine that keeps a cap on memory")
    if pick_device(device).type != "cpu":
        return EngineChoice("torch", f"it runs on the device {pick_device(device)}")
    versions = {name: _version(name) for name in ENGINES}
    installed = [name for name in ENGINES if versions[name]]
    if installed == ["torch"]:
        return EngineChoice("torch", "no other engine is installed")
    model = load_model(weights, task="restoration", **overrides)

    def measure() -> str:
        _log.warning("the engines %s are measured once on this machine, in up to a minute", ", ".join(installed))
        return _measure(model, lambda name, kind: load_engine(weights, name, kind, "cpu", **overrides), precision)

    def is_result(text: str) -> bool:
        return text.partition(" ")[0] in installed

    facts = [type(model).__name__, getattr(model, "arguments", str(model)), weights_checksum(model), precision]
    facts += [processor(), torch.get_num_threads(), versions, _version("passband")]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    engine, _, reason = remembered(CHOICES_FILE, key, is_result, measure).partition(" ")
    return EngineChoice(engine, reason)


def _measure(model: nn.Module, load: Callable[[str, str], Engine], precision: str) -> str:
    """Time all engines that are installed, and return the name of the chosen one and the reason."""
    exact, views = TorchEngine(model, "float32"), int(getattr(model, "in_channels", 3)) // 3
    engines: dict[str, Engine] = {}
    others: list[str] = []
    for name in ENGINES:
        if not _version(name):
            continue
        try:
            engine = load(name, precision)
        except ValueError:  # the engine cannot run this network, or not in this precision
            others.append(f"{name} cannot run these weights")
            continue
        close = agreement(exact, engine, exact.sizes.multiple, exact.sizes.minimum, views)
        if close < AGREEMENT and name != "torch":
            others.append(f"{name} agrees to {close:.0f} dB only")
        else:
            engines[name] = engine
    if "torch" not in engines:
        return "torch no engine has this precision"
    seconds = {name: [math.inf] * len(SIDES) for name in engines}
    for index, image in enumerate(_images(exact.sizes.multiple, exact.sizes.minimum, views)):
        for number in range(ROUNDS + 1):
            for name, engine in engines.items():
                spent = _seconds(engine, image)
                if number:  # the first time also prepares the engine for this size
                    seconds[name][index] = min(seconds[name][index], spent)
    gains = {name: math.prod(map(truediv, seconds["torch"], seconds[name])) ** (1 / len(SIDES)) for name in engines}
    best = max(gains, key=lambda name: gains[name])
    chosen = best if gains[best] >= FASTER else "torch"
    others += [f"{name} {gains[name]:.2f} times as fast" for name in engines if name not in (chosen, "torch")]
    why = "no other engine is clearly faster" if chosen == "torch" else f"{gains[chosen]:.2f} times as fast as torch"
    return f"{chosen} {why}" + (f" ({', '.join(others)})" if others else "")


def _seconds(engine: Engine, image: Tensor) -> float:
    """Return how long an engine takes for an image, in seconds."""
    started = time.perf_counter()
    engine(image)
    return time.perf_counter() - started


def _images(multiple: int, minimum: int, views: int) -> list[Tensor]:
    """Return a hazy photo in each of the sizes `SIDES`, or in the next size that the network takes."""
    photo = probe_images(multiple, minimum, views)[:1]
    sides = (max(-(-side // multiple) * multiple, minimum) for side in SIDES)
    return [F.interpolate(photo, (side, side), mode="bilinear") for side in sides]


def _version(package: str) -> str:
    """Return the version of a package, or an empty text if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
