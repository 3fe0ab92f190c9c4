"""Recipes of detection."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, OptimConfig, Recipe, ValidationConfig

DECIDED_ELSEWHERE = (
    *("channels", "classes", "masks", "input", "min_size", "max_size", "chroma_ratio", "doubled", "mean", "std"),
    "backbone_weights",
)
"""Arguments of a detector that the data, or other keys of a recipe, decide."""


class DetectionModel(ModelConfig, frozen=True):
    """Network to train. Its input comes from `data`, and its classes from the annotations."""

    name: str = "dct-mask-rcnn"
    """Name of the architecture, a key of `models.MODELS`."""
    backbone_weights: str | None = None
    """Weights that the backbone starts from: a run of `passband train` for a classifier with the same channels, or
    `imagenet` for the weights of torchvision, which are downloaded. The batch normalization of the backbone is then
    frozen, unless `arguments` sets another `norm`. None starts from random weights."""

    @model_validator(mode="after")
    def _no_arguments_of_the_data(self) -> "DetectionModel":
        if refused := {*DECIDED_ELSEWHERE} & set(self.arguments):
            raise ValueError(
                f"leave out {' and '.join(sorted(refused))} of model.arguments: the table data and "
                "model.backbone_weights set the input, and the annotations set the classes"
            )
        return self


class DetectionData(DataConfig, frozen=True):
    """Images with instances in COCO's format, and the input that the network gets from them."""

    batch: PositiveInt = 2
    """Images per step, which all processes share."""
    channels: str | tuple[int, ...] = "24S"
    """Frequency channels: a name of `layers.channels.SUBSETS`, or numbers from 0 to 191, as `passband analyze channels`
    lists them; or `rgb` for pixels."""
    input: Literal["pixels", "coefficients"] = "pixels"
    """Source of the channels: `pixels` computes them from the pixels of resized images; `coefficients` reads them from
    JPEG files without decoding the pixels, at the size of the file."""
    masks: bool = True
    """Whether the network predicts masks as well as boxes."""
    min_size: tuple[PositiveInt, ...] = (800,)
    """Shorter side of resized images, in pixels. From several sizes, each training image gets a random one, and
    validation uses the last one. Coefficients are not resized."""
    max_size: PositiveInt = 1333
    """Largest longer side of resized images, in pixels."""
    chroma_ratio: Literal[1, 2] = 2
    """Factor by which chroma is smaller than luma, 2 as in most JPEG files; see `models.detection.stem`."""
    doubled: bool = False
    """Whether channels come from blocks of 8 x 8 pixels in images of twice the size, as published. 48S and 64S need
    this. It needs `chroma_ratio = 1`."""
    flip: bool = True
    """Whether half of the training images are mirrored left to right. Coefficients are mirrored only if the result is
    exact."""
    scale: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0)
    """Smallest and largest factor by which training images are resized, before `min_size`."""
    crop: float = Field(default=1.0, gt=0, le=1)
    """Smallest share of each side that a training image shows."""
    statistics: Literal["imagenet", "fit"] = "imagenet"
    """Mean and standard deviation of the channels: `imagenet` uses those of ImageNet; `fit` measures them in the folder
    to train on, which `doubled` needs. `rgb` always uses those of ImageNet."""
    statistics_count: PositiveInt = 256
    """Largest number of images that `fit` measures, spread evenly over the folder."""
    skip_bad: bool = False
    """Whether unreadable files are skipped with a warning that names them. Otherwise they end the run."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the images that are held out from training and used for validation."""

    @property
    def content(self) -> str:
        """Content of the folder to train on, in words for messages."""
        return "images and annotations in COCO's format"

    @property
    def is_rgb(self) -> bool:
        """Whether the network takes pixels instead of frequency channels."""
        return isinstance(self.channels, str) and self.channels.lower() == "rgb"

    @model_validator(mode="after")
    def _fits(self) -> "DetectionData":
        if not self.min_size or max(self.min_size) > self.max_size:
            raise ValueError(
                f"min_size must be sides of at most max_size = {self.max_size} pixels; got {list(self.min_size)}"
            )
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale must be the smallest and the largest factor; got {list(self.scale)}")
        if self.input == "coefficients":
            if self.is_rgb or self.doubled:
                raise ValueError(
                    'input = "coefficients" reads the channels of JPEG files: leave out "rgb" and doubled, or use '
                    'input = "pixels"'
                )
            if self.scale != (1, 1) or self.crop != 1:
                raise ValueError(
                    'input = "coefficients" shows whole images at their own size: leave out scale and crop'
                )
        if self.doubled and (self.statistics != "fit" or self.chroma_ratio != 1):
            raise ValueError('doubled needs chroma_ratio = 1 and statistics = "fit"')
        return self


class DetectionOptim(OptimConfig, frozen=True):
    """Optimizer, learning rate and length of the run, with the usual values for detectors."""

    optimizer: Literal["adam", "adamw", "muon", "sgd"] = "sgd"
    """Optimizer; SGD with Nesterov momentum is usual for detectors."""
    learning_rate: PositiveFloat = 0.0025
    """Peak learning rate, reached after the warm-up. A batch of 16 images takes 0.02; scale it with the batch."""
    milestones: tuple[float, ...] = (8 / 12, 11 / 12)
    """Shares of the run in ascending order, between 0 and 1. After each of them the learning rate is divided by 10."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of AdamW and SGD."""
    clip_norm: PositiveFloat | None = 35.0
    """Largest norm of the gradient. None turns clipping off."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the exponential moving average of the weights. The averaged weights are scored and saved. 0 turns the
    averaging off."""


class DetectionValidation(ValidationConfig, frozen=True):
    """Validation during the run."""

    count: PositiveInt | None = None
    """Number of images that are scored, spread evenly over the folder. None scores all images."""


class DetectionRecipe(Recipe, frozen=True):
    """Recipe of a run that learns to detect instances: boxes, and optionally masks."""

    task: Literal["detection"] = "detection"
    model: DetectionModel = DetectionModel()
    data: DetectionData = DetectionData()
    optim: DetectionOptim
    validation: DetectionValidation = DetectionValidation()
