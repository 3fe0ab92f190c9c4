"""Recipes of restoration."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, Recipe, Section, ValidationConfig


class RestorationModel(ModelConfig, frozen=True):
    """Network to train."""

    name: str = "sfnet-small"
    """Name of the architecture, a key of `models.MODELS`."""


class RestorationSource(Section, frozen=True):
    """One of several folders to train on."""

    folder: str
    """Path of the folder, relative to the folder that the run trains on."""
    content: Literal["photographs", "pairs"] = "photographs"
    """Content of the folder: `photographs` are clean photos, which are degraded during the training; `pairs` are
    degraded and clean images."""
    weight: PositiveFloat = 1.0
    """Weight of the source: its share of the samples, relative to the other sources."""
    degradations: dict[str, PositiveFloat] = Field(default={})
    """Weights of the degradations of `photographs`, by their names. If empty, `data.degradations` is used."""
    simulators: Literal[1, 2] | None = None
    """Version of the simulators for `photographs`. None uses `data.simulators`."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the pairs that are held out from training and used for validation; see `data.splits.split_pairs`."""


class RestorationData(DataConfig, frozen=True):
    """Images to train on, and their degradations."""

    source: Literal["photographs", "pairs"] = "photographs"
    """Content of the folder: `photographs` are clean photos, which are degraded during the training; `pairs` are
    degraded and clean images."""
    degradations: dict[str, PositiveFloat] = Field(
        default={"rain": 1.0, "snow": 1.0, "haze": 1.0, "motion-blur": 1.0, "defocus": 1.0}
    )
    """Weights of the degradations of `photographs`, by their names: how often each occurs, relative to the others. The
    name `clean` keeps photos unchanged."""
    crop: PositiveInt = 256
    """Side of the square training crops in pixels, a multiple of 8."""
    views: Literal[1, 2] = 1
    """Images of a scene that the network takes: 2 for the left and right views of a dual-pixel camera."""
    skip_bad: bool = False
    """Whether unusable files are skipped with a warning that names them. Otherwise they end the run."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the pairs that are held out from training and used for validation; see `data.splits.split_pairs`."""
    sources: tuple[RestorationSource, ...] = ()
    """Several folders to train on, instead of one folder with the content `source`."""
    simulators: Literal[1, 2] = 2
    """Version of the simulators that degrade photos; see `data.degradations.VERSIONS`."""
    camera: float = Field(default=0.0, ge=0, le=1)
    """Share of the degraded photos that pass through a simulated camera with random exposure, color, noise and JPEG
    compression."""
    mixtures: float = Field(default=0.0, ge=0, le=1)
    """Share of the degraded photos that have two degradations."""
    zoom: float = Field(default=1.0, ge=1)
    """Largest factor by which a photo is reduced before it is cropped. The factor of each photo is random."""
    crops: tuple[PositiveInt, ...] = ()
    """Sides of the training crops in pixels, used one after the other during the run, instead of `crop`."""
    crop_shares: tuple[PositiveFloat, ...] = ()
    """Share of the run for each of `crops`. If empty, all shares are equal."""

    @property
    def content(self) -> str:
        """Content of the folder to train on, in words for messages."""
        return self.source

    @model_validator(mode="after")
    def _something_to_learn(self) -> "RestorationData":
        if not set(self.degradations) - {"clean"}:
            raise ValueError("degradations need at least one kind besides `clean`")
        if self.views == 2 and self.source != "pairs":
            raise ValueError('views = 2 needs source = "pairs": photographs have one view')
        if self.held_out and self.source != "pairs":
            raise ValueError(
                "held_out is a share of pairs: to validate on photographs, give their folder with --validation-data"
            )
        if self.sources and (self.source == "pairs" or self.held_out or self.views == 2):
            raise ValueError(
                "source, held_out and views describe a single folder: set content and held_out in each of data.sources"
            )
        if self.crop_shares and len(self.crop_shares) != len(self.crops):
            raise ValueError(f"crop_shares must have one share per crop; got {self.crop_shares} for {self.crops}")
        return self


