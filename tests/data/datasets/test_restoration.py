import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from passband.data.datasets import crops, restoration
from passband.data.datasets.crops import ImageCache, crop_and_flip, degraded_as_file, read_pair
from passband.data.datasets.order import NumberedBatches, scored_batches
from passband.data.datasets.restoration import (
    PairTrainingSet,
    PhotographTrainingSet,
    RestorationValidationSet,
    Simulation,
)
from passband.data.degradations import KINDS, VERSIONS, degrade
from passband.data.images import find_images
from passband.data.pairs import Pair, find_pairs
from passband.io.image import ImageMeta, StoredImage, read_image, write_stored_image

MIXTURE = {"rain": 1.0, "motion-blur": 1.0, "clean": 1.0}


def map_of(height, width, blue):
    """A picture whose red tells the row and green the column of each pixel, so that a crop tells where it was."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, np.full_like(y, blue)], axis=-1).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def levels(image):
    return image.mul(255).round().int()


def place(crop):
    """Row, column and mirroring of a crop of a `map_of`; fails where it is not one connected square."""
    rows, columns, _ = levels(crop)
    top, left, mirrored = int(rows[0, 0]), int(columns.min()), bool(columns[0, 0] > columns[0, -1])
    side = torch.arange(len(rows), dtype=torch.int32)
    assert torch.equal(rows, (top + side)[:, None].expand_as(rows))
    assert torch.equal(columns, (left + (side.flip(0) if mirrored else side)).expand_as(columns))
    return top, left, mirrored


def same(first, second):
    return all(
        torch.equal(first[key], second[key]) if key in ("degraded", "clean") else first[key] == second[key]
        for key in ("degraded", "clean", "kind", "name")
    )


@pytest.fixture
def folder(tmp_path):
    """Seven maps, told apart by their blue."""
    for number in range(7):
        save(tmp_path / "photographs" / f"{number % 2}" / f"{number}.png", map_of(40, 53, number))
    return tmp_path / "photographs"


@pytest.fixture
def paired(tmp_path):
    """Five pairs of maps, blue 1 in the degraded and 2 in the clean ones."""
    for number in range(5):
        save(tmp_path / "pairs" / "degraded" / f"{number}.png", map_of(40, 53, 1))
        save(tmp_path / "pairs" / "clean" / f"{number}.png", map_of(40, 53, 2))
    return tmp_path / "pairs"


# --- Training sets ----------------------------------------------------------------------------------------


def data_sets(folder, paired, seed=3):
    return [PhotographTrainingSet(folder, MIXTURE, 16, seed), PairTrainingSet(paired, 16, seed)]


def test_the_number_of_a_sample_and_the_seed_decide_everything_about_it(folder, paired):
    for first, second, other in zip(*(data_sets(folder, paired, seed) for seed in (3, 3, 4)), strict=True):
        numbers = [0, 5, 17, 1_000_000]
        samples = [first[number] for number in numbers]
        torch.manual_seed(0)
        np.random.seed(0)
        assert all(same(second[number], sample) for number, sample in zip(numbers[::-1], samples[::-1], strict=True))
        assert not any(same(other[number], sample) for number, sample in zip(numbers, samples, strict=True))


def test_samples_read_and_change_no_global_random_state(folder, paired):
    for data in data_sets(folder, paired):
        torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
        data[3]
        assert torch.equal(torch.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_each_picture_comes_once_per_epoch_in_an_order_of_the_epochs_own(folder, paired):
    for data in data_sets(folder, paired):
        count = len(data)
        epochs = [[data[count * epoch + position]["name"] for position in range(count)] for epoch in range(4)]
        assert all(sorted(names) == [str(number) for number in range(count)] for names in epochs)
        assert len({tuple(names) for names in epochs}) > 1


def test_the_same_picture_is_cut_elsewhere_in_another_epoch(folder, paired):
    for data in data_sets(folder, paired):
        places = [(sample["name"], place(sample["clean"])) for sample in map(data.__getitem__, range(5 * len(data)))]
        assert len(set(places)) > 0.9 * len(places)


def test_a_run_that_goes_on_sees_what_an_uninterrupted_one_sees(folder, paired):
    for data in data_sets(folder, paired):

        def batches(start, stop, data=data):
            loader = DataLoader(data, batch_sampler=NumberedBatches(start, stop, 3))
            return [(batch["degraded"], batch["clean"], batch["kind"], batch["name"]) for batch in loader]

        whole, parts = batches(0, 6), batches(0, 2) + batches(2, 6)
        assert len(whole) == len(parts) == 6
        for expected, got in zip(whole, parts, strict=True):
            assert torch.equal(got[0], expected[0])
            assert torch.equal(got[1], expected[1])
            assert got[2:] == expected[2:]


def test_numbered_batches_count_from_the_step_and_the_processes_share_each_batch_in_order():
    assert list(NumberedBatches(1, 3, 4)) == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert len(NumberedBatches(1, 3, 4)) == 2
    assert list(NumberedBatches(3, 3, 4)) == []
    parts = [list(NumberedBatches(1, 3, 4, part, 2)) for part in range(2)]
    assert [first + second for first, second in zip(*parts, strict=True)] == list(NumberedBatches(1, 3, 4))


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_each_sample_of_a_validation_is_scored_by_one_process_also_on_uneven_splits(parts):
    shares = [scored_batches(61, 4, part, parts) for part in range(parts)]
    assert sorted(number for batches in shares for batch in batches for number in batch) == list(range(61))
    assert [len(batch) for batches in shares for batch in batches].count(4) == 15


def test_crops_are_squares_of_the_photograph_from_anywhere_and_mirrored_half_of_the_time(folder):
    data = PhotographTrainingSet(folder, {"clean": 1.0}, 16, seed=0)
    places = [place(data[number]["clean"]) for number in range(400)]
    tops, lefts, mirrored = (np.array(values) for values in zip(*places, strict=True))
    assert (tops.min(), tops.max()) == (0, 40 - 16)
    assert (lefts.min(), lefts.max()) == (0, 53 - 16)
    assert 0.4 < mirrored.mean() < 0.6  # four standard deviations of 400 tosses


def test_a_pair_is_cut_and_mirrored_alike(paired):
    data = PairTrainingSet(paired, 16, seed=1)
    samples = [data[number] for number in range(60)]
    assert all(place(sample["degraded"]) == place(sample["clean"]) for sample in samples)
    assert {place(sample["clean"])[2] for sample in samples} == {True, False}
    assert all(torch.all(levels(sample["degraded"])[2] == 1) for sample in samples)
    assert all(torch.all(levels(sample["clean"])[2] == 2) for sample in samples)
    assert {sample["kind"] for sample in samples} == {"pair"}


def test_pairs_without_a_crop_are_whole_in_order_and_end(paired):
    data = PairTrainingSet(paired, None)
    samples = list(data)
    assert [sample["name"] for sample in samples] == ["0", "1", "2", "3", "4"]
    for sample in samples:
        assert torch.equal(levels(sample["degraded"]).movedim(0, -1), torch.from_numpy(map_of(40, 53, 1)).int())
        assert torch.equal(levels(sample["clean"]).movedim(0, -1), torch.from_numpy(map_of(40, 53, 2)).int())


def test_kinds_are_mixed_by_their_weights(folder):
    data = PhotographTrainingSet(folder, {"clean": 3, "defocus": 1, "rain": 0}, 4, seed=0)
    kinds = [data[number]["kind"] for number in range(300)]
    assert set(kinds) == {"clean", "defocus"}
    assert 0.65 < kinds.count("clean") / 300 < 0.85  # four standard deviations


def test_the_clean_kind_is_untouched_and_every_other_is_degraded_by_seed_and_number(folder):
    # of the first version, whose degradations change every picture
    kinds = [*VERSIONS[1], "clean"]
    data = PhotographTrainingSet(folder, dict.fromkeys(kinds, 1.0), 16, seed=5, simulation=Simulation(version=1))
    seen = set()
    for number in range(40):
        sample = data[number]
        kind, clean = sample["kind"], sample["clean"]
        seen.add(kind)
        if kind == "clean":
            assert torch.equal(sample["degraded"], clean)
        else:
            expected = levels(degrade(clean, kind, seed=5, index=number, version=1))
            assert torch.equal(levels(sample["degraded"]), expected)
            assert not torch.equal(sample["degraded"], clean)
    assert seen == {*kinds}


def test_a_sample_may_be_changed_without_changing_the_next(folder, paired):
    for data in data_sets(folder, paired):
        before = data[2]
        expected = {key: before[key].clone() for key in ("degraded", "clean")}
        before["degraded"].zero_()
        before["clean"].zero_()
        after = data[2]
        assert all(torch.equal(after[key], expected[key]) for key in expected)


def test_unknown_kinds_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"unknown degradations \['fog', 'hail'\]; known: rain, .*clean"):
        PhotographTrainingSet(tmp_path / "nowhere", {"rain": 1, "hail": 1, "fog": 1}, 16, seed=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: PhotographTrainingSet(path, MIXTURE, 16, 0),
        lambda path: RestorationValidationSet(path, ["rain"], 16, 4, 0),
    ],
)
def test_a_missing_and_an_empty_folder_of_photographs_are_refused(tmp_path, make):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        make(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no images"):
        make(tmp_path)


def test_a_pair_of_two_sizes_is_refused_naming_both_files_and_sizes(tmp_path):
    degraded = save(tmp_path / "degraded" / "a_1.png", map_of(20, 30, 0))
    clean = save(tmp_path / "clean" / "a.png", map_of(30, 20, 0))
    for access in (lambda: PairTrainingSet(tmp_path, None)[0], lambda: read_pair(Pair(degraded, clean, "a"))):
        with pytest.raises(ValueError, match="a pair has one size") as caught:
            access()
        assert f"{degraded} is 30x20 but {clean} is 20x30" in str(caught.value)
    assert f"{degraded} is 30x20 but {clean} is 20x30" in PairTrainingSet(tmp_path, 16)[0]["problem"]


def damage(path):
    path.write_bytes(path.read_bytes()[:60])


def test_a_photograph_that_cannot_be_read_is_named_in_its_sample_or_the_next_one_is_taken(folder):
    bad = find_images(folder)[3]
    damage(bad)
    samples = [PhotographTrainingSet(folder, MIXTURE, 16, seed=0)[number] for number in range(7)]
    (problem,) = (sample["problem"] for sample in samples if sample["problem"])
    assert str(bad) in problem
    assert {sample["degraded"].shape for sample in samples} == {(3, 16, 16)}
    skipping = [PhotographTrainingSet(folder, MIXTURE, 16, seed=0, skip_bad=True)[number] for number in range(7)]
    assert bad.stem not in {sample["name"] for sample in skipping}
    assert [sample["problem"] for sample in skipping] == [sample["problem"] for sample in samples]
    for path in find_images(folder):
        damage(path)
    with pytest.raises(ValueError, match="none of 7 images can be used"):
        PhotographTrainingSet(folder, MIXTURE, 16, seed=0, skip_bad=True)[0]


@pytest.mark.parametrize("views", [1, 2])
def test_a_pair_that_cannot_be_used_is_named_in_its_sample_or_the_next_one_is_taken(tmp_path, views):
    for name in ("inputL", "inputR", "target") if views == 2 else ("input", "target"):
        for number in range(3):
            save(tmp_path / name / f"{number}.png", map_of(20, 20 + (name == "target" and number == 1), number))
    pairs = find_pairs(tmp_path, views)
    samples = [PairTrainingSet(pairs, 16, seed=0)[number] for number in range(3)]
    assert sum("a pair has one size" in sample["problem"] for sample in samples) == 1
    assert {sample["degraded"].shape for sample in samples} == {(3 * views, 16, 16)}
    skipping = [PairTrainingSet(pairs, 16, seed=0, skip_bad=True)[number]["name"] for number in range(3)]
    assert set(skipping) == {"0", "2"}
    fixed = RestorationValidationSet(pairs, [], 16, 3, seed=0)
    assert ["a pair has one size" in sample["problem"] for sample in fixed] == [False, True, False]
    assert {sample["degraded"].shape for sample in fixed} == {(3 * views, 16, 16)}


def test_left_and_right_view_are_6_channels_cut_and_mirrored_as_the_clean_picture_is(tmp_path):
    for name, blue in (("inputL", 1), ("inputR", 2), ("target", 3)):
        save(tmp_path / name / "a.png", map_of(20, 40, blue))
    data = PairTrainingSet(find_pairs(tmp_path, views=2), 16, seed=5)
    mirrored = set()
    for number in range(8):
        sample = data[number]
        left, right, clean = levels(torch.cat([sample["degraded"], sample["clean"]])).split(3)
        assert torch.equal(left[:2], clean[:2])
        assert torch.equal(right[:2], clean[:2])
        assert [view[2].unique().tolist() for view in (left, right, clean)] == [[1], [2], [3]]
        mirrored.add(bool(clean[1, 0, 0] > clean[1, 0, -1]))
    assert mirrored == {False, True}


def test_a_right_view_of_another_size_is_refused_by_name(tmp_path):
    for name, height in (("inputL", 20), ("inputR", 21), ("target", 20)):
        save(tmp_path / name / "a.png", map_of(height, 30, 0))
    (pair,) = find_pairs(tmp_path, views=2)
    with pytest.raises(ValueError, match=r"inputR/a\.png is 30x21 but .*target/a\.png is 30x20: a pair has one size"):
        read_pair(pair)


# --- crops and rounding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width", "side"), [(9, 30, 16), (30, 9, 16), (9, 9, 16), (5, 40, 16), (1, 1, 7)])
def test_a_picture_smaller_than_the_crop_is_reflected_or_repeated_at_its_end(height, width, side):
    picture = torch.rand(3, height, width)
    padded = picture.numpy()
    for axis, length in ((1, height), (2, width)):
        missing = max(side - length, 0)
        widths = [(0, missing if dim == axis else 0) for dim in range(3)]
        padded = np.pad(padded, widths, mode="reflect" if missing < length else "edge")
    top, left = (padded.shape[1] - side) // 2, (padded.shape[2] - side) // 2
    (center,) = crop_and_flip([picture], side, None)
    assert np.array_equal(center.numpy(), padded[:, top : top + side, left : left + side])
    (anywhere,) = crop_and_flip([picture], side, np.random.default_rng(0))
    assert anywhere.shape == (3, side, side)


def test_small_photographs_fill_the_crop(tmp_path):
    save(tmp_path / "a.png", map_of(9, 1, 3))
    sample = PhotographTrainingSet(tmp_path, MIXTURE, 16, seed=0)[0]
    assert sample["degraded"].shape == sample["clean"].shape == (3, 16, 16)


@pytest.mark.parametrize("kind", KINDS)
def test_a_degraded_picture_is_rounded_as_one_that_went_through_a_file(tmp_path, kind):
    image = torch.rand(3, 19, 23)
    rounded = degraded_as_file(image, kind, seed=1, index=2)
    pixels = (degrade(image, kind, seed=1, index=2).movedim(0, -1).numpy() * 255).round().astype(np.uint8)
    path = save(tmp_path / "a.png", pixels)
    assert torch.equal(rounded, restoration.read_image(path))


def test_the_clean_kind_is_not_even_rounded():
    image = torch.rand(3, 5, 7)
    assert torch.equal(degraded_as_file(image, "clean", seed=0, index=0), image)


# --- RestorationValidationSet ---------------------------------------------------------------------------


def test_fixed_crops_are_the_same_at_every_pass_and_end(folder):
    passes = [list(RestorationValidationSet(folder, ["rain", "haze", "defocus"], 16, 10, seed=1)) for _ in range(2)]
    data = RestorationValidationSet(folder, ["rain", "haze", "defocus"], 16, 10, seed=1)
    passes += [list(data), [data[number] for number in reversed(range(10))][::-1]]
    assert [len(samples) for samples in passes] == [len(data)] * 4 == [10] * 4
    for samples in passes[1:]:
        assert all(map(same, samples, passes[0]))


def test_fixed_crops_take_the_center_of_each_picture_and_the_kinds_in_turn(folder):
    for number, sample in enumerate(RestorationValidationSet(folder, ["rain", "haze", "defocus"], 16, 10, seed=1)):
        kind = ("rain", "haze", "defocus")[number % 3]
        assert sample["kind"] == kind
        assert place(sample["clean"]) == ((40 - 16) // 2, (53 - 16) // 2, False)
        assert torch.equal(sample["degraded"], degraded_as_file(sample["clean"], kind, seed=1, index=number))
    names = [RestorationValidationSet(folder, ["rain"], 16, 10, seed=1)[number]["name"] for number in range(10)]
    assert names == [path.stem for path in sorted(folder.rglob("*.png"))] + names[:3]


def test_fixed_crops_of_pairs_are_central_and_at_most_one_of_each(paired):
    assert len(RestorationValidationSet(paired, [], 16, 3, seed=0)) == 3
    samples = list(RestorationValidationSet(paired, [], 16, 20, seed=0))
    assert [sample["name"] for sample in samples] == ["0", "1", "2", "3", "4"]
    for sample in samples:
        assert place(sample["degraded"]) == place(sample["clean"]) == (12, 18, False)
        assert sample["kind"] == "pair"


@pytest.mark.parametrize("number", [-1, 4])
def test_a_number_beyond_the_fixed_crops_is_refused(folder, number):
    with pytest.raises(IndexError, match=f"4 crops, numbered from 0; got {number}"):
        RestorationValidationSet(folder, ["rain"], 16, 4, seed=0)[number]


# --- ImageCache -----------------------------------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    """The names of the files read, in order."""
    names = []
    read = restoration.read_image

    def counting(path):
        names.append(path.stem)
        return read(path)

    for module in (crops, restoration):
        monkeypatch.setattr(module, "read_image", counting)
    return names


def test_a_picture_in_memory_is_not_read_again_and_the_one_unused_longest_goes_first(tmp_path, reads):
    a, b, c = (save(tmp_path / f"{name}.png", map_of(10, 10, 0)) for name in "abc")
    cache = ImageCache(2 * 3 * 100)  # two pictures of 8 bits
    for path in (a, b, a, b, a, c, a, b):
        cache(path)
    assert reads == ["a", "b", "c", "b"]
    assert list(cache.images) == [a, b]


@pytest.mark.parametrize("capacity", [0, 1199, 1200, 5000, 100_000])
def test_a_cache_keeps_to_its_capacity_whatever_the_sizes(tmp_path, capacity):
    sizes = [(10, 10), (5, 7), (40, 40), (1, 1), (10, 10), (20, 3)]
    paths = [save(tmp_path / f"{n}.png", map_of(*size, n)) for n, size in enumerate(sizes)]
    cache = ImageCache(capacity)
    for number in np.random.default_rng(0).integers(len(paths), size=60):
        image = cache(paths[number])
        assert torch.equal(levels(image).movedim(0, -1), torch.from_numpy(map_of(*sizes[number], number)).int())
        assert cache.size == sum(image.nbytes for image in cache.images.values()) <= capacity
    assert len(cache.images) == len(paths) or capacity < 100_000


@pytest.mark.parametrize(("bits", "size"), [(8, 1), (16, 4)])
def test_a_cache_gives_the_bits_that_the_file_gives(tmp_path, bits, size):
    values = torch.arange(256) * (1 if bits == 8 else 251) / (2**bits - 1)
    path = tmp_path / "a.png"
    write_stored_image(path, StoredImage(values.expand(3, 4, 256), meta=ImageMeta(bits=bits)))
    cache = ImageCache(1_000_000)
    first, again = cache(path), cache(path)
    assert torch.equal(first, again)
    assert torch.equal(first, read_image(path))
    assert cache.size == 3 * 4 * 256 * size


def test_validation_crops_are_made_once_and_not_kept_beyond_the_cache(folder, reads, monkeypatch):
    data = RestorationValidationSet(folder, ["rain"], 16, count=5, seed=0)
    first = [data[number] for number in range(5)]
    assert all(torch.equal(data[number]["degraded"], first[number]["degraded"]) for number in range(5))
    assert len(reads) == 5
    monkeypatch.setattr(restoration, "CACHE_BYTES", 3 * 2 * 3 * 16 * 16 * 4)
    data = RestorationValidationSet(folder, ["rain"], 16, count=5, seed=0)
    for _ in range(2):
        assert [data[number]["name"] for number in range(5)] == [sample["name"] for sample in first]
    assert len(data.cached) == 3
    assert len(reads) == 5 + 5 + 2


def test_training_reads_each_photograph_once(folder, reads):
    data = PhotographTrainingSet(folder, {"clean": 1.0}, 16, seed=0)
    for number in range(21):
        data[number]
    assert sorted(reads) == [str(number) for number in range(7)]
