import pytest

from passband.data.pair_layouts import DUAL_LAYOUTS, LAYOUTS
from passband.data.pairs import Pair, find_pairs
from tests.pictures import make


@pytest.mark.parametrize(("degraded", "clean"), LAYOUTS)
def test_every_layout_is_paired_by_name_whatever_the_suffixes(tmp_path, degraded, clean):
    left = make(tmp_path / degraded, "a.png", "b_1.JPG", "sub/c.d.bmp")
    right = make(tmp_path / clean, "a.png", "b_1.png", "sub/c.d.tif")
    pairs = find_pairs(tmp_path)
    names = ["a", "b_1", "sub/c.d"]
    assert pairs == [Pair(*parts) for parts in zip(left, right, names, strict=True)]


def test_no_name_is_of_a_degraded_folder_in_one_layout_and_of_a_clean_one_in_another():
    degraded, clean = (set(names) for names in zip(*LAYOUTS, strict=True))
    assert degraded.isdisjoint(clean)
    assert len(set(LAYOUTS)) == len(LAYOUTS)


def test_other_folders_beside_a_layout_are_not_looked_at(tmp_path):
    make(tmp_path / "blur", "1.png")
    make(tmp_path / "sharp", "1.png")
    make(tmp_path / "blur_gamma", "2.png")
    make(tmp_path / "scene" / "hazy", "3.png")
    make(tmp_path / "scene" / "gt", "3.png")
    assert [pair.name for pair in find_pairs(tmp_path)] == ["1"]


def test_several_degraded_pictures_may_come_from_one_clean_one(tmp_path):
    make(tmp_path / "hazy", "1400_1.png", "1400_2_0.95.png", "1401_1.png", "sub/1400_1.png")
    first, second, other = make(tmp_path / "gt", "1400.png", "1401.png", "sub/1400.png")
    assert [pair.clean for pair in find_pairs(tmp_path)] == [first, first, second, other]


def test_the_whole_name_goes_before_what_precedes_its_first_underscore(tmp_path):
    make(tmp_path / "hazy", "7.png", "7_1.png", "7_1_2.png", "_x.png")
    short, long, marked = make(tmp_path / "gt", "7.png", "7_1.png", "_x.png")
    assert [pair.clean for pair in find_pairs(tmp_path)] == [short, long, short, marked]


def test_a_scene_may_have_the_name_of_a_view_or_a_role(tmp_path):
    names = ["b", "c", "L", "left", "r", "rain", "x/c"]
    make(tmp_path / "hazy", *[f"{name}_{number}.png" for name in names for number in (1, 2)])
    make(tmp_path / "gt", *[f"{name}.png" for name in names])
    assert {pair.clean.stem for pair in find_pairs(tmp_path) if pair.degraded.stem.endswith("_2")} == {
        *("b", "c", "L", "left", "r", "rain")
    }
    assert all(pair.name.rpartition("_")[0] == pair.clean.stem for pair in find_pairs(tmp_path) if "/" not in pair.name)


def test_a_name_is_looked_for_in_the_same_sub_folder_only(tmp_path):
    make(tmp_path / "degraded", "a/1.png", "2.png")
    make(tmp_path / "clean", "b/1.png", "2.png")
    with pytest.raises(ValueError, match=r"2 images .*degraded/a/1\.png, .*clean/b/1\.png"):
        find_pairs(tmp_path)


def test_scenes_with_layouts_of_their_own_are_joined_in_order(tmp_path):
    for scene in ("two", "one", "deep/er/three"):
        make(tmp_path / scene / "blur", "0.png", "1.png")
        make(tmp_path / scene / "sharp", "0.png", "1.png")
    make(tmp_path / ".trash" / "blur", "0.png")
    make(tmp_path / ".trash" / "sharp", "1.png")
    found = [pair.degraded.relative_to(tmp_path).as_posix() for pair in find_pairs(tmp_path)]
    expected = ["deep/er/three/blur/0.png", "deep/er/three/blur/1.png"]
    expected += [f"{scene}/blur/{number}.png" for scene in ("one", "two") for number in (0, 1)]
    assert found == expected


