"""Recipes: validated settings of a training run, read from TOML."""

import tomllib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from passband.naming import nearest


class RecipeError(ValueError):
    """A recipe that cannot be used, with its name and the reason in the message."""


class Section(BaseModel, frozen=True, extra="forbid"):
    """A table of a recipe: unknown keys are errors, values do not change."""


class ModelConfig(Section, frozen=True):
    """Which network is trained."""

    name: str = "sfnet-small"
    """A key of `models.MODELS`."""
    numbers: dict[str, int | float | str | None] = {}
    """Keywords of its constructor, such as `width` and `depth`."""


class DataConfig(Section, frozen=True):
    """What it is trained on. The folders themselves are arguments of a run, because they differ by machine."""

    source: Literal["photographs", "pairs"] = "photographs"
    """`photographs`: a folder of clean pictures, degraded on the fly; `pairs`: a folder of pairs."""
    degradations: dict[str, PositiveFloat] = {
        "rain": 1.0,
        "snow": 1.0,
        "haze": 1.0,
        "motion-blur": 1.0,
        "defocus": 1.0,
    }
    """Kind to weight in the mixture, for `photographs`; `clean` is a kind, too."""
    crop: PositiveInt = 256
    """Side of the square training crops, in pixels; a multiple of 8."""
    batch: PositiveInt = 4
    """Crops per step and process."""
    views: Literal[1, 2] = 1
    """Pictures of a scene that the network gets: 2 are the left and right views of dual-pixel pairs."""
    workers: int = Field(default=2, ge=0)
    """Processes that prepare samples; 0 prepares them in the training process."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the pairs that is scored on and not learned from, for `pairs`; see `data.held_out.split_pairs`."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> "DataConfig":
        if not set(self.degradations) - {"clean"}:
            raise ValueError("degradations need at least one kind besides `clean`")
        if self.views == 2 and self.source != "pairs":
            raise ValueError('views = 2 needs source = "pairs": photographs have one view')
        if self.held_out and self.source != "pairs":
            raise ValueError("held_out is a share of pairs: give photographs to score on as a folder of their own")
        return self


class OptimConfig(Section, frozen=True):
    """How the weights move."""

    optimizer: Literal["adam", "adamw", "muon"] = "adam"
    """Adam as published, AdamW with `weight_decay`, or `optimizers.Muon`."""
    learning_rate: PositiveFloat = 1e-4
    """Peak, reached after the warm-up."""
    final_learning_rate: float = Field(default=1e-6, ge=0)
    """End of the cosine."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running mean and square of the gradient."""
    weight_decay: float = Field(default=0.0, ge=0)
    """For AdamW."""
    steps: PositiveInt | None = None
    """Length of the run in steps; or `epochs`."""
    epochs: PositiveInt | None = None
    """Length of the run in passes over the data; or `steps`."""
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
        if self.warmup_steps is not None and self.warmup_epochs is not None:
            raise ValueError("give the warm-up as `warmup_steps` or as `warmup_epochs`, not both")
        return self

    def length(self, steps_per_epoch: int) -> int:
        """Steps of the whole run."""
        return self.steps or (self.epochs or 0) * steps_per_epoch

    def warmup(self, steps_per_epoch: int) -> int:
        """Steps of the warm-up."""
        return self.warmup_steps or (self.warmup_epochs or 0) * steps_per_epoch


class LossConfig(Section, frozen=True):
    """What is minimized."""

    spectral_weight: float = Field(default=0.1, ge=0)
    """Weight of the spectral L1 beside the L1 of pixels."""
    relative: bool = False
    """Whether samples count by the logarithm of their loss, for mixtures of strong and weak degradations."""


class ValidationConfig(Section, frozen=True):
    """How a run is watched."""

    every: PositiveInt = 500
    """Steps between validations."""
    count: PositiveInt = 20
    """Crops scored."""
    crop: PositiveInt = 256
    """Their side, in pixels; a multiple of 8."""
    patience: PositiveInt | None = None
    """Validations without a better score after which a run ends; None goes on to its length."""


class Recipe(Section, frozen=True):
    """Everything that decides a training run, but for the folders it reads and writes."""

    name: str
    """What the run and its weights are called."""
    task: Literal["restoration"] = "restoration"
    """A key of `tasks.TASKS`."""
    seed: int = 0
    """Decides initial weights, order, crops and degradations."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward and backward pass; weights and optimizer are float32 always."""
    checkpoint_every: PositiveInt = 500
    """Steps between checkpoints to resume from."""
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optim: OptimConfig
    loss: LossConfig = LossConfig()
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="after")
    def _views_fit(self) -> "Recipe":
        needed, given = 3 * self.data.views, self.model.numbers.get("in_channels", 3)
        if given != needed:
            raise ValueError(
                f"data.views = {self.data.views} needs model.numbers with in_channels = {needed}, 3 for each view; "
                f"got {given}"
            )
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> "Recipe":
        for name, crop in (("data.crop", self.data.crop), ("validation.crop", self.validation.crop)):
            if crop % 8 or crop < 16:
                raise ValueError(f"{name} is a multiple of 8 and at least 16 pixels; got {crop}")
        return self


def shipped_recipes() -> dict[str, Path]:
    """Name to file of the recipes inside the package."""
    return {path.stem: path for path in sorted((Path(str(files("passband"))) / "recipes").glob("*.toml"))}


def load_recipe(source: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        source: the name of a shipped recipe, or a TOML file.

    Raises:
        RecipeError: where it is missing, not TOML, or has a key or value that does not fit; a wrong key's nearest
            is named.
    """
    path = shipped_recipes().get(str(source), Path(source))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no recipe {source}: neither a file nor one of {', '.join(shipped_recipes())}") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from error
    return parse_recipe(content, path)


def parse_recipe(content: dict[str, Any], source: str | Path) -> Recipe:
    """Validate the tables of a recipe.

    Args:
        content: nested tables, as TOML or JSON give them.
        source: what to call the recipe in an error.

    Raises:
        RecipeError: as `load_recipe`.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"recipe {source}: {'; '.join(_sentences(error))}") from error


def _sentences(error: ValidationError) -> Iterator[str]:
    """What is wrong, one clause per problem."""
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _keys_at(problem["loc"][:-1])
            near = nearest(str(problem["loc"][-1]), known)
            yield f"unknown key {where}; did you mean {'.'.join([*map(str, problem['loc'][:-1]), str(near)])}?"
        elif problem["type"] == "value_error":
            yield f"{where + ': ' if where else ''}{problem['msg'].removeprefix('Value error, ')}"
        else:
            got = "" if problem["type"] == "missing" else f", got {problem['input']!r}"
            yield f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}{got}"


def _keys_at(location: Iterable[int | str]) -> list[str]:
    """The keys that the table at this place of a recipe may have."""
    section: Any = Recipe
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        section = annotation if isinstance(annotation, type) else next(a for a in get_args(annotation) if a)
    return list(section.model_fields)
