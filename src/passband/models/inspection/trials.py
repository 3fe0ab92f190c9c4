"""Describes and judges a trial: the changes that restoration networks make to windows of one image.

A network that finds nothing to restore changes almost nothing. Networks that agree on a change are likely right. The
form of a change tells its reason: streaks that become darker are rain, and a higher contrast is haze. `trial_features`
describes the changes by numbers, and a `TrialJudge` predicts the degradations of the image and the gain of each network
from these numbers.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from passband.ops.color import rgb_to_ycbcr
from passband.ops.dct import block_dct

BLOCK = 8
"""Side in pixels of the blocks whose frequencies are compared."""
SMALLEST = 1e-6
"""Mean square that is added to all mean squares: that of a quarter of an 8-bit step. Rounding causes such changes."""
BANDS = ((0, 1), (1, 3), (3, 5), (5, 8), (8, 15))
"""Ranges of v + u of the frequencies (v, u) of each band."""
GAINS = (-6.0, 20.0)
"""Range in dB of the gain that a network would have if another one were right."""
LARGEST = 5.0
"""Number of standard deviations at which features are clipped, because the judge knows nothing about larger ones."""
_DROPPED = 0.2  # share of values that are set to 0 in training
PSNR_OFFSET = 2.5
"""Added to PSNR in multiples of 10 dB above 25 dB, so that it is the logarithm of the squared error, negated."""
_CELL = 3  # side in blocks of the cells that tell where an image changes


class TrialJudge(nn.Module):
    """Predict the degradations of an image and the gains of networks from features of a trial.

    It is the mean of several small networks, each with its own random start and its own order of the samples. The same
    layers judge each restoration network, so that one learns from the others.

    Args:
        kinds: number of kinds of degradations, `clean` included.
        special: number of the kind that each restoration network was trained for; None for a network of all kinds.
        width: number of hidden values of each small network.
        members: number of small networks.
    """

    def __init__(self, kinds: int, special: Sequence[int | None], width: int = 48, members: int = 6):
        super().__init__()
        self.kinds, self.special = kinds, tuple(special)
        count = len(self.special)
        self.of_trial = feature_count(count)
        self.of_first = kinds + 1 + count + 1
        """Number of first predictions: kinds, PSNR, gains and strangeness, see `inspector.first_features`."""
        size = self.of_trial + 4 + self.of_first - count
        self.members = nn.ModuleList(_Member(size, count, kinds + 1, width) for _ in range(members))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B O"]:
        """Return the mean prediction of all members: kinds, PSNR and gains.

        Args:
            features: features of each image: those of the trial, N x F joined, and the first predictions.
        """
        normalized = self.normalized(self.arranged(features))
        return torch.stack([member(normalized) for member in self.members]).mean(0)

    def arranged(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B N D"]:
        """Return the features that tell about each network, with the first predictions about it and about the image.

        Args:
            features: features of each image, as in `forward`.

        Returns:
            D features about each of N networks.
        """
        count = len(self.special)
        trial, first = features.split([count * self.of_trial, self.of_first], 1)
        kinds, psnr, gains, strange = first.split([self.kinds, 1, count, 1], 1)
        trial = trial.unflatten(1, (count, self.of_trial))
        degradations = kinds[:, : self.kinds - 1].amax(1)
        own = torch.stack([degradations if kind is None else kinds[:, kind] for kind in self.special], 1)
        # the share of the expected error that the change of a network would explain, as a logarithm
        explained = trial[..., 0] + psnr + PSNR_OFFSET
        about_each = torch.stack([own, gains, gains - gains.amax(1, keepdim=True), explained], 2)
        about_image = torch.cat([kinds, psnr, strange], 1)[:, None].expand(-1, count, -1)
        return torch.cat([trial, about_each, about_image], 2)

    def normalized(self, arranged: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return features in standard deviations from the mean of the training samples, clipped.

        Args:
            arranged: features as `arranged` returns them.

        Returns:
            Features of the same shape, from -`LARGEST` to `LARGEST`.
        """
        return ((arranged - self.get_buffer("mean")) / self.get_buffer("deviation")).clamp(-LARGEST, LARGEST)