@pytest.mark.parametrize(
    ("degraded", "clean", "alone"),
    [
        (["a.png", "b.png"], ["a.png"], ["degraded/b.png"]),
        (["a.png"], ["a.png", "b.png"], ["clean/b.png"]),
        (["a.png", "x_1.png"], ["a.png", "y.png"], ["degraded/x_1.png", "clean/y.png"]),
        (["a.png"], [], ["degraded/a.png"]),
    ],
    ids=["degraded", "clean", "both", "empty"],
)
def test_files_without_a_partner_are_listed(tmp_path, degraded, clean, alone):
    make(tmp_path / "degraded", *degraded)
    (tmp_path / "clean").mkdir()
    make(tmp_path / "clean", *clean)
    with pytest.raises(ValueError, match=rf"^{len(alone)} images? .* ha(s|ve) no partner") as caught:
        find_pairs(tmp_path)
    listed = str(caught.value).split(": ", 1)[1].split(", ")
    assert listed == [str(tmp_path / name) for name in alone]


def test_a_long_list_of_files_without_a_partner_is_cut_and_counted(tmp_path):
    make(tmp_path / "degraded", "a.png", *(f"{number:02}.png" for number in range(13)))
    make(tmp_path / "clean", "a.png")
    with pytest.raises(ValueError, match=r"^13 images .*00\.png, .*09\.png, and 3 more$") as caught:
        find_pairs(tmp_path)
    assert "10.png" not in str(caught.value)


def test_hidden_files_need_no_partner(tmp_path):
    make(tmp_path / "degraded", "a.png", "._a.png", ".checkpoints/a.png", "@eaDir/a.png/SYNOPHOTO_THUMB_XL.jpg")
    make(tmp_path / "@eaDir" / "hazy", "b.png")
    make(tmp_path / "clean", "a.png")
    assert len(find_pairs(tmp_path)) == 1


def test_a_missing_folder_and_a_missing_layout_are_refused_naming_what_is_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        find_pairs(tmp_path / "nowhere")
    make(tmp_path, "a.png")
    make(tmp_path / "degraded", "a.png")
    with pytest.raises(FileNotFoundError, match=r"holds no pairs of images: expected .*degraded/clean, .*lq/gt"):
        find_pairs(tmp_path)
    (tmp_path / "clean").mkdir()
    (tmp_path / "degraded" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match="holds no pairs of images"):
        find_pairs(tmp_path)


