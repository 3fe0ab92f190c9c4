"""What the segmentation networks share: what they say of themselves."""

from torch import Tensor

from passband.models.inputs import check_batch
from passband.models.saved import SavedNetwork


class SegmentationNetwork(
    SavedNetwork,
    library_name="passband",
    pipeline_tag="image-segmentation",
    license="mit",
    tags=["image-segmentation", "semantic-segmentation"],
):
    """A network that tells for every pixel of a picture what it shows.

    The constructor's keywords are the network's arguments.

    Attributes:
        in_channels: of the picture.
        classes: maps of logits that it gives: 1 for foreground or not, else one for each class with the background.
        multiple: sides of the input are divisible by this; see `ops.tiling.pad_to_multiple`.
    """

    task = "segmentation"

    in_channels: int
    classes: int
    multiple: int

    def check_input(self, image: Tensor) -> None:
        """Refuse what the network cannot take, saying what to do.

        Raises:
            TypeError: for what is not a tensor of the weights' type.
            ValueError: for another shape or another number of channels, or for sides that do not fit.
        """
        check_batch(image, self, self.name)
        channels, height, width = image.shape[1:]
        if channels != self.in_channels:
            raise ValueError(
                f"{self.name} takes {self.in_channels} channels, got {channels}; build the network with "
                f"in_channels={channels}"
            )
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"{self.name} takes sides that are multiples of {self.multiple}, got {height}x{width}; use "
                "ops.tiling.pad_to_multiple"
            )
