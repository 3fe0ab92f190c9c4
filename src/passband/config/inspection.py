"""Recipes of inspection: telling what is wrong with a picture."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, Recipe, Section, ValidationConfig


class InspectionModel(ModelConfig, frozen=True):
    """Which network is trained."""

    name: str = "inspector"
    """A key of `models.MODELS`."""


class InspectionSource(Section, frozen=True):
    """One of several folders to learn from."""

    folder: str
    """Its path below the folder that the run is given."""
    content: Literal["photographs", "pairs"] = "photographs"
    """`photographs`: clean images, degraded on the fly; `pairs`: degraded and clean images."""
    kind: str = ""
    """What is wrong with the degraded images of `pairs`, a key of `data.degradations.KINDS`."""
    weight: PositiveFloat = 1.0
    """Share of the samples, relative to the other sources."""

    @model_validator(mode="after")
    def _kind_of_pairs(self) -> "InspectionSource":
        if (self.content == "pairs") != bool(self.kind):
            raise ValueError(
                f"{self.folder}: pairs need a kind that says what is wrong with them; photographs have none"
            )
        return self


class InspectionData(DataConfig, frozen=True):
    """Pictures, what spoils them, and how they are stored."""

    sources: tuple[InspectionSource, ...] = ()
    """Folders to learn from; none takes the whole folder that the run is given as photographs."""
    samples: PositiveInt = 6000
    """How many pictures the set has. They are made once, and their views are kept in memory: 120 KB each."""
    degradations: dict[str, PositiveFloat] = Field(
        default={
            "rain": 1.0,
            "snow": 1.0,
            "haze": 1.0,
            "motion-blur": 1.0,
            "defocus": 1.0,
            "raindrop": 1.0,
            "scratch": 1.0,
        }
    )
    """Kind to weight among the degraded photographs."""
    clean: float = Field(default=0.25, ge=0, lt=1)
    """Share of the pictures that are not degraded."""
    mixtures: float = Field(default=0.15, ge=0, le=1)
    """Share of the degraded photographs that have two kinds of degradations."""
    camera: float = Field(default=0.5, ge=0, le=1)
    """Share of the pictures, clean ones as well, that a random camera develops: exposure, color, noise, JPEG."""
    crop: PositiveInt = 192
    """Side of the pictures in pixels, a multiple of 8."""
    zoom: float = Field(default=3.0, ge=1)
    """Photographs are reduced by a random factor of up to this before they are cropped."""
    enlarged: float = Field(default=1.25, ge=1)
    """And enlarged by up to this."""
    reduced: float = Field(default=0.25, ge=0, le=1)
    """Share of the pictures, clean ones as well, that are reduced by up to 1.6 after they were degraded."""
    compressed: float = Field(default=0.75, ge=0, le=1)
    """Share of the pictures, clean ones as well, that are stored as JPEG; the others keep their pixels."""
    least_quality: int = Field(default=30, ge=1, le=98)
    """Least quality of JPEG; the largest is 98."""
    gains: str = "gains.npz"
    """Table of what restoration networks gain on the first of the pictures, below the folder that the run is given; see
    `study.gain_table`. Empty for none: then no gains are learned."""
    skip_bad: bool = False
    """Whether files that cannot be used are left out, with a warning that names them, instead of ending the run."""

    @property
    def content(self) -> str:
        """What the folder to train on holds, in words."""
        return "photographs and pairs" if self.sources else "photographs"

    @model_validator(mode="after")
    def _sizes_fit(self) -> "InspectionData":
        if self.crop % 8 or self.crop < 64:
            raise ValueError(f"data.crop is a multiple of 8 and at least 64 pixels; got {self.crop}")
        return self


class InspectionLoss(Section, frozen=True):
    """What is minimized besides the cross-entropy of the kinds."""

    psnr: float = Field(default=0.1, ge=0)
    """Weight of the error of the predicted PSNR, in dB."""
    gain: float = Field(default=0.2, ge=0)
    """Weight of the mean error of the predicted gains, in dB."""


class InspectionValidation(ValidationConfig, frozen=True):
    """What is scored while a run goes on."""

    count: PositiveInt = 300
    """Pictures scored, of photographs that are not learned from."""


class InspectionRecipe(Recipe, frozen=True):
    """A run that learns to tell what is wrong with a picture, and what would mend it."""

    task: Literal["inspection"] = "inspection"
    model: InspectionModel = InspectionModel()
    data: InspectionData = InspectionData()
    loss: InspectionLoss = InspectionLoss()
    validation: InspectionValidation = InspectionValidation()
