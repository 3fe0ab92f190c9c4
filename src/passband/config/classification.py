"""Recipes of classification."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, OptimConfig, Recipe, Section, ValidationConfig


class ClassificationModel(ModelConfig, frozen=True):
    """Which network is trained. Its channels and classes come from the data."""

    name: str = "dct-resnet18"
    """A key of `models.MODELS`."""

    @model_validator(mode="after")
    def _data_decide(self) -> "ClassificationModel":
        if found := {"channels", "classes"} & set(self.arguments):
            raise ValueError(
                f"arguments come without {' and '.join(sorted(found))}: data.channels says which channels there are, "
                "and the folders of the data which classes"
            )
        return self


class ClassificationData(DataConfig, frozen=True):
    """Pictures in a folder for each class, and what a network gets of them."""

    batch: PositiveInt = 32
    """Samples per step and process."""
    input: Literal["coefficients", "published", "rgb", "ycbcr"] = "coefficients"
    """`coefficients`: those of the JPEG files themselves, no pixels; `published`: those of pixels by the pipeline of
    Xu et al., CVPR 2020; `rgb` and `ycbcr`: pixels."""
    channels: str | tuple[int, ...] = "24S"
    """A name of `layers.channels.SUBSETS`, or numbers 0 to 191 as `passband analyze channels` lists them. Pixels have
    none."""
    size: PositiveInt = 224
    """Side of the picture that the network sees, in pixels; by default 448 for `published`. A multiple of 32 of
    `coefficients`, of 56 of `published`."""
    stride: Literal[8, 4] = 4
    """Side of a cube's cells, in pixels: a cube has size / stride a side. Always 8 for `published`. Pixels have
    none."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Least and greatest share of a picture's area that a training view shows. Of `coefficients` it is a quarter, a
    sixteenth, ... of what the center view shows, at twice, four times, ... its size; (1, 1) keeps to that one."""
    flip: bool = True
    """Whether training views are mirrored left to right half of the time."""
    statistics: str = "fit"
    """Mean and std of the channels: `fit` measures them in the folder to train on; `imagenet` takes those of ImageNet's
    photographs, for `coefficients` and `rgb`."""
    statistics_count: PositiveInt = 256
    """Pictures that `fit` measures at most, spread evenly over the classes."""
    skip_bad: bool = False
    """Whether files that cannot be read are left out, with a warning that names them, instead of ending the run."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of each class's pictures that is scored on and not learned from."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_input(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("input") == "published":
            return {"size": 448, "stride": 8, **values}
        return values

    @property
    def content(self) -> str:
        """What the folder to train on holds, in words."""
        return "pictures with a sub-folder for each class"

    @model_validator(mode="after")
    def _fits(self) -> "ClassificationData":
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale is two shares of a picture's area, 0 < least <= greatest <= 1; got {self.scale}")
        unit = {"coefficients": 32, "published": 56}.get(self.input, 1)
        if self.size % unit:
            raise ValueError(f"size is a multiple of {unit} pixels where input is {self.input!r}; got {self.size}")
        if self.input == "published" and self.stride != 8:
            raise ValueError(f'stride is 8 where input is "published"; got {self.stride}')
        if self.statistics not in ("fit", "imagenet"):
            raise ValueError(f'statistics is "fit" or "imagenet"; got {self.statistics!r}')
        if self.statistics == "imagenet" and self.input not in ("coefficients", "rgb"):
            raise ValueError(f'statistics "imagenet" are of coefficients and of rgb: "fit" those of {self.input!r}')
        return self


class ClassificationOptim(OptimConfig, frozen=True):
    """How the weights move."""

    optimizer: Literal["adam", "adamw", "muon", "sgd"] = "sgd"
    """SGD with Nesterov's momentum, as ResNets are trained."""
    learning_rate: PositiveFloat = 0.1
    """Peak, reached after the warm-up."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """For AdamW and SGD."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of the gradient; None clips nothing."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones scored and saved; 0 turns averaging off."""


class ClassificationLoss(Section, frozen=True):
    """What is minimized: the cross-entropy, and a cost on the channels that a gate lets through."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the probability that goes to all classes alike."""


class GateConfig(Section, frozen=True):
    """How a gate learns, for networks that have one."""

    weight: float = Field(default=0.1, ge=0)
    """Of the cost on open channels, the lambda of Xu et al., CVPR 2020."""
    reduction: Literal["mean", "sum"] = "mean"
    """Whether the cost is the share of the channels that are open, or their number."""
    start_temperature: PositiveFloat = 5.0
    """Of the Gumbel-softmax when training begins."""
    end_temperature: PositiveFloat = 0.5
    """Of the Gumbel-softmax when it ends."""


class ClassificationValidation(ValidationConfig, frozen=True):
    """What is scored while a run goes on."""

    batch: PositiveInt = 32
    """Samples scored at once."""
    count: PositiveInt | None = None
    """Pictures scored, spread evenly over the classes; None for all."""


class ClassificationRecipe(Recipe, frozen=True):
    """A run that learns to tell classes of pictures apart."""

    task: Literal["classification"] = "classification"
    model: ClassificationModel = ClassificationModel()
    data: ClassificationData = ClassificationData()
    optim: ClassificationOptim
    loss: ClassificationLoss = ClassificationLoss()
    gate: GateConfig = GateConfig()
    validation: ClassificationValidation = ClassificationValidation()
