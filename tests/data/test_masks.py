import re

import numpy as np
import pytest
import torch
from PIL import Image

from passband.data.masks import (
    LAYOUTS,
    MaskFileError,
    MaskPair,
    find_mask_pairs,
    read_mask,
    read_mask_pair,
    survey_masks,
)
from passband.io.image import ImageError
from passband.ops.labels import IGNORED
from tests.masks import ellipses, picture_of, write_pairs
from tests.pictures import make

MASK = ellipses("one", 21, 34)


def save(path, array, **options):
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(path, **options)
    return path


def names(pairs):
    return [pair.name for pair in pairs]


class TestFinding:
    @pytest.mark.parametrize(("images", "masks"), [*LAYOUTS, ("Original", "Ground Truth"), ("IMAGES", "Masks")])
    def test_every_layout_is_known_in_any_case(self, tmp_path, images, masks):
        make(tmp_path, f"{images}/b.png", f"{images}/a.png", f"{masks}/a.tif", f"{masks}/b.bmp")
        pairs = find_mask_pairs(tmp_path)
        assert names(pairs) == ["a", "b"]
        assert [pair.mask.name for pair in pairs] == ["a.tif", "b.bmp"]
        assert all(pair.image.parent == tmp_path / images for pair in pairs)

    def test_several_sets_below_are_found_and_named_by_their_folder(self, tmp_path):
        make(tmp_path, *[f"{part}/{role}/x/1.png" for part in ("cvc", "kvasir/test") for role in ("image", "mask")])
        make(tmp_path, ".hidden/images/1.png", ".hidden/masks/1.png", "cvc/image/@eaDir/x.png", "@eaDir/images/1.png")
        assert names(find_mask_pairs(tmp_path)) == ["cvc/x/1", "kvasir/test/x/1"]
        assert names(find_mask_pairs(tmp_path / "cvc")) == ["x/1"]

    def test_names_of_masks_may_say_what_they_are(self, tmp_path):
        make(tmp_path, "images/ISIC_01.png", "images/b.png", "images/c_mask.png")
        make(tmp_path, "masks/ISIC_01_segmentation.png", "masks/b-Mask.png", "masks/c_mask.png")
        pairs = find_mask_pairs(tmp_path)
        assert [(pair.name, pair.mask.name) for pair in pairs] == [
            ("ISIC_01", "ISIC_01_segmentation.png"),
            ("b", "b-Mask.png"),
            ("c_mask", "c_mask.png"),
        ]

    def test_all_files_without_a_partner_are_counted_and_ten_named(self, tmp_path):
        make(tmp_path, *[f"images/{number:02}.png" for number in range(14)], "masks/13.png", "masks/lost.png")
        with pytest.raises(ValueError, match="13 images without a mask in masks") as error:
            find_mask_pairs(tmp_path)
        message = str(error.value)
        assert len(re.findall(r"images/\d\d\.png", message)) == 10
        assert "and 3 more" in message
        assert re.search(r"1 mask without an image in images: \S*lost\.png", message)

    def test_two_files_of_one_name_are_refused(self, tmp_path):
        make(tmp_path, "images/a.png", "images/a.bmp", "masks/a.png")
        with pytest.raises(ValueError, match=r"files in .*images have the same name.*a\.bmp.*a\.png"):
            find_mask_pairs(tmp_path)

    def test_two_layouts_in_one_folder_are_refused(self, tmp_path):
        make(tmp_path, "images/a.png", "masks/a.png", "labels/a.png")
        with pytest.raises(ValueError, match=r"ambiguous, it holds images/masks or images/labels"):
            find_mask_pairs(tmp_path)

    def test_folders_without_pairs_say_what_is_expected(self, tmp_path):
        make(tmp_path, "images/a.png", "masks/a.png", "other/a.png")
        with pytest.raises(FileNotFoundError, match=r"no images with masks: expected sub-folders named images/masks"):
            find_mask_pairs(tmp_path / "other")
        with pytest.raises(FileNotFoundError, match=r"holds no images with masks, but .* does: "):
            find_mask_pairs(tmp_path / "images")
        with pytest.raises(FileNotFoundError, match="no folder"):
            find_mask_pairs(tmp_path / "none")
        (tmp_path / "empty" / "images").mkdir(parents=True)
        (tmp_path / "empty" / "masks").mkdir()
        with pytest.raises(FileNotFoundError, match="no images with masks"):
            find_mask_pairs(tmp_path / "empty")

    def test_closed_folders_are_told_of_and_passed_over(self, tmp_path, close_folder):
        make(tmp_path, "open/images/1.png", "open/masks/1.png", "closed/images/1.png", "closed/masks/1.png")
        close_folder(tmp_path / "closed")
        with pytest.warns(UserWarning, match="/closed cannot be read .* and is left out") as told:
            assert names(find_mask_pairs(tmp_path)) == ["open/1"]
        assert len(told) == 1


