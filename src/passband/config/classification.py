"""Recipes of classification."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, OptimConfig, Recipe, Section, ValidationConfig


class ClassificationModel(ModelConfig, frozen=True):
    """Network to train. Its channels and classes come from the data."""

    name: str = "dct-resnet18"
    """Name of the architecture, a key of `models.MODELS`."""

    @model_validator(mode="after")
    def _no_arguments_of_the_data(self) -> "ClassificationModel":
        if refused := {"channels", "classes"} & set(self.arguments):
            raise ValueError(
                f"leave out {' and '.join(sorted(refused))} of model.arguments: data.channels sets the channels, and "
                "the folders of the data set the classes"
            )
        return self


class ClassificationData(DataConfig, frozen=True):
    """Images in one folder per class, and the input that the network gets from them."""

    batch: PositiveInt = 32
    """Samples per step, which all processes share."""
    input: Literal["coefficients", "published", "rgb", "ycbcr"] = "coefficients"
    """Input of the network: `coefficients` reads the DCT coefficients of JPEG files without decoding them;
    `published` computes coefficients from pixels, with the pipeline of Xu et al., CVPR 2020; `rgb` and `ycbcr` are
    pixels."""
    channels: str | tuple[int, ...] = "24S"
    """Frequency channels: a name of `layers.channels.SUBSETS`, or numbers from 0 to 191, as `passband analyze channels`
    lists them. Not used for pixels."""
    size: PositiveInt = 224
    """Side of the input image in pixels; by default 448 for `published`. It must be a multiple of 32 for
    `coefficients`, and of 56 for `published`."""
    stride: Literal[8, 4] = 4
    """Side in pixels of the area that one cell of a cube covers. A cube has size / stride cells on each side. Always 8
    for `published`; not used for pixels."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Smallest and largest share of the area of an image that a training view shows. Views of `coefficients` show the
    full center view, or 1/4, 1/16 and so on of its area, enlarged 2, 4 and so on times. (1, 1) always shows the full
    center view."""
    flip: bool = True
    """Whether half of the training views are mirrored left to right."""
    statistics: str = "fit"
    """Mean and standard deviation of the channels: `fit` measures them in the folder to train on; `imagenet` uses those
    of ImageNet, which exist for `coefficients` and `rgb`."""
    statistics_count: PositiveInt = 256
    """Largest number of images that `fit` measures, spread evenly over the classes."""
    skip_bad: bool = False
    """Whether unreadable files are skipped with a warning that names them. Otherwise they end the run."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the images of each class that are held out from training and used for validation."""

    @model_validator(mode="before")
    @classmethod
    def _set_defaults_of_published(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("input") == "published":
            return {"size": 448, "stride": 8, **values}
        return values

    @property
    def content(self) -> str:
        """Content of the folder to train on, in words for messages."""
        return "images with a subfolder for each class"

    @model_validator(mode="after")
    def _fits(self) -> "ClassificationData":
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(
                f"scale must be two shares of the area of an image, 0 < smallest <= largest <= 1; got {self.scale}"
            )
        unit = {"coefficients": 32, "published": 56}.get(self.input, 1)
        if self.size % unit:
            raise ValueError(f"size must be a multiple of {unit} pixels for input = {self.input!r}; got {self.size}")
        if self.input == "published" and self.stride != 8:
            raise ValueError(f'stride must be 8 for input = "published"; got {self.stride}')
        if self.statistics not in ("fit", "imagenet"):
            raise ValueError(f'statistics must be "fit" or "imagenet"; got {self.statistics!r}')
        if self.statistics == "imagenet" and self.input not in ("coefficients", "rgb"):
            raise ValueError(
                f'statistics = "imagenet" exists for coefficients and rgb only: use "fit" for input = {self.input!r}'
            )
        return self


class ClassificationOptim(OptimConfig, frozen=True):
    """Optimizer, learning rate and length of the run."""

    optimizer: Literal["adam", "adamw", "muon", "sgd"] = "sgd"
    """Optimizer; SGD with Nesterov momentum is usual for ResNets."""
    learning_rate: PositiveFloat = 0.1
    """Peak learning rate, reached after the warm-up."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of AdamW and SGD."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of the gradient. None turns clipping off."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the exponential moving average of the weights. The averaged weights are scored and saved. 0 turns the
    averaging off."""


class ClassificationLoss(Section, frozen=True):
    """Loss: the cross-entropy, and for networks with a gate a cost on open channels."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target probability that is spread evenly over all classes, 0 to 1."""


class GateConfig(Section, frozen=True):
    """Training of a gate, for networks that have one."""

    weight: float = Field(default=0.1, ge=0)
    """Weight of the cost on open channels, lambda in Xu et al., CVPR 2020."""
    reduction: Literal["mean", "sum"] = "mean"
    """Cost on open channels: `mean` is their share of all channels, `sum` is their number."""
    start_temperature: PositiveFloat = 5.0
    """Temperature of the Gumbel-softmax at the start of the run."""
    end_temperature: PositiveFloat = 0.5
    """Temperature of the Gumbel-softmax at the end of the run."""


class ClassificationValidation(ValidationConfig, frozen=True):
    """Validation during the run."""

    batch: PositiveInt = 32
    """Samples scored at once."""
    count: PositiveInt | None = None
    """Number of images that are scored, spread evenly over the classes. None scores all images."""


class ClassificationRecipe(Recipe, frozen=True):
    """Recipe of a run that learns to classify images."""

    task: Literal["classification"] = "classification"
    model: ClassificationModel = ClassificationModel()
    data: ClassificationData = ClassificationData()
    optim: ClassificationOptim
    loss: ClassificationLoss = ClassificationLoss()
    gate: GateConfig = GateConfig()
    validation: ClassificationValidation = ClassificationValidation()
