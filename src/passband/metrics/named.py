"""Finds metrics of restored images by their names, as `passband evaluate --metric` takes them.

PSNR and SSIM are not among them, because they depend on the protocol; see `metrics.restoration_protocols`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passband.metrics.psnr_hvs import psnr_hvs, psnr_hvs_m
from passband.naming import entry, listed, suggestion
from passband.ops.checks import check_images, check_same_shape
from passband.ops.frequency_distance import BLOCK, FREQUENCY_WEIGHTS, frequency_distances, frequency_weights

Compare = Callable[[Float[Tensor, "B 3 H W"], Float[Tensor, "B 3 H W"]], Float[Tensor, " B"]]
"""Function of restored and clean images in [0, 1] that returns one value for each image."""
FREQUENCY, PYIQA = "frequency", "pyiqa"
"""First words of names with a colon: `frequency:csf`, and `pyiqa:NAME` for the metrics of that package."""
BY_PROTOCOL = ("psnr", "ssim")
"""Metrics that are always computed, as the protocol defines them."""


@dataclass(frozen=True)
class ImageMetric:
    """A metric of restored images.

    Attributes:
        name: name to ask for it, such as `psnr-hvs-m`. It is also the name of columns and keys.
        label: name in tables and charts, such as `PSNR-HVS-M`.
        unit: unit of the values, such as `dB`; empty for metrics without one.
        higher_is_better: whether a larger value means a better image.
        function: function that compares restored images with clean ones.
        smallest: smallest height and width of an image, in pixels.
        spelling: format of a value as text, such as `.2f`.
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool
    function: Compare
    smallest: int = 1
    spelling: str = ".4f"

    def __call__(self, restored: Float[Tensor, "B 3 H W"], clean: Float[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
        """Compare restored images with clean ones.

        Args:
            restored: images in [0, 1].
            clean: images to compare them to.

        Returns:
            One value for each image, without a gradient.

        Raises:
            TypeError: if an input is not a tensor of floating-point values.
            ValueError: if the shapes differ, or the images are too small.
        """
        check_same_shape(restored, clean, self.name, ("restored", "clean"))
        check_images(restored, self.name, 3)
        if problem := self.problem(*clean.shape[-2:]):
            raise ValueError(problem)
        with torch.no_grad():
            return self.function(restored, clean)

    def problem(self, height: int, width: int) -> str:
        """Say why an image of this size cannot be compared; an empty text if it can.

        Args:
            height: height in pixels.
            width: width in pixels.
        """
        if min(height, width) >= self.smallest:
            return ""
        return f"{self.name} needs images of at least {self.smallest}x{self.smallest} pixels, got {width}x{height}"

    def text(self, value: float) -> str:
        """Return a value as text with its unit, such as `31.20 dB`.

        Args:
            value: value of this metric.
        """
        return f"{value:{self.spelling}} {self.unit}".rstrip()

    @property
    def heading(self) -> str:
        """Label and unit, such as `PSNR-HVS, dB`."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


@dataclass(frozen=True)
class MetricKind:
    """A metric that has not been loaded.

    Attributes:
        label: name in tables and charts.
        unit: unit of the values; empty for metrics without one.
        higher_is_better: whether a larger value means a better image.
        load: function that returns the comparison, and raises an error if something that it needs is missing.
        smallest: smallest height and width of an image, in pixels.
        spelling: format of a value as text.
    """

    label: str
    unit: str
    higher_is_better: bool
    load: Callable[[], Compare]
    smallest: int = 1
    spelling: str = ".4f"


def image_metric(name: str) -> ImageMetric:
    """Return the metric of a name, ready to compare images.

    Args:
        name: a key of `METRICS`; a frequency distance with options, such as `frequency:jpeg:quality=90`; or
            `pyiqa:NAME` for a metric of the package pyiqa.

    Raises:
        ValueError: if the name or an option is unknown, or an option is out of range.
        ImportError: if the metric needs a package that is not installed.
        RuntimeError: if the metric needs the weights of a network, and they cannot be loaded.
    """
    if name in BY_PROTOCOL:
        raise ValueError(f"{name} is always scored, as the protocol defines it. Leave it out of the metrics.")
    first, _, rest = name.partition(":")
    if first == PYIQA and rest:
        return _pyiqa(name, rest)
    preset, _, options = rest.partition(":")
    kind = entry(f"{first}:{preset}" if options else name, METRICS, "metric")
    load = partial(_frequency, preset, options) if options else kind.load
    label = f"{kind.label} ({options})" if options else kind.label
    return ImageMetric(name, label, kind.unit, kind.higher_is_better, load(), kind.smallest, kind.spelling)


def metric_text(name: str, value: float) -> str:
    """Return a value of a metric with its unit, without loading the metric.

    Args:
        name: name of the metric, as in `image_metric`.
        value: value to show.
    """
    first, _, rest = name.partition(":")
    kind = METRICS.get(f"{first}:{rest.partition(':')[0]}" if rest else name)
    return f"{value:{kind.spelling if kind else '.4f'}} {kind.unit if kind else ''}".rstrip()


def _frequency(preset: str, options: str = "") -> Compare:
    """Return the frequency distance of a preset with options such as `quality=90,stride=4`."""
    of_table = set(signature(FREQUENCY_WEIGHTS[preset]).parameters) - {"block"}
    known = [*sorted(of_table), "power", "stride", "masking"]
    values: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        key, _, text = option.partition("=")
        if key not in known:
            raise ValueError(
                f"frequency:{preset} takes the options {listed(known)}, as in frequency:{preset}:{known[0]}=2; got "
                f"{option!r}.{suggestion(key, known)}"
            )
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"the option {key} of frequency:{preset} needs a number, got {text!r}.") from None
        values[key] = bool(value) if key == "masking" else int(value) if value.is_integer() else value
    table = frequency_weights(preset, **{key: value for key, value in values.items() if key in of_table})
    others = {key: value for key, value in values.items() if key not in of_table}
    blank = torch.zeros(1, 3, table.shape[1], table.shape[1])
    frequency_distances(blank, blank, table, **others)  # options out of range are refused before any image is read

    def compare(restored: Tensor, clean: Tensor) -> Tensor:
        return frequency_distances(restored.double(), clean.double(), table, **others)

    return compare


def _torchmetrics(name: str, module: str = "functional.image") -> Any:
    """Return a module of torchmetrics.

    Raises:
        ImportError: if the package is not installed, or is too old.
    """
    try:
        return import_module(f"torchmetrics.{module}")
    except ImportError as missing:
        raise ImportError(f"{name} needs torchmetrics: pip install --upgrade 'passband[torchmetrics]'") from missing


def _ms_ssim() -> Compare:
    """Return torchmetrics' structural similarity over five scales."""
    similarity = _torchmetrics("ms-ssim").multiscale_structural_similarity_index_measure
    return lambda restored, clean: similarity(
        restored.double(), clean.double(), data_range=1.0, reduction="none"
    ).reshape(-1)


def _vif() -> Compare:
    """Return torchmetrics' visual information fidelity in the domain of pixels, which is defined for a range of 255."""
    fidelity = _torchmetrics("vif").visual_information_fidelity

    def compare(restored: Tensor, clean: Tensor) -> Tensor:
        pairs = zip(restored.split(1), clean.split(1), strict=True)
        return torch.stack([fidelity(255 * one.double(), 255 * other.double()) for one, other in pairs])

    return compare


def _lpips(net: str) -> Compare:
    """Return the learned perceptual similarity of torchmetrics by a network, `alex` or `vgg`."""
    name, network = ("lpips", "AlexNet") if net == "alex" else ("lpips-vgg", "VGG-16")
    similarity = _torchmetrics(name, "image.lpip").LearnedPerceptualImagePatchSimilarity
    metric = _with_weights(name, network, lambda: similarity(net_type=net, normalize=True))

    def compare(restored: Tensor, clean: Tensor) -> Tensor:
        values = []
        images = [images.float().clamp(0, 1).split(1) for images in (restored, clean)]
        for one, other in zip(*images, strict=True):
            metric.reset()  # it averages over all images since then
            values.append(metric(one, other).reshape(()))
        return torch.stack(values)

    return compare


def _dists() -> Compare:
    """Return the deep image structure and texture similarity of torchmetrics."""
    # torchmetrics' function and class load the network again for each batch
    network = _with_weights("dists", "VGG-16", _torchmetrics("dists", "functional.image.dists").DISTSNetwork).eval()
    return lambda restored, clean: network(restored.float(), clean.float()).reshape(-1)


def _with_weights(name: str, network: str, load: Callable[[], Any]) -> Any:
    """Load a metric that needs the published weights of a network.

    Raises:
        RuntimeError: if they cannot be downloaded or read.
    """
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's notes on older names of its arguments
            return load()
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"{name} needs the weights of {network}, which torchvision downloads at the first use: {error}. Run it "
            f"once with a network connection, or copy the file into {torch.hub.get_dir()}/checkpoints"
        ) from error


def _pyiqa(name: str, metric_name: str) -> ImageMetric:
    """Return a metric of the package pyiqa. Metrics without a reference look at the restored images only.

    Raises:
        ImportError: if the package is not installed.
        ValueError: if it has no such metric.
        RuntimeError: if the metric cannot be loaded.
    """
    try:
        pyiqa = import_module("pyiqa")
    except ImportError as missing:
        raise ImportError(f"{name} needs pyiqa: pip install pyiqa") from missing
    entry(metric_name, dict.fromkeys(pyiqa.list_models()), "metric of pyiqa")
    try:
        metric = pyiqa.create_metric(metric_name, device="cpu")
    except (OSError, RuntimeError) as error:
        raise RuntimeError(f"{name} cannot be loaded: {error}") from error
    takes_reference = metric.metric_mode == "FR"

    def compare(restored: Tensor, clean: Tensor) -> Tensor:
        images = (restored.float().clamp(0, 1), clean.float().clamp(0, 1))
        return metric(*images[: 1 + takes_reference]).reshape(-1)

    return ImageMetric(name, metric_name, "", not metric.lower_better, compare)


_DISTANCES = {
    f"{FREQUENCY}:{preset}": MetricKind(
        f"frequency distance, {preset}", "", False, partial(_frequency, preset), BLOCK, ".3e"
    )
    for preset in FREQUENCY_WEIGHTS
}
METRICS: dict[str, MetricKind] = {
    "psnr-hvs": MetricKind("PSNR-HVS", "dB", True, lambda: psnr_hvs, BLOCK, ".2f"),
    "psnr-hvs-m": MetricKind("PSNR-HVS-M", "dB", True, lambda: psnr_hvs_m, BLOCK, ".2f"),
    **_DISTANCES,
    "ms-ssim": MetricKind("MS-SSIM", "", True, _ms_ssim, 176),
    "vif": MetricKind("VIF", "", True, _vif, 41),
    "lpips": MetricKind("LPIPS (AlexNet)", "", False, partial(_lpips, "alex"), 31),
    "lpips-vgg": MetricKind("LPIPS (VGG-16)", "", False, partial(_lpips, "vgg"), 16),
    "dists": MetricKind("DISTS", "", False, _dists, 16),
}
"""Metrics by name. Those from `ms-ssim` on come from torchmetrics."""
