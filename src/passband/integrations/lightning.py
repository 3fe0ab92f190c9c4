"""A frequency curriculum for PyTorch Lightning, as a callback.

    from passband.curriculum import Curriculum, RatioSchedule
    from passband.integrations.lightning import CurriculumCallback

    schedule = RatioSchedule(1, start=0.5, shape="step", plateaus=3)
    callback = CurriculumCallback(Curriculum(schedule, sizes=(128, 192)), images="image", multiple=32)
    trainer = Trainer(max_epochs=100, callbacks=[callback])

The callback makes training batches smaller (or masks their spectrum). Batches of validation and test stay whole. The
ratio depends only on the share of the training that is done, which Lightning restores from checkpoints.
"""

import math
from typing import Any

from passband.integrations.batch_parts import BatchCurriculum

try:
    from lightning.pytorch import Callback, LightningModule, Trainer  # type: ignore[import-not-found]
except ImportError:
    try:
        from pytorch_lightning import Callback, LightningModule, Trainer
    except ImportError as missing:
        raise ImportError(
            "passband.integrations.lightning needs PyTorch Lightning: pip install 'passband[lightning]'"
        ) from missing


class CurriculumCallback(BatchCurriculum, Callback):  # type: ignore[misc]
    """Applies a curriculum to each training batch before the module's `training_step`.

    A batch is a dict or a list, as the default collate function makes it. Tuples cannot be changed; collate a list.

    The arguments are those of `BatchCurriculum`. The length of the training is that of the trainer.
    """

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Replace the images of a batch.

        Args:
            trainer: trainer, whose global step and length give the share of the training that is done.
            pl_module: module that is trained, which an adaptive schedule evaluates.
            batch: dict or list with images in [0, 1], which is changed.
            batch_idx: number of the batch, which is not used.

        Raises:
            TypeError: if the batch is neither a dict nor a list, or does not hold images at the key.
            KeyError: if the batch has no images at the key.
            ValueError: if the trainer has no length, or a side of the smaller images is not a multiple.
        """
        if not isinstance(batch, (dict, list)):
            raise TypeError(
                f"CurriculumCallback changes batches that are dicts or lists, got {type(batch).__name__}: let "
                "collate_fn return a dict or a list"
            )
        total = trainer.estimated_stepping_batches
        if not math.isfinite(total) or total < 1:
            raise ValueError(
                "a curriculum needs the length of the training: set max_steps or max_epochs of the Trainer"
            )
        changed = self.follow(batch, trainer.global_step / total, pl_module)
        for key in changed if isinstance(batch, dict) else range(len(batch)):
            batch[key] = changed[key]