class _Member(nn.Module):
    """One of the small networks of a judge."""

    def __init__(self, size: int, networks: int, others: int, width: int):
        super().__init__()
        self.names = nn.Parameter(torch.randn(networks, width) * 0.1)
        self.first, self.second = nn.Linear(size, width), nn.Linear(3 * width, width)
        self.gain, self.others = nn.Linear(width, 1), nn.Linear(networks * width, others)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B O"]:
        x = F.gelu(self.first(F.dropout(x, _DROPPED / 2, self.training)) + self.names)
        x = torch.cat([x, x.mean(1, keepdim=True).expand_as(x), x.amax(1, keepdim=True).expand_as(x)], 2)
        x = F.gelu(self.second(F.dropout(x, _DROPPED, self.training)) + self.names)
        x = F.dropout(x, _DROPPED, self.training)
        return torch.cat([self.others(x.flatten(1)), self.gain(x)[..., 0]], 1)


def feature_count(networks: int) -> int:
    """Return the number of features that tell about each network in a trial.

    Args:
        networks: number of networks.
    """
    return trial_features(torch.zeros(1, 3, BLOCK, BLOCK), torch.zeros(networks, 1, 3, BLOCK, BLOCK)).shape[1]


def trial_features(images: Float[Tensor, "W 3 H W1"], changes: Float[Tensor, "N W 3 H W1"]) -> Float[Tensor, "N F"]:
    """Describe the changes that networks make to windows of one image.

    Args:
        images: the windows in [0, 1], with sides from 8 pixels.
        changes: restored minus original windows, of each network.

    Returns:
        Features of the change of each network (size, sign, form, color, place and frequencies), its agreement with the
        changes of the others, and features of the image. The first one is the size. All windows count as one image.
    """
    planes, own = _planes(changes), _planes(images)
    luma, chroma = planes[:, :, 0], planes[:, :, 1:]
    size, color = luma.square().mean((1, 2, 3)), chroma.square().mean((1, 2, 3, 4))
    deviation, cube = (size + SMALLEST).sqrt(), luma.pow(3).mean((1, 2, 3))
    form = ((luma.pow(4).mean((1, 2, 3)) + SMALLEST**2) / (size + SMALLEST).square()).log()
    places = _places(luma)
    place = ((places + SMALLEST) / (places.mean(1, keepdim=True) + SMALLEST)).log10()
    whole = (changes.square().mean((1, 2, 3, 4)) + SMALLEST).log10()
    own_luma = own[:, 0].flatten()
    image = torch.cat(
        [
            own.mean((0, 2, 3)),
            own.std((0, 2, 3)),
            own_luma.quantile(own_luma.new_tensor([0, 0.05, 0.5, 0.95, 1])),
        ]
    )
    spectra, of_image = _frequencies(luma, own[:, 0], size)
    return torch.cat(
        [
            whole[:, None],
            torch.stack([luma.mean((1, 2, 3)), cube.sign() * cube.abs().pow(1 / 3)], 1) / deviation[:, None],
            form[:, None],
            ((color + 0.1 * SMALLEST) / (size + SMALLEST)).log10()[:, None],
            chroma.mean((1, 3, 4)) / deviation[:, None],
            place.quantile(place.new_tensor([0.2, 1.0]), dim=1).T,
            spectra,
            _agreement(changes.flatten(1), whole),
            torch.cat([image, of_image]).expand(len(changes), -1),
        ],
        1,
    )


