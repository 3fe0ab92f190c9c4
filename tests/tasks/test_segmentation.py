import logging
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.metrics import jaccard_score
from torch import nn

from passband.config import parse_recipe
from passband.curriculum import RadialProfile, low_pass_ratio
from passband.data.datasets.segmentation import SegmentationValidationSet
from passband.drawing.comparison import GAP, MARGIN
from passband.io.image import ImageError
from passband.models import SFNet, build_from
from passband.ops.fourier import spectral_crop
from passband.ops.labels import IGNORED
from passband.state_dicts import CheckpointError
from passband.tasks import TASKS
from tests.segmenters import write_blobs

pytestmark = pytest.mark.filterwarnings("ignore:the schedule ends at a frequency ratio:UserWarning")
SIZE = 32


def task(**tables):
    content = {
        "name": "tiny",
        "task": "segmentation",
        "model": {"arguments": {"width": 4, "depth": 2}},
        "optim": {"steps": 5},
        **tables,
        "data": {"size": SIZE, **tables.get("data", {})},
    }
    return TASKS["segmentation"](parse_recipe(content, "test"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp("blobs"), 8)


class Watched(nn.Module):
    """Answers with logits that are known, and remembers what it was shown."""

    multiple = 4

    def __init__(self, logits):
        super().__init__()
        self.logits, self.seen, self.modes = logits, [], []

    def forward(self, x):
        self.seen.append(x)
        self.modes.append(self.training)
        return F.interpolate(self.logits, x.shape[-2:], mode="area")


@pytest.mark.parametrize(("label", "outside"), [(None, 0), (255, IGNORED)])
def test_pixels_that_an_augmentation_brings_in_are_learned_only_where_no_label_is_ignored(label, outside):
    made = task(data={"classes": 3, "ignore_label": label, "batch_augmentation": {"shift": 1.0}})
    _, masks = made.augmentation(torch.ones(4, 3, 9, 9), torch.full((4, 9, 9), 2), range(4))
    assert masks.unique().tolist() == [outside, 2]


def batch(images=None, masks=None, problems=None):
    images = torch.rand(2, 3, SIZE, SIZE) if images is None else images
    masks = [torch.randint(2, (SIZE, SIZE)) for _ in images] if masks is None else masks
    return {
        "image": images,
        "mask": masks,
        "name": [f"p{number}" for number in range(len(images))],
        "number": torch.arange(len(images)),
        "problem": problems or [""] * len(images),
    }


def prepared(made, folder):
    """The task with its loss and its state by the curriculum of a folder."""
    lesson = made.lesson(folder, made.network_config(folder, None))
    made.loss, made.state = partial(made.loss, lesson=lesson), partial(made.state, lesson)
    return made


class TestNetwork:
    def test_data_decide_classes_names_and_profile(self, folder):
        config = task().network_config(folder, None)
        assert config == {
            "model": "unet",
            "width": 4,
            "depth": 2,
            "classes": 1,
            "preprocessing": {"size": SIZE, "profile": None},
            "classes_named": ["background", "foreground"],
        }
        assert build_from(config)(torch.rand(1, 3, SIZE, SIZE)).shape == (1, 1, SIZE, SIZE)

    @pytest.mark.parametrize("definition", ["magnitude", "energy", "area"])
    def test_the_profile_is_that_of_the_pictures_to_learn_from(self, folder, definition):
        made = task(curriculum={"mode": "mask", "definition": definition}, data={"held_out": 0.25})
        profile = made.network_config(folder, None)["preprocessing"]["profile"]
        learned = made.split(folder)[0]
        assert len(learned) == 6
        samples = SegmentationValidationSet(learned, 1, SIZE)
        images = torch.stack([samples[number]["image"] for number in range(6)])
        expected = RadialProfile.of([images], definition)
        assert profile["images"] == 6
        torch.testing.assert_close(torch.tensor(profile["shares"]), torch.tensor(expected.shares))

    def test_no_profile_is_measured_where_ratios_do_not_need_one(self, folder):
        for settings in ({"mode": "crop", "sizes": [16]}, {"mode": "mask", "definition": "area", "profile": "image"}):
            assert task(curriculum=settings).network_config(folder, None)["preprocessing"]["profile"] is None

    def test_weights_to_start_from_keep_their_numbers_and_have_to_fit(self, folder):
        start = {"model": "unet", "width": 8, "depth": 3, "classes": 1, "preprocessing": {"size": 999}}
        config = task().network_config(folder, start)
        assert (config["width"], config["depth"], config["preprocessing"]["size"]) == (8, 3, SIZE)
        with pytest.raises(CheckpointError, match=r"have 4 classes, the recipe 1: make data\.classes say the same"):
            task().network_config(folder, {**start, "classes": 4})

    def test_masks_that_teach_nothing_are_refused(self, tmp_path):
        write_blobs(tmp_path, 3)
        for path in (tmp_path / "masks").iterdir():
            Image.fromarray(np.zeros((37, 53), np.uint8)).save(path)
        with pytest.raises(ValueError, match="all 3 masks are empty"):
            task().network_config(tmp_path, None)

    def test_masks_of_nothing_but_foreground_are_warned_of(self, tmp_path, caplog):
        write_blobs(tmp_path, 3)
        for path in (tmp_path / "masks").iterdir():
            Image.fromarray(np.full((37, 53), 255, np.uint8)).save(path)
        task().network_config(tmp_path, None)
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert "such as that of 0, so there is no background" in record.getMessage()


class TestCheck:
    def test_networks_that_segment_nothing_are_refused(self):
        with pytest.raises(CheckpointError, match="mine' .*it cannot segment"):
            task().check(SFNet(width=16, depth=1), "mine")

    def test_sizes_that_a_network_cannot_take_are_named(self):
        model = build_from({"model": "unet", "width": 4, "depth": 4})
        with pytest.raises(ValueError, match=r"data\.size does not fit unet: .*multiples of 16, .*; got 40: choose"):
            task(data={"size": 40}).check(model, "unet")
        crop = {"mode": "crop", "sizes": [24, 32]}
        with pytest.raises(ValueError, match=r"curriculum\.sizes does not fit unet: .*multiples of 16, .*; got 24"):
            task(data={"size": 64}, curriculum=crop).check(model, "unet")
        task(data={"size": 64}, curriculum={"mode": "crop", "sizes": [16, 32]}).check(model, "unet")

    def test_a_sweep_is_no_single_run(self):
        with pytest.raises(ValueError, match="final_ratios are several runs"):
            task(curriculum={"mode": "mask", "final_ratios": [0.5]})


class TestLoss:
    def test_it_is_the_cross_entropy_at_the_size_of_the_masks(self, folder):
        made = prepared(task(), folder)
        logits, given = torch.randn(2, 1, SIZE, SIZE), batch()
        loss, figures = made.loss(Watched(logits), given, 0.5)
        mask = torch.stack(given["mask"])
        torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(logits[:, 0], mask.float()))
        found = logits[:, 0] > 0
        dice = 2 * (found & (mask > 0)).sum() / (found.sum() + mask.sum())
        assert figures["dice"].item() == pytest.approx(dice.item())
        assert set(figures) == {"dice"}

    def test_of_several_classes_it_is_theirs(self, folder, tmp_path):
        made = prepared(task(data={"classes": 3}), write_blobs(tmp_path, 3, classes=3))
        logits = torch.randn(2, 3, SIZE, SIZE)
        masks = [torch.randint(3, (SIZE, SIZE)) for _ in range(2)]
        loss, _ = made.loss(Watched(logits), batch(masks=masks), 0.0)
        torch.testing.assert_close(loss, F.cross_entropy(logits, torch.stack(masks)))

    def test_masked_pictures_stay_as_large_and_keep_the_ratio_by_the_profile(self, folder):
        settings = {"mode": "mask", "definition": "magnitude", "start": 0.6, "shape": "linear", "hold": 0.0}
        made = prepared(task(curriculum=settings), folder)
        model, images = Watched(torch.randn(2, 1, SIZE, SIZE)), torch.rand(2, 3, SIZE, SIZE)
        profile = RadialProfile.from_config(made.network_config(folder, None)["preprocessing"]["profile"])
        for done, ratio in ((0.0, 0.6), (0.5, 0.8), (1.0, 1.0)):
            _, figures = made.loss(model, batch(images), done)
            torch.testing.assert_close(model.seen[-1], low_pass_ratio(images, ratio, profile=profile))
            assert (figures["ratio"].item(), figures["side"].item()) == (pytest.approx(ratio), SIZE)
        assert torch.equal(model.seen[-1], images)
        assert not torch.allclose(model.seen[0], images)

    def test_cropped_pictures_are_smaller_and_logits_come_back_to_the_masks_size(self, folder):
        made = prepared(task(curriculum={"mode": "crop", "sizes": [16, 24]}), folder)
        model, given = Watched(torch.randn(2, 1, SIZE, SIZE)), batch()
        mask = torch.stack(given["mask"]).float()
        for done, side in ((0.0, 16), (0.33, 16), (0.34, 24), (0.66, 24), (0.67, 32), (1.0, 32)):
            loss, figures = made.loss(model, given, done)
            assert model.seen[-1].shape == (2, 3, side, side)
            assert figures["side"].item() == side
            small = F.interpolate(model.logits, (side, side), mode="area")
            logits = F.interpolate(small, (SIZE, SIZE), mode="bilinear", align_corners=False)
            torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(logits[:, 0], mask))
        torch.testing.assert_close(model.seen[0], spectral_crop(given["image"], (16, 16)))
        assert model.seen[-1] is given["image"]

    def test_a_ratio_that_is_fixed_does_not_move(self, folder):
        made = prepared(task(curriculum={"mode": "mask", "fixed": True, "end": 0.4}), folder)
        model = Watched(torch.randn(2, 1, SIZE, SIZE))
        ratios = [made.loss(model, batch(), done)[1]["ratio"].item() for done in (0.0, 0.4, 1.0)]
        assert ratios == pytest.approx([0.4] * 3)

    def test_a_schedule_that_ends_below_the_whole_spectrum_warns(self, folder):
        made = task(curriculum={"mode": "mask", "start": 1.0, "end": 0.3, "shape": "linear", "hold": 0.0})
        with pytest.warns(UserWarning, match=r"ends at a frequency ratio of 0\.3: .*another spectrum"):
            prepared(made, folder)

    @pytest.mark.parametrize("mode", ["none", "mask"])
    def test_pictures_that_are_not_finite_are_named(self, folder, mode):
        images = torch.rand(2, 3, SIZE, SIZE)
        images[1, 2, 3, 4] = torch.nan
        with pytest.raises(ValueError, match=r"not finite: p1; leave them out"):
            prepared(task(curriculum={"mode": mode}), folder).loss(Watched(torch.zeros(2, 1, 4, 4)), batch(images), 0.0)

    def test_a_bad_file_ends_the_run_with_its_name_or_is_told_once(self, folder, caplog):
        given = batch(problems=["", "bad.png is cut short"])
        with pytest.raises(ImageError, match=r"bad\.png is cut short\. To leave out"):
            prepared(task(), folder).loss(Watched(torch.zeros(2, 1, 4, 4)), given, 0.0)
        made = prepared(task(data={"skip_bad": True}), folder)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                made.loss(Watched(torch.zeros(2, 1, 4, 4)), given, 0.0)
        assert [record.getMessage() for record in caplog.records] == ["left out (1 until now): bad.png is cut short"]

    def test_an_adaptive_schedule_asks_the_network_and_keeps_what_it_found(self, folder):
        settings = {
            "mode": "mask",
            "schedule": "adaptive",
            "definition": "magnitude",
            "adaptive": {"shares": [0.0, 0.5], "radii": 3, "images": 2},
        }
        made = prepared(task(curriculum=settings), folder)
        (schedule,) = made.state()
        model = build_from({"model": "unet", "width": 4, "depth": 2})
        assert schedule.found == {}
        _, figures = made.loss(model, batch(), 0.0)
        assert list(schedule.found) == [0.0]
        assert figures["ratio"].item() == schedule.at(0.0)
        made.loss(model, batch(), 0.6)
        assert list(schedule.found) == [0.0, 0.5]
        again = prepared(task(curriculum=settings), folder)
        again.state()[0].load_state_dict(schedule.state_dict())
        assert [again.state()[0].at(done) for done in (0.0, 0.7, 1.0)] == [schedule.at(d) for d in (0.0, 0.7, 1.0)]
        assert task().recipe.curriculum.mode == "none"
        assert prepared(task(), folder).state() == []

    def test_sizes_that_the_curriculum_never_uses_are_warned_of(self, folder, caplog):
        prepared(task(curriculum={"mode": "crop", "start": 0.5, "sizes": [8, 16, 20, 24]}), folder)
        assert [record.getMessage() for record in caplog.records] == [
            "the curriculum never crops images of 32 pixels to 8 and 20 pixels, because its ratios are from 0.5 to 1: "
            "change curriculum.sizes or curriculum.start"
        ]
        caplog.clear()
        prepared(task(curriculum={"mode": "crop", "start": 0.5, "sizes": [16, 24, 32]}), folder)
        assert not caplog.records

    def test_a_loss_without_the_lesson_of_the_run_is_refused(self):
        with pytest.raises(TypeError, match="pass the result of lesson to loss"):
            task().loss(Watched(torch.zeros(2, 1, 4, 4)), batch(), 0.0)