# --- data sets as they are published ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("degraded", "clean"),
    [
        ("train/hazy/1_1_0.90179.png", "train/gt/1.png"),  # RESIDE indoor
        ("test/hazy/0001_0.8_0.2.jpg", "test/gt/0001.png"),  # RESIDE outdoor
        ("hazy/1400_3.png", "clear/1400.png"),
        ("# O-HAZY NTIRE 2018/hazy/01_outdoor_hazy.jpg", "# O-HAZY NTIRE 2018/GT/01_outdoor_GT.jpg"),
        ("I-HAZE/hazy/07_indoor_hazy.JPG", "I-HAZE/GT/07_indoor_GT.jpg"),
        ("Dense_Haze/hazy/33_hazy.png", "Dense_Haze/GT/33_GT.png"),
        ("train/GOPR0372_07_00/blur/000047.png", "train/GOPR0372_07_00/sharp/000047.png"),
        ("RealBlur-J_ECC_IMCORR_centroid_itensity_ref/scene001/blur/blur_1.png",
         "RealBlur-J_ECC_IMCORR_centroid_itensity_ref/scene001/gt/gt_1.png"),
        ("RSBlur/0001/000001/real_blur/real_blur.png", "RSBlur/0001/000001/gt/gt_sharp.png"),
        ("Test100/input/1.png", "Test100/target/1.png"),
        ("train2500/Snow/12.png", "train2500/Gt/12.jpg"),  # SRRS
        ("all/synthetic/city_read_00001.jpg", "all/gt/city_read_00001.jpg"),  # Snow100K
        ("train/data/0_rain.png", "train/gt/0_clean.png"),  # DeRainDrop
        ("inputC/1P0A0917.png", "target/1P0A0917.png"),
        ("NH-HAZE/01_hazy.png", "NH-HAZE/01_GT.png"),
        ("Rain100H/rain-001.png", "Rain100H/norain-001.png"),  # Rain100, RainTrainH
        ("Rain100L/rainy/rain-001.png", "Rain100L/norain-001.png"),
        ("Rain100L/rain/rain-001.png", "Rain100L/norain/norain-001.png"),
        ("Rain100L/input/rain-001.png", "Rain100L/target/norain-001.png"),
        ("Rain200H/train/rain/X2/norain-1x2.png", "Rain200H/train/norain/norain-1.png"),
        ("Rain12600/rainy_image/1_14.jpg", "Rain12600/ground_truth/1.jpg"),  # Rain1400
        ("Rain12/input/001_in.png", "Rain12/groundtruth/001_GT.png"),
        ("real_test_1000/rain/000.png", "real_test_1000/gt/000gt.png"),  # SPA-Data
        ("Test1/in/im_0001_s80_a04.png", "Test1/gt/im_0001.png"),  # Outdoor-Rain
        ("RainDS_real/train_set/rainstreak_raindrop/2.png", "RainDS_real/train_set/gt/2.png"),
        ("RainDS_syn/train/raindrop/pie-rd-1.png", "RainDS_syn/train/gt/pie-norain-1.png"),
        ("OTS/hazy/part1/0025_0.8_0.04.jpg", "OTS/clear/0025.jpg"),  # RESIDE, in parts
        ("Haze4K/train/haze/1_0.53_1.84.png", "Haze4K/train/gt/1.png"),
        ("HSTS/synthetic/0586.jpg", "HSTS/original/0586.jpg"),
        ("train/train_blur/000/00000000.png", "train/train_sharp/000/00000000.png"),  # REDS
        ("BSD_1ms8ms/train/000/Blur/RGB/00000000.png", "BSD_1ms8ms/train/000/Sharp/RGB/00000000.png"),
        ("LOLdataset/our485/low/2.png", "LOLdataset/our485/high/2.png"),
        ("Real_captured/Train/Low/low00001.png", "Real_captured/Train/Normal/normal00001.png"),  # LOL-v2
        ("Data/0001_001_S6_00100_00060_3200_L/0001_NOISY_SRGB_010.PNG",
         "Data/0001_001_S6_00100_00060_3200_L/0001_GT_SRGB_010.PNG"),  # SIDD
        ("SIDD_Small/0001_001/NOISY_SRGB_010.PNG", "SIDD_Small/0001_001/GT_SRGB_010.PNG"),
        ("CroppedImages/Canon5D2_5_160_3200_ball_16_real.JPG",
         "CroppedImages/Canon5D2_5_160_3200_ball_16_mean.JPG"),  # PolyU
        ("raw-890/2_img_.png", "reference-890/2_img_.png"),  # UIEB
        ("HIDE_dataset/train/10fromGOPR1001.png", "HIDE_dataset/GT/10fromGOPR1001.png"),
        ("HIDE_dataset/test/test-long-shot/1.png", "HIDE_dataset/GT/1.png"),
    ],
)  # fmt: skip
def test_published_data_sets_are_paired_as_they_are(tmp_path, degraded, clean):
    paths = [make(tmp_path, name)[0] for name in (degraded, clean)]
    make(tmp_path / "unrelated" / "mask", "1.png")
    (pair,) = find_pairs(tmp_path)
    assert [pair.degraded, pair.clean, pair.right] == [*paths, None]


def test_pairs_of_one_folder_are_told_by_the_last_word_that_says_which_they_are(tmp_path):
    make(tmp_path, "clear_lake_hazy.png", "clear_lake_GT.png", "rain_gt_2.png", "rain_blur_2.png", "._01_hazy.png")
    found = [(pair.degraded.name, pair.clean.name, pair.name) for pair in find_pairs(tmp_path)]
    assert found == [
        ("clear_lake_hazy.png", "clear_lake_GT.png", "clear_lake_hazy"),
        ("rain_blur_2.png", "rain_gt_2.png", "rain_blur_2"),
    ]
    make(tmp_path, "03_hazy.png", "04_GT.png")
    with pytest.raises(ValueError, match=r"^2 images in .* no partner .*03_hazy\.png, .*04_GT\.png$"):
        find_pairs(tmp_path)


def test_a_layout_goes_before_pairs_of_one_folder(tmp_path):
    make(tmp_path, "hazy/1.png", "gt/1.png", "figures/a_hazy.png", "figures/a_gt.png", "b_hazy.png", "b_gt.png")
    assert [pair.name for pair in find_pairs(tmp_path)] == ["1"]


