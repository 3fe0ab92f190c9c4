"""Engines that run a network: torch, OpenVINO, ONNX Runtime or ncnn, at the fastest precision that agrees."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.export.ncnn.graph import ncnn_graph
from passband.export.ncnn.runtime import NcnnRuntime
from passband.export.network_writer import ExportError
from passband.export.onnx.restoration_graph import restoration_graph
from passband.export.quantize import quantized
from passband.export.runtimes import (
    CPU_PROVIDER,
    OnnxRuntime,
    OpenVINORuntime,
    Precision,
    fixed_size,
    of_one_size,
    openvino_core,
    openvino_model,
    read_openvino,
    refuse_coreml,
    require,
    runtime_of,
    sizes_of,
    sums_fit_bfloat16,
)
from passband.export.sizes import Sizes
from passband.hardware import fast_precision, restoration_precision
from passband.inference.engines.cuda_graphs import CudaGraphs
from passband.inference.engines.network_parts import network_parts
from passband.inference.engines.precision import AGREEMENT, agreement, agrees, probe_images
from passband.layers import DynamicFilter
from passband.layers.shape_filter import MultiShapeFilter
from passband.models import load_model, pick_device
from passband.models.restoration.three_scales import ThreeScaleNetwork
from passband.naming import suggestion
from passband.weights_finding import checked_name

EngineName = Literal["torch", "openvino", "onnxruntime", "ncnn"]
ENGINES: tuple[str, ...] = get_args(EngineName)
_TITLES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "ncnn": "ncnn"}
PRECISIONS: tuple[str, ...] = ("auto", *get_args(Precision))
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
FLOAT32_PARTS = ("stem", "shallow", "head")
"""Parts of SFNet, FSNet and ConvIR that compute in float32 at every precision, as their predicted filters do. They are
a few percent of the work of the published networks, and in bfloat16 they would cost SFNet 10 dB on hazy images."""


@runtime_checkable
class Engine(Protocol):
    """A network that is ready to run."""

    name: str
    precision: Precision
    sizes: Sizes
    """Sizes of images that its network takes."""
    size: tuple[int, int] | None
    """Height and width in pixels of the only images that it takes; None for any size that the network takes."""
    in_channels: int

    def __call__(self, padded: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        """Restore images.

        Args:
            padded: images in [0, 1], of the size of the engine or of a size that its network takes.

        Returns:
            The restored images, not clamped.
        """
        ...


class TorchEngine:
    """A network in torch.

    Args:
        model: restoration network in evaluation mode, which returns its outputs in rising size. The engine moves and
            changes it: below float32 some of its layers stay in float32.
        precision: name of the precision: `"auto"`, `"float32"`, `"bfloat16"` or `"float16"` (only on a GPU).
        device: device to run on; None for the CPU.
        compile: whether the network is compiled for a GPU and replayed as CUDA graphs. That helps for many images of
            one size; each new size costs a minute.
        graphs: whether small images on a CUDA GPU are replayed as CUDA graphs if their size comes again, see
            `engines.cuda_graphs`. The graphs keep memory on the GPU.
        memory: cap on the memory in bytes that the caller keeps; None for all memory of the device. On a GPU, little
            memory is a reason for a lower precision.

    Raises:
        ValueError: if torch does not have the precision on the device.
    """

    name = "torch"
    size: tuple[int, int] | None = None

    def __init__(
        self,
        model: nn.Module,
        precision: str = "auto",
        device: torch.device | None = None,
        *,
        compile: bool = False,
        graphs: bool = True,
        memory: int | None = None,
    ):
        self.device = device or torch.device("cpu")
        _check_precision(precision)
        if precision == "int8":
            raise ValueError("int8 needs --engine openvino; torch has auto, float32, bfloat16 and float16")
        if precision == "float16" and self.device.type == "cpu":
            raise ValueError("float16 needs a GPU; on a processor use --precision auto, bfloat16 or float32")
        if compile and self.device.type != "cuda":
            raise ValueError(f"compile needs a CUDA GPU, got the device {self.device.type}; leave it out")
        self.model = model.to(self.device, torch.float32)
        self.sizes = Sizes.of(model)
        self.in_channels = int(getattr(model, "in_channels", 3))
        self.precision: Precision = "float32"
        fast = precision
        if precision == "auto" and isinstance(model, ThreeScaleNetwork):
            fast = restoration_precision(self.device, torch.get_num_threads(), memory)
        elif precision == "auto":
            fast = fast_precision(self.device, torch.get_num_threads())
        if fast != "float32":
            self._choose(fast, check=precision == "auto")
        if self.device.type == "cuda" and self.precision != "float32":
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._run: Callable[[Tensor], Any] = self.model
        self._is_compiled = compile
        if compile:
            self._run = torch.compile(self.model, mode="reduce-overhead", dynamic=False)
        is_replayed = graphs and not compile and self.device.type == "cuda" and isinstance(model, ThreeScaleNetwork)
        self._graphs = CudaGraphs(self.model, self._compute) if is_replayed else None

    def _choose(self, precision: Any, check: bool) -> None:
        """Choose a lower precision, unless the network does not agree with float32 at it."""
        exact = self._restore_with("float32") if check else None
        undo = [_keep_float32(part, self.device.type) for part in _float32_parts(self.model)]
        if exact is not None:
            rounded, views = self._restore_with(precision), self.in_channels // 3

            def measure() -> float:
                return agreement(exact, rounded, self.sizes.multiple, self.sizes.minimum, views)

            if not agrees(self.model, precision, self.device, measure):
                for restore in undo:
                    restore()
                return
        self.precision = precision

    def _restore_with(self, precision: Precision) -> Callable[[Tensor], Tensor]:
        """Return a function that restores at a precision."""

        @torch.no_grad()
        def run(padded: Tensor) -> Tensor:
            with self.autocast(precision):
                return self.model(padded.to(self.device, torch.float32))[-1].float()

        return run

    def check_weights(self) -> None:
        """Refuse a network whose weights were converted after loading, for example with `model.half()`.

        Raises:
            TypeError: if a weight is not float32.
        """
        weights = network_parts(self.model).parameters
        found = next((weight.dtype for weight in weights if weight.dtype != torch.float32), None)
        if found is not None:
            raise TypeError(
                f"the weights of the network must stay torch.float32, but some are {found}. Call .float() on the "
                "network, and choose the precision with precision=, such as precision='bfloat16'."
            )

    def autocast(self, precision: Precision | None = None, *, cache: bool = True) -> AbstractContextManager[Any]:
        """Return the context in which `model` computes at the precision of the engine.

        Args:
            precision: another precision; None for that of the engine.
            cache: whether weights that are converted once stay converted until the end of the context.
        """
        dtype = DTYPES[precision or self.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32, cache_enabled=cache)

    @torch.no_grad()
    def __call__(self, padded: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        """Restore images.

        Args:
            padded: images in [0, 1], of a size that the network takes.

        Returns:
            The restored images, not clamped.
        """
        padded = padded.to(self.device, torch.float32)
        if self._graphs is not None:
            return self._graphs(padded, self.precision)
        restored = self._compute(padded)
        return restored.clone() if self._is_compiled else restored  # a CUDA graph overwrites its output in the next run

    def _compute(self, padded: Tensor) -> Tensor:
        """Run the network. Networks that are replayed use each weight once."""
        with self.autocast(cache=self._graphs is None):
            return self._run(padded)[-1].float()


def load_engine(
    weights: str | Path = "general",
    engine: str = "torch",
    precision: str = "auto",
    device: str = "auto",
    *,
    compile: bool = False,
    graphs: bool = True,
    memory: int | None = None,
    provider: str | None = None,
    **overrides: Any,
) -> Engine:
    """Load weights into an engine.

    Args:
        weights: weights to load, as `models.load_model` takes them, or a file of `passband export` (.onnx, .xml or
            .param), which runs in ONNX Runtime, OpenVINO or ncnn.
        engine: name of the engine: `"torch"`, `"openvino"`, `"onnxruntime"` or `"ncnn"`. An exported .xml always runs
            in OpenVINO and a .param in ncnn, and an exported .onnx runs in OpenVINO on request.
        precision: name of the precision: `"auto"`, the fastest of this machine that agrees with float32 to 60 dB on the
            network's own output; `"float32"`; `"bfloat16"`; `"float16"` (torch on a GPU); or `"int8"` (OpenVINO:
            quantizing takes minutes once, and its result is kept in the user's cache folder).
        device: name of a device for torch, see `models.pick_device`. The other engines take `"auto"` and `"cpu"`, and
            ncnn also `"vulkan"`, which is a GPU.
        compile: whether torch compiles the network, see `TorchEngine`.
        graphs: whether torch replays small images on a CUDA GPU, see `TorchEngine`; other engines ignore it.
        memory: cap on the memory in bytes that the caller keeps, see `TorchEngine`; None for no cap. Other engines
            ignore it.
        provider: execution provider of ONNX Runtime, such as `"CUDAExecutionProvider"`; None for the CPU.
        overrides: keywords of the network's constructor, such as `pool_window=210`.

    Raises:
        CheckpointError: if the weights cannot be used, or are for another task.
        ExportError: if the engine is not installed, or cannot run this network.
        ValueError: if the engine is unknown, or does not have the precision or the device.
    """
    if provider is not None and engine != "onnxruntime":
        raise ValueError(f"--provider is for --engine onnxruntime, got the engine {engine}; leave it out")
    if engine not in ENGINES:
        raise ValueError(f"engine is one of {', '.join(ENGINES)}; got {engine!r}.{suggestion(engine, ENGINES)}")
    _check_precision(precision)
    refuse_coreml(weights)
    exported = runtime_of(weights)
    if exported is None and engine == "torch":
        model = load_model(weights, task="restoration", **overrides)
        return TorchEngine(model, precision, pick_device(device), compile=compile, graphs=graphs, memory=memory)
    name = engine if engine != "torch" else str(exported)
    if device not in ("auto", "cpu") and (name, device) != ("ncnn", "vulkan"):
        others = "auto, cpu, vulkan" if name == "ncnn" else "auto, cpu"
        raise ValueError(
            f"{name} runs on the processor here, got the device {device!r}; use {others} or --engine torch"
        )
    if compile:
        raise ValueError("compile is for --engine torch on a CUDA GPU; leave it out")
    if exported is not None:
        return _load_exported(Path(checked_name(weights)), exported, name, precision, device, provider, overrides)
    if engine != "openvino":
        _only_float32(precision, engine)
    require(engine, *([engine] if engine == "ncnn" else [engine, "onnx"]))
    model = load_model(weights, task="restoration", **overrides)
    if engine == "openvino":
        return _openvino(model, precision)
    if engine == "ncnn":
        return NcnnRuntime(ncnn_graph(model), device == "vulkan")
    return OnnxRuntime(restoration_graph(model), provider or CPU_PROVIDER)


def _openvino(model: nn.Module, precision: str) -> OpenVINORuntime:
    """Convert a network to OpenVINO in memory."""
    if precision == "int8":
        return OpenVINORuntime(quantized(model), "int8")
    return _fastest_openvino(openvino_model(model), precision)


def _fastest_openvino(converted: Any, precision: str) -> OpenVINORuntime:
    """Load an OpenVINO model at a precision, or at the fastest one that agrees with float32."""
    if precision != "auto":
        return OpenVINORuntime(converted, precision)  # type: ignore[arg-type]
    # OpenVINO names the precisions that the CPU has instructions for
    native = "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if not native or not sums_fit_bfloat16(converted):
        return OpenVINORuntime(converted)
    sizes = sizes_of(converted)
    probed, has_size = converted, fixed_size(converted) is not None
    if has_size:
        probed = of_one_size(converted, *probe_images(sizes.multiple, sizes.minimum).shape[-2:])
    exact, fast = OpenVINORuntime(probed), OpenVINORuntime(probed, "bfloat16")
    fits = agreement(exact, fast, sizes.multiple, sizes.minimum, exact.in_channels // 3) >= AGREEMENT
    if has_size:
        return OpenVINORuntime(converted, "bfloat16" if fits else "float32")
    return fast if fits else exact


def _load_exported(
    path: Path, native: str, engine: str, precision: str, device: str, provider: str | None, overrides: dict[str, Any]
) -> Engine:
    """Load a file of `passband export`, whose suffix names the engine `native`."""
    if overrides:
        raise ExportError(
            f"{path} is exported, its network is fixed: {', '.join(overrides)} cannot be changed any more"
        )
    if not path.is_file():
        raise ExportError(f"no file {path}")
    if engine != native and (native, engine) != ("onnxruntime", "openvino"):
        to = {"onnxruntime": "onnx"}.get(engine, engine)
        raise ExportError(f"{path} is for {_TITLES[native]}; export --to {to} for {_TITLES[engine]}")
    if engine == "onnxruntime":
        _only_float32(precision, engine)
        return OnnxRuntime(path, provider or CPU_PROVIDER)
    if engine == "ncnn":
        _only_float32(precision, engine)
        return NcnnRuntime(path, device == "vulkan")
    require("openvino", "openvino")
    model = read_openvino(path)
    has_int8 = any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())
    if has_int8 and precision in ("auto", "int8"):
        return OpenVINORuntime(model, "int8")
    if has_int8 or precision == "int8":
        is_it = "is" if has_int8 else "is not"
        raise ExportError(f"{path} {is_it} quantized, so it cannot run in {precision}; use --precision auto")
    return _fastest_openvino(model, precision)


def _only_float32(precision: str, engine: str) -> None:
    """Refuse other precisions of ONNX Runtime and ncnn."""
    if precision not in ("auto", "float32"):
        raise ValueError(f"{engine} runs in float32 here, got {precision}; use auto, or --engine openvino")


def _check_precision(precision: str) -> None:
    """Refuse an unknown precision."""
    if precision not in PRECISIONS:
        near = suggestion(precision, PRECISIONS)
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}; got {precision!r}.{near}")


def _float32_parts(model: nn.Module) -> list[nn.Module]:
    """Return the parts of networks of three scales that need float32; others choose their parts themselves."""
    if not isinstance(model, ThreeScaleNetwork):
        return []
    parts = [part for name in FLOAT32_PARTS for part in getattr(model, name)]
    return parts + [module for module in model.modules() if isinstance(module, DynamicFilter | MultiShapeFilter)]


def _keep_float32(module: nn.Module, device: str) -> Callable[[], None]:
    """Make a module compute in float32 also under autocast, and return a function that undoes it."""
    forward = module.forward

    def in_float32(x: Tensor) -> Tensor:
        with torch.autocast(device, enabled=False):
            return forward(x.float())

    module.forward = in_float32
    return lambda: delattr(module, "forward")
