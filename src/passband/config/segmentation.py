"""Recipes of segmentation."""

import math
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, OptimConfig, Recipe, Section, ValidationConfig

EPOCHS = 200
"""Length of a run that says none, as in "Adaptive Frequency Ratio Scheduler" (lab slides, 2023)."""
STAGES = (1 / 2, 3 / 4)
"""Shares of the side that a curriculum crops to where it names no sizes; the last stage is the whole picture."""
SIDE_UNIT = 32
"""Sides of cropped pictures are multiples of so many pixels, which encoders of five halvings take."""


class SegmentationModel(ModelConfig, frozen=True):
    """Which network is trained. Its classes come from the data."""

    name: str = "unet"
    """A key of `models.MODELS`."""

    @model_validator(mode="after")
    def _data_decide(self) -> "SegmentationModel":
        if found := {"classes", "in_channels"} & set(self.arguments):
            raise ValueError(
                f"arguments come without {' and '.join(sorted(found))}: data.classes says which classes there are, and "
                "pictures have 3 channels"
            )
        return self


class SegmentationData(DataConfig, frozen=True):
    """Pictures and their masks, and how they are changed for training."""

    batch: PositiveInt = 16
    """Samples per step and process."""
    size: PositiveInt = 256
    """Side of the square that pictures are resized to, in pixels; a multiple of what the network halves by, 16 for the
    U-Net."""
    classes: PositiveInt = 1
    """1 for masks of foreground and background, else how many classes there are with the background."""
    class_names: tuple[str, ...] = ()
    """Of the classes, the background's first, for reports; none for their numbers."""
    flip: bool = True
    """Whether training pictures are mirrored, each way half of the time."""
    turn: bool = True
    """Whether training pictures are turned by 0, 90, 180 or 270 degrees."""
    scale: tuple[float, float] = (0.5, 1.0)
    """Least and greatest share of a picture's area that a training view shows; (1, 1) shows all of it."""
    brightness: float = Field(default=0.2, ge=0, le=1)
    """Training pictures' brightness is multiplied by 1 - this to 1 + this."""
    contrast: float = Field(default=0.2, ge=0, le=1)
    """Alike, of their contrast."""
    saturation: float = Field(default=0.2, ge=0, le=1)
    """Alike, of their saturation."""
    hue: float = Field(default=0.0, ge=0, le=0.5)
    """Share of the color circle by which the hue of training pictures is shifted, at most."""
    cache: bool = True
    """Whether decoded and resized pictures are kept in memory, if they fit."""
    skip_bad: bool = False
    """Whether files that cannot be used are left out, with a warning that names them, instead of ending the run."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the pictures that is scored on and not learned from."""
    split_seed: int = 0
    """Another one holds out others. It is not the run's, so that runs of several seeds are scored on one split."""
    sequence: str | None = None
    """What is held out together: `frames`, whose names count on; `alike`, pictures that are nearly the same; or a
    regular expression whose groups (or match) in a name are those of its sequence. None takes each picture for
    itself; equal files are never parted."""
    training_list: str | None = None
    """A text file with the names of the pictures to learn from, one a line; None for all, or all that are left."""
    validation_list: str | None = None
    """A text file with the names of the pictures to score on, which lie in the folder to train on."""

    @property
    def content(self) -> str:
        """What the folder to train on holds, in words."""
        return "pictures and masks (images/ and masks/)"

    @model_validator(mode="after")
    def _fits(self) -> "SegmentationData":
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale is two shares of a picture's area, 0 < least <= greatest <= 1; got {self.scale}")
        if self.class_names and len(self.class_names) != max(2, self.classes):
            raise ValueError(
                f"class_names are {max(2, self.classes)}, one for each class with the background; got "
                f"{len(self.class_names)}"
            )
        if self.held_out and (self.training_list or self.validation_list):
            raise ValueError("held_out draws what to score on, and lists name it: give one of the two")
        if self.sequence is not None and not self.held_out:
            raise ValueError("sequence says what is held out together: it needs held_out, the share")
        return self


