"""A frequency curriculum for MosaicML Composer, as an algorithm.

    from passband.curriculum import Curriculum, RatioSchedule
    from passband.integrations.composer import CurriculumAlgorithm

    schedule = RatioSchedule(1, start=0.5, shape="step", plateaus=3)
    algorithm = CurriculumAlgorithm(Curriculum(schedule, sizes=(128, 192)), multiple=32)
    trainer = Trainer(model=model, train_dataloader=loader, max_duration="100ep", algorithms=[algorithm])

Composer calls algorithms by their methods and does not ask for a base class. This module therefore needs no package
beside passband. Each training batch is changed at the event "after_dataloader", as progressive resizing does it.
"""

from typing import Any

from torch import Tensor

from passband.curriculum import Curriculum
from passband.integrations.batch_parts import BatchCurriculum

EVENT = "after_dataloader"
"""Event of Composer at which a training batch has arrived and is on the device."""


class CurriculumAlgorithm:
    """Applies a curriculum to each training batch.

    Args:
        curriculum: curriculum to follow. The number of steps of its schedule has no effect; the trainer's duration has.
        images: key of the images in a batch, or their position in a tuple or list.
        resize_targets: whether masks and maps in the batch get the size of the images (`curriculum.resized_targets`).
            Otherwise the loss has to enlarge the output to them (`curriculum.enlarged`), which keeps small objects.
        multiple: number by which the network needs sides to be divisible, such as 32; None checks nothing.
        reference: images at full size on which an `AdaptiveSchedule` searches, the same on every process.

    Raises:
        ValueError: if a size of the curriculum is not a multiple, or an adaptive schedule has no reference.
    """

    find_unused_parameters = False
    backwards_create_graph = False

    def __init__(
        self,
        curriculum: Curriculum,
        images: str | int = 0,
        *,
        resize_targets: bool = False,
        multiple: int | None = None,
        reference: Tensor | None = None,
    ):
        self.batches = BatchCurriculum(curriculum, images, resize_targets, multiple, reference)

    @staticmethod
    def required_on_load() -> bool:
        """Return False: weights are loaded without the algorithm."""
        return False

    def match(self, event: Any, state: Any) -> bool:
        """Tell whether the algorithm runs at an event of Composer.

        Args:
            event: event, or its name.
            state: state of the trainer, which has no effect.
        """
        return getattr(event, "value", event) == EVENT

    def apply(self, event: Any, state: Any, logger: Any = None) -> None:
        """Replace the batch of the trainer.

        Args:
            event: event that matched.
            state: state of the trainer.
            logger: logger of the trainer, which is not needed.

        Raises:
            ValueError: if the trainer has no duration, or a side of the smaller images is not a multiple.
            KeyError: if the batch has no images at the key.
            TypeError: if the batch does not hold images at the key.
        """
        elapsed = state.get_elapsed_duration()
        if elapsed is None:
            raise ValueError("a curriculum needs the length of the training: set max_duration of the Trainer")
        state.batch = self.batches.follow(state.batch, min(1.0, float(elapsed.value)), state.model)

    def state_dict(self) -> dict[str, Any]:
        """Return the ratios that an adaptive schedule has found, for checkpoints."""
        return self.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any], strict: bool = False) -> None:
        """Restore what `state_dict` returned.

        Args:
            state: result of `state_dict`.
            strict: whether unknown entries are errors, which has no effect.
        """
        self.batches.load_state_dict(state)
