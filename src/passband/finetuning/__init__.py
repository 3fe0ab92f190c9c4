"""Fine-tuning on somebody's own pairs: `training.train` with settings that suit few pairs, and what it was good for."""

from passband.finetuning.run import finetune, resume_finetuning
from passband.finetuning.settings import training_precision

__all__ = ["finetune", "resume_finetuning", "training_precision"]