class FrequencyLossConfig(Section, frozen=True):
    """Loss on the differences of block-DCT coefficients; see `losses.FrequencyLoss`."""

    weights: Literal["csf", "flat", "gate", "jpeg", "low-pass"] = "csf"
    """Weights of the frequencies: `csf` is the contrast sensitivity of the eye; `flat` weights all frequencies equally;
    `gate` is the share of images for which a trained gate opens a channel; `jpeg` follows the quantization steps of
    JPEG; `low-pass` uses low frequencies only."""
    weight: PositiveFloat = 1.0
    """Weight of this loss, relative to the L1 loss of the pixels."""
    power: float = Field(default=2.0, ge=1)
    """Exponent of the differences of the coefficients."""
    stride: PositiveInt | None = None
    """Distance in pixels between neighboring blocks of 8 x 8 pixels: 1, 2, 4 or 8. None uses 8."""
    masking: bool = False
    """Whether differences count less where texture hides them, as in PSNR-HVS-M."""
    quality: int | None = Field(default=None, ge=1, le=100)
    """JPEG quality of the quantization steps, 1 to 100, for `jpeg`."""
    cutoff: float | None = Field(default=None, gt=0, le=1)
    """Largest frequency that is used, as a share of the highest frequency, for `low-pass`."""
    gate: str | None = None
    """Weights of a classifier with a trained gate, for `gate`."""

    @model_validator(mode="after")
    def _options_fit(self) -> "FrequencyLossConfig":
        for option, weights in (("quality", "jpeg"), ("cutoff", "low-pass"), ("gate", "gate")):
            if getattr(self, option) is not None and self.weights != weights:
                raise ValueError(f'{option} is an option of weights = "{weights}"; got weights = "{self.weights}"')
        if self.weights == "gate" and self.gate is None:
            raise ValueError('weights = "gate" needs gate, the weights of a classifier with a trained gate')
        if self.stride is not None and 8 % self.stride:
            raise ValueError(f"stride must be 1, 2, 4 or 8 pixels; got {self.stride}")
        return self


class FocalLossConfig(Section, frozen=True):
    """Focal frequency loss; see `losses.focal_frequency_loss`."""

    weight: PositiveFloat = 1.0
    """Weight of this loss, relative to the L1 loss of the pixels."""
    alpha: float = Field(default=1.0, ge=0)
    """Exponent of the weights of the frequencies."""
    log_matrix: bool = False
    """Whether a weight w is replaced by log(1 + w)."""


class RestorationLoss(Section, frozen=True):
    """Loss: the mean absolute error (L1) of the pixels, and the terms below."""

    spectral_weight: float = Field(default=0.1, ge=0)
    """Weight of the spectral L1 loss, relative to the L1 loss of the pixels."""
    relative: bool = False
    """Whether each sample counts by the logarithm of its loss. This balances strong and weak degradations."""
    frequency: FrequencyLossConfig | None = None
    """Loss on block-DCT coefficients, added to the other terms. None leaves it out."""
    focal: FocalLossConfig | None = None
    """Focal frequency loss, added to the other terms. None leaves it out."""


class RestorationValidation(ValidationConfig, frozen=True):
    """Validation during the run."""

    count: PositiveInt = 20
    """Number of crops that are scored."""
    crop: PositiveInt = 256
    """Side of the scored crops in pixels, a multiple of 8."""


class RestorationRecipe(Recipe, frozen=True):
    """Recipe of a run that learns to restore images."""

    task: Literal["restoration"] = "restoration"
    model: RestorationModel = RestorationModel()
    data: RestorationData = RestorationData()
    loss: RestorationLoss = RestorationLoss()
    validation: RestorationValidation = RestorationValidation()

    @model_validator(mode="after")
    def _views_fit(self) -> "RestorationRecipe":
        needed, in_channels = 3 * self.data.views, self.model.arguments.get("in_channels", 3)
        if in_channels != needed:
            raise ValueError(
                f"data.views = {self.data.views} needs in_channels = {needed} in model.arguments, 3 for each view; "
                f"got {in_channels}"
            )
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> "RestorationRecipe":
        sides = [("data.crop", self.data.crop), ("validation.crop", self.validation.crop)]
        for name, crop in sides + [("data.crops", crop) for crop in self.data.crops]:
            if crop % 8 or crop < 16:
                raise ValueError(f"{name} must be a multiple of 8 and at least 16 pixels; got {crop}")
        return self

    @model_validator(mode="after")
    def _length_known(self) -> "RestorationRecipe":
        if self.data.crops and self.optim.steps is None:
            raise ValueError("data.crops divides the run by steps: set its length with optim.steps, not optim.epochs")
        return self
