"""Sections that the recipes of all tasks share."""

from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, model_validator


class RecipeError(ValueError):
    """Raised if a recipe cannot be used. The message names the recipe and the reason."""


class Section(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """A table of a recipe. Unknown keys, NaN and infinity are errors, and values cannot be changed after validation."""

    @model_validator(mode="before")
    @classmethod
    def _none_as_text(cls, values: Any) -> Any:
        """Read None as the choice `none` of a setting that has one, because `--set KEY=none` gives None."""
        if not isinstance(values, dict):
            return values
        missing = [name for name in cls.model_fields.keys() & values.keys() if values[name] is None]
        chosen = [name for name in missing if "none" in get_args(cls.model_fields[name].annotation)]
        return {**values, **dict.fromkeys(chosen, "none")} if chosen else values


ArgumentValue = bool | int | float | str | tuple[int, ...] | None
"""A value of a keyword argument of a network."""


class ModelConfig(Section, frozen=True):
    """Network to train."""

    name: str
    """Name of the architecture, a key of `models.MODELS`."""
    arguments: dict[str, ArgumentValue | dict[str, ArgumentValue]] = {}
    """Keyword arguments of the constructor of the network, such as `width` and `depth`. `options` of the network `smp`
    is a table itself."""


class OptimConfig(Section, frozen=True):
    """Optimizer, learning rate and length of the run."""

    optimizer: Literal["adam", "adamw", "muon", "sgd"] = "adam"
    """Optimizer: `adam`, as the authors of SFNet use it; `adamw`, Adam with decoupled `weight_decay`; `muon`, see
    `optimizers.Muon`; or `sgd`, with Nesterov momentum."""
    learning_rate: PositiveFloat = 1e-4
    """Peak learning rate, reached after the warm-up."""
    final_learning_rate: float = Field(default=1e-6, ge=0)
    """Learning rate at the end of the cosine schedule."""
    milestones: tuple[float, ...] = ()
    """Shares of the run in ascending order, between 0 and 1. After each of them the learning rate is divided by 10.
    Without milestones it follows a cosine."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD: decay of the running mean of the gradient, 0 to 1."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decays of the running mean and of the running square of the gradient, for Adam, AdamW and Muon."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of AdamW and SGD."""
    steps: PositiveInt | None = None
    """Length of the run in steps. Set either this or `epochs`."""
    epochs: PositiveInt | None = None
    """Length of the run in passes over the data. Set either this or `steps`."""
    least_steps: int = Field(default=0, ge=0)
    """Smallest length in steps of a run whose length is set by `epochs`. Epochs of small data sets are short."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Length of the linear warm-up in steps. Set either this or `warmup_epochs`."""
    warmup_epochs: int | None = Field(default=None, ge=0)
    """Length of the linear warm-up in epochs. Set either this or `warmup_steps`."""
    clip_norm: PositiveFloat | None = 0.01
    """Largest norm of the gradient. A larger gradient is scaled down to it. None turns clipping off."""
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the exponential moving average of the weights. The averaged weights are scored and saved. 0 turns the
    averaging off."""
    keep_statistics: bool = False
    """Whether batch normalization uses the statistics of the weights that the run starts from, instead of those of
    each batch. This helps fine-tuning in small batches."""
    batch_norm: Literal["synchronized", "local"] = "synchronized"
    """Statistics of batch normalization if several processes train: `synchronized` uses the batch of all processes, so
    that the losses are those of one process; `local` uses the part of each process, which saves communication."""

    @model_validator(mode="after")
    def _one_length(self) -> "OptimConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give the length of the run either as `steps` or as `epochs`, not both")
        if list(self.milestones) != sorted(self.milestones) or not all(0 < part < 1 for part in self.milestones):
            raise ValueError(f"milestones must be ascending shares of the run between 0 and 1; got {self.milestones}")
        if self.warmup_steps is not None and self.warmup_epochs is not None:
            raise ValueError("give the warm-up either as `warmup_steps` or as `warmup_epochs`, not both")
        for unit in ("steps", "epochs"):
            length, warmup = getattr(self, unit), getattr(self, f"warmup_{unit}")
            if length is not None and warmup is not None:
                check_warmup(warmup, length, unit)
        return self

    def length(self, steps_per_epoch: int) -> int:
        """Return the length of the whole run in steps.

        Args:
            steps_per_epoch: number of steps in one pass over the data.
        """
        return self.steps or max((self.epochs or 0) * steps_per_epoch, self.least_steps)

    def warmup(self, steps_per_epoch: int) -> int:
        """Return the length of the warm-up in steps.

        Args:
            steps_per_epoch: number of steps in one pass over the data.
        """
        return self.warmup_steps or (self.warmup_epochs or 0) * steps_per_epoch


def check_warmup(warmup: int, length: int, unit: str) -> None:
    """Refuse a warm-up that is longer than its run, because the run would never reach its learning rate.

    Args:
        warmup: length of the warm-up.
        length: length of the run.
        unit: unit of both lengths, `"steps"` or `"epochs"`.

    Raises:
        ValueError: if the warm-up is longer than the run.
    """
    if warmup > length:
        raise ValueError(
            f"the warm-up of {warmup} {unit} is longer than the run of {length} {unit}: make the run longer, or lower "
            f"optim.warmup_{unit} (--set optim.warmup_{unit}={length // 10})"
        )


class DataConfig(Section, frozen=True):
    """Training data. The folders are arguments of a run, because they differ between machines."""

    batch: PositiveInt = 4
    """Samples per step. Several processes share them, so the number of processes must divide it."""
    workers: int = Field(default=2, ge=0)
    """Processes that prepare samples, for each training process. 0 prepares them in the training process."""

    @property
    def content(self) -> str:
        """Content of the folder to train on, in words for messages."""
        return "samples"


class ValidationConfig(Section, frozen=True):
    """Validation during the run."""

    every: PositiveInt = 500
    """Steps between validations."""
    batch: PositiveInt = 1
    """Samples scored at once."""
    patience: PositiveInt | None = None
    """Number of validations without a better score after which the run ends. None trains to the full length."""


class Recipe(Section, frozen=True):
    """All settings of a training run, except the folders that it reads and writes."""

    name: str
    """Name of the run and of its weights."""
    task: str
    """Name of the task, a key of `config.RECIPES` and `tasks.TASKS`."""
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    """Random seed of the initial weights, of the order of samples and of their random changes."""
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    """Precision of the forward and backward pass. Weights and optimizer always use float32. "auto" is bfloat16 on a
    device that computes convolutions fast in it, and otherwise float32; the run records which. Restoration on a GPU
    with TF32 and 16 GB uses float32, because bfloat16 is not faster there."""
    checkpoint_every: PositiveInt = 500
    """Steps between the checkpoints from which a run can be resumed."""
    checkpoints_kept: PositiveInt = 2
    """Number of checkpoints that are kept. If the newest one is damaged, a run resumes from the one before."""
    cuda: dict[str, Any] = {}
    """Settings that replace others if the run trains on a CUDA device, such as `"data.batch" = 64`."""
    model: ModelConfig
    data: DataConfig = DataConfig()
    optim: OptimConfig
    validation: ValidationConfig = ValidationConfig()