class TestBinary:
    @pytest.mark.parametrize(
        "levels",
        [MASK, MASK * 255, MASK * 200, 20 + MASK * 200, MASK * np.arange(222, 256).astype(np.uint8)],
        ids=["0 and 1", "0 and 255", "0 and 200", "gray and light", "many lights"],
    )
    def test_light_is_foreground(self, tmp_path, levels):
        mask = read_mask(save(tmp_path / "a.png", levels), 1)
        assert torch.equal(mask, torch.from_numpy(MASK.astype(np.int64)))

    def test_smooth_edges_are_parted_in_the_middle(self, tmp_path):
        levels = np.linspace(0, 255, 40)[None].repeat(3, 0).round()
        mask = read_mask(save(tmp_path / "a.png", levels), 1)
        assert torch.equal(mask, torch.from_numpy((levels > 127).astype(np.int64)))

    def test_jpeg_is_parted_in_the_middle(self, tmp_path):
        for quality in (30, 75, 100):
            save(tmp_path / "a.jpg", MASK * 255, quality=quality)
            found = read_mask(tmp_path / "a.jpg", 1).numpy()
            # at quality 30 a few pixels of the edge change sides
            assert (found != MASK).mean() < 0.01

    def test_palettes_are_gray_levels_or_numbers(self, tmp_path):
        image = Image.fromarray(MASK).convert("P")
        for palette, expected in (([255] * 3 + [0] * 3, 1 - MASK), ([0, 0, 0, 128, 0, 0], MASK)):
            image.putpalette(palette)
            image.save(tmp_path / "a.png")
            assert torch.equal(read_mask(tmp_path / "a.png", 1), torch.from_numpy(expected.astype(np.int64)))

    def test_empty_and_full_masks_are_no_errors(self, tmp_path):
        assert not read_mask(save(tmp_path / "a.png", MASK * 0), 1).any()
        assert read_mask(save(tmp_path / "b.png", MASK * 0 + 255), 1).all()
        assert not read_mask(save(tmp_path / "c.jpg", MASK * 0), 1).any()

    @pytest.mark.parametrize(
        ("levels", "words"),
        [
            ([[0, 1, 2]], r"the values 0, 1, 2, but a binary mask has .* set classes to 3 or more"),
            ([[0, 38, 38]], r"the values 0, 38, but"),
            ([[0, 1, 255]], r"the values 0, 1, 255, but .* set classes to 2 or more"),
            ([[0, 3, 255]], r"the values 0, 3, 255, but .* set classes to 4 or more"),
        ],
    )
    def test_numbers_of_classes_are_not_taken_for_darkness(self, tmp_path, levels, words):
        with pytest.raises(MaskFileError, match=rf"a\.png holds {words}"):
            read_mask(save(tmp_path / "a.png", levels), 1)

    def test_the_ignored_value_is_read_as_the_label_of_no_class(self, tmp_path):
        levels = np.array([[0, 1, 255], [1, 0, 255]])
        path = save(tmp_path / "a.png", levels)
        with pytest.raises(
            MaskFileError, match="set classes to 2 or more and ignore_label to 255 if these pixels have"
        ):
            read_mask(path, 1)
        expected = [[0, 1, IGNORED], [1, 0, IGNORED]]
        assert read_mask(path, 1, 255).tolist() == expected
        levels = np.array([[0, 255, 128], [255, 0, 128]])
        assert read_mask(save(tmp_path / "b.png", levels), 1, 128).tolist() == expected
        with pytest.raises(MaskFileError, match=r"a mask with an ignore_label must be stored without losses"):
            read_mask(save(tmp_path / "c.jpg", levels), 1, 128)

    def test_a_colored_palette_of_several_classes_is_refused(self, tmp_path):
        image = Image.fromarray(MASK * 2).convert("P")
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(tmp_path / "a.png")
        with pytest.raises(MaskFileError, match="holds the values 0, 2"):
            read_mask(tmp_path / "a.png", 1)


