"""Fine-tuning on somebody's own pairs: `training.train` with settings that suit few pairs, and what it was good for."""

from passband.finetuning.run import finetune, resume_finetuning
from passband.finetuning.settings import fast_precision

__all__ = ["fast_precision", "finetune", "resume_finetuning"]
