import pytest

from passband.data.masks import MaskPair, find_mask_pairs
from passband.data.splits import connected, named_pairs, sequences_by_frames, sequences_by_pattern, split_pairs
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
        parts = split_pairs(pairs, (0.6, 0.25, 0.15), seed=3)
        assert [len(part) for part in parts] == [12, 5, 3]
        assert sorted(name for part in parts for name in names(part)) == names(pairs)
        assert all(names(part) == sorted(names(part)) for part in parts)

    def test_names_and_seed_decide_and_nothing_else(self, pairs):
        again = split_pairs(pairs, seed=3)
        assert split_pairs(pairs, seed=3) == again
        assert [set(names(part)) for part in split_pairs(pairs[::-1], seed=3)] == [set(names(part)) for part in again]
        assert split_pairs(pairs, seed=4)[1] != again[1]

    def test_sequences_are_never_parted(self, pairs):
        sequences = [str(number // 3) for number in range(20)]
        for seed in range(10):
            parts = split_pairs(pairs, (0.7, 0.3), seed, sequences)
            held = {sequences[pairs.index(pair)] for pair in parts[1]}
            assert held.isdisjoint(sequences[pairs.index(pair)] for pair in parts[0])
            assert 3 <= len(parts[1]) <= 6

    def test_the_same_file_under_two_names_is_never_parted(self, pairs):
        for number in range(0, 20, 2):
            pairs[number + 1].image.write_bytes(pairs[number].image.read_bytes())
        for seed in range(10):
            for part in split_pairs(pairs, (0.5, 0.5), seed):
                held = {int(pair.name) for pair in part}
                assert all(number ^ 1 in held for number in held)

    def test_every_part_gets_something_however_small_its_share(self, pairs):
        assert [len(part) for part in split_pairs(pairs[:3], (0.98, 0.01, 0.01))] == [1, 1, 1]
        sequences = ["a"] * 10 + ["b"] * 9 + ["c"]
        parts = split_pairs(pairs, (0.1, 0.1, 0.8), 0, sequences)
        assert all(parts)
        assert sorted(len(part) for part in parts) == [1, 9, 10]

    @pytest.mark.parametrize("seed", range(5))
    def test_a_greedy_part_leaves_scenes_for_those_that_follow(self, pairs, seed):
        parts = split_pairs(pairs[:4], (0.05, 0.9, 0.05), seed)
        assert [len(part) for part in parts] == [1, 2, 1]

    def test_what_cannot_be_split_is_said(self, pairs):
        with pytest.raises(ValueError, match=r"20 pictures of 1 scenes cannot be split into 3 parts"):
            split_pairs(pairs, sequences=["one"] * 20)
        with pytest.raises(ValueError, match=r"shares are two or more numbers above 0 that add to 1; got \(0.5, 0.4\)"):
            split_pairs(pairs, (0.5, 0.4))
        with pytest.raises(ValueError, match="above 0"):
            split_pairs(pairs, (1.0, 0.0))
        with pytest.raises(ValueError, match="each of 20 pairs needs its sequence; got 2"):
            split_pairs(pairs, sequences=["a", "b"])


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
            ("cvc/0\ncvc/7\n8.png", r"2 names in .*list\.txt are of no picture of the 5: cvc/7, 8.png\."),
            ("2", "of several pictures each, add their folders: 2"),
            ("cvc/0\n0.jpg\n1", r"are there twice: cvc/0, 0\.jpg"),
            ("\n# none\n", "names no pictures"),
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
        with pytest.raises(ValueError, match="is no regular expression"):
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