class TestValidate:
    @pytest.mark.parametrize("classes", [1, 3])
    def test_a_network_that_finds_only_background_is_told_to_train_longer(self, classes):
        logits = torch.full((2, classes, 8, 8), -5.0)
        logits[:, 0] += 0 if classes == 1 else 9
        masks = [torch.randint(2, (8, 8)), torch.zeros(8, 8, dtype=torch.int64)]
        made = task(data={"classes": classes})
        remark = made.validate(Watched(logits), [batch(torch.rand(2, 3, 32, 32), masks)]).remark
        assert remark == "The network finds only background in the images that were scored: train longer."
        # nothing is right where there is nothing, and one pixel is something
        assert not made.validate(Watched(logits), [batch(torch.rand(2, 3, 32, 32), [masks[1]] * 2)]).remark
        logits[0, -1, 0, 0] = 20
        assert not made.validate(Watched(logits), [batch(torch.rand(2, 3, 32, 32), masks)]).remark

    def test_figures_are_those_of_scikit_learn_at_the_size_of_each_mask(self):
        logits = torch.randn(3, 1, 8, 8)
        masks = [torch.randint(2, size) for size in ((17, 29), (32, 32), (41, 23))]
        model = Watched(logits)
        result = task().validate(model, [batch(torch.rand(3, 3, 32, 32), masks)])
        shown = F.interpolate(logits, (32, 32), mode="area")
        ious = []
        for one, mask in zip(shown, masks, strict=True):
            found = F.interpolate(one[None], mask.shape, mode="bilinear", align_corners=False)[0, 0] > 0
            ious.append(jaccard_score(mask.flatten(), found.flatten().int(), average="macro"))
        assert result.figures["iou"] == pytest.approx(np.mean(ious))
        assert result.score == result.figures["foreground_dice"]
        assert model.modes == [False]
        assert model.training
        assert result.picture.shape[0] == 3
        assert result.picture.shape[-1] == 3 * 7 * 32 + 2 * GAP + 2 * MARGIN  # seven times as large

    def test_whole_pictures_are_scored_whatever_the_curriculum(self, folder):
        made = prepared(task(curriculum={"mode": "crop", "sizes": [16]}), folder)
        model = Watched(torch.randn(2, 1, SIZE, SIZE))
        given = batch()
        made.loss(model, given, 0.0)
        made.validate(model, [given])
        assert [seen.shape[-1] for seen in model.seen] == [16, SIZE]
        assert torch.equal(model.seen[1], given["image"])

    def test_the_mean_iou_of_classes_is_the_score_of_several(self):
        masks = [torch.randint(3, (SIZE, SIZE)) for _ in range(2)]
        logits = torch.randn(2, 3, SIZE, SIZE)
        result = task(data={"classes": 3}).validate(Watched(logits), [batch(masks=masks)])
        truth = torch.stack(masks).flatten()
        expected = jaccard_score(truth, logits.argmax(1).flatten(), average="macro")
        assert result.score == pytest.approx(expected)

    def test_bad_files_are_not_counted(self):
        given = batch(masks=[torch.ones(9, 9).long(), -torch.ones(1, 1).long()], problems=["", "bad.png is empty"])
        result = task(data={"skip_bad": True}).validate(Watched(torch.ones(2, 1, 4, 4)), [given])
        assert result.score == 1
        with pytest.raises(ImageError, match=r"bad\.png is empty"):
            task().validate(Watched(torch.ones(2, 1, 4, 4)), [given])
        given["problem"] = ["bad.png is empty"] * 2
        with pytest.raises(ImageError, match="none of the images to score on can be used"):
            task(data={"skip_bad": True}).validate(Watched(torch.ones(2, 1, 4, 4)), [given])


