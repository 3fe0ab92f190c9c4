"""What a frequency ratio is judged by: what a trained network looks at in each band, and a second term.

After "Adaptive Frequency Ratio Scheduler" (lab slides, 2023): for an image split by a disc into low + high, minimize
-alpha (s(low) + s(high)) + beta (sigma(low) + sigma(high)), where s is the mean saliency over the pixels. The slides'
sigma, `variance`, is the same for every ratio (Parseval), so that it says nothing; the other terms do.
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

Score = Callable[[Any], Float[Tensor, " B"]]
"""From what a network gives to one number for each picture, which is differentiated."""
Term = Callable[
    [Float[Tensor, "B C H W"], Float[Tensor, "B C H W"], Float[Tensor, " B"]],
    Float[Tensor, " B"],
]
"""Of low and high parts and the ratio kept, for each picture; the less, the better."""
MAD_TO_SIGMA = 1.4826
"""The standard deviation of normal noise whose median absolute deviation is 1."""


def output_score(output: Float[Tensor, "B *rest"]) -> Float[Tensor, " B"]:
    """The score that saliency is of, unless another is given: what speaks for what is in the picture.

    Args:
        output: logits. Of a segmentation network, B C H W: the sum of the foreground's over all pixels, where the
            foreground is the one class there is, or all but the first. Of a classifier, B classes: the largest, which
            is the predicted class's.

    Raises:
        ValueError: for another shape.
    """
    if output.ndim == 4:
        return (output if output.shape[1] == 1 else output[:, 1:]).sum((1, 2, 3))
    if output.ndim == 2:
        return output.amax(1)
    raise ValueError(
        f"a score is of logits B C H W of a segmentation network or B classes of a classifier; got "
        f"{tuple(output.shape)}: give a score= of your own"
    )


def saliency(model: nn.Module, images: Float[Tensor, "B C H W"], score: Score = output_score) -> Float[Tensor, "B H W"]:
    """How much each pixel moves a network's score: the l2 norm over the channels of the input gradient.

    The network is put into evaluation mode and back; its parameters' gradients are left alone.

    Args:
        model: takes `images`.
        images: any range and size.
        score: from what the model gives to one number for each picture.

    Returns:
        Units of score for each unit of the pictures; captum's `Saliency` before its channels are joined.

    Raises:
        ValueError: for a score that is not one number for each picture.
    """
    check_images(images, "saliency")
    with evaluating(model), torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        inputs = images.detach().requires_grad_()
        scores = score(model(inputs))
        if scores.shape != (len(images),):
            raise ValueError(f"a score is one number for each of {len(images)} pictures; got {tuple(scores.shape)}")
        (gradient,) = torch.autograd.grad(scores.sum(), inputs)
    return torch.linalg.vector_norm(gradient, dim=1)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each of its parts back as it was, frozen ones too."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


class BandTerms:
    """Both terms of the objective for pictures whose spectrum is taken once.

    Args:
        model: takes the pictures.
        images: finite, any range and size.
        term: a key of `TERMS`.
        score: see `saliency`.
        batch: pictures looked at at once; None takes all.

    Raises:
        ValueError: for an unknown term.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Float[Tensor, "B C H W"],
        term: str = "variance",
        score: Score = output_score,
        batch: int | None = None,
    ):
        self.model, self.score = model, score
        self.term = entry(term, TERMS, "term of the objective")
        precise = images.detach() if images.dtype == torch.float64 else images.detach().float()
        self.parts = precise.split(batch or len(images))
        self.spectra = [torch.fft.rfft2(part, norm="backward") for part in self.parts]
        height, width = images.shape[-2:]
        self.distance = frequency_distance(height, width, precise.device, precise.dtype)

    def at(
        self, radius: float, ratios: Float[Tensor, " B"], softness: float = 0.0
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        """Saliency and second term of each picture, split at a radius: one pass for low and one for high.

        Args:
            radius: of the disc, in cycles per shorter side, as in `ops.fourier`.
            ratios: that the disc keeps, of each picture.
            softness: of its border, as in `ops.fourier`.

        Returns:
            s(low) + s(high) and the term, float64 on the CPU.

        Raises:
            ValueError: where the network's gradient is not finite.
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
                f"the network's gradient for picture {number}, split at a radius of {radius:g}, is not finite: its "
                "weights are not, or overflow"
            )
        return found, torch.cat(terms)


def variance(
    low: Float[Tensor, "B C H W"], high: Float[Tensor, "B C H W"], ratio: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """Var(low) + Var(high) over the pixels, summed over the channels: the slides' term, as it is written.

    With a hard disc it is Var(low + high) for every ratio (Parseval).
    """
    of_low, of_high = (part.flatten(2).var(-1, correction=0).sum(1) for part in (low, high))
    return of_low + of_high


def total_variation(
    low: Float[Tensor, "B C H W"], high: Float[Tensor, "B C H W"], ratio: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """TV(low) + TV(high): mean absolute differences between vertical and horizontal neighbors, over all channels.

    Least at both ends, where one part has all that varies, by the triangle inequality.
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
    """A robust estimate of the noise of what is removed: 1.4826 times high's median absolute deviation.

    The mean over the channels. Edges, which are few pixels, hardly count; it falls to 0 where nothing is removed.
    """
    values = high.flatten(2)
    deviation = (values - values.median(-1, keepdim=True).values).abs()
    return MAD_TO_SIGMA * deviation.median(-1).values.mean(1)


def cost(
    low: Float[Tensor, "B C H W"], high: Float[Tensor, "B C H W"], ratio: Float[Tensor, " B"]
) -> Float[Tensor, " B"]:
    """The ratio squared: by the definition `radius`, what pictures cost that are cropped to it."""
    return ratio.square()


TERMS: dict[str, Term] = {
    "variance": variance,
    "total-variation": total_variation,
    "noise": noise,
    "cost": cost,
}
"""Second terms of the objective by name."""
