"""Recipes of segmentation."""

import math
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.augmentation import BatchAugmentationConfig
from passband.config.common import DataConfig, ModelConfig, OptimConfig, Recipe, Section, ValidationConfig

EPOCHS = 200
"""Length in epochs of a run that sets none, as in "Adaptive Frequency Ratio Scheduler" (lab slides, 2023)."""
STAGES = (1 / 2, 3 / 4)
"""Shares of the side to which a curriculum crops spectra if it names no sizes. The last stage is the whole image."""
SIDE_UNIT = 32
"""Unit in pixels of the default sides of cropped images. Encoders that halve the side five times need it."""


class SegmentationModel(ModelConfig, frozen=True):
    """Network to train. Its classes come from the data."""

    name: str = "unet"
    """Name of the architecture, a key of `models.MODELS`."""

    @model_validator(mode="after")
    def _no_arguments_of_the_data(self) -> "SegmentationModel":
        if refused := {"classes", "in_channels"} & set(self.arguments):
            raise ValueError(
                f"leave out {' and '.join(sorted(refused))} of model.arguments: data.classes sets the classes, and "
                "images have 3 channels"
            )
        return self


class SegmentationData(DataConfig, frozen=True):
    """Images and their masks, and the random changes of training images."""

    batch: PositiveInt = 16
    """Samples per step, which all processes share."""
    size: PositiveInt = 256
    """Side in pixels of the square to which images are resized. It must be a multiple of the factor by which the
    network reduces its input, 16 for the U-Net."""
    classes: PositiveInt = 1
    """1 for masks of foreground and background; otherwise the number of classes, the background included."""
    ignore_label: int | None = Field(default=None, ge=0)
    """Value in the masks of pixels that are neither learned nor scored, such as 255 in Pascal VOC and Cityscapes. None
    for no such value. The weights remember it for `passband evaluate`."""
    class_names: tuple[str, ...] = ()
    """Names of the classes for reports, the background first. If empty, reports show numbers."""
    flip: bool = True
    """Whether training images are mirrored, left to right and top to bottom, each with probability 1/2."""
    turn: bool = True
    """Whether training images are turned by a random angle of 0, 90, 180 or 270 degrees."""
    scale: tuple[float, float] = (0.5, 1.0)
    """Smallest and largest share of the area of an image that a training view shows. (1, 1) shows whole images."""
    brightness: float = Field(default=0.2, ge=0, le=1)
    """Largest change of the brightness of training images: the factor is random from 1 - this to 1 + this."""
    contrast: float = Field(default=0.2, ge=0, le=1)
    """Largest change of the contrast of training images: the factor is random from 1 - this to 1 + this."""
    saturation: float = Field(default=0.2, ge=0, le=1)
    """Largest change of the saturation of training images: the factor is random from 1 - this to 1 + this."""
    hue: float = Field(default=0.0, ge=0, le=0.5)
    """Largest shift of the hue of training images, as a share of the color circle, 0 to 0.5."""
    batch_augmentation: BatchAugmentationConfig = BatchAugmentationConfig()
    """Further random changes, such as rotations by any angle, which the device makes."""
    cache: bool = True
    """Whether decoded and resized images are kept in memory, if they fit."""
    skip_bad: bool = False
    """Whether unusable files are skipped with a warning that names them. Otherwise they end the run."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the images that are held out from training and used for validation."""
    split_seed: int = 0
    """Random seed of the images that `held_out` draws. It differs from the seed of the run, so that runs with several
    seeds can use one split."""
    sequence: str | None = None
    """Images that are held out together: `frames` keeps images with consecutive numbers in their names together;
    `alike` keeps nearly identical images together; a regular expression keeps images together if its groups (or its
    match) are the same text in their names. None holds out each image by itself. Identical files always stay
    together."""
    training_list: str | None = None
    """Text file with the names of the images to train on, one per line. None trains on all images that are not used
    for validation."""
    validation_list: str | None = None
    """Text file with the names of the images to validate on, one per line. They lie in the folder to train on."""

    @property
    def content(self) -> str:
        """Content of the folder to train on, in words for messages."""
        return "images and masks (images/ and masks/)"

    @model_validator(mode="after")
    def _fits(self) -> "SegmentationData":
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(
                f"scale must be two shares of the area of an image, 0 < smallest <= largest <= 1; got {self.scale}"
            )
        if self.class_names and len(self.class_names) != max(2, self.classes):
            raise ValueError(
                f"class_names needs {max(2, self.classes)} names, one for each class and the background; got "
                f"{len(self.class_names)}"
            )
        if self.held_out and (self.training_list or self.validation_list):
            raise ValueError(
                "held_out draws the validation images at random, and the lists name them: set either held_out or lists"
            )
        if self.sequence is not None and not self.held_out:
            raise ValueError("sequence needs held_out, the share of the images to hold out")
        return self


