"""The objective of a frequency ratio: the saliency of a trained network in each band, and a second term.

After "Adaptive Frequency Ratio Scheduler" (lab slides, 2023): for an image that a disc splits into low + high, minimize
-alpha (s(low) + s(high)) + beta (sigma(low) + sigma(high)), where s is the mean saliency over the pixels. The slides'
sigma, `variance`, is the same for every ratio (Parseval) and has no effect; the other terms have one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.naming import entry
from passband.ops.checks import check_images
from passband.ops.fourier import frequency_distance
from passband.ops.precision import widened

Score = Callable[[Any], Float[Tensor, " B"]]
"""A function from the output of a network to one number for each image, which is differentiated."""
Term = Callable[
    [Float[Tensor, "B C H W"], Float[Tensor, "B C H W"], Float[Tensor, " B"]],
    Float[Tensor, " B"],
]
"""A function of the low and high parts and of the ratio kept, with one value for each image; smaller is better."""
MAD_TO_SIGMA = 1.4826
"""Standard deviation of normal noise whose median absolute deviation is 1."""


def output_score(output: Float[Tensor, "B *rest"]) -> Float[Tensor, " B"]:
    """Return the default score of saliency: the evidence for the content of the image.

    Args:
        output: logits. For a segmentation network with B C H W, the score is the sum of the foreground's logits over
            all pixels; the foreground is the only class, or all classes but the first. For a classifier with B classes,
            it is the largest logit.

    Returns:
        The score of each image.

    Raises:
        ValueError: if the output has another shape.
    """
    if output.ndim == 4:
        return (output if output.shape[1] == 1 else output[:, 1:]).sum((1, 2, 3))
    if output.ndim == 2:
        return output.amax(1)
    raise ValueError(
        "output_score needs logits B C H W of a segmentation network or B classes of a classifier; got "
        f"{tuple(output.shape)}: pass your own function as score"
    )


def saliency(model: nn.Module, images: Float[Tensor, "B C H W"], score: Score = output_score) -> Float[Tensor, "B H W"]:
    """Return the influence of each pixel on a network's score: the l2 norm of the input gradient over the channels.

    The network is switched to evaluation mode and back. The gradients of its parameters do not change.

    Args:
        model: network that takes `images`.
        images: images of any range and size.
        score: function from the model's output to one number for each image.

    Returns:
        The saliency in units of score per unit of the images; captum's `Saliency` before its channels are joined.

    Raises:
        ValueError: if the score is not one number for each image.
    """
    check_images(images, "saliency")
    with evaluating(model), torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        inputs = images.detach().requires_grad_()
        scores = score(model(inputs))
        if scores.shape != (len(images),):
            raise ValueError(f"a score must be one number for each of {len(images)} images; got {tuple(scores.shape)}")
        (gradient,) = torch.autograd.grad(scores.sum(), inputs)
    return torch.linalg.vector_norm(gradient, dim=1)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation mode, and restore the mode of each of its modules afterwards.

    Args:
        model: network to switch.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


class BandTerms:
    """Both terms of the objective, for images whose spectrum is computed once.

    Args:
        model: network that takes the images.
        images: finite images of any range and size.
        term: second term, a key of `TERMS`.
        score: score of the saliency, see `saliency`.
        batch: images per forward pass; None takes all.

    Raises:
        ValueError: if the term is unknown.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        term: str = "noise",
        score: Score = output_score,
        batch: int | None = None,
    ):
        self.model, self.score = model, score
        self.term = entry(term, TERMS, "term of the objective")
        precise = widened(images.detach())
        self.parts = precise.split(batch or len(images))
        self.spectra = [torch.fft.rfft2(part, norm="backward") for part in self.parts]
        height, width = images.shape[-2:]
        self.distance = frequency_distance(height, width, precise.device, precise.dtype)

    def at(
        self, radius: float, ratios: Float[Tensor, " B"], softness: float = 0.0
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        """Compute the saliency and the second term of each image, split at a radius: one pass for low and one for high.

        Args:
            radius: radius of the disc in cycles per shorter side, as in `ops.fourier`.
            ratios: ratio that the disc keeps of each image.
            softness: softness of the disc's border in cycles, as in `ops.fourier`.

        Returns:
            s(low) + s(high) and the term, float64 on the CPU.

        Raises:
            ValueError: if the network's gradient is not finite.
        """
        if softness:
            mask = torch.sigmoid((radius - self.distance) / softness)
        else:
            mask = (self.distance <= radius).to(self.distance.dtype)
        seen, terms = [], []
        kept = ratios.split(len(self.parts[0]))
        for image, spectrum, ratio in zip(self.parts, self.spectra, kept, strict=True):
            low = torch.fft.irfft2(spectrum * mask, s=image.shape[-2:], norm="backward")
            high = image - low
            both = sum(saliency(self.model, part, self.score).mean((1, 2)) for part in (low, high))
            seen.append(torch.as_tensor(both).double().cpu())
            terms.append(self.term(low, high, ratio.to(low)).double().cpu())
        found = torch.cat(seen)
        if not found.isfinite().all():
            number = int((~found.isfinite()).nonzero()[0, 0])
            raise ValueError(
                f"the network's gradient for image {number}, split at a radius of {radius:g}, is not finite: the "
                "weights are not finite, or the computation overflows"
            )
        return found, torch.cat(terms)


def variance(
    low: Float[Tensor, "B C H W"], high: Float[Tensor, "B C H W"], ratio: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """Compute Var(low) + Var(high) over the pixels, summed over the channels: the slides' term.

    With a hard disc it is Var(low + high) for every ratio (Parseval).

    Args:
        low: low parts of images, in the unit of the images.
        high: high parts of the same images, whose mean is about 0.
        ratio: ratio that the low parts keep of each image, from 0 to 1, which has no effect here.

    Returns:
        The value of each image, in squared units of the images.
    """
    of_low, of_high = (part.flatten(2).var(-1, correction=0).sum(1) for part in (low, high))
    return of_low + of_high


def total_variation(
    low: Float[Tensor, "B C H W"], high: Float[Tensor, "B C H W"], ratio: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """Compute TV(low) + TV(high): mean absolute differences of vertical and horizontal neighbors, over all channels.

    It is smallest at both ends, where one part holds all variation, by the triangle inequality.

    Args:
        low: low parts of images, in the unit of the images.
        high: high parts of the same images, whose mean is about 0.
        ratio: ratio that the low parts keep of each image, from 0 to 1, which has no effect here.

    Returns:
        The value of each image, in units of the images.
    """
    total = low.new_zeros(len(low))
    for part in (low, high):
        for direction in (-2, -1):
            steps = part.diff(dim=direction).abs()
            total = total + (steps.flatten(1).mean(1) if steps.numel() else 0)
    return total


def noise(
    low: Float[Tensor, "B C H W"], high: Float[Tensor, "B C H W"], ratio: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """Estimate the noise of the removed part from its median absolute deviation.

    The estimate is 1.4826 times the deviation of high, averaged over the channels. Edges are few pixels and hardly
    count. It falls to 0 if nothing is removed.

    Args:
        low: low parts of images, which have no effect here.
        high: high parts of the same images, in the unit of the images.
        ratio: ratio that the low parts keep of each image, from 0 to 1, which has no effect here.

    Returns:
        The standard deviation of the noise of each image, in units of the images.
    """
    values = high.flatten(2)
    deviation = (values - values.median(-1, keepdim=True).values).abs()
    return MAD_TO_SIGMA * deviation.median(-1).values.mean(1)


def cost(
    low: Float[Tensor, "B C H W"], high: Float[Tensor, "B C H W"], ratio: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """Return the ratio squared: by the definition `radius`, the relative cost of images that are cropped to it.

    Args:
        low: low parts of images, which have no effect here.
        high: high parts of the same images, which have no effect here.
        ratio: ratio that the low parts keep of each image, from 0 to 1.

    Returns:
        The cost, from 0 to 1.
    """
    return ratio.square()


TERMS: dict[str, Term] = {
    "variance": variance,
    "total-variation": total_variation,
    "noise": noise,
    "cost": cost,
}
"""Second terms of the objective by name."""
