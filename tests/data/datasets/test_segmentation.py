import pickle
from multiprocessing import get_all_start_methods

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from passband.data.datasets import segmentation
from passband.data.datasets.order import shuffled
from passband.data.datasets.segmentation import (
    SegmentationAugmentation,
    SegmentationTrainingSet,
    SegmentationValidationSet,
    collate_masks,
)
from passband.data.masks import find_mask_pairs, read_mask_pair
from passband.io.image import ImageError
from passband.ops.areas import shrunk_mask
from passband.ops.labels import IGNORED
from tests.masks import ellipses, write_pairs

SIZE = 24
OFF = SegmentationAugmentation(flip=False, turn=False, scale=(1, 1), brightness=0, contrast=0, saturation=0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, 3, (37, 53))
    return find_mask_pairs(write_pairs(folder, 2, (41, 29), start=3))


@pytest.fixture
def spoiled(tmp_path):
    write_pairs(tmp_path, 3)
    (tmp_path / "masks" / "1.png").write_bytes(b"no picture")
    return find_mask_pairs(tmp_path)


def equal(one, other):
    return torch.equal(one["image"], other["image"]) and torch.equal(one["mask"], other["mask"])


class TestTraining:
    def test_without_changes_samples_are_the_pairs_resized_in_an_order_of_the_epochs_own(self, pairs):
        data = SegmentationTrainingSet(pairs, 1, SIZE, seed=3)
        for number in (0, 4, 5, 123):
            sample = data[number]
            image, mask = read_mask_pair(pairs[shuffled(number, 5, 3)], 1)
            small = F.interpolate(image[None], (SIZE, SIZE), mode="bilinear", antialias=True)[0]
            torch.testing.assert_close(sample["image"], small, atol=0.5 / 255 + 1e-6, rtol=0)  # kept in 8 bits
            assert torch.equal(sample["mask"], shrunk_mask(mask, 2, (SIZE, SIZE)))
            assert sample["mask"].dtype == torch.int64
            assert (sample["number"], sample["problem"]) == (number, "")
            assert sample["name"] == pairs[shuffled(number, 5, 3)].name
        assert {data[number]["name"] for number in range(5, 10)} == {"0", "1", "2", "3", "4"}
        assert len(data) == 5

    def test_a_number_decides_all_of_a_sample_whatever_was_drawn_before(self, pairs):
        one, other = (
            SegmentationTrainingSet(pairs, 1, SIZE, 7, augmentation=SegmentationAugmentation(hue=0.1)) for _ in "ab"
        )
        first = [one[number] for number in range(12)]
        torch.manual_seed(99)
        for number in reversed(range(12)):
            torch.rand(3)
            assert equal(first[number], other[number])
        assert not equal(
            first[0], SegmentationTrainingSet(pairs, 1, SIZE, 8, augmentation=SegmentationAugmentation())[0]
        )
        repeated = [number for number in range(5, 12) if first[number]["name"] == first[0]["name"]]
        assert not equal(first[0], first[repeated[0]])

    def test_the_generators_of_the_process_are_left_alone(self, pairs):
        data = SegmentationTrainingSet(pairs, 1, SIZE, 7, augmentation=SegmentationAugmentation())
        torch.manual_seed(5)
        expected = torch.rand(4)
        torch.manual_seed(5)
        data[0]
        data[1]
        assert torch.equal(torch.rand(4), expected)

    def test_loaders_give_the_same_with_and_without_workers_and_memory(self, pairs):
        def batches(workers, cache):
            data = SegmentationTrainingSet(pairs, 1, SIZE, 1, augmentation=SegmentationAugmentation(), cache=cache)
            assert (data.cached is not None) == cache
            loader = DataLoader(data, 5, sampler=range(10), num_workers=workers, collate_fn=collate_masks)
            return list(loader)

        plain = batches(0, False)
        for workers, cache in ((0, True), (2, True)):
            for one, other in zip(plain, batches(workers, cache), strict=True):
                assert torch.equal(one["image"], other["image"])
                assert all(map(torch.equal, one["mask"], other["mask"]))
                assert one["name"] == other["name"]
                assert torch.equal(one["number"], other["number"])

    @pytest.mark.parametrize("method", get_all_start_methods())
    def test_pictures_are_read_once_even_by_several_processes(self, tmp_path, method):
        pairs = find_mask_pairs(write_pairs(tmp_path, 4))
        data = SegmentationTrainingSet(pairs, 1, SIZE, 1)
        loader = DataLoader(
            data, 2, sampler=range(4), num_workers=2, collate_fn=collate_masks, multiprocessing_context=method
        )
        before = [batch["image"] for batch in loader]
        for pair in pairs:
            pair.image.unlink()
        after = [batch["image"] for batch in DataLoader(data, 4, sampler=range(4), collate_fn=collate_masks)]
        assert torch.equal(torch.cat(before), torch.cat(after))
        data[0]["image"].zero_()
        assert data[0]["image"].any()

    def test_what_does_not_fit_into_memory_is_read_again(self, pairs, monkeypatch):
        monkeypatch.setattr(segmentation, "MEMORY_SHARE", 0.0)
        data = SegmentationTrainingSet(pairs, 1, SIZE, 1)
        assert data.cached is None
        assert SegmentationValidationSet(pairs, 1, SIZE).cached is None
        assert not data[0]["problem"]

    def test_a_copy_for_another_process_gives_the_same(self, pairs):
        data = SegmentationTrainingSet(pairs, 1, SIZE, 1, augmentation=SegmentationAugmentation())
        first = data[0]
        assert equal(pickle.loads(pickle.dumps(data))[0], first)

    def test_a_bad_pair_is_said_in_its_sample_or_replaced(self, spoiled):
        number = next(number for number in range(3) if shuffled(number, 3, 0) == 1)
        sample = SegmentationTrainingSet(spoiled, 1, SIZE, 0)[number]
        assert "1.png" in sample["problem"]
        assert not sample["image"].any()
        assert (sample["mask"] == IGNORED).all()
        assert sample["mask"].shape == (SIZE, SIZE)
        replaced = SegmentationTrainingSet(spoiled, 1, SIZE, 0, skip_bad=True)[number]
        assert replaced["name"] == "2"
        assert "1.png" in replaced["problem"]
        assert replaced["image"].any()

    def test_all_bad_pairs_are_an_error(self, spoiled):
        with pytest.raises(ImageError, match="none of 1 images can be used"):
            SegmentationTrainingSet(spoiled[1:2], 1, SIZE, 0, skip_bad=True)[0]

    def test_more_classes_than_a_byte_holds_are_refused(self, pairs):
        with pytest.raises(ValueError, match="at most 255 classes"):
            SegmentationTrainingSet(pairs, 257, SIZE, 0)


