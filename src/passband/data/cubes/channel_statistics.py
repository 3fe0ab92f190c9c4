"""Measures the mean and the standard deviation of frequency channels, by which a network's input is normalized.

The deviations are those of single coefficients, over all positions of all images. (The published pipeline scales by the
deviations of the images' means, which leaves its channels with deviations far above 1.)
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from passband.io.files import write_whole
from passband.layers.channels import ChannelSubset
from passband.naming import entry


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """Mean and standard deviation of every channel of cubes.

    Attributes:
        mean: mean of each channel, in the cubes' units.
        std: standard deviation of each channel, with the number of positions as divisor; 0 for a constant channel.
        positions: number of positions (blocks of pixels) that were counted.
        images: number of images that they came from.
        stride: stride of the cubes, 8 or 4 pixels.
        provenance: which images were measured, how they were read, when and with which version.
    """

    mean: Float64[Tensor, " K"]
    std: Float64[Tensor, " K"]
    positions: int
    images: int
    stride: int = 8
    provenance: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        cubes: Iterable[Float[Tensor, "_ K _ _"]],
        stride: int = 8,
        provenance: Mapping[str, str] | None = None,
    ) -> "ChannelStatistics":
        """Measure cubes one after the other while holding one at a time.

        Args:
            cubes: batches of any size, on any device. Each entry of a batch counts as an image, and each position of
                each image counts alike.
            stride: stride of the cubes, 8 or 4 pixels.
            provenance: facts to store with the statistics; None for no facts.

        Returns:
            The statistics of all cubes.

        Raises:
            ValueError: if there are no positions, the number of channels varies, or a value is NaN or infinite.

        Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        variances", 1979. All sums are in float64.
        """
        total: ChannelStatistics | None = None
        for number, cube in enumerate(cubes):
            values = cube.detach().movedim(1, 0).flatten(1).to("cpu", torch.float64)
            if not values.isfinite().all():
                raise ValueError(f"cube {number} has NaN or infinite coefficients; statistics need finite ones")
            if not values.numel():
                continue
            part = cls(
                values.mean(1), values.std(1, correction=0), values.shape[1], len(cube), stride, dict(provenance or {})
            )
            total = part if total is None else total.merge(part)
        if total is None:
            raise ValueError("statistics need at least one cube that is not empty, got none")
        return total

    def merge(self, other: "ChannelStatistics") -> "ChannelStatistics":
        """Combine the statistics of two sets of cubes and keep the provenance of the first.

        Args:
            other: statistics of the same channels and stride.

        Returns:
            The statistics of both sets.

        Raises:
            ValueError: if channels or strides differ.
        """
        if len(self.mean) != len(other.mean) or self.stride != other.stride:
            raise ValueError(
                f"statistics of the same channels are needed, got {len(self.mean)} channels at stride {self.stride} "
                f"and {len(other.mean)} at stride {other.stride}"
            )
        positions = self.positions + other.positions
        share = other.positions / positions
        apart = other.mean - self.mean
        variance = (1 - share) * self.std.square() + share * other.std.square() + share * (1 - share) * apart.square()
        return ChannelStatistics(
            self.mean + share * apart,
            variance.sqrt(),
            positions,
            self.images + other.images,
            self.stride,
            self.provenance,
        )

    def select(self, subset: ChannelSubset) -> "ChannelStatistics":
        """Select the statistics of some channels.

        Args:
            subset: channels of the whole cube that was measured.

        Returns:
            The statistics of these channels.

        Raises:
            ValueError: if these are not the statistics of a whole cube, or the subset does not fit its blocks.
        """
        whole = 3 * self.stride**2
        if len(self.mean) != whole:
            raise ValueError(
                f"a subset needs statistics of a whole cube with {whole} channels; these have {len(self.mean)} channels"
            )
        index = torch.tensor(subset.indices(self.stride))
        return ChannelStatistics(
            self.mean[index], self.std[index], self.positions, self.images, self.stride, self.provenance
        )

    def normalize(self, cube: Float[Tensor, "*B K h w"]) -> Float[Tensor, "*B K h w"]:
        """Center and scale channels by (x - mean) / std; a channel whose std is 0 is only centered.

        Args:
            cube: cube of the same channels.

        Returns:
            The normalized cube.
        """
        mean, scale = (value.to(cube)[:, None, None] for value in (self.mean, self._scale()))
        return (cube - mean) / scale

    def denormalize(self, cube: Float[Tensor, "*B K h w"]) -> Float[Tensor, "*B K h w"]:
        """Undo `normalize`.

        Args:
            cube: normalized channels.

        Returns:
            The cube in its own units.
        """
        mean, scale = (value.to(cube)[:, None, None] for value in (self.mean, self._scale()))
        return cube * scale + mean

    def _scale(self) -> Float64[Tensor, " K"]:
        """Return the divisors of the channels."""
        return self.std.where(self.std > 0, 1.0)

    def save(self, path: Path | str) -> None:
        """Write the statistics as JSON; an interrupted write leaves no file.

        Args:
            path: path of the file; missing folders are created.

        Raises:
            OSError: if the file cannot be written.
        """
        content = {
            "stride": self.stride,
            "images": self.images,
            "positions": self.positions,
            "provenance": dict(self.provenance),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
        }
        with write_whole(Path(path)) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str) -> "ChannelStatistics":
        """Read a file that `save` wrote.

        Args:
            path: path of the JSON file.

        Returns:
            The statistics.

        Raises:
            ValueError: if the file does not hold channel statistics.
            OSError: if the file cannot be read.
        """
        text = Path(path).read_text(encoding="utf-8")
        try:
            content = json.loads(text)
            mean, std = (torch.tensor(content[key], dtype=torch.float64) for key in ("mean", "std"))
            counts = [content[key] for key in ("positions", "images", "stride")]
            provenance = {str(key): str(value) for key, value in content["provenance"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path} is not a file of channel statistics: JSON with mean, std, positions, images, stride and "
                f"provenance is needed ({type(error).__name__}: {error})"
            ) from error
        positions, images, stride = counts
        if mean.ndim != 1 or mean.shape != std.shape or not (mean.isfinite() & std.isfinite() & (std >= 0)).all():
            raise ValueError(
                f"{path} needs as many finite means as deviations, these not negative; got {list(mean.shape)} and "
                f"{list(std.shape)}"
            )
        if stride not in (8, 4) or not all(isinstance(count, int) and count > 0 for count in counts):
            raise ValueError(
                f"{path} needs positive integers as positions and images, and a stride of 8 or 4; got {counts}"
            )
        return cls(mean, std, positions, images, stride, provenance)


def shipped_statistics(name: str) -> ChannelStatistics:
    """Load statistics that the package contains.

    Args:
        name: `imagenet-8` or `imagenet-4`: statistics of 355 ImageNet photographs, from cubes of their files' own
            coefficients (`ops.cube.assemble_cube`) at a stride of 8 or 4 pixels. Their provenance says more.

    Returns:
        The statistics.

    Raises:
        ValueError: if the name is unknown; the message suggests the nearest.
    """
    folder = Path(str(files("passband"))) / "data" / "cubes" / "statistics"
    known = {path.stem: path for path in sorted(folder.glob("*.json"))}
    return ChannelStatistics.load(entry(name, known, "channel statistics"))
