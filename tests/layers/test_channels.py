import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from passband.layers.channels import SUBSETS, ChannelSubset, channel_subset, from_indices, triangle
from passband.ops.dct import block_dct, zigzag


def numbers(*spans):
    return [number for first, last in spans for number in range(first, last + 1)]


PUBLISHED = {
    "6": ([0, 1, 8, 9], [0]),
    "24S": (numbers((0, 3), (8, 11), (16, 19), (24, 27)), [0, 1, 8, 9]),
    "24D": ([*numbers((0, 5), (8, 10), (16, 18)), 24, 32], [0, 1, 3, 8, 24]),
    "32": (numbers((0, 4), (8, 12), (16, 20), (24, 27), (32, 34)), [0, 1, 2, 8, 9]),
    "48S": (
        numbers((0, 5), (8, 13), (16, 21), (24, 29), (32, 35), (40, 43)),
        [0, 1, 2, 8, 9, 10, 16, 17],
    ),
    "64S": (
        numbers((0, 6), (8, 14), (16, 21), (24, 29), (32, 37), (40, 45), (48, 53)),
        [0, 1, 2, 8, 9, 10, 16, 17, 24, 25],
    ),
    "192": (numbers((0, 63)), numbers((0, 63))),
}
COUNTS = {
    "6": (4, 1, 1),
    "12": (8, 2, 2),
    "24S": (16, 4, 4),
    "24D": (14, 5, 5),
    "24T": (16, 4, 4),
    "32": (22, 5, 5),
    "48S": (32, 8, 8),
    "48T": (32, 8, 8),
    "64S": (44, 10, 10),
    "64T": (44, 10, 10),
    "192": (64, 64, 64),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_subsets_have_the_published_channels(name):
    y, chroma = PUBLISHED[name]
    expected = [*y, *(64 + index for index in chroma), *(128 + index for index in chroma)]
    assert channel_subset(name).indices() == expected


def test_every_subset_has_the_channels_of_its_name_and_their_shares():
    assert {name: subset.counts for name, subset in SUBSETS.items()} == COUNTS
    for name, subset in SUBSETS.items():
        assert len(subset) == int(name.rstrip("SDT")) == len(subset.indices())


@pytest.mark.parametrize("name", ["12", "24T", "48T", "64T"])
def test_ours_are_the_first_in_zigzag_order(name):
    for wanted, count in zip(channel_subset(name).lists(), COUNTS[name], strict=True):
        assert set(wanted) == set(zigzag()[:count])


def test_names_are_known_in_any_case_and_with_the_s_that_rows_of_tables_have():
    assert channel_subset("24s") is SUBSETS["24S"]
    for name in ("6", "12", "32"):
        assert channel_subset(f"{name}S") is SUBSETS[name]


def test_a_name_that_several_share_or_none_has_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="'24' may be any of the channel subsets 24S, 24D, 24T"):
        channel_subset("24")
    with pytest.raises(ValueError, match="'64' may be any of the channel subsets 64S, 64T"):
        channel_subset("64")
    with pytest.raises(ValueError, match=r"unknown channel subset '64SS'; did you mean '64S'\?"):
        channel_subset("64ss")


@settings(max_examples=30)
@given(st.sets(st.integers(0, 191), min_size=1))
def test_numbers_make_a_subset_and_a_subset_gives_them_back_in_order(chosen):
    subset = channel_subset(list(chosen))
    assert subset.indices() == sorted(chosen)
    assert len(subset) == len(chosen)
    assert from_indices(reversed(subset.indices())) == subset


@pytest.mark.parametrize("block", [8, 4])
@pytest.mark.parametrize("name", ["6", "24S", [0, 9, 27, 64, 129]])
def test_selected_channels_are_those_that_a_transform_of_only_these_computes(name, block):
    subset = channel_subset(name)
    samples = torch.randn(2, 3, 16, 24, dtype=torch.float64)
    selected = subset.select(block_dct(samples, block), block)
    torch.testing.assert_close(selected, block_dct(samples, block, subset.lists(block)))
    assert selected.shape == (2, len(subset), 16 // block, 24 // block)


def test_positions_in_a_cube_of_small_blocks_are_of_the_same_frequencies():
    assert channel_subset("6").indices(4) == [0, 1, 4, 5, 16, 32]
    assert channel_subset("24S").indices(4) == [*range(16), 16, 17, 20, 21, 32, 33, 36, 37]


def test_a_subset_that_small_blocks_have_not_is_refused_with_those_that_fit():
    with pytest.raises(ValueError, match=r"needs \(v, u\) = \(0, 4\) of Y; take blocks of 5 or more, .*\(6, 12, 24S\)"):
        channel_subset("32").indices(4)
    assert channel_subset([3 * 8 + 7]).highest == 7


def test_embedding_undoes_selecting_and_leaves_zeros():
    subset = channel_subset("24D")
    selected = torch.randn(2, 24, 3, 5)
    whole = subset.embed(selected)
    assert torch.equal(subset.select(whole), selected)
    assert whole.count_nonzero() == selected.count_nonzero()
    assert whole.shape == (2, 192, 3, 5)


@pytest.mark.parametrize(("name", "block"), [("24D", 8), ("24S", 4)])
def test_flipping_selected_channels_is_flipping_the_picture(name, block):
    subset = channel_subset(name)
    samples = torch.randn(1, 3, 16, 40, dtype=torch.float64)
    flipped = subset.flip(subset.select(block_dct(samples, block), block))
    torch.testing.assert_close(flipped, subset.select(block_dct(samples.flip(-1), block), block))
    assert subset.flip(torch.ones(1, 24, 1, 1, dtype=torch.int16)).dtype == torch.int16


def test_a_triangle_has_as_many_as_asked_for():
    assert triangle(3, 0, 1).components == (((0, 0), (0, 1), (1, 0)), (), ((0, 0),))
    assert triangle(64, 64, 64) == SUBSETS["192"]
    with pytest.raises(ValueError, match="0 to 64 frequencies, got 65 of Cb"):
        triangle(1, 65, 0)


def test_subsets_are_values():
    assert channel_subset("24S") == from_indices(channel_subset("24S").indices())
    assert len({channel_subset("6"), from_indices([0, 1, 8, 9, 64, 128])}) == 1
    with pytest.raises(AttributeError):
        channel_subset("6").y = ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: from_indices([]), "at least one frequency channel"),
        (lambda: from_indices([3, 192]), "0 to 191 .*, got 192"),
        (lambda: from_indices([5, 3, 5]), "named once, got 5 more often"),
        (lambda: ChannelSubset(((0, 8),)), r"got \(v, u\) = \(0, 8\) of Y"),
        (lambda: ChannelSubset((), ((1, 0), (0, 1))), "frequencies of Cb need ascending order"),
        (lambda: SUBSETS["6"].select(torch.rand(1, 48, 2, 2)), "blocks of 8 has 192 channels, got 48"),
        (lambda: SUBSETS["6"].embed(torch.rand(1, 7, 2, 2)), "has 6 channels, got a tensor with 7"),
    ],
)
def test_what_is_no_subset_or_does_not_fit_one_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