class TestClasses:
    def test_numbers_are_read_from_levels_and_from_palettes(self, tmp_path):
        numbers = (MASK * 3 + np.arange(34) % 2).astype(np.uint8)
        expected = torch.from_numpy(numbers.astype(np.int64))
        assert torch.equal(read_mask(save(tmp_path / "a.png", numbers), 5), expected)
        image = Image.fromarray(numbers).convert("P")
        image.putpalette(np.arange(15)[::-1].astype(np.uint8).tobytes())
        image.save(tmp_path / "b.png")
        assert torch.equal(read_mask(tmp_path / "b.png", 5), expected)

    def test_values_that_are_no_classes_are_named(self, tmp_path):
        path = save(tmp_path / "a.png", [[0, 1, 4, 7]])
        with pytest.raises(MaskFileError, match=r"the values 4, 7, but 4 classes are 0 to 3: set classes to 8 or more"):
            read_mask(path, 4)
        one = save(tmp_path / "c.png", [[0, 1, 5]])
        with pytest.raises(
            MaskFileError, match="set classes to 6 or more, or correct the mask, or set ignore_label to 5"
        ):
            read_mask(one, 4)
        foreground = "as in Pascal VOC and Cityscapes, or classes to 1 if they are the foreground$"
        with pytest.raises(
            MaskFileError, match=rf"set ignore_label to 255 if these pixels have no class, {foreground}"
        ):
            read_mask(save(tmp_path / "b.png", MASK * 255), 2)
        with pytest.raises(
            MaskFileError, match="set ignore_label to 255 if these pixels have no class, as in Pascal VOC"
        ):
            read_mask(save(tmp_path / "b.png", [[0, 3, 20, 255]]), 21)

    @pytest.mark.parametrize("label", [255, 0, 2])
    def test_the_ignored_value_is_read_as_the_label_of_no_class(self, tmp_path, label):
        numbers = np.array([[0, 1, 2, 3], [255, 255, 3, 1]], np.uint8)
        expected = torch.from_numpy(numbers.astype(np.int64))
        expected[expected == label] = IGNORED
        path = save(tmp_path / "a.png", numbers)
        if label == 255:
            assert torch.equal(read_mask(path, 4, label), expected)
            image = Image.fromarray(numbers).convert("P")
            image.putpalette(np.arange(768)[::-1].astype(np.uint8).tobytes())  # as in Pascal VOC
            image.save(tmp_path / "b.png")
            assert torch.equal(read_mask(tmp_path / "b.png", 4, label), expected)
        else:
            with pytest.raises(
                MaskFileError, match="holds the values 255, but 4 classes are 0 to 3: set classes to 256"
            ):
                read_mask(path, 4, label)
        assert torch.equal(read_mask(path, 256, label), expected)

    @pytest.mark.parametrize("classes", [1, 4, 256])
    def test_a_mask_with_the_ignored_value_alone_has_no_class_anywhere(self, tmp_path, classes):
        mask = read_mask(save(tmp_path / "a.png", MASK * 0 + 255), classes, 255)
        assert torch.equal(mask, torch.full(MASK.shape, IGNORED))

    def test_jpeg_is_refused(self, tmp_path):
        with pytest.raises(MaskFileError, match=r"such as PNG, but .*a\.jpg is compressed with losses"):
            read_mask(save(tmp_path / "a.jpg", MASK), 2)

    def test_no_class_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="got 0"):
            read_mask(tmp_path / "a.png", 0)


def test_a_pair_is_read_with_both_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    image = picture_of("one", MASK)
    save(tmp_path / "image.png", np.rot90(image, -1), exif=exif)
    save(tmp_path / "mask.png", MASK * 255)
    picture, mask = read_mask_pair(MaskPair(tmp_path / "image.png", tmp_path / "mask.png", "a"), 1)
    assert torch.equal((picture * 255).round().byte(), torch.from_numpy(image).movedim(-1, 0))
    assert torch.equal(mask, torch.from_numpy(MASK.astype(np.int64)))


def test_a_mask_of_another_size_is_an_error_with_both_files(tmp_path):
    pair = MaskPair(save(tmp_path / "i.png", picture_of("one", MASK)), save(tmp_path / "m.png", MASK[:-1] * 255), "a")
    with pytest.raises(MaskFileError, match=r"i\.png has 34x21 pixels, and its mask .*m\.png has 34x20"):
        read_mask_pair(pair, 1)
    with pytest.raises(MaskFileError, match=r"1 of 1 masks cannot be used: .*i\.png is 34x21 pixels, .*m\.png 34x20"):
        survey_masks([pair], 1)


