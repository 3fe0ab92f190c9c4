"""Data sets in COCO's format: what is read, what is left out and counted, and what stops with an error."""

import json

import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from passband.data.coco import find_coco
from passband.data.coco.annotation import CROWD, EMPTY, LEAST_SIDE, NO_AREA, NO_MASK
from passband.data.coco.entries import CocoError
from passband.data.coco.targets import instance_target, mirrored
from tests.coco_files import CATEGORIES, annotation, box, disc, quietly, two_pictures, write_coco


@pytest.fixture
def folder(tmp_path):
    two_pictures(tmp_path)
    return tmp_path


def change(path, edit):
    """Change the content of a file of annotations."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


def test_pictures_and_instances_are_those_of_pycocotools(folder):
    pictures = find_coco(folder)
    with quietly():
        reference = COCO(str(pictures.source))
    assert [image.number for image in pictures.images] == reference.getImgIds()
    for image in pictures.images:
        expected = reference.loadAnns(reference.getAnnIds(imgIds=[image.number]))
        assert [one.annotation(image.number) for one in image.instances] == expected
        with Image.open(image.path) as file:
            assert file.size == (image.width, image.height)


def test_labels_are_whole_from_one_in_the_order_of_the_numbers_that_are_kept(folder):
    pictures = find_coco(folder)
    assert pictures.classes == ("disc", "box", "crowd of boxes")
    assert pictures.labels == {3: 1, 17: 2, 90: 3}
    assert pictures.category_ids == {1: 3, 2: 17, 3: 90}


def test_the_ground_truth_is_the_content_of_the_file(folder):
    pictures = find_coco(folder)
    content = json.loads(pictures.source.read_text())
    assert pictures.ground_truth() == content


def test_labels_of_known_classes_are_kept_for_a_file_with_fewer_and_others(tmp_path):
    write_coco(
        tmp_path, {1: (20, 21)}, [annotation(1, 1, 5, [2, 2, 5, 5], [[2, 2, 7, 2, 7, 7]])], [{"id": 5, "name": "box"}]
    )
    pictures = find_coco(tmp_path, classes=("disc", "crowd of boxes", "box"))
    assert pictures.labels == {5: 3}
    assert pictures.category_ids == {3: 5}
    with pytest.raises(
        CocoError, match=r"category 'box', which is none of the 2 known categories\. Did you mean 'boxes'\?"
    ):
        find_coco(tmp_path, classes=("disc", "boxes"))


@pytest.mark.parametrize("place", ["train2017", "images/train2017", "images", ".", "annotations"])
def test_pictures_are_found_where_data_sets_have_them(folder, place):
    names = [path.name for path in (folder / "train2017").iterdir()]
    (folder / place).mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / "train2017" / name).rename(folder / place / name)
    for found in (find_coco(folder), find_coco(folder / "annotations" / "instances_train2017.json")):
        assert {image.path for image in found.images} == {folder / place / name for name in names}


def test_a_part_is_chosen_by_name_and_asked_for_where_there_are_several(folder):
    write_coco(folder, {5: (19, 23)}, [box(1, 5, 2, 3, 4, 5)], part="val2017")
    assert [image.number for image in find_coco(folder, part="val2017").images] == [5]
    assert len(find_coco(folder, part="train2017")) == 2
    with pytest.raises(CocoError, match=r"several .*instances_train2017.json, annotations/instances_val2017.json"):
        find_coco(folder)
    with pytest.raises(FileNotFoundError, match=r"instances_test.json is needed, it has .*instances_val2017.json"):
        find_coco(folder, part="test")


def test_captions_beside_instances_are_passed_over(folder):
    (folder / "annotations" / "captions_train2017.json").write_text("{}")
    assert len(find_coco(folder)) == 2


def test_a_folder_with_annotations_beside_its_pictures_is_read(tmp_path):
    path = write_coco(tmp_path, {5: (19, 23)}, [box(1, 5, 2, 3, 4, 5)], part="valid")
    path.rename(tmp_path / "valid" / "_annotations.coco.json")
    for found in (find_coco(tmp_path, part="valid"), find_coco(tmp_path / "valid")):
        assert [image.path.parent for image in found.images] == [tmp_path / "valid"]


def test_explicit_paths_are_taken(folder):
    moved = (folder / "train2017").rename(folder / "elsewhere")
    pictures = find_coco(folder / "annotations" / "instances_train2017.json", moved)
    assert all(image.path.parent == moved for image in pictures.images)


def test_what_is_not_trained_on_is_counted_and_still_scored(tmp_path):
    write_coco(
        tmp_path,
        {1: (20, 30), 2: (20, 30), 3: (20, 30)},
        [
            box(1, 1, 2, 2, 9, 9),
            box(2, 1, 4, 5, 0, 7),
            box(3, 1, 31, 2, 5, 5),  # to the right of the picture
            annotation(4, 1, 3, [2, 2, 5, 5], []),
            annotation(5, 1, 3, [2, 2, 5, 5], [[2, 2, 5, 5]]),
            annotation(6, 1, 3, [2, 2, 5, 5], [[32, 2, 35, 2, 35, 9]]),
            box(7, 2, 3, 3, 4, 4, iscrowd=1),
        ],
    )
    pictures = find_coco(tmp_path)
    assert pictures.skipped == {NO_AREA: 2, NO_MASK: 3, CROWD: 1, EMPTY: 2}
    assert (
        pictures.skipped_text()
        == "2 x box without area in the picture, 3 x no mask, 1 x crowd, 2 x picture without instances"
    )
    assert [one.number for image in pictures.images for one in image.trained] == [1]
    assert [one["id"] for one in pictures.ground_truth()["annotations"]] == [1, 2, 3, 4, 5, 6, 7]
    trained = pictures.for_training()
    assert [image.number for image in trained.images] == [1]
    assert trained.skipped == pictures.skipped


@pytest.mark.parametrize(
    "bbox",
    [
        [20.3, 10, 1e-6, 5],  # nothing in float32
        [20.3, 10, 5, 1e-6],
        [29.9999999, 2, 9, 9],  # on the right border in float32
        [2, 19.9999999, 9, 9],
        [-9, 2, 9 + 1e-8, 9],  # on the left border where it is mirrored
        [30, 2, 5, 5],
        [5, 5, -2, 3],
        [1e38, 2, 1e39, 5],
    ],
)
@pytest.mark.parametrize("masks", [True, False])
def test_a_box_that_vanishes_in_single_precision_or_on_the_border_is_counted(tmp_path, bbox, masks):
    polygon = [[20.3, 10, 22, 10, 22, 15]]
    write_coco(tmp_path, {1: (20, 30)}, [box(1, 1, 2, 2, 9, 9)])
    path = tmp_path / "annotations" / "instances_train2017.json"
    change(path, lambda content: content["annotations"].append(annotation(2, 1, 3, bbox, polygon)))
    pictures = find_coco(tmp_path, masks=masks)
    assert pictures.skipped == {NO_AREA: 1}
    assert [one.number for one in pictures.images[0].trained] == [1]


@pytest.mark.parametrize("size", [(20, 30), (4000, 60000)])
def test_the_least_box_that_is_trained_on_has_a_side_however_it_is_mirrored_and_resized(tmp_path, size):
    height, width = size
    thin = 1.01 * LEAST_SIDE * width
    write_coco(tmp_path, {1: (20, 30)}, [box(1, 1, 2, 2, 9, 9)])
    path = tmp_path / "annotations" / "instances_train2017.json"

    def edit(content):
        content["images"][0].update(height=height, width=width)
        places = (0.1 * width, 0.7 * width, width - 1.5 * thin)
        content["annotations"] = [
            annotation(number, 1, 3, [left, 3, thin, 9], []) for number, left in enumerate(places, 1)
        ]

    change(path, edit)
    pictures = find_coco(tmp_path, masks=False)
    assert pictures.skipped == {}
    target = instance_target(pictures.images[0], pictures.labels, masks=False, crowds=False)
    for boxes in (target["boxes"], mirrored(target, width)["boxes"]):
        for factor in (1, 800 / 3001, 0.0133):
            resized = boxes * torch.tensor(factor)
            assert (resized[:, 2:] > resized[:, :2]).all()


@pytest.mark.parametrize(
    ("value", "crowd"),
    [*((value, False) for value in (0, "0", 0.0, False, None)), *((value, True) for value in (1, "1", 1.0, True))],
)
def test_iscrowd_is_0_or_1_in_any_type(tmp_path, value, crowd):
    write_coco(tmp_path, {1: (20, 30)}, [box(1, 1, 2, 2, 9, 9, iscrowd=value)])
    (one,) = find_coco(tmp_path).images[0].instances
    assert one.is_crowd is crowd
    assert one.annotation(1)["iscrowd"] == int(crowd)


def root_category(content):
    """Roboflow's habit: a category 0 that only names the group of the others."""
    content["categories"] = [{**one, "supercategory": "shapes"} for one in content["categories"]]
    content["categories"].insert(0, {"id": 0, "name": "shapes", "supercategory": "none"})


