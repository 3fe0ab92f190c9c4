import numpy as np
import pytest
import torch
from PIL import Image

from passband.drawing.comparison import GAP, MARGIN
from passband.inference import Job, Restorer, VideoOptions, plan_jobs, restore_files
from passband.io.image import read_stored_image, write_image
from tests import clips
from tests.pictures import names


@pytest.fixture(scope="module")
def identity(identity_weights):
    return Restorer(identity_weights, "cpu")


def test_files_keep_type_depth_and_metadata(identity, tmp_path):
    array = np.random.default_rng(0).integers(0, 65536, (9, 11), dtype=np.uint16)
    Image.fromarray(array).save(tmp_path / "deep.png")
    exif = Image.Exif()
    exif[0x010F] = "camera"
    Image.fromarray(np.zeros((9, 11, 3), np.uint8)).save(tmp_path / "photo.jpg", exif=exif)
    outcomes = list(restore_files(identity, plan_jobs([tmp_path], tmp_path / "out")))
    assert [outcome.status for outcome in outcomes] == ["restored", "restored"]
    deep = read_stored_image(tmp_path / "out" / "deep.png")
    assert (deep.meta.bits, deep.meta.gray) == (16, True)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "deep.png")), array)
    with Image.open(tmp_path / "out" / "photo.jpg") as photo:
        assert photo.getexif()[0x010F] == "camera"