def test_names_that_say_something_but_have_no_partner_at_all_are_no_pairs(tmp_path):
    make(tmp_path, "rain-001.png", "clear_sky.png", "in_the_park.png", "real_madrid.png")
    with pytest.raises(FileNotFoundError, match=r"holds no pairs .* or pairs in one folder named as 01_hazy\.png and"):
        find_pairs(tmp_path)


def test_several_degraded_folders_of_one_clean_folder_are_joined_and_named_apart(tmp_path):
    make(tmp_path, *[f"train/{name}/2.png" for name in ("gt", "raindrop", "rainstreak", "rainstreak_raindrop")])
    assert [(pair.name, pair.clean.parent.name) for pair in find_pairs(tmp_path)] == [
        ("train/raindrop/2", "gt"),
        ("train/rainstreak/2", "gt"),
        ("train/rainstreak_raindrop/2", "gt"),
    ]


def test_folders_that_cannot_be_read_are_told_once_of_pairs_in_one_folder_too(tmp_path, close_folder):
    for scene in ("one", "two"):
        make(tmp_path / scene, "0001_NOISY_SRGB_010.PNG", "0001_GT_SRGB_010.PNG")
    close_folder(tmp_path / "two")
    told = []
    assert [pair.name for pair in find_pairs(tmp_path, unreadable=told.append)] == ["one/0001_NOISY_SRGB_010"]
    assert [error.filename for error in told] == [str(tmp_path / "two")]


def test_one_part_of_a_set_finds_the_clean_pictures_that_all_parts_share(tmp_path):
    root = tmp_path / "HIDE_dataset"
    make(root, "GT/1.png", "GT/2.png", "GT/3.png")
    make(root, "train/1.png", "test/test-close-ups/2.png", "test/test-long-shot/3.png")
    assert [pair.name for pair in find_pairs(root)] == ["train/1", "test/test-close-ups/2", "test/test-long-shot/3"]
    assert [(pair.name, pair.clean.name) for pair in find_pairs(root / "train")] == [("1", "1.png")]
    parts = [pair.name for pair in find_pairs(root / "test")]
    assert parts == ["test-close-ups/2", "test-long-shot/3"]
    assert [pair.name for pair in find_pairs(root / "test" / "test-long-shot")] == ["3"]
    make(root / "train", "4.png")
    with pytest.raises(ValueError, match=r"^1 image in .* no partner .*train/4\.png$"):
        find_pairs(root)


def test_a_clean_folder_without_sub_folders_serves_those_of_the_degraded_one(tmp_path):
    make(tmp_path / "hazy", "part1/0025_0.8.jpg", "part2/0025_0.9.jpg", "part2/0026_1.jpg")
    first, second = make(tmp_path / "clear", "0025.jpg", "0026.jpg")
    assert [pair.clean for pair in find_pairs(tmp_path)] == [first, first, second]


def test_the_words_that_say_which_of_a_pair_a_file_is_leave_the_rest_of_the_name_to_decide(tmp_path):
    make(tmp_path / "blur", "blur_1.png", "blur_11.png", "rain_blur_2.png")
    expected = make(tmp_path / "gt", "gt_1.png", "gt_11.png", "rain_gt_2.png")
    assert [pair.clean for pair in find_pairs(tmp_path)] == expected
    make(tmp_path / "gt", "gt_12.png")
    with pytest.raises(ValueError, match=r"1 image .*gt_12\.png"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("degraded", "clean", "named"),
    [
        (["a.png"], ["a.jpg", "a.png"], r"degraded/a\.png is ambiguous, .*clean/a\.jpg, .*clean/a\.png"),
        (["1_hazy.png"], ["1_gt.png", "1_clean.png"], r"1_hazy\.png is ambiguous, .*1_clean\.png, .*1_gt\.png"),
        (["a.jpg", "a.png"], ["a.png"], r"have the same name; keep one of each: .*degraded/a\.jpg, .*degraded/a\.png"),
    ],
)
def test_files_with_more_than_one_partner_are_an_error_that_lists_them(tmp_path, degraded, clean, named):
    make(tmp_path / "degraded", *degraded)
    make(tmp_path / "clean", *clean)
    with pytest.raises(ValueError, match=named):
        find_pairs(tmp_path)


