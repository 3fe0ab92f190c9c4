"""Applies a curriculum to a batch of another project: a tensor, or a dict, list or tuple of images and targets."""

from typing import Any

from torch import Tensor, nn

from passband.curriculum import AdaptiveSchedule, Curriculum, check_stride, resized_targets
from passband.ops.checks import shape_of


class BatchCurriculum:
    """Applies a curriculum to batches; the base of the callbacks of training frameworks.

    Args:
        curriculum: curriculum to follow. The number of steps of its schedule has no effect; the length of the training
            has.
        images: key of the images in a batch, such as "image"; or their position in a list or tuple.
        resize_targets: whether masks and maps in the batch get the size of the images; see
            `curriculum.resized_targets`. Otherwise the loss has to enlarge the output to them, see
            `curriculum.enlarged`.
        multiple: number by which the network needs sides to be divisible, such as 32; None checks nothing. The sizes of
            the curriculum are the shorter sides; the longer ones are checked with each batch.
        reference: images at full size on which an `AdaptiveSchedule` searches, the same on every process.

    Raises:
        ValueError: if a size of the curriculum is not a multiple, or an adaptive schedule has no reference.
    """

    def __init__(
        self,
        curriculum: Curriculum,
        images: str | int = 0,
        *,
        resize_targets: bool = False,
        multiple: int | None = None,
        reference: Tensor | None = None,
    ):
        if multiple is not None:
            check_stride(curriculum.sizes, multiple)
        if isinstance(curriculum.schedule, AdaptiveSchedule) and reference is None:
            raise ValueError(
                "an adaptive schedule searches on images: pass a batch of them at full size as reference, the same on "
                "every process"
            )
        self.curriculum, self.images, self.resize_targets = curriculum, images, resize_targets
        self.multiple, self.reference = multiple, reference

    def follow(self, batch: Any, done: float, model: nn.Module) -> Any:
        """Return the batch to learn from at a share of the training. The batch itself is not changed.

        Args:
            batch: a tensor of images, or a dict, list or tuple that holds them.
            done: share of the training that is done, from 0 to 1.
            model: network, which an adaptive schedule evaluates.

        Raises:
            KeyError: if the batch has no images at the key; the message lists the keys.
            TypeError: if the batch, or the entry at the key, is of another type.
            ValueError: if a side of the smaller images is not a multiple.
        """
        images = self._images(batch)
        schedule = self.curriculum.schedule
        if isinstance(schedule, AdaptiveSchedule) and self.reference is not None:
            self.reference = self.reference.to(images.device)
            schedule.update(done, model, self.reference)
        seen = self.curriculum.apply(images, done)
        before, after = (images.shape[-2], images.shape[-1]), (seen.shape[-2], seen.shape[-1])
        if self.multiple is not None and after != before and any(side % self.multiple for side in after):
            raise ValueError(
                f"the network takes sides that are multiples of {self.multiple}; the curriculum makes {after[0]} x "
                f"{after[1]} pixels of {before[0]} x {before[1]}: choose sizes that fit both sides, or square images"
            )
        if isinstance(batch, Tensor):
            return seen
        keys = list(batch) if isinstance(batch, dict) else range(len(batch))
        place = self.images if isinstance(batch, dict) else keys[self.images]  # type: ignore[index]
        parts = {
            key: seen
            if key == place
            else (resized_targets(batch[key], before, after) if self.resize_targets else batch[key])
            for key in keys
        }
        if isinstance(batch, dict):
            return parts
        if isinstance(batch, tuple) and hasattr(batch, "_fields"):
            return type(batch)(*parts.values())
        return type(batch)(parts.values())

    def state_dict(self) -> dict[str, Any]:
        """Return the ratios that an adaptive schedule has found, for checkpoints; empty for other schedules."""
        schedule = self.curriculum.schedule
        return schedule.state_dict() if isinstance(schedule, AdaptiveSchedule) else {}

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = False) -> None:
        """Restore what `state_dict` returned.

        Args:
            state_dict: result of `state_dict`.
            strict: whether unknown entries are errors, which has no effect. Composer passes it.
        """
        schedule = self.curriculum.schedule
        if isinstance(schedule, AdaptiveSchedule) and state_dict:
            schedule.load_state_dict(state_dict)

    def _images(self, batch: Any) -> Tensor:
        """Return the images of a batch."""
        if isinstance(batch, Tensor):
            return batch
        if isinstance(batch, dict):
            if self.images not in batch:
                raise KeyError(
                    f"the batch has no images at the key {self.images!r}, but the keys {', '.join(map(repr, batch))}: "
                    "name the key of the images by images="
                )
        elif not isinstance(batch, (list, tuple)) or not isinstance(self.images, int):
            raise TypeError(
                f"a batch must be a tensor, a dict, or a list or tuple with the images at a position; got "
                f"{type(batch).__name__} and images={self.images!r}"
            )
        elif not -len(batch) <= self.images < len(batch):
            raise KeyError(
                f"the batch has {len(batch)} parts, so none at the position {self.images}: give the position of the "
                "images by images="
            )
        images = batch[self.images]  # type: ignore[index]
        if not isinstance(images, Tensor) or not images.is_floating_point() or images.ndim != 4:
            found = f"{images.dtype} {shape_of(images)}" if isinstance(images, Tensor) else type(images).__name__
            raise TypeError(
                f"the images at {self.images!r} of the batch must be a tensor of floats B C H W, got {found}: name the "
                "key or position of the images by images="
            )
        return images
