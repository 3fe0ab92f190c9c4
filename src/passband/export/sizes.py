"""The sizes of images that a restoration network takes, as engines know them and exported files keep them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from torch import nn

from passband.models.restoration.sfnet import SFNet


@dataclass(frozen=True)
class Sizes:
    """The sizes that a network takes, as exported files keep them. A file without them is of an SFNet."""

    multiple: int = SFNet.multiple
    """Number by which the sides of images must be divisible, in pixels."""
    minimum: int = SFNet.minimum
    """Smallest side of images, in pixels."""
    tile: int | None = None
    """Side in pixels of the tiles in which larger images are restored; None to restore them as a whole."""

    @classmethod
    def of(cls, network: nn.Module) -> "Sizes":
        """Return the sizes that a restoration network takes.

        Args:
            network: network with `multiple` and `minimum`, and `tile` if it takes images of one size only.
        """
        return cls(int(network.multiple), int(network.minimum), getattr(network, "tile", None))  # type: ignore[arg-type]

    @classmethod
    def read(cls, entries: Mapping[str, str]) -> "Sizes":
        """Return the sizes among the entries of a file.

        Args:
            entries: texts by name, as `entries` returns them. Missing entries get their default.
        """
        return cls(**{field.name: int(entries[field.name]) for field in fields(cls) if field.name in entries})

    @property
    def entries(self) -> dict[str, str]:
        """The entries of a file."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}
