"""Recipes of detection."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, OptimConfig, Recipe, ValidationConfig

OF_THE_DATA = (
    *("channels", "classes", "masks", "input", "min_size", "max_size", "chroma_ratio", "doubled", "mean", "std"),
    "backbone_weights",
)
"""Numbers of a detector that other keys of a recipe, or the data, decide."""


class DetectionModel(ModelConfig, frozen=True):
    """Which network is trained. Its input comes from `data`, its classes from the annotations."""

    name: str = "dct-mask-rcnn"
    """A key of `models.MODELS`."""
    backbone_weights: str | None = None
    """What the backbone starts from: weights of a classifier with the same channels, as `passband train` made them, or
    `imagenet` for torchvision's, which are downloaded. Its batch normalization is then frozen, unless `numbers` says
    otherwise. None starts from nothing."""

    @model_validator(mode="after")
    def _data_decide(self) -> "DetectionModel":
        if found := {*OF_THE_DATA} & set(self.arguments):
            raise ValueError(
                f"arguments come without {' and '.join(sorted(found))}: keys of data and model.backbone_weights say "
                "what comes in, and the annotations which classes there are"
            )
        return self


class DetectionData(DataConfig, frozen=True):
    """Pictures with instances in COCO's format, and what a network gets of them."""

    batch: PositiveInt = 2
    """Pictures per step and process."""
    channels: str | tuple[int, ...] = "24S"
    """A name of `layers.channels.SUBSETS`, numbers 0 to 191 as `passband analyze channels` lists them, or `rgb`."""
    input: Literal["pixels", "coefficients"] = "pixels"
    """`pixels` computes channels from the pixels of images; `coefficients` reads those of JPEG files, without
    pixels and at the files' own size."""
    masks: bool = True
    """Whether masks are learned and found, or boxes alone."""
    min_size: tuple[PositiveInt, ...] = (800,)
    """Shorter side of resized pictures, in pixels; of several, each training picture gets one, and the last one is
    scored with. Coefficients are not resized."""
    max_size: PositiveInt = 1333
    """Longest side of resized pictures, in pixels."""
    chroma_ratio: Literal[1, 2] = 2
    """How many times smaller chroma is than luma: 2 as in most JPEG files, see `models.detection_stem`."""
    doubled: bool = False
    """Whether channels are those of blocks of 8 x 8 in pictures of twice the size, as published, which 48S and 64S
    need; `chroma_ratio` is then 1."""
    flip: bool = True
    """Whether training pictures are mirrored left to right half of the time; of coefficients where that is exact."""
    scale: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0)
    """Least and greatest factor by which training pictures are resized, before `min_size`."""
    crop: float = Field(default=1.0, gt=0, le=1)
    """Least share of each side that training pictures show."""
    statistics: Literal["imagenet", "fit"] = "imagenet"
    """Mean and std of the channels: those of ImageNet's photographs, or measured in the pictures to train on, which
    `doubled` needs. Of `rgb` ImageNet's always."""
    statistics_count: PositiveInt = 256
    """Pictures that `fit` measures at most, spread evenly."""
    skip_bad: bool = False
    """Whether files that cannot be read are left out, with a warning that names them, instead of ending the run."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the pictures that is scored on and not learned from."""

    @property
    def content(self) -> str:
        """What the folder to train on holds, in words."""
        return "pictures and annotations in COCO's format"

    @property
    def is_rgb(self) -> bool:
        """Whether pixels are learned from rather than channels."""
        return isinstance(self.channels, str) and self.channels.lower() == "rgb"

    @model_validator(mode="before")
    @classmethod
    def _former_name(cls, values: Any) -> Any:
        """Read recipes and runs of version 0.1.0, which call the input `way`, "A" or "B"."""
        former = {"A": "pixels", "B": "coefficients"}
        if isinstance(values, dict) and values.get("way") in former and "input" not in values:
            return {**{key: value for key, value in values.items() if key != "way"}, "input": former[values["way"]]}
        return values

    @model_validator(mode="after")
    def _fits(self) -> "DetectionData":
        if not self.min_size or max(self.min_size) > self.max_size:
            raise ValueError(f"min_size needs sides up to max_size = {self.max_size}; got {list(self.min_size)}")
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale is a least and a greatest factor; got {list(self.scale)}")
        if self.input == "coefficients":
            if self.is_rgb or self.doubled:
                raise ValueError(
                    'input = "coefficients" reads what files hold: leave out "rgb" and doubled, or take "pixels"'
                )
            if self.scale != (1, 1) or self.crop != 1:
                raise ValueError(
                    'input = "coefficients" shows images whole and at their own size: leave out scale and crop'
                )
        if self.doubled and (self.statistics != "fit" or self.chroma_ratio != 1):
            raise ValueError('doubled pictures need chroma_ratio = 1 and statistics = "fit"')
        return self


class DetectionOptim(OptimConfig, frozen=True):
    """How the weights move: as detectors are trained, with SGD in steps."""

    optimizer: Literal["adam", "adamw", "muon", "sgd"] = "sgd"
    """SGD with Nesterov's momentum."""
    learning_rate: PositiveFloat = 0.0025
    """Peak, reached after the warm-up: .02 for batches of 16 pictures, in proportion for others."""
    milestones: tuple[float, ...] = (8 / 12, 11 / 12)
    """Shares of the run after each of which the rate is a tenth."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """For AdamW and SGD."""
    clip_norm: PositiveFloat | None = 35.0
    """Largest norm of the gradient; None clips nothing."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones scored and saved; 0 turns averaging off."""


class DetectionValidation(ValidationConfig, frozen=True):
    """What is scored while a run goes on."""

    count: PositiveInt | None = None
    """Pictures scored, spread evenly; None for all."""


class DetectionRecipe(Recipe, frozen=True):
    """A run that learns to find instances: boxes, and masks."""

    task: Literal["detection"] = "detection"
    model: DetectionModel = DetectionModel()
    data: DetectionData = DetectionData()
    optim: DetectionOptim
    validation: DetectionValidation = DetectionValidation()
