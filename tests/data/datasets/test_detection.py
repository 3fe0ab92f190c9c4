"""Data sets for detectors: a sample's number decides everything, and what cannot be read is said."""

import pytest
import torch
from PIL import Image

from passband.data.coco import find_coco
from passband.data.coco.targets import InstanceAugmentation
from passband.data.cubes.native_size import NativeFormat, read_native_cube
from passband.data.datasets.detection import DetectionTrainingSet, DetectionValidationSet, collate_instances
from passband.io.image import ImageError, read_image
from passband.layers.channels import channel_subset
from tests.coco_files import box, disc, two_pictures, write_coco

FORM = NativeFormat(tuple(channel_subset("24S").indices()), 2)
JITTER = InstanceAugmentation(True, (0.7, 1.4), 0.6)


def shapes(folder, count=6, suffix=".jpg"):
    """Pictures whose width is a multiple of 4 for even numbers alone."""
    sizes = {number: (41 + number, 52 + number % 2) for number in range(1, count + 1)}
    instances = [disc(number, number, 20 + number, 18, 6 + number) for number in sizes]
    write_coco(folder, sizes, [*instances, box(99, 2, 5, 5, 9, 11)], suffix=suffix)
    return find_coco(folder)


def same(one, other):
    return (
        {*one} == {*other}
        and all(
            torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
            for name, value in one.items()
            if name != "target"
        )
        and ("target" not in one or same(one["target"], other["target"]))
    )


@pytest.mark.parametrize("options", [{"augmentation": JITTER}, {"cubes": FORM}])
def test_a_sample_s_number_decides_everything(tmp_path, options):
    pictures = shapes(tmp_path)
    first, second = (DetectionTrainingSet(pictures, 5, **options) for _ in range(2))
    torch.manual_seed(1)
    forward = [first[number] for number in range(18)]
    torch.manual_seed(2)
    backward = [second[number] for number in reversed(range(18))][::-1]
    assert all(same(one, other) for one, other in zip(forward, backward, strict=True))
    other = DetectionTrainingSet(pictures, 6, **options)
    assert not all(same(one, other[number]) for number, one in enumerate(forward))


def test_every_epoch_has_each_picture_once_in_an_order_of_its_own(tmp_path):
    data = DetectionTrainingSet(shapes(tmp_path), 0)
    orders = [[data[epoch * 6 + place]["target"]["image_id"] for place in range(6)] for epoch in range(3)]
    assert [sorted(order) for order in orders] == [[1, 2, 3, 4, 5, 6]] * 3
    assert len({*map(tuple, orders)}) > 1


def test_loader_processes_give_the_samples_of_one(tmp_path):
    data = DetectionTrainingSet(shapes(tmp_path), 0, augmentation=JITTER)
    loader = torch.utils.data.DataLoader(data, batch_size=3, num_workers=1, collate_fn=collate_instances)
    for batch, start in zip(loader, (0, 3), strict=True):
        for place in range(3):
            assert torch.equal(batch["images"][place], data[start + place]["image"])


def test_samples_are_pixels_with_the_instances_where_they_are(tmp_path):
    pictures = shapes(tmp_path, suffix=".png")
    data = DetectionTrainingSet(pictures, 0, augmentation=InstanceAugmentation(flip=False))
    for number in range(6):
        sample = data[number]
        image = next(one for one in pictures.images if str(one.path) == sample["name"])
        assert torch.equal(sample["image"], read_image(image.path))
        assert sample["size"] == (image.height, image.width) == tuple(sample["image"].shape[-2:])
        assert sample["problem"] == ""
        assert sample["target"]["boxes"].tolist() == [list(one.box) for one in image.instances]


