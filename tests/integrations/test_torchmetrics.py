import pytest
import torch

from passband.integrations.torchmetrics import PSNRHVS, PSNRHVSM, FrequencyDistance
from passband.metrics import psnr_hvs, psnr_hvs_m
from passband.ops.frequency_distance import frequency_distances

IMAGES = torch.rand(2, 5, 3, 24, 32, generator=torch.Generator().manual_seed(0)).unbind(0)
METRICS = [
    (PSNRHVS(), psnr_hvs),
    (PSNRHVSM(), psnr_hvs_m),
    (FrequencyDistance("jpeg", stride=4), lambda a, b: frequency_distances(a, b, "jpeg", stride=4)),
]


@pytest.mark.parametrize(("metric", "function"), METRICS)
def test_batches_of_any_size_add_up_to_the_mean_over_images(metric, function):
    metric.reset()
    image, reference = IMAGES
    for start, stop in ((0, 1), (1, 4), (4, 5)):
        metric.update(image[start:stop], reference[start:stop])
    torch.testing.assert_close(metric.compute(), function(image, reference).double().mean())


@pytest.mark.parametrize(("metric", "function"), METRICS)
def test_the_states_of_processes_add_up(metric, function):
    metric.reset()
    first, second = metric.clone(), metric.clone()
    image, reference = IMAGES
    first.update(image[:2], reference[:2])
    second.update(image[2:], reference[2:])
    assert all(reduction is torch.sum or "sum" in str(reduction) for reduction in metric._reductions.values())
    for name in metric._defaults:  # as torchmetrics does over all processes
        setattr(metric, name, torch.stack([getattr(first, name), getattr(second, name)]).sum(0))
    metric._update_count = 2
    torch.testing.assert_close(metric.compute(), function(image, reference).double().mean())