def _frequencies(
    luma: Float[Tensor, "N W H W1"], own: Float[Tensor, "W H W1"], size: Float[Tensor, " N"]
) -> tuple[Float[Tensor, "N F"], Float[Tensor, " b"]]:
    """Return features of the frequencies of each change and of the image."""
    spectra, own_spectrum = _spectrum(luma), _spectrum(own)
    energies, own_energies = spectra.square().mean((1, 2)), own_spectrum.square().mean((0, 1))
    bands, directions = _bands(luma)
    of_bands, own_of_bands = energies @ bands, own_energies @ bands
    parts, own_parts = of_bands / BLOCK**2, own_of_bands / BLOCK**2
    along = (spectra * own_spectrum).mean((1, 2)) @ bands
    direction = energies @ directions + SMALLEST
    features = [
        (direction[:, :1] / direction[:, 1:]).log10(),
        ((parts + 0.03 * SMALLEST) / (size + SMALLEST)[:, None]).log10(),
        ((parts + 0.03 * SMALLEST) / (own_parts + 0.3 * SMALLEST)).log10(),
        along / ((of_bands + SMALLEST) * (own_of_bands + SMALLEST)).sqrt(),
    ]
    return torch.cat(features, 1), (own_parts + 0.03 * SMALLEST).log10()


def _planes(rgb: Float[Tensor, "*B 3 H W1"]) -> Float[Tensor, "*B 3 H W1"]:
    """Return luma and chroma, with chroma around 0. The function is linear, so it takes changes also."""
    return rgb_to_ycbcr(rgb) - rgb.new_tensor([0, 128 / 255, 128 / 255])[:, None, None]


def _spectrum(luma: Float[Tensor, "*B H W1"]) -> Float[Tensor, "*B n 64"]:
    """Return the coefficients of all whole blocks."""
    height, width = (side // BLOCK * BLOCK for side in luma.shape[-2:])
    planes = luma[..., :height, :width].flatten(0, -3)[:, None]
    return block_dct(planes.contiguous(), BLOCK).flatten(2).mT.unflatten(0, luma.shape[:-2])


def _bands(like: Tensor) -> tuple[Float[Tensor, "64 b"], Float[Tensor, "64 2"]]:
    """Return the frequencies of each band, and those of nearly horizontal and nearly vertical waves, as 0 and 1."""
    v, u = torch.meshgrid(torch.arange(BLOCK), torch.arange(BLOCK), indexing="ij")
    bands = [(v + u >= low) & (v + u < high) for low, high in BANDS]
    directions = [(v <= u // 3) & (u > 0), (u <= v // 3) & (v > 0)]
    first, second = (torch.stack(masks, -1).flatten(0, 1).to(like) for masks in (bands, directions))
    return first, second


def _places(luma: Float[Tensor, "N W H W1"]) -> Float[Tensor, "N n"]:
    """Return the mean square of the change in each cell of 24 x 24 pixels, or in the whole of a smaller image."""
    side = [min(_CELL * BLOCK, side) for side in luma.shape[-2:]]
    return F.avg_pool2d(luma.square(), side).flatten(1)


def _agreement(changes: Float[Tensor, "N n"], sizes: Float[Tensor, " N"]) -> Float[Tensor, "N F"]:
    """Return how each change agrees with the others, and with that of the network that changes most.

    Agreement is the cosine of two changes, and the gain of a network in dB if another one were right.
    """
    products = changes @ changes.T / changes.shape[1]
    squares = products.diagonal()
    cosine = products / ((squares[:, None] + SMALLEST) * (squares + SMALLEST)).sqrt()
    apart = (squares[:, None] + squares - 2 * products).clamp(min=0)
    gain = (10 * ((squares + SMALLEST) / (apart + SMALLEST)).log10()).clamp(*GAINS)
    own = torch.eye(len(changes), dtype=torch.bool, device=changes.device)
    cosine, gain = cosine.masked_fill(own, 0), gain.masked_fill(own, 0)
    most = sizes.argmax()
    largest = sizes.expand(len(sizes), -1).masked_fill(own, -torch.inf).amax(1)
    if len(sizes) == 1:
        largest = sizes
    features = [cosine.amax(1), cosine.sum(1), gain.amax(1), gain.amin(1), cosine[:, most], gain[:, most], largest]
    return torch.stack([*features, sizes - largest], 1)