class SegmentationOptim(OptimConfig, frozen=True):
    """Optimizer, learning rate and length of the run."""

    epochs: PositiveInt | None = None
    """Length of the run in passes over the data. Set either this or `steps`. Without both, it is 200 epochs."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of the gradient. None turns clipping off."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the exponential moving average of the weights. The averaged weights are scored and saved. 0 turns the
    averaging off."""

    @model_validator(mode="before")
    @classmethod
    def _set_default_length(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("steps") is None and values.get("epochs") is None:
            return {**values, "epochs": EPOCHS}
        return values


class SegmentationLoss(Section, frozen=True):
    """Loss of the run."""

    name: Literal["cross_entropy", "dice", "cross_entropy+dice"] = "cross_entropy"
    """Name of the loss, a key of `losses.SEGMENTATION_LOSSES`."""


class AdaptiveConfig(Section, frozen=True):
    """Search for the best frequency ratio during the run; see `curriculum.AdaptiveSchedule`."""

    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    """Shares of the run at which the best ratio is searched, in ascending order, from 0 to below 1."""
    between: Literal["step", "linear"] = "step"
    """Ratio between two searches: `step` keeps the last result, `linear` moves evenly from one result to the next."""
    term: Literal["variance", "total-variation", "noise", "cost"] = "noise"
    """Second term of the objective, next to the saliency. `variance`, the term of the slides, is the same at every
    ratio and has no effect."""
    alpha: float = Field(default=1.0, ge=0)
    """Weight of the saliency."""
    beta: float = Field(default=1.0, ge=0)
    """Weight of the second term."""
    radii: int = Field(default=16, ge=3)
    """Number of radii in the sweep."""
    method: Literal["sweep", "gradient"] = "sweep"
    """Refinement of the best radius of the sweep: `sweep` by golden section, `gradient` by descent."""
    hold: float = Field(default=0.1, ge=0, le=1)
    """Share of the run, at its end, that trains on the whole spectrum."""
    least: float = Field(default=0.1, ge=0, le=1)
    """Smallest ratio that is used. A smaller result of the search is raised to it."""
    images: PositiveInt = 8
    """Number of training images that the search uses, the same ones every time."""

    @model_validator(mode="after")
    def _ascending(self) -> "AdaptiveConfig":
        shares = self.shares
        if not shares or list(shares) != sorted(set(shares)) or shares[0] < 0 or shares[-1] >= 1:
            raise ValueError(f"shares must be ascending shares of the run, from 0 to below 1; got {shares}")
        if self.hold and shares[-1] >= 1 - self.hold:
            raise ValueError(
                f"the last {self.hold:g} of the run train on the whole spectrum, so a search at {shares[-1]:g} has no "
                f"effect: let shares end below {1 - self.hold:g}"
            )
        if not self.alpha + self.beta > 0:
            raise ValueError("alpha and beta are both 0, so there is nothing to search for: set one of them above 0")
        return self


class CurriculumConfig(Section, frozen=True):
    """Share of the spectrum that each step trains on. Validation always uses whole images."""

    mode: Literal["none", "mask", "crop"] = "none"
    """Limitation of the spectrum: `none` trains on whole images; `mask` removes frequencies above the ratio, and a step
    takes as long as before; `crop` crops the spectrum, so that images are smaller and a step is faster."""
    schedule: Literal["ratio", "adaptive"] = "ratio"
    """Schedule of the ratio: `ratio` moves from `start` to `end`; `adaptive` searches it during the run, see
    `adaptive`."""
    definition: Literal["magnitude", "energy", "radius", "area"] = "radius"
    """Quantity that a ratio is a share of; see `curriculum.ratio`. The slides use `magnitude`."""
    profile: Literal["data", "image"] = "data"
    """Radius that belongs to a ratio: `data` uses one radius for all images, measured on the folder to train on;
    `image` uses a radius of its own for each image."""
    profile_count: PositiveInt = 256
    """Largest number of images that `data` measures, spread evenly over the folder."""
    start: float = Field(default=0.5, ge=0, le=1)
    """Ratio at the start of the run. A start below `end` trains from coarse to fine. A start above `end` trains from
    fine to coarse, as in the slides."""
    end: float = Field(default=1.0, ge=0, le=1)
    """Ratio that the schedule reaches."""
    fixed: bool = False
    """Whether the ratio is `end` during the whole run. `start` and `shape` then have no effect."""
    shape: Literal["linear", "cosine", "step"] = "step"
    """Shape of the schedule from `start` to `end`."""
    plateaus: int = Field(default=3, ge=2)
    """Number of different ratios of the shape `step`, `start` and `end` included."""
    hold: float = Field(default=0.0, ge=0, le=1)
    """Share of the run that keeps the ratio `end`, after the schedule has reached it."""
    tail: float = Field(default=0.0, ge=0, le=1)
    """Share of the run, after `hold`, in which the ratio moves from `end` to `tail_end`."""
    tail_end: float = Field(default=1.0, ge=0, le=1)
    """Ratio at the last step, if `tail` is above 0."""
    sizes: tuple[PositiveInt, ...] = ()
    """Sides of cropped images in pixels. If empty, they are 1/2 and 3/4 of data.size."""
    adaptive: AdaptiveConfig = AdaptiveConfig()
    """Settings of the schedule `adaptive`."""
    final_ratios: tuple[float, ...] = ()
    """Values of `end` to compare. The recipe then trains one run for each of them, and writes a table of their
    scores."""

    @model_validator(mode="after")
    def _fits(self) -> "CurriculumConfig":
        if self.hold + self.tail > 1:
            raise ValueError(
                f"hold and tail are shares of one run, so their sum is at most 1; got {self.hold:g} and {self.tail:g}"
            )
        if self.mode == "crop" and self.profile == "image" and self.definition != "radius":
            raise ValueError(
                f'definition = "{self.definition}" may crop each image to another size: set profile = "data", or '
                'definition = "radius"'
            )
        if self.schedule == "adaptive" and self.hold:
            raise ValueError('hold belongs to schedule = "ratio": set adaptive.hold for schedule = "adaptive"')
        if bad := [ratio for ratio in self.final_ratios if not 0 <= ratio <= 1]:
            raise ValueError(f"final_ratios must be from 0 to 1; got {', '.join(map(str, bad))}")
        if len(set(self.final_ratios)) < len(self.final_ratios):
            raise ValueError(f"final_ratios must be different, one for each run; got {self.final_ratios}")
        if self.final_ratios and (self.mode == "none" or self.schedule == "adaptive"):
            raise ValueError('final_ratios need mode = "mask" or "crop", and schedule = "ratio"')
        return self


class SegmentationValidation(ValidationConfig, frozen=True):
    """Validation during the run."""

    batch: PositiveInt = 16
    """Samples scored at once."""
    count: PositiveInt | None = None
    """Number of images that are scored, spread evenly over the folder. None scores all images."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation, in [0, 1], of Gaussian noise in copies of the images that are scored as well. 0 leaves them
    out."""
    blur: float = Field(default=0.0, ge=0, le=32)
    """Standard deviation, in pixels of the network's input, of a Gaussian blur of copies of the images that are scored
    as well. 0 leaves them out."""


class SegmentationRecipe(Recipe, frozen=True):
    """Recipe of a run that learns to segment images."""

    task: Literal["segmentation"] = "segmentation"
    model: SegmentationModel = SegmentationModel()
    data: SegmentationData = SegmentationData()
    optim: SegmentationOptim = SegmentationOptim()
    loss: SegmentationLoss = SegmentationLoss()
    curriculum: CurriculumConfig = CurriculumConfig()
    validation: SegmentationValidation = SegmentationValidation()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides in pixels to which images are cropped, in ascending order; empty unless the mode is `crop`."""
        if self.curriculum.mode != "crop":
            return ()
        whole = self.data.size
        stages = (SIDE_UNIT * math.ceil(share * whole / SIDE_UNIT) for share in STAGES)
        return tuple(sorted(self.curriculum.sizes or (size for size in stages if size < whole)))

    @model_validator(mode="after")
    def _stages_fit(self) -> "SegmentationRecipe":
        if self.curriculum.mode != "crop":
            return self
        if beyond := [size for size in self.curriculum.sizes if size > self.data.size]:
            raise ValueError(
                f"curriculum.sizes must be at most data.size, {self.data.size} pixels; got "
                f"{', '.join(map(str, beyond))}"
            )
        if not self.sizes:
            raise ValueError(
                f"images of {self.data.size} pixels are too small for default crops, which are multiples of "
                f"{SIDE_UNIT} pixels: set curriculum.sizes that the network takes"
            )
        return self
