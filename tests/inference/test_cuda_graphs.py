import pytest
import torch

from passband.inference import cuda_graphs
from passband.inference.cuda_graphs import CudaGraphs


@pytest.fixture
def recordings(monkeypatch):
    """The sizes that were recorded, with recordings that need no GPU."""
    sizes = []

    class Recorded:
        def __init__(self, compute, images):
            sizes.append(tuple(images.shape[-2:]))

        def __call__(self, images):
            return images + 2

    monkeypatch.setattr(cuda_graphs, "_Recorded", Recorded)
    return sizes


def test_the_second_image_of_a_size_is_recorded_and_later_ones_are_replayed(recordings):
    graphs = CudaGraphs(lambda images: images + 1)
    image = torch.zeros(1, 3, 8, 8)
    assert [graphs(image).mean().item() for _ in range(4)] == [1, 2, 2, 2]
    assert graphs(torch.zeros(1, 3, 8, 16)).mean() == 1
    assert recordings == [(8, 8)]


def test_only_the_latest_sizes_are_kept(recordings):
    graphs = CudaGraphs(lambda images: images, kept=2)
    for side in (8, 8, 16, 16, 8, 24, 24, 8, 16, 16):
        graphs(torch.zeros(1, 3, side, side))
    # 24 drops 16, because 8 came later
    assert recordings == [(8, 8), (16, 16), (24, 24), (16, 16)]


def test_images_on_a_processor_are_not_replayed():
    assert not CudaGraphs(lambda images: images).covers(torch.zeros(1, 3, 8, 8))
