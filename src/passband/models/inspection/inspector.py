"""A small network that predicts the degradations of an image from block-DCT coefficients.

It follows Xu et al., "Learning in the Frequency Domain", CVPR 2020, in taking the coefficients of a JPEG file as its
input. There are two differences. It uses the logarithms of their magnitudes, because streaks, haze and blur change the
strength of a frequency rather than its position. And it never resizes its input.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passband.layers.channels import INSPECTED
from passband.models.base import SavedNetwork
from passband.models.inspection.trials import TrialJudge
from passband.processes import all_rows, rank

KINDS = ("rain", "snow", "haze", "motion-blur", "defocus", "raindrop", "scratch", "clean")
"""The default kinds that the network distinguishes."""
PSNR_SCALE, PSNR_MIDDLE = 10.0, 25.0
"""PSNR in dB is predicted as a multiple of the first value above the second."""
GAIN_SCALE = 5.0
"""Gains are predicted in multiples of this many dB."""
WINDOW_CHANNELS = sum(map(len, INSPECTED))
MAP_CHANNELS, MAP = 6, 16
"""Channels and side of the coarse map of an image."""
SIGNED = 15
"""Number of frequencies of Y whose sign is also an input: those with v + u < 5, which tell the direction of edges and
streaks."""
_MEMORY = 0.005  # weight of a batch in the running statistics
_SHRUNK = 0.2  # added to correlations, which a few thousand images do not determine exactly


class Findings(NamedTuple):
    """The predictions for a batch of images."""

    kinds: Float[Tensor, "B K"]
    """A logit for each kind; several kinds may hold."""
    psnr: Float[Tensor, " B"]
    """PSNR of the image against its unknown clean form, in dB."""
    gains: Float[Tensor, "B N"]
    """Gain of each restoration network, in dB."""
    strangeness: Float[Tensor, " B"]
    """Distance from the training images, in standard deviations above their mean distance."""


class InspectorNetwork(
    SavedNetwork, library_name="passband", license="mit", tags=["image-quality", "dct", "frequency-domain"]
):
    """Predict which degradations an image has, how strong they are, and which network would restore it.

    Args:
        kinds: names of the kinds to distinguish.
        networks: names of the restoration networks whose gain is predicted.
        width: channels of its layers.
        hidden: number of values that describe an image.
        judged: number of hidden values of the judge of trials, see `trials`; 0 for a network without a judge.
        special: kind of degradation that a network was trained for, by the name of the network. The judge needs it.
    """

    task = "inspection"
    name = "inspector"
    input_shape = (WINDOW_CHANNELS, 32, 32)
    """Shape of one window."""

    def __init__(
        self,
        kinds: Sequence[str] = KINDS,
        networks: Sequence[str] = ("general",),
        width: int = 48,
        hidden: int = 128,
        judged: int = 0,
        special: Mapping[str, str] | None = None,
    ):
        super().__init__()
        self.arguments: dict[str, Any] = {
            "kinds": list(kinds),
            "networks": list(networks),
            "width": width,
            "hidden": hidden,
        }
        if judged:
            self.arguments |= {"judged": judged, "special": dict(special or {})}
        self.kinds, self.networks = tuple(kinds), tuple(networks)
        self.reduce = _layer(WINDOW_CHANNELS + SIGNED, width, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(_layer(width, width, 3), nn.Conv2d(width, width, 1)) for _ in range(2)
        )
        self.overview = nn.Sequential(_layer(MAP_CHANNELS, width // 2, 3), _layer(width // 2, width // 2, 3))
        described = 3 * width + 2 * (WINDOW_CHANNELS + SIGNED) + 3 * (width // 2)
        self.normalize = nn.BatchNorm1d(described)
        self.describe = nn.Sequential(nn.Linear(described, hidden), nn.GELU(), nn.Dropout(0.2))
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, len(kinds) + 1 + len(networks))
        )
        self.judge = self.new_judge() if judged else None
        self.known = Known(2 * (WINDOW_CHANNELS + SIGNED))
        low = [place for place, index in enumerate(INSPECTED[0]) if index // 8 + index % 8 < 5]
        means = [0, len(INSPECTED[0]), len(INSPECTED[0]) + len(INSPECTED[1])]
        self.register_buffer("signed", torch.tensor(low), persistent=False)
        self.register_buffer("means", torch.tensor(means), persistent=False)

    def forward(
        self, windows: Float[Tensor, "B ... K h w"], overview: Float[Tensor, "B M n n"] | None = None
    ) -> Findings:
        """Predict the degradations of images.

        Args:
            windows: windows B W K h w of each image, as in `data.cubes.inspection.Views`; or one window of each, B K h
                w.
            overview: overview of each image, as in `Views`; None for an empty one, to measure the cost of the network.
        """
        if windows.ndim == 4:
            windows = windows[:, None]
        if overview is None:
            overview = windows.new_zeros(windows.shape[0], MAP_CHANNELS, MAP, MAP)
        batch, count = windows.shape[:2]
        seen = self._input_maps(windows.flatten(0, 1))
        x = self.reduce(seen)
        for block in self.blocks:
            x = x + block(x)
        statistics = _spread(_joined(seen, batch, count))
        maps = _joined(x, batch, count)
        strong = maps.clamp(min=0).pow(4).mean(-1).add(1e-6).pow(0.25)
        coarse = self.overview(overview).flatten(2)
        described = torch.cat(
            [_spread(maps), strong, statistics, _spread(coarse), coarse.amax(-1)],
            1,
        )
        answers = self.head(self.describe(self.normalize(described)))
        kinds, psnr, gains = answers.split([len(self.kinds), 1, len(self.networks)], 1)
        return Findings(
            kinds, psnr[:, 0] * PSNR_SCALE + PSNR_MIDDLE, gains * GAIN_SCALE, self.known(statistics.detach())
        )

    def with_judge(self, width: int, special: Mapping[str, str]) -> "InspectorNetwork":
        """Return a copy of the network with a new judge of trials, in evaluation mode.

        Args:
            width: number of hidden values of the judge.
            special: kind of degradation that a network was trained for, by the name of the network.
        """
        copy = InspectorNetwork(
            **{
                **self.arguments,
                "judged": width,
                "special": {name: special[name] for name in self.networks if name in special},
            }
        )
        others = {name: value for name, value in self.state_dict().items() if not name.startswith("judge.")}
        copy.load_state_dict(others, strict=False)
        return copy.eval()

    def new_judge(self) -> TrialJudge:
        """Return a judge of trials with fresh weights."""
        special = self.arguments["special"]
        numbers = [self.kinds.index(special[name]) if name in special else None for name in self.networks]
        return TrialJudge(len(self.kinds), numbers, self.arguments["judged"])

    def after_trial(self, findings: Findings, features: Float[Tensor, "W N F"]) -> Findings:
        """Predict the degradations of one image again, from the first predictions and a trial of the networks.

        Args:
            findings: predictions for the image, a batch of one.
            features: features of the trial in each window of the image, see `models.inspection.trials.trial_features`.

        Returns:
            The predictions for the image. The strangeness stays as it was.

        Raises:
            ValueError: if the network has no judge.
        """
        if self.judge is None:
            raise ValueError(
                "this inspector has no judge of trials: benchmarks/restoration/inspector_trials.py trains one"
            )
        first = first_features(findings).expand(len(features), -1)
        kinds, psnr, gains = self.judge(torch.cat([features.flatten(1), first], 1)).split(
            [len(self.kinds), 1, len(self.networks)], 1
        )
        psnr, gains = psnr * PSNR_SCALE + PSNR_MIDDLE, gains * GAIN_SCALE
        return Findings(kinds.mean(0)[None], *joined_windows(psnr[:, 0], gains), findings.strangeness)

    def _input_maps(self, windows: Float[Tensor, "B K h w"]) -> Float[Tensor, "B J h w"]:
        """Return logarithms of the magnitudes of all frequencies, signed for means, and signed low frequencies of Y."""
        sizes = windows.abs().log1p() / 3
        low = self.get_buffer("signed")
        leaning = sizes[:, low] * windows[:, low].sign()
        means = self.get_buffer("means")
        sizes[:, means] = windows[:, means] / 512
        return torch.cat([sizes, leaning], 1)


def first_features(findings: Findings) -> Float[Tensor, "B F"]:
    """Return predictions in the form in which a judge of trials takes them.

    Args:
        findings: predictions of the network.

    Returns:
        F features of each image, without a unit: logits of the kinds, then PSNR, the gain of each network and
        strangeness.
    """
    psnr, strange = (findings.psnr - PSNR_MIDDLE) / PSNR_SCALE, findings.strangeness.clamp(-5, 5)
    return torch.cat([findings.kinds.clamp(-8, 8), psnr[:, None], findings.gains / GAIN_SCALE, strange[:, None]], 1)


def joined_windows(
    psnr: Float[Tensor, " W"], gains: Float[Tensor, "W N"]
) -> tuple[Float[Tensor, " 1"], Float[Tensor, "1 N"]]:
    """Return the PSNR and the gains of an image from those of its windows, by the mean of the squared errors.

    Args:
        psnr: PSNR of each window in dB.
        gains: gain of each network in each window in dB.

    Returns:
        PSNR of the image and gain of each network, in dB.
    """
    before = 10 ** (-psnr / 10)
    after = before[:, None] * 10 ** (-gains / 10)
    joined = -10 * before.mean().log10()
    return joined[None], (-10 * after.mean(0).log10() - joined)[None]


class Known(nn.Module):
    """Store the distribution of statistics of the training images, and measure the distance of other images from it.

    The distance is Mahalanobis's: Lee et al., "A simple unified framework for detecting out-of-distribution samples",
    NeurIPS 2018. Here it is of statistics of the input, which training cannot make equal for unusual images.

    Args:
        size: number of statistics of an image.
    """

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("covariance", torch.eye(size))
        self.register_buffer("distance", torch.tensor([0.0, 1.0]))
        self.register_buffer("batches", torch.tensor(0.0))
        self.is_synchronized = False  # set by processes.synchronize: batches are those of all processes

    @torch.no_grad()
    def forward(self, statistics: Float[Tensor, "B S"]) -> Float[Tensor, " B"]:
        """Return how unusual images are, and update the distribution in training.

        The value is the logarithm of the distance, in standard deviations above its mean. In training only every tenth
        batch is measured, because the factorization would take most of a step; the other batches get zeros.

        Args:
            statistics: S statistics of each image, without a unit.

        Returns:
            Standard deviations above the mean distance of the training images.
        """
        kind = statistics.device.type
        with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
            statistics = statistics.float()
            if not self.training:
                return self._strangeness(statistics)
            own = len(statistics)
            if self.is_synchronized:
                statistics = all_rows(statistics)
            batches = self.get_buffer("batches")
            is_measured = batches.item() % 10 == 9 and len(statistics) > 1
            strangeness = self._measure(statistics) if is_measured else statistics.new_zeros(len(statistics))
            # the mean of all batches at first, a moving mean later
            share = max(_MEMORY, 1 / (1 + batches.item()))
            mean, covariance = self.get_buffer("mean"), self.get_buffer("covariance")
            mean.lerp_(statistics.mean(0), share)
            away = statistics - mean
            covariance.lerp_(away.T @ away / len(statistics), share)
            batches.add_(1)
            return strangeness[rank() * own :][:own] if self.is_synchronized else strangeness

    def _measure(self, statistics: Float[Tensor, "B S"]) -> Float[Tensor, " B"]:
        """Update the distances of the training images with a batch, and return its strangeness."""
        far, distance = self._distances(statistics), self.get_buffer("distance")
        measured = (self.get_buffer("batches").item() + 1) / 10
        distance.lerp_(torch.stack([far.mean(), far.std()]), max(10 * _MEMORY, 1 / measured))
        return self._strangeness(statistics)

    def _strangeness(self, statistics: Float[Tensor, "B S"]) -> Float[Tensor, " B"]:
        """Return standard deviations above the mean."""
        distance = self.get_buffer("distance")
        return (self._distances(statistics) - distance[0]) / distance[1].clamp(min=1e-3)

    def _distances(self, statistics: Float[Tensor, "B S"]) -> Float[Tensor, " B"]:
        """Return logarithms of distances; directions that hardly vary count as if they varied a little."""
        mean, covariance = self.get_buffer("mean"), self.get_buffer("covariance")
        scale = covariance.diagonal().clamp(min=1e-6).sqrt()
        identity = torch.eye(len(mean), device=mean.device, dtype=mean.dtype)
        correlation = covariance / scale[:, None] / scale + _SHRUNK * identity
        away = ((statistics - mean) / scale).T
        solved = torch.linalg.solve(correlation, away)
        return ((away * solved).sum(0) / len(mean)).clamp(min=1e-9).log() / 2


def share_as_strange(strangeness: float) -> float:
    """Return the share of the training images that are at least as unusual, if their distances are normal.

    Args:
        strangeness: strangeness as in `Findings`.

    Returns:
        The share, from 0 to 1; 0.5 for an image of average distance.
    """
    return 0.5 * math.erfc(strangeness / math.sqrt(2))


def inspector(**arguments: Any) -> InspectorNetwork:
    """Build the inspector.

    Args:
        arguments: keywords of `InspectorNetwork`.
    """
    return InspectorNetwork(**arguments)


def _layer(channels: int, width: int, side: int) -> nn.Sequential:
    """Build a convolution at full resolution with its normalization."""
    return nn.Sequential(
        nn.Conv2d(channels, width, side, padding=side // 2, bias=False), nn.BatchNorm2d(width), nn.GELU()
    )


def _joined(maps: Float[Tensor, "BW C h w"], batch: int, count: int) -> Float[Tensor, "B C n"]:
    """Join all positions of all windows of each image."""
    return maps.unflatten(0, (batch, count)).transpose(1, 2).flatten(2)


def _spread(values: Float[Tensor, "B C n"]) -> Float[Tensor, "B D"]:
    """Return means and standard deviations."""
    mean = values.mean(-1)
    return torch.cat([mean, (values - mean[..., None]).square().mean(-1).add(1e-6).sqrt()], 1)
