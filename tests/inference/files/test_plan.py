import os
from pathlib import Path

import pytest

from passband.data.finding import InputFile
from passband.inference import plan_jobs
from passband.inference.files.plan import plan
from passband.inference.files.restoring import RESTORED
from passband.inference.segmenter import plan_masks
from passband.io.records import Records


@pytest.fixture
def touch(tmp_path):
    """Makes empty files below a folder."""

    def touch(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return touch


def targets(jobs):
    return {job.source.name: job.target.name for job in jobs}


class TestFolders:
    def test_the_folder_that_one_is_in_has_outputs_beside_it(self, tmp_path, touch, monkeypatch):
        touch("photos/a.png")
        monkeypatch.chdir(tmp_path / "photos")
        for here in (".", "./", "../photos/.", "../photos", str(tmp_path / "photos" / "..") + "/photos"):
            (job,) = plan_jobs([here])
            assert job.target.resolve() == (tmp_path / "photos_restored" / "a.png").resolve()
            (job,) = plan_masks([here])
            assert job.target.resolve() == (tmp_path / "photos_masks" / "a.png").resolve()
        with pytest.raises(ValueError, match="there can be no folder beside / *: choose an output"):
            plan([InputFile(Path("/a.png"), ".png", Path("/"))], None, RESTORED, Records())

    def test_a_linked_folder_has_outputs_beside_the_link(self, tmp_path, touch):
        touch("disk/2026/a.png")
        (tmp_path / "photos").symlink_to(tmp_path / "disk" / "2026")
        (job,) = plan_jobs([tmp_path / "photos"])
        assert job.target == tmp_path / "photos_restored" / "a.png"

    def test_a_folder_around_the_source_passes_nothing_over(self, tmp_path, touch):
        touch("work/in/a.png", "work/in/deep/b.png")
        jobs = plan_jobs([tmp_path / "work" / "in"], tmp_path / "work")
        assert [job.target for job in jobs] == [tmp_path / "work" / "a.png", tmp_path / "work" / "deep" / "b.png"]

    def test_a_source_of_the_run_is_no_target(self, tmp_path, touch):
        touch("t/a.png", "t/out/a.png")
        jobs = plan_jobs([tmp_path / "t"], tmp_path / "t" / "out")
        assert [job.target.relative_to(tmp_path).as_posix() for job in jobs] == [
            "t/out/a_restored.png",
            "t/out/out/a.png",
        ]
        touch("small/a.png", "small/a_restored.png")
        jobs = plan_jobs([str(tmp_path / "small" / "*")])
        assert targets(jobs) == {"a.png": "a.png_restored.png", "a_restored.png": "a_restored_restored.png"}


class TestNames:
    def test_containers_that_become_matroska_keep_their_suffix_beside_a_file_of_that_name(self, tmp_path, touch):
        touch("in/clip.avi", "in/clip.mkv", "in/clip.wmv", "in/other.avi")
        jobs = plan_jobs([tmp_path / "in"], tmp_path / "out")
        assert targets(jobs) == {
            "clip.avi": "clip.avi.mkv",
            "clip.mkv": "clip.mkv",
            "clip.wmv": "clip.wmv.mkv",
            "other.avi": "other.mkv",
        }
        # one by one they have the same names
        alone = [plan_jobs([job.source], tmp_path / "out")[0] for job in jobs]
        assert alone == jobs
        beside = [plan_jobs([job.source])[0].target.name for job in jobs]
        assert beside == ["clip.avi_restored.mkv", "clip_restored.mkv", "clip.wmv_restored.mkv", "other_restored.mkv"]

    def test_pictures_that_differ_by_suffix_have_comparisons_of_their_own(self, tmp_path, touch):
        touch("in/a.jpg", "in/a.png", "in/a_compare.png")
        jobs = plan_jobs([tmp_path / "in"], tmp_path / "out")
        assert [job.target.name for job in jobs] == ["a.jpg", "a.png", "a_compare.png"]
        assert [job.companion.name for job in jobs] == [
            *("a.jpg_compare.png", "a.png_compare.png", "a_compare_compare.png"),
        ]
        touch("two/a.jpg", "two/a.png")
        jobs = plan_jobs([tmp_path / "two"], tmp_path / "out")
        assert [job.companion.name for job in jobs] == ["a_compare.png", "a.png_compare.png"]
        assert [plan_jobs([job.source], tmp_path / "out")[0].companion for job in jobs] == [
            job.companion for job in jobs
        ]

    def test_a_picture_without_a_suffix_keeps_its_name_and_one_after_a_date_gets_a_suffix(self, tmp_path):
        for name in ("photo", "2026.11.26", "old.jif", "fine.jfif"):
            (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0 the beginning of a JPEG file")
        assert targets(plan_jobs([tmp_path], tmp_path / "out")) == {
            "photo": "photo",
            "2026.11.26": "2026.11.26.jpg",
            "old.jif": "old.jif.jpg",
            "fine.jfif": "fine.jfif",
        }
        assert plan_jobs([tmp_path / "photo"])[0].target.name == "photo_restored"
        assert plan_masks([tmp_path / "photo"])[0].target.name == "photo_mask.png"

    def test_names_of_250_bytes_become_names_that_fit(self, tmp_path, touch):
        ends = ("png", "mp4", "avi", "jpg")
        names = [f"{letter * 123}{os.fsdecode(bytes([0xE9]))}.{end}" for letter, end in zip("äöüß", ends, strict=True)]
        assert {len(os.fsencode(name)) for name in names} == {251}
        touch(*(f"{'f' * 250}/{name}" for name in names))
        folder = tmp_path / ("f" * 250)
        for jobs in (plan_jobs([folder]), plan_jobs(sorted(folder.iterdir()))):
            assert len({job.target for job in jobs}) == len({job.companion for job in jobs}) == 4
            for job in jobs:
                for path in (job.target, job.companion):
                    assert all(len(os.fsencode(part)) <= 255 for part in path.parts)
                job.target.parent.mkdir(exist_ok=True)
                job.target.touch()

    def test_a_file_of_no_known_type_is_named_with_what_is_read(self, tmp_path):
        (tmp_path / "a.gif").write_bytes(b"GIF89a")
        (tmp_path / "b").touch()
        gif, empty = plan_jobs([tmp_path / "a.gif", tmp_path / "b"])
        assert gif.problem.startswith(f"{tmp_path / 'a.gif'} is none of the types that can be read (.")
        assert empty.problem == f"{tmp_path / 'b'} is empty"


class TestOutputs:
    @pytest.mark.parametrize("name", ["x.xyz", "clip.gif", "photo.heics", "a.v2"])
    def test_a_type_that_cannot_be_written_is_no_folder(self, tmp_path, touch, name):
        touch("a.png")
        with pytest.raises(ValueError, match=r"unknown type \.\w+ of the output .*; write .*/ if you mean a folder"):
            plan_jobs([tmp_path / "a.png"], tmp_path / name)
        assert plan_jobs([tmp_path / "a.png"], f"{tmp_path / name}/")[0].target == tmp_path / name / "a.png"
        (tmp_path / name).mkdir()
        assert plan_jobs([tmp_path / "a.png"], tmp_path / name)[0].target == tmp_path / name / "a.png"

    def test_several_files_need_a_folder(self, tmp_path, touch):
        touch("in/a.png", "in/b.png", "there")
        for name in ("x.png", "x.gif"):
            with pytest.raises(ValueError, match="with several files, -o must be a folder|unknown type"):
                plan_jobs([tmp_path / "in"], tmp_path / name)
        with pytest.raises(ValueError, match="there is an existing file, and a folder is needed"):
            plan_jobs([tmp_path / "in"], tmp_path / "there")
        assert plan_jobs([tmp_path / "in"], tmp_path / "2026.11")[0].target == tmp_path / "2026.11" / "a.png"

    def test_a_target_that_leads_to_the_source_by_a_link_is_refused(self, tmp_path, touch):
        touch("in/a.png")
        (tmp_path / "link").symlink_to(tmp_path / "in")
        with pytest.raises(ValueError, match="would be replaced by its restored image"):
            plan_jobs([tmp_path / "in" / "a.png"], tmp_path / "link")
