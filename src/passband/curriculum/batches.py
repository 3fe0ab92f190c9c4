"""A curriculum for any training loop: a batch goes in, and the batch to learn from comes out."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from passband.curriculum.stages import Curriculum
from passband.ops.areas import area_mean, shrunk_mask
from passband.ops.labels import IGNORED


def curriculum_batch(
    images: Float[Tensor, "B C H W"],
    targets: Any,
    curriculum: Curriculum,
    done: float,
    *,
    resize_targets: bool = False,
) -> tuple[Float[Tensor, "B C h w"], Any]:
    """Return the images and targets to learn from at a share of the training.

    Masks keep their size unless `resize_targets` is set, because small objects vanish from reduced masks. The output of
    the network is then enlarged to them by `enlarged`. Labels of whole images never change.

    Args:
        images: images of any range.
        targets: a tensor, or a dict, list or tuple of targets. See `resized_targets`.
        curriculum: curriculum to follow.
        done: share of the training that is done, from 0 to 1.
        resize_targets: whether masks and maps get the size of the images.

    Returns:
        The images, and the targets.

    Raises:
        ValueError: as `Curriculum.apply` raises it.
    """
    seen = curriculum.apply(images, done)
    before, after = _size(images), _size(seen)
    return seen, resized_targets(targets, before, after) if resize_targets else targets


def resized_targets(targets: Any, before: tuple[int, int], after: tuple[int, int]) -> Any:
    """Resize the masks and maps among the targets of a batch.

    A tensor is a mask or a map if it has a batch axis and its last two axes are the height and width of the images.
    Masks of integers or booleans get the class that covers most of each pixel's area (`ops.areas.shrunk_mask`). Maps of
    floats, such as probabilities, get the mean over this area. All other tensors, such as labels, stay as they are.

    Args:
        targets: a tensor, or a dict, list or tuple of targets; other objects are returned as they are.
        before: height and width of the images in pixels.
        after: new height and width in pixels.

    Returns:
        Targets of the same structure.
    """
    if isinstance(targets, Tensor):
        return _resized(targets, after) if targets.ndim > 2 and _size(targets) == before != after else targets
    if isinstance(targets, dict):
        return {name: resized_targets(value, before, after) for name, value in targets.items()}
    if isinstance(targets, list):
        return [resized_targets(value, before, after) for value in targets]
    if isinstance(targets, tuple):
        parts = [resized_targets(value, before, after) for value in targets]
        return type(targets)(*parts) if hasattr(targets, "_fields") else tuple(parts)
    return targets


def enlarged(output: Float[Tensor, "B K h w"], targets: Tensor) -> Float[Tensor, "B K H W"]:
    """Enlarge the output of a network bilinearly to the size of its targets, before the loss.

    Args:
        output: output of the network, such as logits.
        targets: masks or maps whose last two axes are the height and the width.

    Returns:
        The output in the size of the targets; unchanged if it has this size.
    """
    if output.shape[-2:] == targets.shape[-2:]:
        return output
    return F.interpolate(output, _size(targets), mode="bilinear", align_corners=False)


def _size(tensor: Tensor) -> tuple[int, int]:
    """Return the height and the width of a tensor."""
    return tensor.shape[-2], tensor.shape[-1]


def _resized(target: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a mask by the class of the largest area, or a map by the mean over the area."""
    if target.is_floating_point():
        return area_mean(target, size)
    if not target.numel():
        return target.new_zeros(*target.shape[:-2], *size)
    planes = target.flatten(0, -3).cpu().long()
    least = min(0, int(planes.min()))  # numbers below 0 mark pixels that a loss ignores
    least = 0 if least == IGNORED else least  # `shrunk_mask` knows this number
    count = int(planes.max()) - least + 1
    small = torch.stack([shrunk_mask(plane - least, count, size) + least for plane in planes])
    return small.reshape(*target.shape[:-2], *size).to(target)
