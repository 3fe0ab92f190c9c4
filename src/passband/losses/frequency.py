"""Losses that weigh frequencies: by the block DCT, by how wrong each frequency is, and by rings of the spectrum."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.naming import entry
from passband.ops.checks import check_images, check_same_shape
from passband.ops.frequency_distance import BLOCK, FREQUENCY_WEIGHTS, frequency_distances, frequency_weights
from passband.ops.precision import computing_dtype, widened
from passband.state_dicts import CheckpointError
from passband.weights_io import load_weights

GATE = "gate"
"""Name that stands for the channels that a trained gate lets through."""


def frequency_loss(
    restored: Float[Tensor, "B C H W"],
    clean: Float[Tensor, "B C H W"],
    weights: str | Float[Tensor, "3 V U"] = "csf",
    *,
    power: float = 2.0,
    stride: int | None = None,
    masking: bool = False,
) -> Float[Tensor, ""]:
    """Compute the mean over a batch of the weighted distance of block-DCT coefficients.

    Args:
        restored: predicted images, RGB or gray, in [0, 1].
        clean: target images.
        weights: a name such as `"csf"`, or a table; see `ops.frequency_distance.frequency_distances`.
        power: exponent of the differences, at least 1.
        stride: distance of the blocks in pixels; None for blocks that do not overlap.
        masking: whether texture hides differences.

    Returns:
        The loss, in float32 or float64.

    Raises:
        TypeError, ValueError: as `frequency_distances` raises them.
    """
    return frequency_distances(restored, clean, weights, power=power, stride=stride, masking=masking).mean()


class FrequencyLoss(nn.Module):
    """`frequency_loss` as a module that keeps its weights on the device of the network.

    Args:
        weights: a key of `FREQUENCY_WEIGHTS`, `"gate"` with `gate`, or a table of shape 3 x block x block.
        gate: weights of a classifier with a trained gate, for `weights="gate"`; see `gate_weights`.
        power: exponent of the differences, at least 1.
        stride: distance of the blocks in pixels; None for blocks that do not overlap.
        masking: whether texture hides differences.
        options: arguments of the table of that name, such as `quality=75` for `"jpeg"`.

    Raises:
        CheckpointError: if `gate` has no trained gate of 192 channels.
        ValueError: if a name is unknown, or an option is out of range.
    """

    weights: Tensor

    def __init__(
        self,
        weights: str | Float[Tensor, "3 V U"] = "csf",
        *,
        gate: str | Path | None = None,
        power: float = 2.0,
        stride: int | None = None,
        masking: bool = False,
        **options: float,
    ):
        super().__init__()
        if (isinstance(weights, str) and weights == GATE) != (gate is not None):
            raise ValueError(f'weights="gate" and gate belong together, got weights={weights!r} and gate={gate!r}.')
        if gate is not None:
            table = gate_weights(gate)
        elif isinstance(weights, str):
            entry(weights, {**FREQUENCY_WEIGHTS, GATE: None}, "table of frequency weights")
            table = frequency_weights(weights, **options)
        else:
            table = weights
        self.register_buffer("weights", table.float(), persistent=False)
        self.power, self.stride, self.masking = power, stride, masking

    def forward(self, restored: Float[Tensor, "B C H W"], clean: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
        """Compute the loss of a batch; see `frequency_loss`."""
        return frequency_loss(restored, clean, self.weights, power=self.power, stride=self.stride, masking=self.masking)


def gate_weights(weights: str | Path) -> Float[Tensor, "3 8 8"]:
    """Return the shares of images for which a trained gate let each frequency channel through.

    A channel that a classifier needs then weighs much, and one that it never opens weighs nothing.

    Args:
        weights: weights of a classifier with a gate over all 192 channels, such as `gated-dct-resnet50`.

    Returns:
        Weights of Y, Cb and Cr from 0 to 1, in the order (v, u).

    Raises:
        CheckpointError: if the weights cannot be read, or hold no gate of 192 channels that has seen images.
    """
    state = load_weights(weights)
    opened, seen = state.get("gate.opened"), state.get("gate.seen")
    if opened is None or seen is None or opened.numel() != 3 * BLOCK * BLOCK or not seen:
        raise CheckpointError(
            f"{weights} has no gate over 192 frequency channels that has seen images. Train one: passband train "
            "gated-small --data FOLDER -o RUN"
        )
    return (opened.double() / seen.double()).view(3, BLOCK, BLOCK)


def focal_frequency_loss(
    restored: Float[Tensor, "B C H W"],
    clean: Float[Tensor, "B C H W"],
    *,
    alpha: float = 1.0,
    patch_factor: int = 1,
    average_spectrum: bool = False,
    log_matrix: bool = False,
    batch_matrix: bool = False,
    matrix: Float[Tensor, "B P C H W"] | None = None,
) -> Float[Tensor, ""]:
    """Compute the focal frequency loss: squared differences of spectra, weighted by how large they are themselves.

    Args:
        restored: predicted images, in [0, 1].
        clean: target images.
        alpha: exponent of the weights, from 0, which weighs all frequencies the same.
        patch_factor: number of patches along each side, which must divide the height and the width.
        average_spectrum: whether spectra are averaged over the batch before they are compared.
        log_matrix: whether weights w become log(1 + w).
        batch_matrix: whether weights are divided by their maximum over the batch instead of that of each spectrum.
        matrix: weights to use instead, for each image, patch, channel and frequency; None computes them from the error.

    Returns:
        The loss, computed in float32 at least. The published weight of the loss is 1: multiply the result by another.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if the shapes differ, `patch_factor` does not divide the sides, or `alpha` is negative.

    Source: Jiang et al., "Focal Frequency Loss for Image Reconstruction and Synthesis", ICCV 2021.
    """
    where = "focal_frequency_loss"
    check_same_shape(restored, clean, where, ("restored", "clean"))
    check_images(restored, where)
    height, width = restored.shape[-2:]
    if patch_factor < 1 or height % patch_factor or width % patch_factor:
        raise ValueError(
            f"patch_factor needs a divisor of the height and width of {height} x {width}, got {patch_factor}."
        )
    if not alpha >= 0:
        raise ValueError(f"alpha needs an exponent of at least 0, got {alpha}.")
    difference = _patch_spectra(restored, patch_factor) - _patch_spectra(clean, patch_factor)
    if average_spectrum:
        difference = difference.mean(0, keepdim=True)
    error = difference.real.square() + difference.imag.square()
    if matrix is None:
        matrix = error.detach().sqrt() ** alpha
        if log_matrix:
            matrix = matrix.log1p()
        largest = matrix.amax() if batch_matrix else matrix.amax((-2, -1), keepdim=True)
        matrix = torch.where(largest > 0, matrix / largest.clamp(min=torch.finfo(matrix.dtype).tiny), 0)
    return (matrix * error).mean()


class FocalFrequencyLoss(nn.Module):
    """`focal_frequency_loss` as a module.

    Args:
        alpha: exponent of the weights, from 0, which weighs all frequencies the same.
        patch_factor: number of patches along each side, which must divide the height and the width.
        average_spectrum: whether spectra are averaged over the batch before they are compared.
        log_matrix: whether weights w become log(1 + w).
        batch_matrix: whether weights are divided by their maximum over the batch instead of that of each spectrum.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        patch_factor: int = 1,
        average_spectrum: bool = False,
        log_matrix: bool = False,
        batch_matrix: bool = False,
    ):
        super().__init__()
        self.alpha, self.patch_factor, self.average_spectrum = alpha, patch_factor, average_spectrum
        self.log_matrix, self.batch_matrix = log_matrix, batch_matrix

    def forward(self, restored: Float[Tensor, "B C H W"], clean: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
        """Compute the loss of a batch; see `focal_frequency_loss`."""
        return focal_frequency_loss(
            restored,
            clean,
            alpha=self.alpha,
            patch_factor=self.patch_factor,
            average_spectrum=self.average_spectrum,
            log_matrix=self.log_matrix,
            batch_matrix=self.batch_matrix,
        )


def _patch_spectra(image: Float[Tensor, "B C H W"], factor: int) -> Tensor:
    """Compute the orthonormal spectra of patches, B P C h w."""
    wide = widened(image)
    batch, channels, height, width = wide.shape
    patches = wide.view(batch, channels, factor, height // factor, factor, width // factor)
    patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    return torch.fft.fft2(patches, dim=(-2, -1), norm="ortho")


def ring_distances(
    restored: Float[Tensor, "B C H W"], clean: Float[Tensor, "B C H W"], rings: int = 8, *, power: int = 2
) -> Float[Tensor, "B R"]:
    """Compute the distance of two spectra in each of several rings of radial frequency.

    Args:
        restored: predicted images, in [0, 1].
        clean: target images.
        rings: number of rings of equal width. The last one ends at the corner, the frequency of 1/2 cycle per pixel in
            both directions.
        power: 1 for the absolute difference of the complex coefficients, 2 for the squared one.

    Returns:
        One distance for each image and ring: the sum over the frequencies of the ring, divided by the number of values
        of the image. For `power=2` the rings of an image add up to its mean squared error.

    Raises:
        TypeError: if an input is not a tensor of floating-point values.
        ValueError: if the shapes differ, or an argument is out of range.
    """
    where = "ring_distances"
    check_same_shape(restored, clean, where, ("restored", "clean"))
    check_images(restored, where)
    if rings < 1:
        raise ValueError(f"rings needs at least 1, got {rings}.")
    if power not in (1, 2):
        raise ValueError(f"power needs 1 or 2, got {power}.")
    dtype = computing_dtype(restored)
    difference = torch.fft.rfft2(restored.to(dtype) - clean.to(dtype), dim=(-2, -1), norm="ortho")
    error = difference.real.square() + difference.imag.square()
    if power == 1:
        error = (error + torch.finfo(dtype).tiny).sqrt()  # the gradient of a root at 0 is infinite
    height, width = restored.shape[-2:]
    vertical = torch.fft.fftfreq(height, dtype=torch.float64, device=error.device)
    horizontal = torch.fft.rfftfreq(width, dtype=torch.float64, device=error.device)
    radius = torch.hypot(vertical[:, None], horizontal) / 0.5**0.5
    number = (radius * rings).long().clamp(max=rings - 1).flatten()
    # rfft2 leaves out columns that are conjugates of others
    twice = torch.full((width // 2 + 1,), 2.0, dtype=dtype, device=error.device)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    summed = (error * twice).sum(1).flatten(1)
    totals = torch.zeros(len(error), rings, dtype=dtype, device=error.device).index_add(1, number, summed)
    return totals / restored[0].numel()
