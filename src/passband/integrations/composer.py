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

from passband.integrations.batch_parts import BatchCurriculum

EVENT = "after_dataloader"
"""Event of Composer at which a training batch has arrived and is on the device."""


class CurriculumAlgorithm(BatchCurriculum):
    """Applies a curriculum to each training batch.

    The arguments are those of `BatchCurriculum`. The length of the training is the duration of the trainer. The images
    of a batch may also be at a position of a tuple.
    """

    find_unused_parameters = False
    backwards_create_graph = False

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
        state.batch = self.follow(state.batch, min(1.0, float(elapsed.value)), state.model)
