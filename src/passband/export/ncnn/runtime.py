"""Runs networks with ncnn on the CPU or, through Vulkan, on a GPU."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from passband.export.ncnn.graph import SIZES_NAME, NcnnGraph
from passband.export.network_writer import INPUT, OUTPUT, ExportError
from passband.export.packages import require
from passband.export.runtimes import Precision, run_each_image
from passband.export.sizes import Sizes

LEAST_VERSION = 20261020
"""Date of the first release of ncnn whose output agrees with torch; the one of 2026-01-14 differs by 0.1."""


class NcnnRuntime:
    """Runs a network with ncnn in float32.

    Args:
        source: .param file with its .bin file beside it, or a network in memory.
        vulkan: whether a GPU computes, through Vulkan.

    Raises:
        ExportError: if ncnn is not installed, the file is damaged, or no GPU with Vulkan is found.
    """

    name = "ncnn"
    precision: Precision = "float32"
    size: tuple[int, int] | None = None

    def __init__(self, source: Path | NcnnGraph, vulkan: bool = False):
        ncnn = _ncnn()
        if vulkan and ncnn.get_gpu_count() == 0:
            raise ExportError("ncnn needs a GPU with a Vulkan driver for the device vulkan, found none; use cpu")
        self.device = "vulkan" if vulkan else "cpu"
        self._ncnn, self._net = ncnn, ncnn.Net()
        options = self._net.opt
        options.num_threads = torch.get_num_threads()
        options.use_vulkan_compute = vulkan
        # by default ncnn rounds maps to 16 bits where the processor is fast at it
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(options, f"use_{name}", False)
        # kept memory saves asking the system for each map
        self._allocators = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        options.blob_allocator, options.workspace_allocator = self._allocators
        if isinstance(source, NcnnGraph):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "network.param"
                write_ncnn(source, path)
                self._load(path)
        else:
            self._load(source)

    def _load(self, path: Path) -> None:
        """Load a network from its two files."""
        self.sizes, self.in_channels = read_sizes(path)
        if self._net.load_param(str(path)) != 0:
            raise ExportError(f"{path} is damaged or not an ncnn network")
        if self._net.load_model(str(path.with_suffix(".bin"))) != 0:
            raise ExportError(f"{path.with_suffix('.bin')} does not hold the parameters of {path.name}")

    def __call__(self, padded: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        """Restore images of a size that the network takes. The result is not clamped."""
        return run_each_image(self._run, padded, self)

    def _run(self, image: np.ndarray) -> np.ndarray:
        extractor = self._net.create_extractor()
        # ncnn changes its input in place, so it gets a copy
        extractor.input(INPUT, self._ncnn.Mat(image[0]).clone())
        status, restored = extractor.extract(OUTPUT)
        if status != 0:
            raise MemoryError(f"ncnn could not restore {image.shape[-1]}x{image.shape[-2]} pixels (status {status})")
        return np.array(restored)[None]


def _ncnn() -> Any:
    """Return the module ncnn.

    Raises:
        ExportError: if ncnn is not installed or older than `LEAST_VERSION`.
    """
    require("ncnn", "ncnn")
    module = import_module("ncnn")
    installed = str(module.__version__)
    if int(installed.rpartition(".")[2]) < LEAST_VERSION:
        raise ExportError(
            f"ncnn needs version 1.0.{LEAST_VERSION} or later, because earlier ones compute other values; found "
            f"{installed}. Run: pip install -U 'passband[ncnn]'"
        )
    return module


def write_ncnn(graph: NcnnGraph, path: Path) -> None:
    """Write a network as a .param file, and its parameters as a .bin file beside it.

    Args:
        graph: network to write.
        path: path of the .param file.

    Raises:
        OSError: if the folder cannot be written.
    """
    path.with_suffix(".bin").write_bytes(graph.parameters)
    path.write_text(graph.text, encoding="ascii")


def read_sizes(path: Path) -> tuple[Sizes, int]:
    """Read from a .param file which images its network takes.

    Args:
        path: path of the .param file.

    Returns:
        The sizes that the network takes, and the number of channels.

    Raises:
        ExportError: if a file is missing, or was not written by `passband export`.
    """
    if not path.with_suffix(".bin").is_file():
        raise ExportError(f"{path} needs its parameters beside it, in {path.with_suffix('.bin').name}")
    try:
        lines = path.read_text(encoding="ascii").splitlines()[:3]
        name, *numbers = lines[2].split()[1].split("_")
        multiple, minimum, channels, *tile = map(int, numbers)
        sizes = Sizes(multiple, minimum, *tile)
    except (OSError, TypeError, ValueError, IndexError) as error:
        raise ExportError(f"{path} is damaged, or was not written by passband export") from error
    if name != SIZES_NAME:
        raise ExportError(f"{path} was not written by passband export: its first layer is named {name}")
    return sizes, channels