class TestAugmentation:
    def draw(self, augmentation, seed, side=32):
        """Changes of a picture whose red tells the mask, so that the two can be compared."""
        mask = torch.from_numpy(ellipses("augmented", side, side))[None]
        image = torch.cat([mask * 200, torch.arange(side, dtype=torch.uint8).expand(1, side, side).clone(), mask * 50])
        return (image, mask), augmentation.apply(image, mask, seed)

    def test_flips_and_turns_give_the_eight_views_and_keep_pairs_together(self):
        views = set()
        for seed in range(100):
            (image, _), (changed, moved) = self.draw(
                SegmentationAugmentation(scale=(1, 1), brightness=0, contrast=0, saturation=0), seed
            )
            assert torch.equal(changed[:1], moved * 200)
            views.add(changed.numpy().tobytes())
            possible = [one.rot90(turns, (-2, -1)) for one in (image, image.flip(-1)) for turns in range(4)]
            assert any(torch.equal(changed, one) for one in possible)
        assert len(views) == 8

    @pytest.mark.parametrize(("flip", "turn", "count"), [(True, False, 4), (False, True, 4), (False, False, 1)])
    def test_what_is_off_does_nothing(self, flip, turn, count):
        augmentation = SegmentationAugmentation(flip, turn, (1, 1), 0, 0, 0)
        assert len({self.draw(augmentation, seed)[1][0].numpy().tobytes() for seed in range(40)}) == count

    def test_crops_move_pictures_and_masks_together_and_show_the_share_asked_for(self):
        spans = []
        for seed in range(40):
            augmentation = SegmentationAugmentation(False, False, (0.25, 0.5), 0, 0, 0)
            _, (changed, moved) = self.draw(augmentation, seed, 64)
            assert changed.shape == (3, 64, 64)
            inside = (changed[0] > 100) == (moved[0] == 1)
            assert inside.double().mean() > 0.97  # the picture's edges are smooth, the mask's are not
            assert {*moved.unique().tolist()} <= {0, 1}
            spans.append(int(changed[1].max()) - int(changed[1].min()) + 1)
        # green counts columns: the side shown is .5 to .71 of 64
        assert 31 <= min(spans) < 36
        assert 40 < max(spans) <= 47

    def test_colors_change_the_picture_alone(self):
        for name, augmentation in (
            ("brightness", SegmentationAugmentation(False, False, (1, 1), 0.3, 0, 0)),
            ("contrast", SegmentationAugmentation(False, False, (1, 1), 0, 0.3, 0)),
            ("saturation", SegmentationAugmentation(False, False, (1, 1), 0, 0, 0.3)),
            ("hue", SegmentationAugmentation(False, False, (1, 1), 0, 0, 0, 0.1)),
        ):
            (image, mask), (changed, moved) = self.draw(augmentation, 1)
            assert torch.equal(mask, moved), name
            assert not torch.equal(image, changed), name
        (image, mask), (changed, moved) = self.draw(OFF, 1)
        assert torch.equal(image, changed)
        assert torch.equal(mask, moved)

    @pytest.mark.parametrize(
        ("numbers", "words"),
        [
            ({"scale": (0, 1)}, "scale is two shares"),
            ({"scale": (0.9, 0.5)}, "scale is two shares"),
            ({"hue": 0.6}, r"hue is 0 \(off\) to 0.5; got 0.6"),
            ({"contrast": -0.1}, r"contrast is 0 \(off\) to 1; got -0.1"),
        ],
    )
    def test_numbers_out_of_range_are_refused(self, numbers, words):
        with pytest.raises(ValueError, match=words):
            SegmentationAugmentation(**numbers)