class SegmentationOptim(OptimConfig, frozen=True):
    """How the weights move."""

    epochs: PositiveInt | None = None
    """Length of the run in passes over the data; or `steps`. 200 where neither is given."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of the gradient; None clips nothing."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the averaged weights, which are the ones scored and saved; 0 turns averaging off."""

    @model_validator(mode="before")
    @classmethod
    def _some_length(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("steps") is None and values.get("epochs") is None:
            return {**values, "epochs": EPOCHS}
        return values


class SegmentationLoss(Section, frozen=True):
    """What is minimized."""

    name: Literal["cross_entropy", "dice", "cross_entropy+dice"] = "cross_entropy"
    """A key of `losses.SEGMENTATION_LOSSES`."""


class AdaptiveConfig(Section, frozen=True):
    """How a ratio is searched while training, see `curriculum.AdaptiveSchedule`."""

    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    """Of the run at which the best ratio is searched, ascending."""
    between: Literal["step", "linear"] = "step"
    """How the ratio gets from one that was found to the next."""
    term: Literal["variance", "total-variation", "noise", "cost"] = "noise"
    """What stands beside the saliency. The slides' `variance` is the same for every ratio and decides nothing."""
    alpha: float = Field(default=1.0, ge=0)
    """Weight of the saliency."""
    beta: float = Field(default=1.0, ge=0)
    """Weight of the term."""
    radii: int = Field(default=16, ge=3)
    """Of the sweep."""
    method: Literal["sweep", "gradient"] = "sweep"
    """How the sweep's answer is refined."""
    hold: float = Field(default=0.1, ge=0, le=1)
    """Share of the run, at its end, that sees the whole spectrum."""
    least: float = Field(default=0.1, ge=0, le=1)
    """The smallest ratio that is used, whatever is found."""
    pictures: PositiveInt = 8
    """Training pictures that are searched on, the same ones every time."""

    @model_validator(mode="after")
    def _ascending(self) -> "AdaptiveConfig":
        shares = self.shares
        if not shares or list(shares) != sorted(set(shares)) or shares[0] < 0 or shares[-1] >= 1:
            raise ValueError(f"shares are ascending shares of the run, from 0 to below 1; got {shares}")
        if self.hold and shares[-1] >= 1 - self.hold:
            raise ValueError(
                f"the last {self.hold:g} of the run see the whole spectrum, so that a search at {shares[-1]:g} changes "
                f"nothing: let shares end below {1 - self.hold:g}"
            )
        if not self.alpha + self.beta > 0:
            raise ValueError("alpha and beta are both 0, so that nothing is searched for: give one of them a weight")
        return self


class CurriculumConfig(Section, frozen=True):
    """Which share of the spectrum is learned from, and when. The network is always scored on whole pictures."""

    mode: Literal["none", "mask", "crop"] = "none"
    """`mask`: what lies beyond the ratio is taken out, and a step costs what it did; `crop`: the spectrum is cropped,
    pictures are smaller, and a step costs less."""
    schedule: Literal["ratio", "adaptive"] = "ratio"
    """`ratio`: from `start` to `end`; `adaptive`: searched while training, see `adaptive`."""
    definition: Literal["magnitude", "energy", "radius", "area"] = "radius"
    """What a ratio is a share of, see `curriculum.ratio`; the slides' is `magnitude`."""
    profile: Literal["data", "picture"] = "data"
    """Whether a ratio is one radius for all pictures, measured on the folder to train on, or one for each picture."""
    profile_count: PositiveInt = 256
    """Pictures that are measured at most, spread evenly over the folder."""
    start: float = Field(default=0.5, ge=0, le=1)
    """The ratio that training begins with. Below `end` it goes from coarse to fine, above it the other way, as in the
    slides."""
    end: float = Field(default=1.0, ge=0, le=1)
    """The ratio that training comes to."""
    fixed: bool = False
    """Whether the ratio is `end` for the whole run; `start` and the shape then decide nothing."""
    shape: Literal["linear", "cosine", "step"] = "step"
    """How it gets there."""
    plateaus: int = Field(default=3, ge=2)
    """Ratios of the shape `step`, the first and the last among them."""
    hold: float = Field(default=0.0, ge=0, le=1)
    """Share of the run, at its end, that stays at `end`."""
    tail: float = Field(default=0.0, ge=0, le=1)
    """Share of the run after that which goes from `end` to `tail_end`."""
    tail_end: float = Field(default=1.0, ge=0, le=1)
    """The ratio of the last step where there is a tail."""
    sizes: tuple[PositiveInt, ...] = ()
    """Sides of cropped pictures, in pixels; none for a half and three quarters of data.size."""
    adaptive: AdaptiveConfig = AdaptiveConfig()
    final_ratios: tuple[float, ...] = ()
    """Values of `end` for a run of each, and a table of them."""

    @model_validator(mode="after")
    def _fits(self) -> "CurriculumConfig":
        if self.hold + self.tail > 1:
            raise ValueError(f"hold and tail are shares of one run; got {self.hold:g} and {self.tail:g}")
        if self.mode == "crop" and self.profile == "picture" and self.definition != "radius":
            raise ValueError(
                f'by {self.definition} a picture may have a size of its own: crops need profile = "data", or '
                'definition = "radius"'
            )
        if self.schedule == "adaptive" and self.hold:
            raise ValueError("hold is of the schedule from start to end; the searched one has adaptive.hold")
        if bad := [ratio for ratio in self.final_ratios if not 0 <= ratio <= 1]:
            raise ValueError(f"final_ratios are shares from 0 to 1; got {', '.join(map(str, bad))}")
        if len(set(self.final_ratios)) < len(self.final_ratios):
            raise ValueError(f"final_ratios name a run each, and some are named twice: {self.final_ratios}")
        if self.final_ratios and (self.mode == "none" or self.schedule == "adaptive"):
            raise ValueError('final_ratios need mode = "mask" or "crop", and schedule = "ratio"')
        return self


class SegmentationValidation(ValidationConfig, frozen=True):
    """What is scored while a run goes on."""

    batch: PositiveInt = 16
    """Samples scored at once."""
    count: PositiveInt | None = None
    """Pictures scored, spread evenly over the folder; None for all."""


class SegmentationRecipe(Recipe, frozen=True):
    """A run that learns to tell what is where in a picture."""

    task: Literal["segmentation"] = "segmentation"
    model: SegmentationModel = SegmentationModel()
    data: SegmentationData = SegmentationData()
    optim: SegmentationOptim = SegmentationOptim()
    loss: SegmentationLoss = SegmentationLoss()
    curriculum: CurriculumConfig = CurriculumConfig()
    validation: SegmentationValidation = SegmentationValidation()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides that pictures are cropped to, ascending, in pixels; none without crops."""
        if self.curriculum.mode != "crop":
            return ()
        whole = self.data.size
        made = (SIDE_UNIT * math.ceil(share * whole / SIDE_UNIT) for share in STAGES)
        return tuple(sorted(self.curriculum.sizes or (size for size in made if size < whole)))

    @model_validator(mode="after")
    def _stages_fit(self) -> "SegmentationRecipe":
        if self.curriculum.mode != "crop":
            return self
        if beyond := [size for size in self.curriculum.sizes if size > self.data.size]:
            raise ValueError(
                f"curriculum.sizes are at most data.size, {self.data.size} pixels; got {', '.join(map(str, beyond))}"
            )
        if not self.sizes:
            raise ValueError(
                f"pictures of {self.data.size} pixels are too small for stages of multiples of {SIDE_UNIT}: name "
                "curriculum.sizes that the network takes"
            )
        return self
