"""Recipes of restoration."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, Recipe, Section, ValidationConfig


class RestorationModel(ModelConfig, frozen=True):
    """Which network is trained."""

    name: str = "sfnet-small"
    """A key of `models.MODELS`."""


class RestorationSource(Section, frozen=True):
    """One of several folders to learn from."""

    folder: str
    """Its path below the folder that the run is given."""
    content: Literal["photographs", "pairs"] = "photographs"
    """`photographs`: clean images, degraded on the fly; `pairs`: degraded and clean images."""
    weight: PositiveFloat = 1.0
    """Share of the samples, relative to the other sources."""
    degradations: dict[str, PositiveFloat] = Field(default={})
    """Weights of the kinds, for `photographs`; empty for those of `data.degradations`."""
    simulators: Literal[1, 2] | None = None
    """Version of the simulators, for `photographs`; None for that of `data.simulators`."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the pairs that is scored on and not learned from; see `data.splits.split_pairs`."""


class RestorationData(DataConfig, frozen=True):
    """Pictures and what spoils them."""

    source: Literal["photographs", "pairs"] = "photographs"
    """`photographs`: a folder of clean pictures, degraded on the fly; `pairs`: a folder of pairs."""
    degradations: dict[str, PositiveFloat] = Field(
        default={"rain": 1.0, "snow": 1.0, "haze": 1.0, "motion-blur": 1.0, "defocus": 1.0}
    )
    """Kind to weight in the mixture, for `photographs`; `clean` is a kind, too."""
    crop: PositiveInt = 256
    """Side of the square training crops, in pixels; a multiple of 8."""
    views: Literal[1, 2] = 1
    """Pictures of a scene that the network gets: 2 are the left and right views of dual-pixel pairs."""
    skip_bad: bool = False
    """Whether files that cannot be used are left out, with a warning that names them, instead of ending the run."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the pairs that is scored on and not learned from, for `pairs`; see `data.splits.split_pairs`."""
    sources: tuple[RestorationSource, ...] = ()
    """Several folders to learn from, instead of the one of `source`."""
    simulators: Literal[1, 2] = 2
    """Version of the simulators that degrade photographs; see `data.degradations.VERSIONS`."""
    camera: float = Field(default=0.0, ge=0, le=1)
    """Share of the degraded photographs that a random camera develops: exposure, color, noise, JPEG."""
    mixtures: float = Field(default=0.0, ge=0, le=1)
    """Share of the degraded photographs that have two kinds of degradations."""
    zoom: float = Field(default=1.0, ge=1)
    """Photographs are reduced by a random factor of up to this before they are cropped."""
    crops: tuple[PositiveInt, ...] = ()
    """Sides of the training crops in pixels, one after the other in the course of the run, instead of `crop`."""
    crop_shares: tuple[PositiveFloat, ...] = ()
    """Share of the run for each of `crops`; equal ones where it is empty."""

    @property
    def content(self) -> str:
        """What the folder to train on holds, in words."""
        return self.source

    @model_validator(mode="after")
    def _something_to_learn(self) -> "RestorationData":
        if not set(self.degradations) - {"clean"}:
            raise ValueError("degradations need at least one kind besides `clean`")
        if self.views == 2 and self.source != "pairs":
            raise ValueError('views = 2 needs source = "pairs": photographs have one view')
        if self.held_out and self.source != "pairs":
            raise ValueError("held_out is a share of pairs: give photographs to score on as a folder of their own")
        if self.sources and (self.source == "pairs" or self.held_out or self.views == 2):
            raise ValueError("source, held_out and views are for one folder: say them of each of data.sources")
        if self.crop_shares and len(self.crop_shares) != len(self.crops):
            raise ValueError(f"crop_shares has one share for each of crops; got {self.crop_shares} for {self.crops}")
        return self


class FrequencyLossConfig(Section, frozen=True):
    """Distance of block-DCT coefficients, see `losses.FrequencyLoss`."""

    weights: Literal["csf", "flat", "gate", "jpeg", "low-pass"] = "csf"
    """Weights of the frequencies: contrast sensitivity of the eye, all the same, shares of images for which a trained
    gate opened, quantization steps of JPEG, or low frequencies alone."""
    weight: PositiveFloat = 1.0
    """Weight of this loss beside the L1 of pixels."""
    power: float = Field(default=2.0, ge=1)
    """Exponent of the differences of coefficients."""
    stride: PositiveInt | None = None
    """Distance of the blocks of 8 pixels, in pixels: 1, 2, 4 or 8; None for 8."""
    masking: bool = False
    """Whether texture hides differences, as in PSNR-HVS-M."""
    quality: int | None = Field(default=None, ge=1, le=100)
    """Quality of the quantization steps, for `jpeg`."""
    cutoff: float | None = Field(default=None, gt=0, le=1)
    """Largest radius as a share of the highest frequency's, for `low-pass`."""
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
            raise ValueError(f"stride is 1, 2, 4 or 8 pixels; got {self.stride}")
        return self


class FocalLossConfig(Section, frozen=True):
    """Focal frequency loss, see `losses.focal_frequency_loss`."""

    weight: PositiveFloat = 1.0
    """Weight of this loss beside the L1 of pixels."""
    alpha: float = Field(default=1.0, ge=0)
    """Exponent of the weights of the frequencies."""
    log_matrix: bool = False
    """Whether weights w become log(1 + w)."""


class RestorationLoss(Section, frozen=True):
    """What is minimized."""

    spectral_weight: float = Field(default=0.1, ge=0)
    """Weight of the spectral L1 beside the L1 of pixels."""
    relative: bool = False
    """Whether samples count by the logarithm of their loss, for mixtures of strong and weak degradations."""
    frequency: FrequencyLossConfig | None = None
    """A distance of block-DCT coefficients beside the others; None for none."""
    focal: FocalLossConfig | None = None
    """The focal frequency loss beside the others; None for none."""


class RestorationValidation(ValidationConfig, frozen=True):
    """What is scored while a run goes on."""

    count: PositiveInt = 20
    """Crops scored."""
    crop: PositiveInt = 256
    """Their side, in pixels; a multiple of 8."""


class RestorationRecipe(Recipe, frozen=True):
    """A run that learns to restore pictures."""

    task: Literal["restoration"] = "restoration"
    model: RestorationModel = RestorationModel()
    data: RestorationData = RestorationData()
    loss: RestorationLoss = RestorationLoss()
    validation: RestorationValidation = RestorationValidation()

    @model_validator(mode="after")
    def _views_fit(self) -> "RestorationRecipe":
        needed, given = 3 * self.data.views, self.model.arguments.get("in_channels", 3)
        if given != needed:
            raise ValueError(
                f"data.views = {self.data.views} needs model.arguments with in_channels = {needed}, 3 for each view; "
                f"got {given}"
            )
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> "RestorationRecipe":
        sides = [("data.crop", self.data.crop), ("validation.crop", self.validation.crop)]
        for name, crop in sides + [("data.crops", crop) for crop in self.data.crops]:
            if crop % 8 or crop < 16:
                raise ValueError(f"{name} is a multiple of 8 and at least 16 pixels; got {crop}")
        return self

    @model_validator(mode="after")
    def _length_known(self) -> "RestorationRecipe":
        if self.data.crops and self.optim.steps is None:
            raise ValueError("data.crops are shares of the run: give its length as optim.steps, not as epochs")
        return self