class TestSurvey:
    def test_shares_and_empty_masks_are_counted(self, tmp_path):
        write_pairs(tmp_path, 3)
        save(tmp_path / "masks" / "1.png", np.zeros((37, 53)))
        pairs = find_mask_pairs(tmp_path)
        survey = survey_masks(pairs, 1)
        share = np.mean([read_mask(pair.mask, 1).double().mean() for pair in pairs])
        assert (survey.count, survey.empty, survey.full) == (3, ("1",), ())
        assert survey.shares == pytest.approx((1 - share, share))

    def test_masks_of_nothing_but_foreground_are_counted_where_there_are_two_classes(self, tmp_path):
        write_pairs(tmp_path, 3)
        save(tmp_path / "masks" / "2.png", np.full((37, 53), 255))
        save(tmp_path / "masks" / "0.png", np.full((37, 53), 1))
        pairs = find_mask_pairs(tmp_path)
        assert survey_masks(pairs, 1).full == ("0", "2")
        assert survey_masks(pairs, 256).full == ()

    def test_ignored_pixels_are_neither_foreground_nor_background(self, tmp_path):
        write_pairs(tmp_path, 3)
        for number, levels in enumerate(([0, 255], [1, 255], [0, 1])):
            save(tmp_path / "masks" / f"{number}.png", np.resize(levels, (37, 53)))
        survey = survey_masks(find_mask_pairs(tmp_path), 1, 255)
        assert (survey.count, survey.empty, survey.full) == (3, ("0",), ("1",))
        assert survey.shares == pytest.approx((0.5, 0.5), abs=1e-3)  # odd numbers of pixels
        for number in (1, 2):
            save(tmp_path / "masks" / f"{number}.png", np.resize([0, 255], (37, 53)))
        with pytest.raises(ValueError, match="Foreground is white, or 1; the ignore_label 255 is not"):
            survey_masks(find_mask_pairs(tmp_path), 1, 255)
        save(tmp_path / "masks" / "1.png", np.full((37, 53), 255))
        save(tmp_path / "masks" / "2.png", np.full((37, 53), 1))
        survey = survey_masks(find_mask_pairs(tmp_path), 1, 255)
        assert (survey.count, survey.empty, survey.full) == (2, ("0",), ("2",))
        assert survey.shares == (0.5, 0.5)
        for number in range(3):
            save(tmp_path / "masks" / f"{number}.png", np.full((37, 53), 255))
        with pytest.raises(ValueError, match="all 3 masks are empty.*the ignore_label 255 is not"):
            survey_masks(find_mask_pairs(tmp_path), 1, 255)

    def test_masks_in_alpha_are_surveyed_as_what_they_say(self, tmp_path):
        write_pairs(tmp_path, 2)
        expected = survey_masks(find_mask_pairs(tmp_path), 1)
        for path in (tmp_path / "masks").iterdir():
            alpha = Image.open(path).convert("L").point(lambda level: 255 * (level > 0))
            white = Image.new("RGB", alpha.size, "white")
            white.putalpha(alpha)
            white.save(path)
        assert survey_masks(find_mask_pairs(tmp_path), 1) == expected

    def test_a_set_of_empty_masks_is_nothing_to_learn_from(self, tmp_path):
        write_pairs(tmp_path, 3)
        for number in range(3):
            save(tmp_path / "masks" / f"{number}.png", np.zeros((37, 53)))
        with pytest.raises(ValueError, match="all 3 masks are empty"):
            survey_masks(find_mask_pairs(tmp_path), 1)

    def test_all_wrong_masks_are_counted_and_ten_named(self, tmp_path):
        write_pairs(tmp_path, 13)
        for number in range(12):
            save(tmp_path / "masks" / f"{number}.png", np.full((37, 53), 3))
        with pytest.raises(MaskFileError, match="12 of 13 masks cannot be used") as error:
            survey_masks(find_mask_pairs(tmp_path), 1)
        assert str(error.value).count("holds the values") == 10
        assert str(error.value).endswith("and 2 more")

    def test_files_that_cannot_be_read_are_left_to_whoever_takes_them(self, tmp_path):
        write_pairs(tmp_path, 3)
        (tmp_path / "masks" / "1.png").write_bytes(b"no picture")
        pairs = find_mask_pairs(tmp_path)
        assert survey_masks(pairs, 1).count == 2
        with pytest.raises(ImageError, match=r"1\.png"):
            read_mask_pair(pairs[1], 1)