class TestFixed:
    def test_pictures_are_resized_and_masks_keep_their_size(self, pairs):
        data = SegmentationValidationSet(pairs, 1, SIZE)
        samples = list(data)
        assert [sample["name"] for sample in samples] == [pair.name for pair in pairs]
        assert [sample["mask"].shape for sample in samples] == [(37, 53)] * 3 + [(41, 29)] * 2
        for sample, pair in zip(samples, pairs, strict=True):
            assert torch.equal(sample["mask"], read_mask_pair(pair, 1)[1])
            assert sample["image"].shape == (3, SIZE, SIZE)
        for sample, again, unkept in zip(
            samples, data, SegmentationValidationSet(pairs, 1, SIZE, cache=False), strict=True
        ):
            assert equal(sample, again)
            assert equal(sample, unkept)

    def test_batches_list_masks_that_differ_in_size(self, pairs):
        (batch,) = DataLoader(SegmentationValidationSet(pairs, 1, SIZE), 5, collate_fn=collate_masks)
        assert batch["image"].shape == (5, 3, SIZE, SIZE)
        assert [mask.shape for mask in batch["mask"]] == [(37, 53)] * 3 + [(41, 29)] * 2
        assert batch["number"].tolist() == [0, 1, 2, 3, 4]
        assert batch["problem"] == [""] * 5

    def test_a_bad_pair_is_said_in_its_sample(self, spoiled):
        sample = SegmentationValidationSet(spoiled, 1, SIZE)[1]
        assert "1.png" in sample["problem"]
        assert sample["mask"].tolist() == [[IGNORED]]
        assert not sample["image"].any()