def test_two_layouts_side_by_side_are_an_error_that_names_both(tmp_path):
    for name in ("hazy", "gt", "clear"):
        make(tmp_path / name, "1.png")
    with pytest.raises(ValueError, match=r"is ambiguous, it holds hazy/gt or hazy/clear: move"):
        find_pairs(tmp_path)


def test_one_half_of_a_set_is_told_from_the_whole(tmp_path):
    make(tmp_path / "hazy", "1.png")
    make(tmp_path / "gt", "1.png")
    with pytest.raises(FileNotFoundError, match=rf"hazy holds no pairs .* is one half of {tmp_path}, which does"):
        find_pairs(tmp_path / "hazy")


def test_pairs_in_folders_that_cannot_be_read_are_told_once_and_left_out(tmp_path, close_folder):
    for scene in ("one", "two"):
        make(tmp_path / scene, "blur/1.png", "sharp/1.png")
    close_folder(tmp_path / "two")
    told = []
    assert [pair.name for pair in find_pairs(tmp_path, unreadable=told.append)] == ["one/1"]
    assert [error.filename for error in told] == [str(tmp_path / "two")]
    make(tmp_path / "one", "blur/night/2.png", "sharp/night/2.png")
    close_folder(tmp_path / "one" / "blur" / "night")
    with pytest.raises(ValueError, match=r"1 image .* has no partner .*sharp/night/2\.png"):
        find_pairs(tmp_path, unreadable=told.append)


# --- two views --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "right", "clean"), DUAL_LAYOUTS)
def test_left_and_right_views_are_found_beside_the_clean_picture(tmp_path, left, right, clean):
    names = ["1P0A0917.png", "1P0A0919.png"]
    lefts, rights, cleans = (make(tmp_path / folder, *names) for folder in (left, right, clean))
    expected = [
        Pair(*paths[::2], name.removesuffix(".png"), paths[1])
        for *paths, name in zip(lefts, rights, cleans, names, strict=True)
    ]
    assert find_pairs(tmp_path, views=2) == expected


def test_a_missing_right_view_is_listed(tmp_path):
    make(tmp_path / "inputL", "1.png", "2.png")
    make(tmp_path / "inputR", "1.png")
    make(tmp_path / "target", "1.png", "2.png")
    with pytest.raises(ValueError, match=r"1 image .* in inputL or inputR: .*inputL/2\.png$"):
        find_pairs(tmp_path, views=2)


def test_the_set_of_all_three_inputs_serves_one_view_and_two(tmp_path):
    for name in ("inputC", "inputL", "inputR", "target"):
        make(tmp_path / name, "1.png")
    assert [pair.degraded.parent.name for pair in find_pairs(tmp_path)] == ["inputC"]
    assert [pair.degraded.parent.name for pair in find_pairs(tmp_path, views=2)] == ["inputL"]


def test_the_wrong_number_of_views_is_told_with_the_channels_it_is_for(tmp_path):
    for name in ("inputL", "inputR", "target"):
        make(tmp_path / "dual" / name, "1.png")
    for name in ("input", "target"):
        make(tmp_path / "single" / name, "1.png")
    with pytest.raises(FileNotFoundError, match="its left and right views are for a network with 6 input channels"):
        find_pairs(tmp_path / "dual")
    with pytest.raises(FileNotFoundError, match=r"with two views, .*6 input channels.* inputL \+ inputR \+ target"):
        find_pairs(tmp_path / "single", views=2)


def test_the_set_whose_names_are_unlike_is_paired_in_order_if_all_of_it_is_there(tmp_path):
    lefts = make(tmp_path / "test_l" / "source", "1P0A1.png", "1P0A3.png")
    rights = make(tmp_path / "test_r" / "source", "1P0A1.png", "1P0A3.png")
    cleans = make(tmp_path / "test_c" / "target", "1P0A2.png", "1P0A4.png")
    found = find_pairs(tmp_path, views=2)
    assert [(pair.degraded, pair.right, pair.clean) for pair in found] == list(zip(lefts, rights, cleans, strict=True))
    make(tmp_path / "test_c" / "target", "1P0A6.png")
    with pytest.raises(ValueError, match=r"5 images .* have no partner"):
        find_pairs(tmp_path, views=2)
