"""What the classifiers share: what they say of themselves."""

from torch import Tensor

from passband.models.inputs import check_batch
from passband.models.saved import SavedNetwork


class ClassifierNetwork(
    SavedNetwork,
    library_name="passband",
    pipeline_tag="image-classification",
    license="mit",
    paper_url="https://arxiv.org/abs/2002.12416",
    tags=["image-classification", "dct", "frequency-domain"],
):
    """A network that tells classes apart: of a cube of frequency channels or, for comparison, of a picture.

    The constructor's keywords are the network's arguments; those of a class that is put together from parts are its
    class method `from_arguments`'.

    Attributes:
        channels: of the input.
        classes: how many it tells apart.
        input_shape: channels, height and width of the input that the published figures are of. Other heights and
            widths are taken, too, because the last map is averaged.
    """

    task = "classification"

    channels: int
    classes: int
    input_shape: tuple[int, int, int]

    def check_input(self, x: Tensor) -> None:
        """Refuse what the network cannot take, saying what to do.

        Raises:
            TypeError: for what is not a tensor of the weights' type.
            ValueError: for another shape or another number of channels.
        """
        check_batch(x, self, self.name)
        if x.shape[1] != self.channels:
            raise ValueError(
                f"{self.name} takes {self.channels} channels, got {x.shape[1]}; select {self.channels} of them, or "
                f"build the network with channels={x.shape[1]}"
            )