class TestSplit:
    def names(self, data):
        return [data[number]["name"] for number in range(len(data))]

    def test_what_is_held_out_is_not_learned(self, folder):
        made = task(data={"held_out": 0.25})
        config = made.network_config(folder, None)
        learned, scored = made.training_data(folder, config), made.validation_data(folder, None, config)
        assert (len(learned), len(scored)) == (6, 2)
        assert {learned[number]["name"] for number in range(6)}.isdisjoint(self.names(scored))
        # a folder takes the place of images that are held out
        assert self.names(made.validation_data(folder, folder, config)) == [str(number) for number in range(8)]

    def test_sequences_are_held_out_whole(self, tmp_path):
        write_blobs(tmp_path, 9)
        for number in range(9):
            for part in ("images", "masks"):
                path = tmp_path / part / f"{number}.png"
                path.rename(path.with_name(f"v{number // 3}-{number % 3}.png"))
        learned, scored = task(data={"held_out": 0.34, "sequence": r"v(\d)"}).split(tmp_path)
        assert len({pair.name[1] for pair in scored}) == 1
        assert len(scored) == 3
        assert {pair.name[1] for pair in learned}.isdisjoint(pair.name[1] for pair in scored)
        assert len(task(data={"held_out": 0.34, "sequence": "frames"}).split(tmp_path)[1]) == 3

    def test_lists_name_what_is_learned_and_what_is_scored(self, folder, tmp_path):
        (tmp_path / "v.txt").write_text("3\n5\n")
        (tmp_path / "t.txt").write_text("0\n1\n")
        learned, scored = task(data={"validation_list": str(tmp_path / "v.txt")}).split(folder)
        assert [pair.name for pair in scored] == ["3", "5"]
        assert len(learned) == 6
        both = {"validation_list": str(tmp_path / "v.txt"), "training_list": str(tmp_path / "t.txt")}
        assert [pair.name for pair in task(data=both).split(folder)[0]] == ["0", "1"]
        (tmp_path / "t.txt").write_text("0\n3\n")
        with pytest.raises(ValueError, match=r"name 1 images both, such as 3: what is scored on is not learned"):
            task(data=both).split(folder)
        (tmp_path / "v.txt").write_text("\n".join(str(number) for number in range(8)))
        with pytest.raises(ValueError, match="names all 8 images, so that none is left to learn from"):
            task(data={"validation_list": str(tmp_path / "v.txt")}).split(folder)

    def test_leaks_into_a_validation_folder_are_told(self, folder, tmp_path, caplog):
        other = write_blobs(tmp_path / "other", 3, seed=9)
        for part in ("images", "masks"):
            (other / part / "leak.png").write_bytes((folder / part / "4.png").read_bytes())
        made = task()
        config = made.network_config(folder, None)
        with caplog.at_level(logging.WARNING):
            assert len(made.validation_data(folder, other, config)) == 4
        assert "1 of 4 validation images are also training images, byte for byte: leak is 4" in caplog.text
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            made.validation_data(folder, None, config)
        assert "scored on images that are learned from" in caplog.text
