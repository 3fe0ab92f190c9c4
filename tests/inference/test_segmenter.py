import numpy as np
import pytest
import torch
from PIL import Image

from passband.data.datasets.segmentation import SegmentationValidationSet
from passband.data.masks import find_mask_pairs, read_mask
from passband.inference.segmenter import Segmenter, plan_masks
from passband.io.image import ImageError, read_image
from passband.state_dicts import CheckpointError
from tests.pictures import names
from tests.segmenters import blob, save_segmenter, write_blobs


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    return Segmenter(save_segmenter(tmp_path_factory.mktemp("weights")), "cpu")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return Segmenter(save_segmenter(tmp_path_factory.mktemp("weights"), classes=5), "cpu")


class TestPictures:
    @pytest.mark.parametrize("size", [(37, 53), (1, 1), (3, 97), (64, 32), (32, 32)])
    def test_masks_have_the_size_of_their_picture(self, segmenter, several, size):
        image = torch.rand(3, *size)
        for one, most in ((segmenter, 1), (several, 4)):
            mask = one(image)
            assert mask.shape == size
            assert 0 <= int(mask.min()) <= int(mask.max()) <= most

    def test_a_mask_is_where_a_class_is_the_most_probable(self, segmenter, several):
        image = torch.rand(3, 41, 67)
        probabilities = segmenter.probabilities(image)
        torch.testing.assert_close(probabilities.sum(0), torch.ones(41, 67))
        assert torch.equal(segmenter(image), (probabilities[1] > 0.5).long())
        probabilities = several.probabilities(image)
        assert probabilities.shape == (5, 41, 67)
        torch.testing.assert_close(probabilities.sum(0), torch.ones(41, 67))
        assert torch.equal(several(image), probabilities.argmax(0))
        assert len(several(image).unique()) > 1

    def test_paths_arrays_tensors_and_pillow_give_one_mask(self, segmenter, tmp_path):
        picture = blob(3)[0]
        Image.fromarray(picture).save(tmp_path / "p.png")
        masks = [
            segmenter(tmp_path / "p.png"),
            segmenter(str(tmp_path / "p.png")),
            segmenter((tmp_path / "p.png").read_bytes()),
            segmenter(picture),
            segmenter(Image.fromarray(picture)),
            segmenter(torch.from_numpy(picture).permute(2, 0, 1).float() / 255),
        ]
        assert all(torch.equal(mask, masks[0]) for mask in masks)
        assert 0 < masks[0].double().mean() < 1

    def test_pictures_that_cannot_be_meant_are_refused(self, segmenter, tmp_path):
        image = torch.rand(3, 8, 9)
        image[1, 2, 3] = torch.nan
        with pytest.raises(ValueError, match="finite values; 1 of"):
            segmenter(image)
        with pytest.raises(ValueError, match="one image of shape 3 H W is needed, got a batch of shape 1 x 3 x 8 x 8"):
            segmenter(torch.rand(1, 3, 8, 8))
        with pytest.raises(ValueError, match=r"got \(4, 8, 8\)"):
            segmenter(torch.rand(4, 8, 8))
        levels = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
        assert torch.equal(segmenter(levels), segmenter(levels / 255))
        with pytest.raises(FileNotFoundError):
            segmenter("nowhere.png")
        (tmp_path / "text.png").write_bytes(b"nothing of the kind")
        with pytest.raises(ImageError, match=r"text\.png is not a PNG, JPEG"):
            segmenter(tmp_path / "text.png")

    def test_weights_of_another_kind_are_refused(self, tiny_weights):
        with pytest.raises(CheckpointError, match="it cannot segment"):
            Segmenter(tiny_weights, "cpu")