def test_an_unused_category_that_names_a_group_or_repeats_a_name_is_left_out_with_a_note(folder):
    path = folder / "annotations" / "instances_train2017.json"
    known = find_coco(folder).classes
    change(path, root_category)
    pictures = find_coco(folder)
    assert (pictures.classes, pictures.labels) == (known, {3: 1, 17: 2, 90: 3})
    (note,) = pictures.notes
    assert "the category 0 ('shapes') has no annotations" in note
    change(path, lambda content: content["categories"][0].update(name="disc"))
    assert find_coco(folder).classes == known
    assert find_coco(folder, classes=known).notes


def test_a_group_that_is_used_and_an_unused_category_that_is_none_are_kept(folder):
    path = change(folder / "annotations" / "instances_train2017.json", root_category)
    change(path, lambda content: content["annotations"][0].update(category_id=0))
    pictures = find_coco(folder)
    assert (pictures.classes[0], pictures.notes) == ("shapes", ())
    change(path, lambda content: content["categories"].append({"id": 91, "name": "ring", "supercategory": "shapes"}))
    assert find_coco(folder).classes == (*pictures.classes, "ring")


def test_a_folder_of_parts_with_annotations_names_them(tmp_path):
    for part in ("train", "valid"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "_annotations.coco.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"its folders train, valid have some: name one of them"):
        find_coco(tmp_path)


def test_without_masks_boxes_alone_are_trained_on(tmp_path):
    write_coco(tmp_path, {1: (20, 30)}, [annotation(4, 1, 3, [2, 2, 5, 5], []), box(1, 1, 2, 2, 9, 9)])
    pictures = find_coco(tmp_path, masks=False)
    assert pictures.skipped == {}
    assert [one.segmentation for one in pictures.images[0].trained] == [None, None]


def test_an_area_that_is_missing_is_that_of_the_mask_or_else_of_the_box(tmp_path):
    path = write_coco(tmp_path, {1: (40, 50)}, [disc(1, 1, 20, 20, 10)])
    change(path, lambda content: content["annotations"][0].pop("area"))
    (one,) = find_coco(tmp_path).images[0].instances
    with quietly():
        reference = COCO(str(path))
        assert one.area == reference.annToMask(reference.anns[1]).sum()
    (one,) = find_coco(tmp_path, masks=False).images[0].instances
    assert one.area == 400


def test_a_data_set_without_instances_to_train_on_is_refused(tmp_path):
    write_coco(tmp_path, {1: (20, 30)}, [box(2, 1, 4, 5, 0, 7)])
    with pytest.raises(CocoError, match=r"instances_train2017.json has no instances to train on: 1 x box without area"):
        find_coco(tmp_path).for_training()


def test_some_pictures_keep_their_categories_and_count_their_own(tmp_path):
    shapes = [box(number, number, 2, 2, 3 + number, 4) for number in range(1, 6)]
    write_coco(tmp_path, dict.fromkeys(range(1, 8), (20, 30)), shapes)
    pictures = find_coco(tmp_path)
    assert pictures.skipped == {EMPTY: 2}
    part = pictures.spread(3)
    assert [image.number for image in part.images] == [1, 3, 5]
    assert part.skipped == {}
    assert part.categories == pictures.categories
    assert pictures.spread(None) is pictures.spread(9) is pictures
    assert [one["id"] for one in part.ground_truth()["images"]] == [1, 3, 5]


def test_a_missing_picture_is_named_with_its_number(folder):
    (folder / "train2017" / "000000000040.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"000000000040.png \(id 40\), which does not exist"):
        find_coco(folder)


def test_the_first_picture_missing_says_where_was_looked(folder):
    (folder / "train2017" / "000000000007.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"000000000007.png \(id 7\), which is in none of .*images"):
        find_coco(folder)


def test_the_name_of_a_missing_picture_cannot_move_the_cursor(folder):
    path = folder / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "\x1b[31m\n"
    path.write_text(json.dumps(content))
    with pytest.raises(FileNotFoundError) as failed:
        find_coco(folder)
    assert str(failed.value).isprintable()


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nowhere"):
        find_coco(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no annotations in COCO's format: .* it has no .json files"):
        find_coco(tmp_path)


def test_truncated_json_is_named(folder):
    path = folder / "annotations" / "instances_train2017.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CocoError, match=r"instances_train2017.json is cut short or not JSON"):
        find_coco(folder)


def entry(name, place, /, **values):
    return lambda content: content[name][place].update(values)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: content.pop("images"), r"needs a list 'images', .* it has annotations, categories"),
        (lambda content: content["images"][1].pop("height"), r"entry 1 of 'images' needs .*height"),
        (entry("images", 1, height=0), r"image 40 needs a height of at least 1 pixel; got 0"),
        (entry("images", 1, id="40"), r"entry 1 of 'images' needs a whole number as id; got '40'"),
        (entry("images", 1, file_name=5), r"needs text as file_name; got 5"),
        (entry("images", 1, id=7), r"2 entries of 'images' with the id 7"),
        (entry("annotations", 1, id=11), r"2 entries of 'annotations' with the id 11"),
        (entry("categories", 1, id=3), r"2 entries of 'categories' with the id 3"),
        (entry("categories", 1, name="disc"), r"2 categories that are called 'disc'"),
        (lambda content: content.update(categories=[]), r"names no categories"),
        (entry("annotations", 1, image_id=8), r"annotation 12 of image 8 is of an image that the file does not list"),
        (entry("annotations", 1, category_id=4), r"annotation 12 of image 7 \(0+7.png\) has the category 4, .* 3"),
        (entry("annotations", 1, bbox=[1, 2, 3]), r"annotation 12 of image 7 .* bbox of four finite numbers"),
        (entry("annotations", 1, bbox=[1, 2, 3, float("nan")]), r"annotation 12 .* four finite numbers"),
        (entry("annotations", 1, bbox=[1, 2, 3, 10**400]), r"annotation 12 .* four finite numbers"),
        (entry("annotations", 1, iscrowd=2), r"annotation 12 .* needs 0 or 1 as iscrowd; got '2'"),
        (entry("annotations", 1, iscrowd="no"), r"annotation 12 .* needs 0 or 1 as iscrowd; got 'no'"),
        (entry("annotations", 1, iscrowd=[0]), r"annotation 12 .* needs 0 or 1 as iscrowd"),
        (entry("annotations", 1, area="large"), r"annotation 12 .* finite number of pixels as area.* 'large'"),
        (entry("annotations", 1, area=[]), r"annotation 12 .* finite number of pixels as area"),
        (entry("images", 1, height=10**400), r"image 40 needs a height of at most"),
        (entry("annotations", 1, segmentation=[[1, 2, 3, 4, 5]]), r"annotation 12 .* polygon that is not a list"),
        (entry("annotations", 1, segmentation=[[1, 2, 3, 4, 5, 1e9]]), r"annotation 12 .* within 100000"),
        (entry("annotations", 1, segmentation="x"), r"annotation 12 .* polygons or a run-length code .* 'x'"),
        (entry("annotations", 2, segmentation={"size": [47, 61], "counts": [9]}), r"annotation 13 .* 61 x 47"),
        *[
            (entry("annotations", 2, segmentation={"size": [61, 47], "counts": counts}), rf"annotation 13 .*{problem}")
            for counts, problem in (
                ([100], r"61 x 47 pixels; got one of 100 pixels"),
                ([100_000], "not runs for 61 x 47"),
                ([-5, 2872], "not runs for 61 x 47"),
                ([5.5, 2861.5], "not runs for 61 x 47"),
                ([], "run-length code"),
                ("", "not a compressed run-length code"),
                ("zz", "not a compressed run-length code"),
                ("d0", r"61 x 47 pixels; got one of"),
                (None, "not runs for 61 x 47"),
                (7, "not runs for 61 x 47"),
            )
        ],
    ],
)
def test_what_cannot_be_meant_stops_with_an_error_that_names_file_and_picture(folder, edit, message):
    path = change(folder / "annotations" / "instances_train2017.json", edit)
    with pytest.raises(CocoError, match=message) as raised:
        find_coco(folder)
    assert str(path) in str(raised.value)


def test_a_file_of_results_is_told_from_one_of_annotations(folder):
    path = folder / "annotations" / "instances_train2017.json"
    path.write_text("[]")
    with pytest.raises(CocoError, match="a list, as files of results have"):
        find_coco(path)


def test_the_order_of_categories_in_the_file_does_not_matter(tmp_path):
    write_coco(tmp_path, {1: (20, 30)}, [box(1, 1, 2, 2, 9, 9)], list(reversed(CATEGORIES)))
    assert find_coco(tmp_path).labels == {3: 1, 17: 2, 90: 3}


def test_a_message_about_keys_holds_no_control_characters(tmp_path):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": [], "categories": [{"id": 1, "\x1b[31m": "cat"}], "annotations": []}))
    with pytest.raises(CocoError) as caught:
        find_coco(path)
    assert str(caught.value).isprintable()
    assert r"it has id, '\x1b[31m'" in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "a/" * 3000])
