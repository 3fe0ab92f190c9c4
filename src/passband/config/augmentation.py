"""Settings of the random changes that the device of a training makes."""

from pydantic import Field, NonNegativeFloat, model_validator

from passband.config.common import Section


class BatchAugmentationConfig(Section, frozen=True):
    """Random changes that the training's device makes, batch by batch, after those of the loader.

    They cost little on a GPU; see `data.batch_augmentation`. Without any key, there are none.
    """

    flip: bool = False
    """Whether images are mirrored, left to right and top to bottom, each with probability 1/2."""
    rotation: float = Field(default=0.0, ge=0, le=180)
    """Largest angle of a random rotation in degrees, in either direction."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Smallest and largest factor by which images are enlarged. Pixels from outside an image are black. They are
    ignored if the recipe has an `ignore_label`, and of class 0 otherwise. A rotation and a shift do the same."""
    shift: float = Field(default=0.0, ge=0, le=1)
    """Largest shift along each axis, as a share of the side."""
    brightness: float = Field(default=0.0, ge=0, le=1)
    """Largest change of the brightness: the factor is random from 1 - this to 1 + this."""
    contrast: float = Field(default=0.0, ge=0, le=1)
    """Largest change of the contrast: the factor is random from 1 - this to 1 + this."""
    saturation: float = Field(default=0.0, ge=0, le=1)
    """Largest change of the saturation: the factor is random from 1 - this to 1 + this."""
    hue: float = Field(default=0.0, ge=0, le=0.5)
    """Largest shift of the hue, as a share of the color circle."""
    blur: NonNegativeFloat = 0.0
    """Largest standard deviation in pixels of a Gaussian blur, which half of the images get."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Largest standard deviation, in [0, 1], of Gaussian noise, which half of the images get."""

    @model_validator(mode="after")
    def _fits(self) -> "BatchAugmentationConfig":
        low, high = self.zoom
        if not 0 < low <= high:
            raise ValueError(f"zoom must be two factors, 0 < smallest <= largest; got {self.zoom}")
        return self

    @property
    def is_off(self) -> bool:
        """Whether there are no changes."""
        return self == BatchAugmentationConfig()
