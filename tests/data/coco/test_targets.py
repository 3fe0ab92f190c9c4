"""Pictures changed together with their instances: laws that tie boxes and masks to the pixels."""

import numpy as np
import pytest
import torch
from skimage.draw import polygon2mask
from torchvision import tv_tensors
from torchvision.ops import masks_to_boxes
from torchvision.transforms.v2 import functional as paired

from passband.data.coco import find_coco
from passband.data.coco.targets import InstanceAugmentation, augmented, instance_target, mirrored
from passband.io.image import read_image
from tests.coco_files import annotation, box, disc, runs, two_pictures, write_coco


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    two_pictures(folder)
    return find_coco(folder)


def whole(pictures, place=0, **options):
    image = pictures.images[place]
    return read_image(image.path), instance_target(
        image, pictures.labels, **{"masks": True, "crowds": False, **options}
    )


def test_targets_are_what_torchvision_s_detectors_take(pictures):
    image, target = whole(pictures)
    assert {name: (value.dtype, tuple(value.shape)) for name, value in target.items() if name != "image_id"} == {
        "boxes": (torch.float32, (2, 4)),
        "labels": (torch.int64, (2,)),
        "masks": (torch.uint8, (2, *image.shape[1:])),
        "area": (torch.float32, (2,)),
        "iscrowd": (torch.int64, (2,)),
    }
    assert target["image_id"] == 7
    assert target["labels"].tolist() == [1, 2]
    assert target["boxes"].tolist() == [[11, 9, 29, 27], [30, 25, 42, 35]]


def test_masks_are_the_polygons(pictures):
    _, target = whole(pictures)
    points = np.array(pictures.images[0].instances[0].segmentation[0]).reshape(-1, 2)[:, ::-1]
    filled = torch.from_numpy(polygon2mask((61, 47), points - 0.5))
    # two ways to fill a polygon differ along its edge
    assert (filled != target["masks"][0].bool()).sum() < 30
    box_mask = torch.zeros(61, 47, dtype=torch.uint8)
    box_mask[25:35, 30:42] = 1
    assert torch.equal(target["masks"][1], box_mask)


def test_crowds_are_given_where_they_are_asked_for(pictures):
    _, target = whole(pictures, crowds=True)
    assert target["iscrowd"].tolist() == [0, 0, 1]
    expected = torch.zeros(61, 47, dtype=torch.uint8)
    expected[40:55, 5:30] = 1
    assert torch.equal(target["masks"][2], expected)


def test_boxes_are_cut_at_the_picture_s_edges(tmp_path):
    write_coco(tmp_path, {1: (21, 33)}, [box(1, 1, -4.5, 10, 12.0, 30.0), disc(2, 1, 33, 0, 7)])
    pictures = find_coco(tmp_path)
    _, target = whole(pictures)
    assert target["boxes"].tolist() == [[0, 10, 7.5, 21], [26, 0, 33, 7]]


def test_without_masks_there_are_none(pictures):
    assert "masks" not in whole(pictures, masks=False)[1]


def test_mirroring_is_that_of_torchvision(pictures):
    image, target = whole(pictures)
    changed = mirrored(target, image.shape[-1])
    boxes = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=image.shape[-2:])
    assert torch.equal(changed["boxes"], paired.horizontal_flip(boxes).as_subclass(torch.Tensor))
    masks = paired.horizontal_flip(tv_tensors.Mask(target["masks"])).as_subclass(torch.Tensor)
    assert torch.equal(changed["masks"], masks)
    again = mirrored(changed, image.shape[-1])
    assert all(torch.equal(again[name], target[name]) for name in ("boxes", "masks", "area"))


def changes(pictures, augmentation, count=24, **options):
    for seed in range(count):
        image, target = whole(pictures, seed % 2, **options)
        yield augmented(image, target, augmentation, np.random.default_rng(seed))


def test_half_of_the_pictures_are_mirrored_with_their_instances(pictures):
    originals = [whole(pictures, place) for place in (0, 1)]
    count = 0
    for seed, (image, target) in enumerate(changes(pictures, InstanceAugmentation())):
        straight, before = originals[seed % 2]
        flipped = not torch.equal(image, straight)
        count += flipped
        assert torch.equal(image, straight.flip(-1) if flipped else straight)
        assert torch.equal(target["masks"], before["masks"].flip(-1) if flipped else before["masks"])
    assert 6 < count < 18


