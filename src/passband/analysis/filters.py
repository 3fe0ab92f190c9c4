"""Shows the filters that a network with dynamic filters (SFNet) chose for an image, block by block."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.curriculum.objective import evaluating
from passband.drawing.charts.style import save_charts
from passband.drawing.frequencies.filters import filters_figure
from passband.io.files import results_folder
from passband.io.image import read_image
from passband.layers import DynamicFilter
from passband.models import ConvIR, load_model, pick_device
from passband.models.network_task import network_name
from passband.ops.checks import check_images
from passband.ops.tiling import pad_to_multiple
from passband.reports.files import write_csv
from passband.runs import weights_of
from passband.state_dicts import CheckpointError

SIDE = 768
"""Longest side in pixels of the part of an image that is analyzed. Time and memory grow with its area."""
STEPS = 33
"""Number of radii of a response, from 0 to the corner of the spectrum."""
SCALES = ("full size", "half size", "quarter size")
"""Names of the scales of SFNet, by their number."""
COLUMNS = (
    *("filter", "block", "scale", "kernel_size", "groups", "kernel_width", "cutoff"),
    *("low_energy_in", "attention_low", "attention_high", "low_energy_out"),
)
"""Columns of filters.csv."""


@dataclass(frozen=True, eq=False)
class FilterChoice:
    """The choice of one dynamic filter for one image."""

    name: str
    """Name of the layer in the network, such as encoder.0.1.filters.0."""
    block: str
    """Place of its block in the network in words, such as "encoder, half size"."""
    scale: int
    """Pixels of the image for each position of the map."""
    kernels: Float[Tensor, "G k k"]
    """One low-pass kernel for each group of channels. Its weights are positive and add to one."""
    attention_low: Float[Tensor, " C"]
    """Weight of the low part of each channel, averaged over the map. All weights of both parts add to one."""
    attention_high: Float[Tensor, " C"]
    """Weight of the high part of each channel."""
    energy_in: tuple[float, float]
    """Energy of the low and of the high part before the attention, per value of the map."""
    energy_out: tuple[float, float]
    """Energy of the low and of the high part after the attention."""

    @property
    def kernel_size(self) -> int:
        """Side of the kernels in positions of the map."""
        return self.kernels.shape[-1]

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of the attention that the low and the high part get; they add to one."""
        return float(self.attention_low.sum()), float(self.attention_high.sum())

    def responses(self, radii: Float[Tensor, " R"]) -> Float[Tensor, "G R"]:
        """Return the frequency response of each kernel over the radius, averaged over all directions.

        Args:
            radii: radii as shares of the Nyquist frequency of the map, at most sqrt(2).

        Returns:
            The mean of the real part of the response along each circle: 1 at radius 0. The real part is the share of a
            wave that stays in its place.
        """
        angles = torch.arange(64, dtype=torch.float64) * torch.pi / 64
        waves = torch.pi * torch.stack([torch.sin(angles), torch.cos(angles)])[:, None] * radii.double()[:, None]
        places = torch.arange(self.kernel_size, dtype=torch.float64) - self.kernel_size // 2
        down, across = (torch.exp(1j * wave[..., None] * places) for wave in waves)
        kernels = self.kernels.double().to(down.dtype)
        return torch.einsum("gyx,ray,rax->gr", kernels, down, across).real / len(angles)

    def cutoff(self) -> float:
        """Return the radius where the mean response falls to one half, as a share of Nyquist; sqrt(2) for none."""
        radii = torch.linspace(0, 2**0.5, 257)
        below = (self.responses(radii).mean(0) < 0.5).nonzero()
        return float(radii[below[0, 0]]) if len(below) else float(radii[-1])

    def width(self) -> float:
        """Return the root mean square distance of the weights from the center, in positions of the map."""
        places = torch.arange(self.kernel_size, dtype=torch.float64) - self.kernel_size // 2
        squares = places[:, None].square() + places.square()
        return float((self.kernels.double().mean(0) * squares).sum().sqrt())

    def as_dict(self) -> dict[str, Any]:
        """Return a row of filters.csv. Energies are shares of the low part in both parts together, 0 to 1."""
        low, high = self.shares
        values = (
            *(self.name, self.block, self.scale, self.kernel_size, len(self.kernels), self.width(), self.cutoff()),
            *(_share(self.energy_in), low, high, _share(self.energy_out)),
        )
        return dict(zip(COLUMNS, values, strict=True))


@dataclass(frozen=True, eq=False)
class FilterAnalysis:
    """The choices of all dynamic filters of a network for one image, in the order in which the network uses them."""

    choices: tuple[FilterChoice, ...]
    image: Float[Tensor, "3 H W"]
    """Part of the image that was analyzed."""
    is_part: bool
    """Whether the image is larger than this part."""