class TestPlan:
    def test_a_file_goes_beside_itself_into_a_folder_or_to_a_name(self, tmp_path):
        photo = tmp_path / "a.jpg"
        photo.touch()
        assert plan_jobs([photo]) == [Job(photo, tmp_path / "a_restored.jpg")]
        assert plan_jobs([photo], tmp_path / "out") == [Job(photo, tmp_path / "out" / "a.jpg")]
        assert plan_jobs([photo], tmp_path / "b.png") == [Job(photo, tmp_path / "b.png")]

    def test_a_folder_keeps_its_tree_and_leaves_out_hidden_files_and_other_kinds(self, tmp_path):
        for name in ("a.png", "deep/b.JPG", "deep/notes.txt", ".hidden.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        jobs = plan_jobs([tmp_path], tmp_path / "out")
        assert [job.target for job in jobs] == [tmp_path / "out" / "a.png", tmp_path / "out" / "deep" / "b.JPG"]
        assert plan_jobs([tmp_path])[0].target == tmp_path.with_name(f"{tmp_path.name}_restored") / "a.png"

    def test_a_glob_is_expanded(self, tmp_path):
        for name in ("a.png", "b.png", "c.jpg"):
            (tmp_path / name).touch()
        assert [job.source.name for job in plan_jobs([str(tmp_path / "*.png")], tmp_path / "out")] == ["a.png", "b.png"]

    def test_nothing_to_do_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no file, folder or match for .*missing"):
            plan_jobs([tmp_path / "missing.png"])
        with pytest.raises(FileNotFoundError, match="holds no images"):
            plan_jobs([tmp_path])

    def test_two_files_never_become_one(self, tmp_path):
        for folder in ("x", "y"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "a.png").touch()
        with pytest.raises(ValueError, match=r"x/a\.png and .*y/a\.png have the same output"):
            plan_jobs([tmp_path / "x", tmp_path / "y"], tmp_path / "out")
        with pytest.raises(ValueError, match="would be replaced by its restored image"):
            plan_jobs([tmp_path / "x"], tmp_path / "x" / ".." / "x")

    def test_a_folder_that_cannot_be_read_is_named(self, tmp_path, monkeypatch):
        def refused(folder):
            raise PermissionError(13, "Permission denied", str(folder))

        monkeypatch.setattr("os.scandir", refused)
        with pytest.raises(PermissionError, match="Permission denied"):
            plan_jobs([tmp_path])

    def test_a_sub_folder_that_cannot_be_read_is_a_job_that_fails_by_name(self, identity, tmp_path, close_folder):
        write_image(tmp_path / "in" / "a.png", torch.rand(3, 8, 8))
        write_image(tmp_path / "in" / "deep" / "private" / "b.png", torch.rand(3, 8, 8))
        close_folder(tmp_path / "in" / "deep" / "private")
        jobs = plan_jobs([tmp_path / "in"], tmp_path / "out")
        outcomes = list(restore_files(identity, jobs))
        assert [outcome.status for outcome in outcomes] == ["restored", "failed"]
        assert outcomes[1].reason == f"{tmp_path / 'in' / 'deep' / 'private'} cannot be read (Permission denied)"
        assert names(tmp_path / "out") == ["a.png"]

    def test_videos_are_sources_too_and_become_what_can_be_written(self, tmp_path):
        for name in ("a.png", "b.mp4", "c.avi", "b_restored.mp4.parts/job.json", "b_restored.mp4.parts/0.mkv"):
            (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / name).touch()
        jobs = plan_jobs([tmp_path / "in"], tmp_path / "out")
        assert [job.target.name for job in jobs] == ["a.png", "b.mp4", "c.mkv"]
        assert [job.is_video for job in jobs] == [False, True, True]
        assert plan_jobs([tmp_path / "in" / "c.avi"])[0].target == tmp_path / "in" / "c_restored.mkv"
        assert plan_jobs([tmp_path / "in" / "b.mp4"], tmp_path / "x.mov")[0].target == tmp_path / "x.mov"

    @pytest.mark.parametrize(("source", "target"), [("a.png", "x.mp4"), ("b.mp4", "x.png")])
    def test_a_picture_does_not_become_a_video_nor_the_reverse(self, tmp_path, source, target):
        (tmp_path / source).touch()
        with pytest.raises(ValueError, match="an image stays an image, a video a video"):
            plan_jobs([tmp_path / source], tmp_path / target)


class TestFiles:
    def test_a_bad_file_is_named_and_the_others_are_done(self, identity, tmp_path):
        write_image(tmp_path / "in" / "a.png", torch.rand(3, 8, 8))
        (tmp_path / "in" / "b.png").write_text("this is text")
        (tmp_path / "in" / "c.jpg").touch()
        write_image(tmp_path / "in" / "d.png", torch.rand(3, 8, 8))
        outcomes = list(restore_files(identity, plan_jobs([tmp_path / "in"], tmp_path / "out")))
        assert [outcome.status for outcome in outcomes] == ["restored", "failed", "failed", "restored"]
        assert "b.png is not a" in outcomes[1].reason
        assert "c.jpg is empty" in outcomes[2].reason
        assert names(tmp_path / "out") == ["a.png", "d.png"]

    def test_done_files_are_skipped_unless_overwritten(self, identity, tmp_path):
        write_image(tmp_path / "a.png", torch.rand(3, 8, 8))
        jobs = plan_jobs([tmp_path / "a.png"], tmp_path / "out")
        assert [o.status for o in restore_files(identity, jobs)] == ["restored"]
        assert [o.status for o in restore_files(identity, jobs)] == ["skipped"]
        (tmp_path / "out" / "a.png").write_bytes(b"mine")
        (refused,) = restore_files(identity, jobs)
        assert refused.status == "failed"
        assert refused.reason.startswith(f"{tmp_path / 'out' / 'a.png'} exists, but passband has no record")
        assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
        assert [o.status for o in restore_files(identity, jobs, overwrite=True)] == ["restored"]
        assert (tmp_path / "out" / "a.png").read_bytes() != b"mine"

    def test_the_size_of_comparisons_is_chosen_and_another_size_is_written_anew(self, identity_weights, tmp_path):
        write_image(tmp_path / "a.png", torch.rand(3, 300, 200))
        jobs, identity = plan_jobs([tmp_path / "a.png"], tmp_path / "out"), Restorer(identity_weights, "cpu")

        def compared(**options):
            (outcome,) = restore_files(identity, jobs, compare=True, **options)
            height, width = read_stored_image(tmp_path / "out" / "a_compare.png").image.shape[-2:]
            return outcome.status, height * width

        usual = compared()
        assert usual[1] > 2 * 300 * 200
        status, small = compared(compare_pixels=40_000)
        assert status == "restored"
        assert 30_000 < small <= 40_000
        assert compared(compare_pixels=40_000) == ("skipped", small)
        assert compared(compare_pixels=None) == usual  # every pixel of a small picture
        assert compared(compare_pixels=None) == ("skipped", usual[1])
        assert compared() == usual
        assert compared() == ("skipped", usual[1])
        # the restored picture is the same with each
        assert [one.status for one in restore_files(identity, jobs)] == ["skipped"]

    def test_compare_writes_before_and_after_side_by_side(self, tiny_weights, tmp_path):
        write_image(tmp_path / "a.png", torch.rand(3, 20, 20))
        list(
            restore_files(
                Restorer(tiny_weights, "cpu"), plan_jobs([tmp_path / "a.png"], tmp_path / "out"), compare=True
            )
        )
        both = read_stored_image(tmp_path / "out" / "a_compare.png").image
        rows, column = slice(-20 - MARGIN, -MARGIN), (both.shape[-1] - 2 * MARGIN - GAP) // 2
        for name, left in (("a.png", MARGIN), ("out/a.png", MARGIN + column + GAP)):
            torch.testing.assert_close(both[:, rows, left : left + 20], read_stored_image(tmp_path / name).image)

    def test_a_full_disk_fails_each_file_by_name_and_leaves_nothing(self, identity, tmp_path, monkeypatch):
        write_image(tmp_path / "a.png", torch.rand(3, 8, 8))

        def full(self, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pathlib.Path.write_bytes", full)
        (outcome,) = restore_files(identity, plan_jobs([tmp_path / "a.png"], tmp_path / "out"))
        assert outcome.status == "failed"
        folder = tmp_path / "out"
        assert outcome.reason == (
            f"cannot write {folder / 'a.png'}: no space left in {folder}; free some space there, or choose another "
            "folder"
        )
        assert list((tmp_path / "out").iterdir()) == []

    def test_ctrl_c_leaves_no_half_file(self, identity, tmp_path, monkeypatch):
        write_image(tmp_path / "a.png", torch.rand(3, 8, 8))

        def interrupted(self, data):
            with self.open("wb") as file:
                file.write(data[:10])
            raise KeyboardInterrupt

        monkeypatch.setattr("pathlib.Path.write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(restore_files(identity, plan_jobs([tmp_path / "a.png"], tmp_path / "out")))
        assert list((tmp_path / "out").iterdir()) == []

    def test_pictures_and_videos_of_a_folder_are_restored_together(self, identity, tmp_path):
        write_image(tmp_path / "in" / "a.png", torch.rand(3, 8, 8))
        clips.write_clip(tmp_path / "in" / "b.mp4", clips.UNEVEN)
        (tmp_path / "in" / "c.mp4").write_text("this is text")
        seen = []
        outcomes = list(
            restore_files(
                identity,
                plan_jobs([tmp_path / "in"], tmp_path / "out"),
                video=VideoOptions(codec="h264", crf=10, temporal=0.5),
                report=seen.append,
            )
        )
        assert [outcome.status for outcome in outcomes] == ["restored", "restored", "failed"]
        assert "c.mp4" in outcomes[2].reason
        assert seen[-1].done == seen[-1].total == len(clips.UNEVEN)
        assert clips.times(tmp_path / "out" / "b.mp4") == clips.times(tmp_path / "in" / "b.mp4")
        assert names(tmp_path / "out") == ["a.png", "b.mp4"]
