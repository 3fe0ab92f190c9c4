import pytest
import torch
import torch.nn.functional as F

from passband.curriculum import Curriculum, RatioSchedule, curriculum_batch, enlarged, resized_targets
from passband.ops.areas import area_mean, shrunk_mask
from passband.ops.labels import IGNORED

CURRICULUM = Curriculum(RatioSchedule(1, start=0.5, shape="step", plateaus=3), sizes=(16, 24))


def batch(size=(32, 40)):
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(3, 3, *size, generator=generator)
    return images, (images.mean(1) * 3).long()


def test_targets_keep_their_size_unless_asked():
    images, masks = batch()
    for done in (0.0, 0.5, 1.0):
        seen, same = curriculum_batch(images, masks, CURRICULUM, done)
        assert torch.equal(seen, CURRICULUM.apply(images, done))
        assert same is masks
        _, small = curriculum_batch(images, masks, CURRICULUM, done, resize_targets=True)
        assert small.shape[-2:] == seen.shape[-2:]


def test_masks_follow_the_largest_area_and_keep_their_type():
    _, masks = batch()
    small = resized_targets(masks, (32, 40), (16, 20))
    assert torch.equal(small, torch.stack([shrunk_mask(mask, 3, (16, 20)) for mask in masks]))
    ignored = masks.clone().int()
    ignored[:, :8] = -100
    less = resized_targets(ignored, (32, 40), (16, 20))
    assert less.dtype == torch.int32
    assert (less[:, :4] == -100).all()
    assert torch.equal(less[:, 5:].long(), small[:, 5:])
    masks[:, 8:] = IGNORED
    masks[:, ::2, ::3] = IGNORED
    small = resized_targets(masks, (32, 40), (16, 20))
    assert torch.equal(small, torch.stack([shrunk_mask(mask, 3, (16, 20)) for mask in masks]))
    truth = resized_targets((masks > 1)[:, None], (32, 40), (16, 20))
    assert truth.dtype == torch.bool
    assert truth.shape == (3, 1, 16, 20)


def test_a_batch_without_masks_gets_the_size():
    small = resized_targets(torch.zeros(0, 1, 32, 40, dtype=torch.int64), (32, 40), (16, 20))
    assert small.shape == (0, 1, 16, 20)
    assert small.dtype == torch.int64


def test_maps_follow_the_mean_over_the_area():
    maps = torch.rand(2, 3, 30, 45)
    small = resized_targets(maps, (30, 45), (10, 9))
    torch.testing.assert_close(small, F.avg_pool2d(maps, (3, 5)))
    uneven = area_mean(maps, (17, 22))
    torch.testing.assert_close(uneven.mean((-2, -1)), maps.mean((-2, -1)))


def test_labels_boxes_and_other_objects_stay_as_they_are():
    images, masks = batch()
    targets = {
        "mask": masks,
        "label": torch.arange(3),
        "one_hot": torch.eye(3),
        "boxes": torch.rand(3, 5, 4),
        "names": ("a", "b", "c"),
        "parts": [masks.float(), None],
    }
    _, seen = curriculum_batch(images, targets, CURRICULUM, 0.0, resize_targets=True)
    assert seen["mask"].shape == (3, 16, 20)
    assert seen["parts"][0].shape == (3, 16, 20)
    assert seen["parts"][1] is None
    for name in ("label", "one_hot", "boxes"):
        assert seen[name] is targets[name]
    assert seen["names"] == ("a", "b", "c")
    assert targets["mask"] is masks


@pytest.mark.parametrize("size", [(16, 20), (32, 40)])
def test_an_output_gets_the_size_of_its_targets(size):
    _, masks = batch()
    output = torch.rand(3, 2, *size)
    large = enlarged(output, masks)
    assert large.shape == (3, 2, 32, 40)
    assert (large is output) == (size == (32, 40))
