"""Fine-tunes restoration networks on a user's own pairs, and scores held-out pairs before and after."""

from passband.finetuning.run import finetune, resume_finetuning
from passband.finetuning.settings import training_precision

__all__ = ["finetune", "resume_finetuning", "training_precision"]
