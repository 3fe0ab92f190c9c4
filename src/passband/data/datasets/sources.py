"""Several sources of samples as one data set, each with its share."""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from passband.data.datasets.restoration import PairTrainingSet, PhotographTrainingSet, RestorationSample


class MixedTrainingSet(Dataset[RestorationSample]):
    """Samples of several data sets, drawn with given weights; a sample's number decides which and what.

    Args:
        sources: data sets whose numbers go on past their first epoch.
        weights: of each, above 0.
        seed: with the sample's number decides the source.

    Raises:
        ValueError: if the number of weights is not that of the sources.
    """

    def __init__(self, sources: Sequence[PhotographTrainingSet | PairTrainingSet], weights: Sequence[float], seed: int):
        if len(sources) != len(weights) or not sources:
            raise ValueError(
                f"a weight is needed for each source, got {len(weights)} weights for {len(sources)} sources"
            )
        self.sources, self.seed = list(sources), seed
        self.probabilities = np.array(weights, np.float64) / np.sum(weights)

    def __len__(self) -> int:
        """Files of all sources."""
        return sum(map(len, self.sources))

    def __getitem__(self, number: int) -> RestorationSample:
        """The sample of this number; numbers go on past the first epoch."""
        rng = np.random.default_rng([self.seed, number, 2])
        return self.sources[rng.choice(len(self.sources), p=self.probabilities)][number]
