"""Recipes of inspection: finding how an image is degraded."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from passband.config.common import DataConfig, ModelConfig, Recipe, Section, ValidationConfig


class InspectionModel(ModelConfig, frozen=True):
    """Network to train."""

    name: str = "inspector"
    """Name of the architecture, a key of `models.MODELS`."""


class InspectionSource(Section, frozen=True):
    """One of several folders to train on."""

    folder: str
    """Path of the folder, relative to the folder that the run trains on."""
    content: Literal["photographs", "pairs"] = "photographs"
    """Content of the folder: `photographs` are clean photos, which are degraded during the training; `pairs` are
    degraded and clean images."""
    kind: str = ""
    """Degradation of the images of `pairs`, a key of `data.degradations.KINDS`."""
    weight: PositiveFloat = 1.0
    """Weight of the source: its share of the samples, relative to the other sources."""

    @model_validator(mode="after")
    def _has_kind_if_pairs(self) -> "InspectionSource":
        if (self.content == "pairs") != bool(self.kind):
            raise ValueError(f"{self.folder}: set kind, the degradation, for pairs; leave it out for photographs")
        return self


class InspectionData(DataConfig, frozen=True):
    """Images to train on, their degradations, and their storage."""

    sources: tuple[InspectionSource, ...] = ()
    """Folders to train on. Without sources, the whole folder that the run trains on holds clean photos."""
    samples: PositiveInt = 6000
    """Number of images in the data set. They are made once, and their views stay in memory: 120 KB per image."""
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
    """Weights of the degradations, by their names: how often each occurs among the degraded photos, relative to the
    others."""
    clean: float = Field(default=0.25, ge=0, lt=1)
    """Share of the images that are not degraded."""
    mixtures: float = Field(default=0.15, ge=0, le=1)
    """Share of the degraded photos that have two degradations."""
    camera: float = Field(default=0.5, ge=0, le=1)
    """Share of the images, clean ones included, that pass through a simulated camera with random exposure, color,
    noise and JPEG compression."""
    crop: PositiveInt = 192
    """Side of the images in pixels, a multiple of 8."""
    zoom: float = Field(default=3.0, ge=1)
    """Largest factor by which a photo is reduced before it is cropped. The factor of each photo is random."""
    enlarged: float = Field(default=1.25, ge=1)
    """Largest factor by which a photo is enlarged before it is cropped. The factor of each photo is random."""
    reduced: float = Field(default=0.25, ge=0, le=1)
    """Share of the images, clean ones included, that are reduced by a factor of up to 1.6 after the degradation."""
    compressed: float = Field(default=0.75, ge=0, le=1)
    """Share of the images, clean ones included, that are stored as JPEG. The others are stored without loss."""
    least_quality: int = Field(default=30, ge=1, le=98)
    """Lowest quality of JPEG, 1 to 98. The highest quality is 98."""
    gains: str = "gains.npz"
    """File with the gains in dB of restoration networks on the first images, relative to the folder that the run trains
    on; see `studies.gain_table`. An empty text turns the learning of gains off."""
    skip_bad: bool = False
    """Whether unusable files are skipped with a warning that names them. Otherwise they end the run."""

    @property
    def content(self) -> str:
        """Content of the folder to train on, in words for messages."""
        return "photos and pairs" if self.sources else "photos"

    @model_validator(mode="after")
    def _sizes_fit(self) -> "InspectionData":
        if self.crop % 8 or self.crop < 64:
            raise ValueError(f"data.crop must be a multiple of 8 and at least 64 pixels; got {self.crop}")
        return self


class InspectionLoss(Section, frozen=True):
    """Loss: the cross-entropy of the degradations, and the terms below."""

    psnr: float = Field(default=0.1, ge=0)
    """Weight of the error (smooth L1) of the predicted PSNR in dB."""
    gain: float = Field(default=0.2, ge=0)
    """Weight of the mean error (smooth L1) of the predicted gains in dB."""


class InspectionValidation(ValidationConfig, frozen=True):
    """Validation during the run."""

    count: PositiveInt = 300
    """Number of images that are scored. They come from photos that are held out from training."""


class InspectionRecipe(Recipe, frozen=True):
    """Recipe of a run that learns how an image is degraded, and which network restores it best."""

    task: Literal["inspection"] = "inspection"
    model: InspectionModel = InspectionModel()
    data: InspectionData = InspectionData()
    loss: InspectionLoss = InspectionLoss()
    validation: InspectionValidation = InspectionValidation()
