import pytest

from passband.data.coco import find_coco
from passband.data.datasets.classification import LabeledImages
from passband.data.masks import MaskPair, find_mask_pairs
from passband.data.pairs import Pair
from passband.data.scenes import connected, sequences_by_frames, sequences_by_pattern
from passband.data.splits import named_pairs, split_classes, split_coco, split_mask_pairs, split_pairs
from tests.detectors import write_shapes
from tests.masks import write_pairs


@pytest.fixture
def pairs(tmp_path):
    """Twenty pairs whose files are different texts."""
    found = []
    for number in range(20):
        path = tmp_path / f"{number:02}.png"
        path.write_text(f"picture {number:02}")
        found.append(MaskPair(path, path, f"{number:02}"))
    return found


def names(pairs):
    return [pair.name for pair in pairs]


class TestShares:
    def test_parts_are_disjoint_whole_and_as_large_as_asked_for(self, pairs):
        parts = split_mask_pairs(pairs, (0.6, 0.25, 0.15), seed=3)
        assert [len(part) for part in parts] == [12, 5, 3]
        assert sorted(name for part in parts for name in names(part)) == names(pairs)
        assert all(names(part) == sorted(names(part)) for part in parts)

    def test_names_and_seed_decide_and_nothing_else(self, pairs):
        again = split_mask_pairs(pairs, seed=3)
        assert split_mask_pairs(pairs, seed=3) == again
        reverse = split_mask_pairs(pairs[::-1], seed=3)
        assert [set(names(part)) for part in reverse] == [set(names(part)) for part in again]
        assert split_mask_pairs(pairs, seed=4)[1] != again[1]

    def test_sequences_are_never_parted(self, pairs):
        sequences = [str(number // 3) for number in range(20)]
        for seed in range(10):
            parts = split_mask_pairs(pairs, (0.7, 0.3), seed, sequences)
            held = {sequences[pairs.index(pair)] for pair in parts[1]}
            assert held.isdisjoint(sequences[pairs.index(pair)] for pair in parts[0])
            assert 3 <= len(parts[1]) <= 6

    def test_the_same_file_under_two_names_is_never_parted(self, pairs):
        for number in range(0, 20, 2):
            pairs[number + 1].image.write_bytes(pairs[number].image.read_bytes())
        for seed in range(10):
            for part in split_mask_pairs(pairs, (0.5, 0.5), seed):
                held = {int(pair.name) for pair in part}
                assert all(number ^ 1 in held for number in held)

    def test_every_part_gets_something_however_small_its_share(self, pairs):
        assert [len(part) for part in split_mask_pairs(pairs[:3], (0.98, 0.01, 0.01))] == [1, 1, 1]
        sequences = ["a"] * 10 + ["b"] * 9 + ["c"]
        parts = split_mask_pairs(pairs, (0.1, 0.1, 0.8), 0, sequences)
        assert all(parts)
        assert sorted(len(part) for part in parts) == [1, 9, 10]

    @pytest.mark.parametrize("seed", range(5))
    def test_a_greedy_part_leaves_scenes_for_those_that_follow(self, pairs, seed):
        parts = split_mask_pairs(pairs[:4], (0.05, 0.9, 0.05), seed)
        assert [len(part) for part in parts] == [1, 2, 1]

    def test_what_cannot_be_split_is_said(self, pairs):
        with pytest.raises(ValueError, match=r"20 images of 1 scene cannot be split into 3 parts"):
            split_mask_pairs(pairs, sequences=["one"] * 20)
        with pytest.raises(
            ValueError, match=r"shares must be two or more numbers above 0 that add to 1; got \(0.5, 0.4\)"
        ):
            split_mask_pairs(pairs, (0.5, 0.4))
        with pytest.raises(ValueError, match="above 0"):
            split_mask_pairs(pairs, (1.0, 0.0))
        with pytest.raises(ValueError, match="each of the 20 pairs needs the label of its sequence; got 2"):
            split_mask_pairs(pairs, sequences=["a", "b"])


class TestLists:
    @pytest.fixture
    def found(self, tmp_path):
        write_pairs(tmp_path / "cvc", 3, (5, 7))
        write_pairs(tmp_path / "kvasir", 2, (5, 7), start=2)
        return find_mask_pairs(tmp_path)

    def write(self, folder, text):
        (folder / "list.txt").write_text(text, encoding="utf-8")
        return folder / "list.txt"

    def test_names_may_have_folders_and_suffixes(self, found, tmp_path):
        listing = self.write(tmp_path, "\ufeff# split of 2020\n cvc/2\n\n1.jpg # blurred\nimages/0.png\nkvasir\\3\n")
        assert names(named_pairs(found, listing)) == ["cvc/2", "cvc/1", "cvc/0", "kvasir/3"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("cvc/0\ncvc/7\n8.png", r"2 names in .*list\.txt fit none of the 5 images: cvc/7, 8.png\."),
            ("2", "fit several images; add their folders: 2"),
            ("cvc/0\n0.jpg\n1", r"lists images twice; list each once: cvc/0, 0\.jpg"),
            ("\n# none\n", "names no images"),
        ],
    )
    def test_names_that_fit_nothing_or_too_much_are_named(self, found, tmp_path, text, words):
        with pytest.raises(ValueError, match=words):
            named_pairs(found, self.write(tmp_path, text))

    def test_a_missing_list_is_named(self, found, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no file .*none\.txt"):
            named_pairs(found, tmp_path / "none.txt")


class TestSequences:
    def test_a_pattern_names_them_by_its_groups_or_its_match(self):
        found = ["p1_a_1", "p1_a_2", "p2_a_1", "p1_b_1", "other"]
        for pattern in (r"^(p\d)_(\w)_", r"^p\d_\w_"):
            one = sequences_by_pattern(found, pattern)
            assert one[0] == one[1]
            assert len(set(one)) == 4

    def test_patterns_that_fit_nothing_are_refused(self):
        with pytest.raises(ValueError, match=r"matches none of 2 names, such as a, b"):
            sequences_by_pattern(["a", "b"], r"\d")
        with pytest.raises(ValueError, match="a regular expression is needed"):
            sequences_by_pattern(["a"], "(")

    def test_frames_are_of_one_sequence_until_a_number_misses(self):
        found = ["v7_frame1.x", "v7_frame10.x", "v7_frame2.x", "v7_frame4.x", "v8_frame3.x", "none"]
        one, two = (sequences_by_frames(found, gap) for gap in (1, 2))
        assert one[0] == one[2]
        assert len(set(one)) == 5
        assert two[0] == two[2] == two[3]
        assert len(set(two)) == 4
        assert one[0] != one[4]

    def test_frames_that_count_on_are_parted_where_sequences_begin(self):
        found = [str(number) for number in range(1, 13)]
        assert len(set(sequences_by_frames(found))) == 1
        parted = sequences_by_frames(found, starts=[5, 10])
        assert [parted.index(one) for one in parted] == [0] * 4 + [4] * 5 + [9] * 3

    def test_a_gap_below_1_is_refused(self):
        with pytest.raises(ValueError, match="at least 1; got 0"):
            sequences_by_frames(["1"], 0)


def test_connected_items_are_linked_through_others():
    assert connected(6, [(4, 1), (1, 0), (5, 3)]) == [[0, 1, 4], [2], [3, 5]]
    assert connected(3, []) == [[0], [1], [2]]


class TestRecordedSplits:
    """Runs that were begun earlier must hold out the same images when they are resumed."""

    @pytest.fixture
    def images(self, tmp_path):
        paths = [tmp_path / f"{number:02}.png" for number in range(12)]
        for number, path in enumerate(paths):
            path.write_text(f"picture {number:02}")
        return paths

    @pytest.mark.parametrize(("seed", "expected"), [(0, ["01", "05", "08", "10"]), (7, ["00", "02", "05", "11"])])
    def test_pairs_are_split_as_recorded(self, images, seed, expected):
        assert names(split_pairs([Pair(path, path, path.stem) for path in images], 0.3, seed)[1]) == expected

    @pytest.mark.parametrize(("seed", "scene"), [(0, "c"), (7, "a")])
    def test_pairs_in_sub_folders_are_split_as_recorded(self, images, seed, scene):
        pairs = [Pair(path, path, f"{'abcd'[number // 3]}/{number:02}") for number, path in enumerate(images)]
        assert {name[0] for name in names(split_pairs(pairs, 0.3, seed)[1])} == {scene}

    @pytest.mark.parametrize(
        ("seed", "parts", "frames"),
        [
            (0, [["05", "08", "10"], ["01", "06"]], ["06", "07", "08"]),
            (7, [["00", "05", "11"], ["02", "04"]], ["00", "01", "02"]),
        ],
    )
    def test_masks_are_split_as_recorded(self, images, seed, parts, frames):
        pairs = [MaskPair(path, path, path.stem) for path in images]
        assert [names(part) for part in split_mask_pairs(pairs, (0.6, 0.25, 0.15), seed)[1:]] == parts
        sequences = [str(number // 3) for number in range(12)]
        assert names(split_mask_pairs(pairs, (0.7, 0.3), seed, sequences)[1]) == frames

    @pytest.mark.parametrize(("seed", "expected"), [(0, ["00", "05", "06", "09"]), (7, ["03", "05", "08", "10"])])
    def test_classes_are_split_as_recorded(self, images, tmp_path, seed, expected):
        labeled = LabeledImages(("a", "b"), tuple(images), (0,) * 6 + (1,) * 6)
        assert [path.stem for path in split_classes(labeled, tmp_path, 0.34, seed)[1].paths] == expected

    @pytest.mark.parametrize(("seed", "expected"), [(0, [3, 4]), (7, [3, 6])])
    def test_annotated_images_are_split_as_recorded(self, tmp_path, seed, expected):
        images = find_coco(write_shapes(tmp_path, 6))
        assert [image.number for image in split_coco(images, 0.3, seed)[1].images] == expected