class TestFiles:
    def test_masks_and_overlays_are_written_with_the_numbers_of_classes(self, segmenter, several, tmp_path):
        source = write_blobs(tmp_path / "data", 2) / "images"
        for one, classes, name in ((segmenter, 1, "binary"), (several, 5, "several")):
            jobs = plan_masks([source], tmp_path / name)
            results = list(one.segment_files(jobs, overlays=True))
            assert [result.error for result in results] == [None, None]
            for result in results:
                mask = one(result.job.source)
                assert torch.equal(read_mask(result.job.target, classes), mask)
                assert result.shares[0] == pytest.approx((mask == 0).double().mean().item())
                assert sum(result.shares) == pytest.approx(1)
                drawn = read_image(result.job.companion)
                original = read_image(result.job.source)
                assert torch.equal(drawn[:, mask == 0], original[:, mask == 0])
                assert not torch.equal(drawn, original)
        values = np.unique(np.array(Image.open(tmp_path / "binary" / "0.png")))
        assert set(values.tolist()) <= {0, 255}

    def test_a_turned_photograph_has_an_upright_mask(self, segmenter, tmp_path):
        picture = Image.fromarray(blob(4, (40, 64))[0])
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees
        picture.save(tmp_path / "turned.png", exif=exif)
        upright = picture.transpose(Image.Transpose.ROTATE_270)
        (result,) = segmenter.segment_files(plan_masks([tmp_path / "turned.png"]))
        assert result.job.target == tmp_path / "turned_mask.png"
        mask = read_mask(result.job.target, 1)
        assert mask.shape == (64, 40)
        assert torch.equal(mask, segmenter(upright))

    def test_a_bad_file_keeps_no_other_from_being_done(self, segmenter, tmp_path):
        folder = write_blobs(tmp_path, 3) / "images"
        (folder / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        results = list(segmenter.segment_files(plan_masks([folder], tmp_path / "out")))
        assert [result.error is None for result in results] == [True, False, True]
        assert str(folder / "1.png") in results[1].error
        assert names(tmp_path / "out") == ["0.png", "2.png"]

    def test_what_is_done_is_kept_unless_it_is_to_be_done_again(self, segmenter, tmp_path):
        folder = write_blobs(tmp_path, 1) / "images"
        jobs = plan_masks([folder], tmp_path / "out")
        list(segmenter.segment_files(jobs))
        (again,) = segmenter.segment_files(jobs)
        assert again.skipped
        (overlaid,) = segmenter.segment_files(jobs, overlays=True)
        assert not overlaid.skipped
        assert jobs[0].companion.exists()
        jobs[0].target.write_bytes(b"mine")
        (refused,) = segmenter.segment_files(jobs, overlays=True)
        assert "0.png exists, but passband has no record" in refused.error
        assert jobs[0].target.read_bytes() == b"mine"
        list(segmenter.segment_files(jobs, overwrite=True))
        assert torch.equal(read_mask(jobs[0].target, 1), segmenter(jobs[0].source))


class TestPlans:
    def test_trees_are_kept_and_masks_are_png(self, tmp_path):
        for name in ("a/1.jpg", "a/b/1.png", "2.webp"):
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(path)
        targets = [job.target.relative_to(tmp_path) for job in plan_masks([tmp_path / "in"])]
        assert [target.as_posix() for target in targets] == ["in_masks/2.png", "in_masks/a/1.png", "in_masks/a/b/1.png"]
        (one,) = plan_masks([str(tmp_path / "in" / "*.webp")], tmp_path / "m.png")
        assert one.target == tmp_path / "m.png"
        assert one.companion == tmp_path / "m_overlay.png"
        (one,) = plan_masks([tmp_path / "in" / "2.webp"], tmp_path / "out")
        assert one.target == tmp_path / "out" / "2.png"
        inside = plan_masks([tmp_path / "in"], tmp_path / "in" / "a")
        assert [job.target.relative_to(tmp_path / "in" / "a").as_posix() for job in inside] == [
            *("2.png", "a/1.png", "a/b/1.png"),
        ]

    def test_pictures_that_differ_by_suffix_have_masks_and_overlays_of_their_own(self, tmp_path):
        (tmp_path / "in").mkdir()
        for name in ("a.png", "a.jpg", "a_overlay.png"):
            Image.new("RGB", (4, 4)).save(tmp_path / "in" / name)
        jobs = plan_masks([tmp_path / "in"], tmp_path / "out")
        assert [job.target.name for job in jobs] == ["a.jpg.png", "a.png", "a_overlay.png"]
        assert [job.companion.name for job in jobs] == [
            *("a.jpg_overlay.png", "a.png_overlay.png", "a_overlay_overlay.png"),
        ]
        (alone,) = plan_masks([tmp_path / "in" / "a.jpg"], tmp_path / "out")
        assert alone == jobs[0]

    def test_what_would_lose_a_file_is_refused(self, tmp_path):
        for name in ("x/a.png", "y/a.png"):
            (tmp_path / name).parent.mkdir()
            Image.new("RGB", (4, 4)).save(tmp_path / name)
        with pytest.raises(ValueError, match=r"have the same output .*out/a\.png: give them different output folders"):
            plan_masks([tmp_path / "x", tmp_path / "y"], tmp_path / "out")
        with pytest.raises(ValueError, match=r"a\.png would be replaced by its mask: choose another"):
            plan_masks([tmp_path / "x" / "a.png"], tmp_path / "x")
        (tmp_path / "empty").mkdir()
        with pytest.raises(FileNotFoundError, match="holds no images"):
            plan_masks([tmp_path / "empty"])


def test_a_picture_is_prepared_as_in_training(tmp_path):
    data = write_blobs(tmp_path / "data", 2)
    segmenter = Segmenter(save_segmenter(tmp_path / "weights"), "cpu")
    pairs = find_mask_pairs(data)
    image = torch.from_numpy(np.array(Image.open(pairs[1].image))).permute(2, 0, 1).float() / 255
    assert torch.equal(segmenter.prepare(image), SegmentationValidationSet(pairs, 1, 32)[1]["image"])


def test_weights_that_cannot_segment_say_why(tmp_path, tiny_weights):
    with pytest.raises(CheckpointError, match="it cannot segment"):
        Segmenter(tiny_weights, "cpu")
    with pytest.raises(CheckpointError, match=r"needs `preprocessing` with `size`, a multiple of 4 pixels.*got 30"):
        Segmenter(save_segmenter(tmp_path / "size", size=30), "cpu")
    with pytest.raises(CheckpointError, match=r"does not say how images become its input"):
        Segmenter(save_segmenter(tmp_path / "none", preprocessing=None), "cpu")
    with pytest.raises(CheckpointError, match="tells 2 classes apart, but its config.json names 3"):
        Segmenter(save_segmenter(tmp_path / "names", classes_named=["a", "b", "c"]), "cpu")