@contextmanager
def watched_filters(model: nn.Module) -> Iterator[list[FilterChoice]]:
    """Record the choices of a network's dynamic filters while it runs on one image. Its results do not change.

    Args:
        model: network in evaluation mode.

    Yields:
        A list that receives the choice of each dynamic filter when the network uses it.

    Raises:
        ValueError: if the network has no dynamic filters.
    """
    names: dict[nn.Module, str] = {
        layer: name for name, layer in model.named_modules() if isinstance(layer, DynamicFilter)
    }
    if not names:
        raise ValueError(
            f"a network with dynamic filters is needed, SFNet or FSNet, but {network_name(model)} has none: take "
            "weights of SFNet, for example general"
        )
    choices: list[FilterChoice] = []

    def record(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        choices.append(_choice(names[layer], cast(DynamicFilter, layer), inputs[0]))

    hooks = [layer.register_forward_pre_hook(record) for layer in names]
    try:
        yield choices
    finally:
        for hook in hooks:
            hook.remove()


def filter_choices(model: nn.Module, image: Float[Tensor, "B C H W"]) -> tuple[FilterChoice, ...]:
    """Return the choices of a network's dynamic filters for an image.

    Args:
        model: network that takes images in [0, 1].
        image: one image of any size; it is padded as in restoration.

    Returns:
        The choice of each dynamic filter, in the order in which the network uses them.

    Raises:
        ValueError: if the network has no dynamic filters, or there is not one image.
    """
    check_images(image, "filter_choices")
    if len(image) != 1:
        raise ValueError(f"filter_choices needs one image; got a batch of {len(image)}")
    padded, _ = pad_to_multiple(image, int(getattr(model, "multiple", 1)), int(getattr(model, "minimum", 0)))
    with evaluating(model), torch.no_grad(), watched_filters(model) as choices:
        model(padded)
    return tuple(choices)


def image_filters(
    image: Float[Tensor, "3 H W"],
    weights: str | Path | nn.Module = "general",
    *,
    side: int = SIDE,
    device: str = "auto",
) -> FilterAnalysis:
    """Find the filters that a network chooses for an image.

    Args:
        image: RGB image in [0, 1].
        weights: shipped name, folder of a run or of weights, or other weights that `load_model` takes; or a network.
        side: longest side in pixels of the part that is analyzed. Of a larger image, the middle is taken, because
            shrinking an image would change its frequencies.
        device: name of a device, see `models.pick_device`.

    Returns:
        The choices of all dynamic filters.

    Raises:
        CheckpointError: if the weights cannot be used, have no dynamic filters, or take several views.
        ValueError: if the side is below 16 pixels.
    """
    check_images(image[None], "image_filters", channels=3)
    if side < 16:
        raise ValueError(f"the analyzed part needs a side of 16 pixels or more; got {side}")
    name = type(weights).__name__ if isinstance(weights, nn.Module) else str(weights)
    model = weights if isinstance(weights, nn.Module) else load_model(weights_of(weights)).to(pick_device(device))
    if not any(isinstance(layer, DynamicFilter) for layer in model.modules()):
        raise CheckpointError(
            f"weights of a network with dynamic filters are needed, SFNet or FSNet, but {name} holds the "
            f"network {network_name(model)}, which has none{_other_filters(model)}: take general, or a run of SFNet"
        )
    views = int(getattr(model, "in_channels", 3))
    if views != 3:
        raise CheckpointError(f"weights for one RGB image are needed, but {name} takes {views} channels at once")
    part = _middle(image, side)
    placed = part[None].to(next(model.parameters()).device)
    return FilterAnalysis(filter_choices(model, placed), part, part.shape != image.shape)


def analyze_filters(
    source: str | Path, output: str | Path, *, weights: str | Path = "general", side: int = SIDE, device: str = "auto"
) -> FilterAnalysis:
    """Write the filters that a network chooses for an image, block by block.

    Writes filters.png and filters.svg (kernels, frequency responses and attention), filters.csv (a row for each
    filter), filters_kernels.csv (a row for each weight of each kernel) and filters_responses.csv (a row for each filter
    and radius).

    Args:
        source: path of an image.
        output: folder for these files, which is made if it does not exist.
        weights: weights with dynamic filters, as in `image_filters`.
        side: longest side in pixels of the part that is analyzed, as in `image_filters`.
        device: name of a device, see `models.pick_device`.

    Returns:
        The choices of all dynamic filters.

    Raises:
        CheckpointError: if the weights cannot be used, or have no dynamic filters.
        ImageError: if the image cannot be read.
        ValueError: if the side is below 16 pixels.
        OSError: if the image cannot be read, or a file cannot be written.
    """
    output = results_folder(output)
    analysis = image_filters(read_image(source), weights, side=side, device=device)
    save_charts(filters_chart(analysis), output / "filters.png")
    radii = torch.linspace(0, 2**0.5, STEPS)
    rows, kernels, responses = [], [], []
    for choice in analysis.choices:
        rows.append(choice.as_dict())
        for group, kernel in enumerate(choice.kernels.tolist()):
            for y, line in enumerate(kernel):
                kernels += [
                    {"filter": choice.name, "group": group, "y": y, "x": x, "weight": weight}
                    for x, weight in enumerate(line)
                ]
        curves = choice.responses(radii)
        for radius, mean, least, most in zip(radii, curves.mean(0), curves.amin(0), curves.amax(0), strict=True):
            figures = {"share_of_nyquist": radius, "mean": mean, "least": least, "most": most}
            responses.append({"filter": choice.name, **{key: float(value) for key, value in figures.items()}})
    write_csv(output / "filters.csv", COLUMNS, rows)
    write_csv(output / "filters_kernels.csv", ["filter", "group", "y", "x", "weight"], kernels)
    write_csv(output / "filters_responses.csv", ["filter", "share_of_nyquist", "mean", "least", "most"], responses)
    return analysis


def filters_chart(analysis: FilterAnalysis) -> Any:
    """Return the figure of all filters, as filters.png holds it.

    Args:
        analysis: filters of an image.
    """
    radii = torch.linspace(0, 2**0.5, STEPS)
    panels = [
        {
            "block": choice.block,
            "kernels": choice.kernels,
            "responses": choice.responses(radii),
            "attention": choice.shares,
        }
        for choice in analysis.choices
    ]
    return filters_figure(panels, radii, analysis.image, *described_filters(analysis))


def described_filters(analysis: FilterAnalysis) -> tuple[str, str]:
    """Return a title and a sentence about the filters of an image.

    Args:
        analysis: filters of an image.

    Returns:
        Title, and text for below it. Shares are in percent of the attention.
    """
    shares = [(choice.shares[1], choice) for choice in analysis.choices]
    fine, coarse = max(shares, key=lambda one: one[0]), min(shares, key=lambda one: one[0])
    favor = sum(share > 0.5 for share, _ in shares)
    title = f"{favor} of {len(shares)} filters give fine detail more weight than coarse content"
    text = (
        f"Most weight for fine detail: {100 * fine[0]:.0f} % in {fine[1].block}, {fine[1].kernel_size}x"
        f"{fine[1].kernel_size}; least: {100 * coarse[0]:.0f} % in {coarse[1].block}, {coarse[1].kernel_size}x"
        f"{coarse[1].kernel_size}."
    )
    height, width = analysis.image.shape[-2:]
    return title, f"{text} Analyzed: the middle {width}x{height} pixels." if analysis.is_part else text


def _choice(name: str, layer: DynamicFilter, x: Float[Tensor, "B C H W"]) -> FilterChoice:
    """Return the choice of a filter for the map that it gets."""
    with torch.no_grad():
        kernels = layer.kernels(x)
        low = layer.apply_kernels(F.pad(x, (layer.kernel_size // 2,) * 4, mode="reflect"), kernels)
        for_low, for_high = layer.modulator.attention(layer.modulator.pool(x))
        high = x - low
        energies = [float(part.double().square().mean()) for part in (low, high, low * for_low, high * for_high)]
        attention = [weights[0].mean((-2, -1)).double().cpu() for weights in (for_low, for_high)]
    block, scale = _place(name)
    return FilterChoice(
        name, block, scale, kernels[0].double().cpu(), attention[0], attention[1],
        (energies[0], energies[1]), (energies[2], energies[3]),
    )  # fmt: skip


def _place(name: str) -> tuple[str, int]:
    """Return the place of a filter in words and its scale; the name and 1 if the network is no SFNet or FSNet."""
    parts = name.split(".")
    if parts[0] in ("encoder", "decoder") and len(parts) > 1 and parts[1].isdigit() and int(parts[1]) < len(SCALES):
        return f"{parts[0]}, {SCALES[int(parts[1])]}", 2 ** int(parts[1])
    return name, 1


def _other_filters(model: nn.Module) -> str:
    """Return a clause about the filters of a ConvIR, which divide no map into a low and a high part."""
    if not isinstance(model, ConvIR):
        return ""
    return " (its filters are strips and squares of signed weights, which divide no map into low and high frequencies)"


def _share(energies: tuple[float, float]) -> float:
    """Return the share of the first energy in both; 0.5 if both are zero."""
    whole = sum(energies)
    return energies[0] / whole if whole else 0.5


def _middle(image: Float[Tensor, "3 H W"], side: int) -> Float[Tensor, "3 h w"]:
    """Return the middle of an image."""
    height, width = (min(side, length) for length in image.shape[-2:])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[:, top : top + height, left : left + width]