class TestShrunkMask:
    @given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31))
    @settings(max_examples=40)
    def test_whole_ratios_take_the_class_with_most_pixels_of_each_block(self, h, w, down, across, seed):
        generator = torch.Generator().manual_seed(seed)
        mask = torch.randint(3, (h * down, w * across), generator=generator)
        counts = torch.stack([(mask == number).reshape(h, down, w, across).sum((1, 3)) for number in range(3)])
        expected = counts.argmax(0)
        small = shrunk_mask(mask, 3, (h, w))
        kept = torch.isin(mask.unique(), expected.unique()).all()
        assert torch.equal(small, expected) or not kept
        if h * w >= 3:
            assert torch.equal(small.unique(), mask.unique())

    @given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 60), st.integers(1, 60))
    @settings(max_examples=40)
    def test_other_ratios_are_those_of_a_much_finer_grid(self, h, w, new_h, new_w):
        mask = torch.from_numpy(ellipses(f"{h} {w}", h, w).astype(np.int64))
        fine = mask.repeat_interleave(new_h, 0).repeat_interleave(new_w, 1).double()
        share = fine.reshape(new_h, h, new_w, w).mean((1, 3))
        small = shrunk_mask(mask, 2, (new_h, new_w))
        clear = (share - 0.5).abs() > 1e-6
        if small.any() == (share > 0.5).any() and (small == 0).any() == (share <= 0.5).any():
            assert torch.equal(small[clear], (share > 0.5).long()[clear])

    def test_a_class_that_would_be_lost_keeps_the_pixel_of_which_it_has_most(self):
        mask = torch.zeros(12, 12, dtype=torch.int64)
        mask[5, 7] = 1
        mask[4, 8] = 1
        small = shrunk_mask(mask, 2, (3, 3))
        assert small.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]

    def test_ignored_pixels_get_what_they_cover_most_but_never_a_tie_nor_the_last_pixel_of_a_class(self):
        rows = [-1, -1, 1, 1, 0, 0], [-1, 0, -1, -1, 0, 0], [2, -1, -1, -1, 0, 0], [-1, -1, -1, -1, 0, -1]
        mask = torch.tensor(rows)
        assert shrunk_mask(mask, 3, (2, 3)).tolist() == [[IGNORED, 1, 0], [2, IGNORED, 0]]
        assert shrunk_mask(mask.clamp(max=0), 3, (2, 3)).tolist() == [[IGNORED, 0, 0], [IGNORED, IGNORED, 0]]

    def test_what_has_the_size_already_stays_and_no_class_is_refused(self):
        mask = torch.tensor([[0, 5]])
        assert shrunk_mask(mask, 2, (1, 2)) is mask
        with pytest.raises(ValueError, match="classes are 0 to 1; the mask has 0 to 5"):
            shrunk_mask(mask, 2, (1, 1))

    def test_it_keeps_more_of_small_shapes_than_the_nearest_pixel(self):
        nearer = 0
        for number in range(20):
            mask = torch.from_numpy(ellipses(f"small {number}", 66, 66, 1).astype(np.int64))
            kept = []
            for small in (
                shrunk_mask(mask, 2, (18, 18)).float(),
                F.interpolate(mask[None, None].float(), (18, 18), mode="nearest")[0, 0],
            ):
                large = F.interpolate(small[None, None], (66, 66), mode="bilinear", align_corners=False)[0, 0] > 0.5
                kept.append(float((large & (mask == 1)).sum() / (large | (mask == 1)).sum()))
            nearer += kept[0] > kept[1]
        assert nearer >= 18


def test_masks_of_several_classes_are_learned_from(tmp_path):
    write_pairs(tmp_path, 2)
    for path in (tmp_path / "masks").iterdir():
        numbers = np.asarray(Image.open(path)) // 255 * 3
        numbers[:10] = 1
        Image.fromarray(numbers).save(path)
    pairs = find_mask_pairs(tmp_path)
    sample = SegmentationTrainingSet(pairs, 4, SIZE, 0, augmentation=SegmentationAugmentation())[0]
    assert {*sample["mask"].unique().tolist()} <= {0, 1, 3}
    assert {*SegmentationValidationSet(pairs, 4, SIZE)[1]["mask"].unique().tolist()} == {0, 1, 3}


@pytest.mark.parametrize("cache", [True, False])
def test_ignored_pixels_keep_their_places_in_samples_to_learn_from_and_to_score(tmp_path, cache):
    write_pairs(tmp_path, 2, (SIZE, SIZE))
    for number in range(2):
        labels = 2 * ellipses(f"mask {number}", SIZE, SIZE)
        labels[:, 5:8] = 255
        Image.fromarray(labels).save(tmp_path / "masks" / f"{number}.png")
    pairs = find_mask_pairs(tmp_path)
    learned = SegmentationTrainingSet(pairs, 3, SIZE, 3, augmentation=OFF, cache=cache, ignore_label=255)
    turned = SegmentationTrainingSet(
        pairs, 3, SIZE, 3, augmentation=SegmentationAugmentation(scale=(1, 1)), cache=cache, ignore_label=255
    )
    scored = SegmentationValidationSet(pairs, 3, SIZE, cache=cache, ignore_label=255)
    for number in (0, 1, 0, 1):
        mask = scored[number]["mask"]
        assert (mask == IGNORED).sum() == 3 * SIZE
        assert (mask[:, 5:8] == IGNORED).all()
        assert torch.equal(mask, read_mask_pair(pairs[number], 3, 255)[1])
    for number in range(2):
        mask = scored[shuffled(number, 2, 3)]["mask"]
        assert torch.equal(learned[number]["mask"], mask)
        assert torch.equal(turned[number]["mask"].unique(return_counts=True)[1], mask.unique(return_counts=True)[1])
