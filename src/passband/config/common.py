"""What the recipes of all tasks have in common."""

from typing import Any, Literal

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, model_validator


class RecipeError(ValueError):
    """A recipe that cannot be used, with its name and the reason in the message."""


class Section(BaseModel, frozen=True, extra="forbid"):
    """A table of a recipe: unknown keys are errors, values do not change."""


class ModelConfig(Section, frozen=True):
    """Which network is trained."""

    name: str
    """A key of `models.MODELS`."""
    arguments: dict[str, bool | int | float | str | None] = {}
    """Keywords of its constructor, such as `width` and `depth`."""

    @model_validator(mode="before")
    @classmethod
    def _former_name(cls, values: Any) -> Any:
        """Read recipes and runs of version 0.1.0, which call the arguments numbers."""
        if isinstance(values, dict) and "numbers" in values and "arguments" not in values:
            return {"arguments" if key == "numbers" else key: value for key, value in values.items()}
        return values


class OptimConfig(Section, frozen=True):
    """How the weights move."""

    optimizer: Literal["adam", "adamw", "muon", "sgd"] = "adam"
    """Adam as SFNet's authors use it, AdamW with `weight_decay`, `optimizers.Muon`, or SGD with Nesterov's momentum."""
    learning_rate: PositiveFloat = 1e-4
    """Peak, reached after the warm-up."""
    final_learning_rate: float = Field(default=1e-6, ge=0)
    """End of the cosine."""
    milestones: tuple[float, ...] = ()
    """Shares of the run, ascending, after each of which the rate is a tenth; none falls along a cosine."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the running mean of the gradient, for SGD."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running mean and square of the gradient."""
    weight_decay: float = Field(default=0.0, ge=0)
    """For AdamW and SGD."""
    steps: PositiveInt | None = None
    """Length of the run in steps; or `epochs`."""
    epochs: PositiveInt | None = None
    """Length of the run in passes over the data; or `steps`."""
    least_steps: int = Field(default=0, ge=0)
    """Least length in steps of a run whose length is given as `epochs`, for small sets, whose epochs are short."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps of linear warm-up; or `warmup_epochs`."""
    warmup_epochs: int | None = Field(default=None, ge=0)
    """Epochs of linear warm-up; or `warmup_steps`."""
    clip_norm: PositiveFloat | None = 0.01
    """Largest norm of the gradient."""
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones scored and saved; 0 turns averaging off."""
    keep_statistics: bool = False
    """Whether batch normalization keeps the statistics that the weights came with, for fine-tuning in small batches."""

    @model_validator(mode="after")
    def _one_length(self) -> "OptimConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give the length of the run as `steps` or as `epochs`, one of the two")
        if list(self.milestones) != sorted(self.milestones) or not all(0 < part < 1 for part in self.milestones):
            raise ValueError(f"milestones are ascending shares of the run between 0 and 1; got {self.milestones}")
        if self.warmup_steps is not None and self.warmup_epochs is not None:
            raise ValueError("give the warm-up as `warmup_steps` or as `warmup_epochs`, not both")
        for unit in ("steps", "epochs"):
            length, warmup = getattr(self, unit), getattr(self, f"warmup_{unit}")
            if length is not None and warmup is not None:
                check_warmup(warmup, length, unit)
        return self

    def length(self, steps_per_epoch: int) -> int:
        """Steps of the whole run."""
        return self.steps or max((self.epochs or 0) * steps_per_epoch, self.least_steps)

    def warmup(self, steps_per_epoch: int) -> int:
        """Steps of the warm-up."""
        return self.warmup_steps or (self.warmup_epochs or 0) * steps_per_epoch


def check_warmup(warmup: int, length: int, unit: str) -> None:
    """Refuse a warm-up that is longer than its run, which would never reach its learning rate.

    Args:
        warmup: its length.
        length: that of the run.
        unit: of both, `"steps"` or `"epochs"`.

    Raises:
        ValueError: with what to change.
    """
    if warmup > length:
        raise ValueError(
            f"the warm-up of {warmup} {unit} is longer than the run of {length} {unit}: make the run longer, or lower "
            f"optim.warmup_{unit} (--set optim.warmup_{unit}={length // 10})"
        )


class DataConfig(Section, frozen=True):
    """What it is trained on. The folders themselves are arguments of a run, because they differ by machine."""

    batch: PositiveInt = 4
    """Samples per step and process."""
    workers: int = Field(default=2, ge=0)
    """Processes that prepare samples; 0 prepares them in the training process."""

    @property
    def content(self) -> str:
        """What the folder to train on holds, in words."""
        return "samples"


class ValidationConfig(Section, frozen=True):
    """How a run is watched."""

    every: PositiveInt = 500
    """Steps between validations."""
    batch: PositiveInt = 1
    """Samples scored at once."""
    patience: PositiveInt | None = None
    """Validations without a better score after which a run ends; None goes on to its length."""


class Recipe(Section, frozen=True):
    """Everything that decides a training run, but for the folders it reads and writes."""

    name: str
    """What the run and its weights are called."""
    task: str
    """A key of `config.RECIPES` and of `tasks.TASKS`."""
    seed: int = 0
    """Decides initial weights, order and everything random about samples."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward and backward pass; weights and optimizer are float32 always."""
    checkpoint_every: PositiveInt = 500
    """Steps between checkpoints to resume from."""
    cuda: dict[str, Any] = {}
    """Settings that replace others where the run trains on a CUDA device, such as `"data.batch" = 64`."""
    model: ModelConfig
    data: DataConfig = DataConfig()
    optim: OptimConfig
    validation: ValidationConfig = ValidationConfig()
