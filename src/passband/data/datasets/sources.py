"""Mixes several sources of samples into one training set."""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from passband.data.datasets.restoration import PairTrainingSet, PhotographTrainingSet, RestorationSample


class MixedTrainingSet(Dataset[RestorationSample]):
    """Samples of several training sets, drawn with given weights. The number of a sample decides everything about it.

    Args:
        sources: training sets whose numbers continue after their first epoch.
        weights: weight of each training set, above 0.
        seed: seed that decides the source together with the number of the sample.

    Raises:
        ValueError: if the numbers of weights and sources differ, or there are no sources.
    """

    def __init__(self, sources: Sequence[PhotographTrainingSet | PairTrainingSet], weights: Sequence[float], seed: int):
        if len(sources) != len(weights) or not sources:
            raise ValueError(
                f"a weight is needed for each source, got {len(weights)} weights for {len(sources)} sources"
            )
        self.sources, self.seed = list(sources), seed
        self.probabilities = np.array(weights, np.float64) / np.sum(weights)

    def __len__(self) -> int:
        """Return the number of files of all sources."""
        return sum(map(len, self.sources))

    def __getitem__(self, number: int) -> RestorationSample:
        """Return the sample of a number. Numbers continue after the first epoch."""
        rng = np.random.default_rng([self.seed, number, 2])
        return self.sources[rng.choice(len(self.sources), p=self.probabilities)][number]