def test_nothing_changes_without_an_augmentation(pictures):
    image, target = whole(pictures)
    same, also = augmented(image, target, InstanceAugmentation(flip=False), np.random.default_rng(0))
    assert torch.equal(image, same)
    assert all(torch.equal(also[name], target[name]) for name in ("boxes", "masks", "labels", "area"))


@pytest.mark.parametrize("augmentation", [InstanceAugmentation(crop=0.4), InstanceAugmentation(True, (0.6, 1.7), 0.5)])
def test_after_every_change_masks_lie_on_their_shapes_and_boxes_around_them(pictures, augmentation):
    sizes = set()
    for image, target in changes(pictures, augmentation):
        height, width = image.shape[-2:]
        sizes.add((height, width))
        assert len(target["boxes"]) == len(target["labels"]) == len(target["masks"]) == len(target["area"]) > 0
        assert target["masks"].shape[1:] == (height, width)
        boxes = target["boxes"]
        assert ((boxes >= 0) & (boxes <= torch.tensor([width, height, width, height]))).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
        around = masks_to_boxes(target["masks"] != 0) + torch.tensor([0.0, 0, 1, 1])
        # polygons round to pixels, which resizing makes larger
        assert (around - boxes).abs().max() < 3
        assert (target["area"] > 0).all()
        for label, mask in zip(target["labels"].tolist(), target["masks"].bool(), strict=True):
            red, _, blue = image[:, mask].mean(1).tolist()
            assert (red > blue + 0.2) if label == 1 else (blue > red + 0.2)
    assert len(sizes) > 15


def test_areas_follow_a_change_of_size(pictures):
    for image, target in changes(pictures, InstanceAugmentation(scale=(2.0, 2.0)), 4):
        assert max(image.shape[-2:]) in (122, 136)
        assert torch.equal(target["area"], target["masks"].flatten(1).sum(1).float())
    for _, target in changes(pictures, InstanceAugmentation(scale=(2.0, 2.0)), 4, masks=False):
        boxes = target["boxes"]
        torch.testing.assert_close(target["area"], (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def test_a_cut_instance_keeps_the_box_of_what_is_left_of_its_mask(tmp_path):
    mask = np.zeros((41, 63), bool)
    mask[2:5, 2:60] = mask[30:38, 2:5] = True  # its box is large, its parts are not
    write_coco(tmp_path, {1: (41, 63)}, [annotation(1, 1, 3, [2, 2, 58, 36], runs(mask))])
    pictures = find_coco(tmp_path)
    cut = 0
    for seed in range(20):
        image, target = whole(pictures)
        image, target = augmented(image, target, InstanceAugmentation(False, crop=0.3), np.random.default_rng(seed))
        if image.shape[-2:] != (41, 63):
            cut += 1
            around = masks_to_boxes(target["masks"] != 0) + torch.tensor([0.0, 0, 1, 1])
            assert torch.equal(target["boxes"], around)
    assert cut > 12


def test_a_crop_never_loses_all_instances(tmp_path):
    write_coco(tmp_path, {1: (97, 89)}, [box(1, 1, 85, 92, 3, 4)])
    pictures = find_coco(tmp_path)
    sizes = set()
    for seed in range(12):
        image, target = whole(pictures)
        image, target = augmented(image, target, InstanceAugmentation(crop=0.2), np.random.default_rng(seed))
        assert len(target["boxes"]) == 1
        sizes.add(tuple(image.shape[-2:]))
    assert len(sizes) > 5


def test_no_other_generator_is_touched(pictures):
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state().clone(), np.random.get_state()[1].copy()
    list(changes(pictures, InstanceAugmentation(True, (0.5, 2.0), 0.5), 4))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("options", [{"scale": (0.0, 1.0)}, {"scale": (2.0, 1.0)}, {"crop": 0.0}, {"crop": 1.5}])
def test_values_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"needs a (least|share)"):
        InstanceAugmentation(**options)