def test_cubes_are_the_file_s_own_and_flip_with_their_instances_where_that_is_exact(tmp_path):
    pictures = shapes(tmp_path)
    data = DetectionTrainingSet(pictures, 0, cubes=FORM)
    flips = {0: set(), 1: set()}
    for number in range(36):
        sample = data[number]
        image = pictures.images[sample["target"]["image_id"] - 1]
        straight = read_native_cube(image.path, FORM).values
        flipped = not torch.equal(sample["image"], straight)
        flips[image.number % 2].add(flipped)
        if flipped:
            assert torch.equal(sample["image"], read_native_cube(image.path, FORM, mirrored=True).values)
        left, top, right, bottom = image.instances[0].box
        wanted = [image.width - right, top, image.width - left, bottom] if flipped else [left, top, right, bottom]
        assert sample["target"]["boxes"][0].tolist() == wanted
        assert sample["target"]["masks"].shape[1:] == sample["size"] == (image.height, image.width)
        # the disc is red: its cells have more of Cr than all others
        shown = sample["target"]["masks"][0].float()[: image.height // 4 * 4, : image.width // 4 * 4]
        cells = torch.nn.functional.avg_pool2d(shown[None], 4)[0]
        redness = sample["image"][20, : cells.shape[0], : cells.shape[1]]
        assert redness[cells == 1].min() > redness[cells == 0].max()
    assert flips == {0: {False, True}, 1: {False}}


def test_cubes_keep_their_size(tmp_path):
    with pytest.raises(ValueError, match=r"scale \(1, 1\) and crop 1 are needed, got \(0.7, 1.4\) and 0.6"):
        DetectionTrainingSet(shapes(tmp_path), 0, cubes=FORM, augmentation=JITTER)


def test_pictures_without_instances_to_train_on_are_refused_and_scored(tmp_path):
    write_coco(tmp_path, {1: (40, 40), 2: (33, 35)}, [disc(1, 1, 20, 20, 9)])
    pictures = find_coco(tmp_path)
    with pytest.raises(ValueError, match=r"image 2 \(000000000002.png\) has no instances .* for_training"):
        DetectionTrainingSet(pictures, 0)
    assert len(DetectionTrainingSet(pictures.for_training(), 0)) == 1
    scored = DetectionValidationSet(pictures)
    assert [sample["target"]["boxes"].shape for sample in scored] == [(1, 4), (0, 4)]


@pytest.mark.parametrize("cubes", [None, FORM])
def test_scored_pictures_are_whole_in_order_and_with_their_crowds(tmp_path, cubes):
    two_pictures(tmp_path, suffix=".jpg")
    pictures = find_coco(tmp_path)
    samples = list(DetectionValidationSet(pictures, cubes=cubes))
    assert [sample["target"]["image_id"] for sample in samples] == [7, 40]
    assert [sample["size"] for sample in samples] == [(61, 47), (37, 68)]
    assert samples[0]["target"]["iscrowd"].tolist() == [0, 0, 1]
    assert "masks" not in samples[0]["target"]
    for sample, image in zip(samples, pictures.images, strict=True):
        expected = read_native_cube(image.path, cubes).values if cubes else read_image(image.path)
        assert torch.equal(sample["image"], expected)


def test_a_batch_is_lists_side_by_side(tmp_path):
    data = DetectionValidationSet(shapes(tmp_path))
    batch = collate_instances([data[0], data[4]])
    assert [tuple(image.shape) for image in batch["images"]] == [(3, 42, 53), (3, 46, 53)]
    assert [target["image_id"] for target in batch["targets"]] == [1, 5]
    assert batch["sizes"] == [(42, 53), (46, 53)]
    assert batch["numbers"] == [0, 4]
    assert batch["problems"] == ["", ""]


@pytest.mark.parametrize("cubes", [None, FORM])
def test_a_damaged_picture_is_said_in_its_sample_and_left_out_where_that_is_wanted(tmp_path, cubes):
    pictures = shapes(tmp_path)
    broken = pictures.images[2].path
    broken.write_bytes(broken.read_bytes()[:200])
    data = DetectionTrainingSet(pictures, 0, cubes=cubes)
    samples = [data[number] for number in range(6)]
    (bad,) = [sample for sample in samples if sample["problem"]]
    assert broken.name in bad["problem"]
    assert bad["name"] == str(broken)
    assert bad["target"]["boxes"].shape == (0, 4)
    skipping = DetectionTrainingSet(pictures, 0, cubes=cubes, skip_bad=True)
    samples = [skipping[number] for number in range(6)]
    assert 3 not in [sample["target"]["image_id"] for sample in samples]
    assert [broken.name in sample["problem"] for sample in samples].count(True) == 1
    scored = DetectionValidationSet(pictures, cubes=cubes)[2]
    assert broken.name in scored["problem"]
    assert scored["target"]["image_id"] == 3


def test_where_nothing_can_be_read_the_first_file_is_named(tmp_path):
    pictures = shapes(tmp_path, 2)
    for image in pictures.images:
        image.path.write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(ImageError, match=r"none of 2 images can be used; the first problem: .*jpg"):
        DetectionTrainingSet(pictures, 0, skip_bad=True)[0]


@pytest.mark.parametrize("cubes", [None, FORM])
def test_a_picture_of_another_size_than_its_annotations_is_said(tmp_path, cubes):
    pictures = shapes(tmp_path, 2)
    Image.new("RGB", (43, 42)).save(pictures.images[1].path)
    problem = DetectionValidationSet(pictures, cubes=cubes)[1]["problem"]
    assert "000000000002.jpg has 42 x 43 pixels" in problem
    assert "annotations (image 2) are for 43 x 52" in problem


def test_a_picture_that_exif_turns_away_from_its_annotations_is_said(tmp_path):
    pictures = shapes(tmp_path, 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (53, 42)).save(pictures.images[0].path, exif=exif)
    assert "has 53 x 42 pixels (turned upright as its EXIF data say)" in DetectionValidationSet(pictures)[0]["problem"]


def test_numbers_beyond_the_pictures_to_score_end_the_data_set(tmp_path):
    data = DetectionValidationSet(shapes(tmp_path, 2))
    for number in (2, -1):
        with pytest.raises(IndexError, match="there are 2 images"):
            data[number]