def test_a_picture_whose_name_no_system_takes_is_one_that_is_not_there(tmp_path, name):
    images = [{"id": 1, "file_name": name, "height": 5, "width": 5}]
    content = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": []}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(FileNotFoundError, match="names the image"):
        find_coco(tmp_path / "instances.json")
    with pytest.raises(FileNotFoundError, match="names the image"):
        find_coco(tmp_path / "instances.json", tmp_path)


@pytest.mark.parametrize(
    ("name", "stored"),
    [("a\\b\\1.png", "a/b/1.png"), ("caf\u00e9.png", "cafe\u0301.png"), ("e\u0301.png", "\u00e9.png")],
)
def test_names_with_backslashes_or_other_accents_lead_to_their_files(tmp_path, name, stored):
    images = [{"id": 1, "file_name": name, "height": 20, "width": 30}]
    categories = [{"id": 1, "name": "th\u00e9"}]
    content = {"images": images, "categories": categories, "annotations": [annotation(1, 1, 1, [2, 3, 4, 5], None)]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    (tmp_path / stored).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / stored).touch()
    found = find_coco(tmp_path / "instances.json", masks=False, classes=["tea", "the\u0301"])
    assert found.images[0].path == tmp_path / stored
    assert found.labels == {1: 2}


@pytest.mark.parametrize("size", [2**31, None, "20x30", [20], {"a": 1}])
def test_a_code_whose_size_is_no_size_is_refused(tmp_path, size):
    (tmp_path / "1.png").touch()
    content = {
        "images": [{"id": 1, "file_name": "1.png", "height": 20, "width": 30}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [annotation(1, 1, 1, [2, 3, 4, 5], segmentation={"size": size, "counts": [600]})],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(CocoError, match="needs a mask of the image's size, 20 x 30"):
        find_coco(tmp_path / "instances.json")
