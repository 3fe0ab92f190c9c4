import errno
import os
import shutil
from contextlib import contextmanager

import pytest
import torch

from passband.inference import Job, Restorer, VideoOptions, plan_jobs, restore_files
from passband.inference.files.jobs import Work, run_jobs
from passband.io.failures import WriteError
from passband.io.image import write_image
from passband.io.records import RECORD_FILE, OutputSettings
from tests import clips
from tests.pictures import names


@pytest.fixture(scope="module")
def identity(identity_weights):
    return Restorer(identity_weights, "cpu")


def write(folder, *given):
    """Small pictures, each another; their paths."""
    for number, name in enumerate(given):
        write_image(folder / name, torch.full((3, 8, 8), 0.1 * (number + 1)))
    return [folder / name for name in given]


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


@pytest.fixture
def restore(identity):
    """Plans and restores."""

    def restore(*sources, output=None, by=identity, **options):
        return list(restore_files(by, plan_jobs(sources, output), **options))

    return restore


def test_a_folder_is_checked_once_for_all_its_files_and_refused_for_each(tmp_path, identity, monkeypatch):
    checked = []

    def check(folder):
        checked.append(folder.name)
        if folder.name == "closed":
            raise WriteError(errno.EACCES, f"cannot write to {folder}")

    monkeypatch.setattr("passband.inference.files.jobs.results_folder", check)
    write(tmp_path / "in" / "open", "a.png", "b.png", "c.png")
    write(tmp_path / "in" / "closed", "a.png", "b.png")
    outcomes = list(restore_files(identity, plan_jobs([tmp_path / "in"], tmp_path / "out"), dry_run=True))
    assert checked == ["closed", "closed", "open"]
    assert statuses(outcomes) == ["failed"] * 2 + ["planned"] * 3


class TestOneLaw:
    @pytest.mark.parametrize(
        "error",
        [
            AttributeError("'AudioStream' object has no attribute 'name'"),
            RuntimeError("broken"),
            MemoryError(),
            UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed"),
            RecursionError("too deep"),
            OSError(36, "File name too long", "b.png"),
            ZeroDivisionError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_an_error_of_any_kind_fails_one_file_by_name_and_no_other(self, tmp_path, error):
        sources = write(tmp_path / "in", "a.png", "b.png", "c.png")

        def do(job, companion):
            if job.source.name == "b.png":
                raise error
            shutil.copy(job.source, job.target)
            return ("a note",), 7

        jobs = [Job(source, tmp_path / source.name) for source in sources]
        work = Work(do, lambda _: OutputSettings("copy", "", {}), lambda _: False, lambda _: "")
        outcomes = list(run_jobs(jobs, work))
        assert statuses(outcomes) == ["restored", "failed", "restored"]
        assert "b.png" in outcomes[1].reason
        assert isinstance(error, OSError) or type(error).__name__ in outcomes[1].reason
        assert (outcomes[0].notes, outcomes[0].result) == (("a note",), 7)

    def test_an_interruption_ends_the_run_and_what_was_written_until_then_is_recorded(self, tmp_path):
        (source,) = write(tmp_path, "a.png")

        def do(job, companion):
            shutil.copy(job.source, job.target)
            raise KeyboardInterrupt  # while the companion is being made

        job = Job(source, tmp_path / "out.png")
        making = OutputSettings("copy", "", {})
        with pytest.raises(KeyboardInterrupt):
            list(run_jobs([job], Work(do, lambda _: making, lambda _: True, lambda _: "_compare.png")))
        work = Work(lambda *_: pytest.fail("it is done"), lambda _: making, lambda _: False, lambda _: "")
        assert statuses(run_jobs([job], work)) == ["skipped"]

    def test_a_run_that_is_killed_between_the_record_and_the_name_leaves_nothing_unknown(
        self, restore, tmp_path, monkeypatch
    ):
        (source,) = write(tmp_path, "a.png")
        output = tmp_path / "out"
        restore(source, output=output)

        def killed(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("pathlib.Path.replace", killed)
            restore(source, output=output, by=Restorer("general", "cpu"))
        assert statuses(restore(source, output=output)) == ["skipped"]

    def test_a_source_that_changes_while_it_is_read_is_done_again(self, tmp_path):
        (source,) = write(tmp_path, "a.png")

        def do(job, companion):
            shutil.copy(job.source, job.target)
            write_image(source, torch.rand(3, 9, 9))
            return (), None

        job, making = Job(source, tmp_path / "out.png"), OutputSettings("copy", "", {})
        work = Work(do, lambda _: making, lambda _: False, lambda _: "")
        assert statuses(run_jobs([job], work)) == ["restored"]
        (again,) = run_jobs([job], work)
        assert (again.status, again.again) == ("restored", "the source has changed")

    def test_a_source_that_is_gone_when_it_is_read_fails_by_name(self, restore, tmp_path, identity):
        jobs = plan_jobs(write(tmp_path / "in", "a.png", "b.png"), tmp_path / "out")
        jobs[0].source.unlink()
        outcomes = list(restore_files(identity, jobs))
        assert statuses(outcomes) == ["failed", "restored"]
        assert "a.png" in outcomes[0].reason

    def test_a_full_disk_fails_each_file_by_name_and_leaves_nothing_behind(self, restore, tmp_path, monkeypatch):
        write(tmp_path / "in", "a.png", "b.png")

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.write_bytes", full)
            outcomes = restore(tmp_path / "in", output=tmp_path / "out")
        assert statuses(outcomes) == ["failed"] * 2
        assert all("no space left in" in outcome.reason for outcome in outcomes)
        assert [path.name for path in (tmp_path / "out").iterdir()] == []
        assert statuses(restore(tmp_path / "in", output=tmp_path / "out")) == ["restored"] * 2

    def test_files_of_every_name_are_restored(self, restore, tmp_path):
        long = "é" * 123 + ".png"
        given = [os.fsdecode(b"caf\xe9.png"), "new\nline.png", "\N{GRINNING FACE}.png", "[red].png", "'%s'.png", long]
        write(tmp_path / "in", "plain.png")
        for name in given:
            shutil.copy(tmp_path / "in" / "plain.png", tmp_path / "in" / name)
        for _ in range(2):
            outcomes = restore(tmp_path / "in", output=tmp_path / "out", compare=True)
            assert {outcome.reason for outcome in outcomes} == {""}
        assert statuses(outcomes) == ["skipped"] * 7
        assert {*given, "plain.png"} <= set(names(tmp_path / "out"))
        beside = restore(*(tmp_path / "in" / name for name in given))
        assert statuses(beside) == ["restored"] * 6
        assert len(names(tmp_path / "in")) == 13

    def test_a_video_of_any_name_is_restored_and_goes_on(self, restore, tmp_path):
        (tmp_path / "in").mkdir()
        source = tmp_path / "in" / os.fsdecode(b"caf\xe9.mp4")
        clips.write_clip(tmp_path / "clip.mp4", clips.even(3)).rename(source)
        clips.write_clip(tmp_path / "clip.mp4", clips.even(3)).rename(tmp_path / "in" / ("é" * 123 + ".mp4"))
        clips.write_clip(tmp_path / "clip.mp4", clips.even(3)).rename(tmp_path / "in" / "clip")
        assert statuses(restore(tmp_path / "in", output=tmp_path / "out")) == ["restored"] * 3
        assert names(tmp_path / "out") == sorted([source.name, "clip.mp4", "é" * 123 + ".mp4"])
        assert statuses(restore(tmp_path / "in", output=tmp_path / "out")) == ["skipped"] * 3


class TestDoneBefore:
    def test_other_weights_and_options_do_a_file_again(self, restore, identity, tiny_weights, tmp_path):
        write(tmp_path / "in", "a.png", "b.jpg")
        output = tmp_path / "out"
        assert statuses(restore(tmp_path / "in", output=output)) == ["restored"] * 2
        assert statuses(restore(tmp_path / "in", output=output)) == ["skipped"] * 2
        again = restore(tmp_path / "in", output=output, quality=50)
        assert [(outcome.status, outcome.again) for outcome in again] == [
            ("skipped", ""),
            ("restored", "other options"),
        ]
        before = (output / "a.png").read_bytes()
        again = restore(tmp_path / "in", output=output, by=Restorer(tiny_weights, "cpu"))
        assert [outcome.again for outcome in again] == ["other weights"] * 2
        assert (output / "a.png").read_bytes() != before

    def test_a_changed_source_and_another_one_do_a_file_again(self, restore, tmp_path):
        (first,) = write(tmp_path / "x", "a.png")
        output = tmp_path / "out"
        restore(first, output=output)
        write_image(first, torch.rand(3, 9, 9))
        (again,) = restore(first, output=output)
        assert (again.status, again.again) == ("restored", "the source has changed")
        assert (output / "a.png").read_bytes() == first.read_bytes()
        write(tmp_path / "y", "b.png", "a.png")
        (other,) = restore(tmp_path / "y" / "a.png", output=output)
        assert (other.status, other.again) == ("restored", "another source")
        assert f"{output / 'a.png'} replaces the result of another file" in other.notes

    def test_a_stranger_s_file_is_not_touched_and_not_called_done(self, restore, tmp_path):
        write(tmp_path / "in", "a.png", "b.png")
        output = tmp_path / "out"
        output.mkdir()
        (output / "a.png").write_bytes(b"mine")
        (output / "b_compare.png").write_bytes(b"mine, too")
        outcomes = restore(tmp_path / "in", output=output, compare=True)
        assert statuses(outcomes) == ["failed"] * 2
        assert all("--overwrite" in outcome.reason for outcome in outcomes)
        assert names(output) == ["a.png", "b_compare.png"]
        assert statuses(restore(tmp_path / "in", output=output, compare=True, overwrite=True)) == ["restored"] * 2
        assert statuses(restore(tmp_path / "in", output=output, compare=True)) == ["skipped"] * 2

    def test_a_lost_record_makes_every_output_a_stranger_s(self, restore, tmp_path):
        (source,) = write(tmp_path, "a.png")
        restore(source)
        (tmp_path / RECORD_FILE).unlink()
        (outcome,) = restore(source)
        assert outcome.status == "failed"
        assert statuses(restore(source, overwrite=True)) == ["restored"]
        assert statuses(restore(source)) == ["skipped"]

    def test_a_record_that_cannot_be_written_is_a_note(self, restore, tmp_path):
        (source,) = write(tmp_path, "a.png")
        (tmp_path / RECORD_FILE).mkdir()
        (outcome,) = restore(source)
        assert outcome.status == "restored"
        assert any("so the next run will not know that" in note for note in outcome.notes)

    def test_a_record_without_room_on_the_disk_leaves_no_file_and_the_next_run_makes_both(
        self, restore, tmp_path, monkeypatch
    ):
        (source,) = write(tmp_path, "a.png")
        with monkeypatch.context() as patch:

            @contextmanager
            def full(file):
                yield
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patch.setattr("passband.io.records._locked", full)
            (outcome,) = restore(source)
        assert outcome.status == "failed"
        assert f"cannot write {tmp_path / 'a_restored.png'}: no space left in {tmp_path}; free some" in outcome.reason
        assert names(tmp_path) == ["a.png"]
        assert statuses(restore(source)) == ["restored"]
        assert statuses(restore(source)) == ["skipped"]

    def test_the_comparison_is_made_of_what_was_restored_without_one(self, restore, tmp_path):
        write(tmp_path / "x", "a.jpg", "a.png", "a_compare.png")
        assert statuses(restore(tmp_path / "x")) == ["restored"] * 3
        assert statuses(restore(tmp_path / "x", compare=True)) == ["restored"] * 3
        assert names(tmp_path / "x_restored") == [
            *("a.jpg", "a.jpg_compare.png", "a.png", "a.png_compare.png"),
            *("a_compare.png", "a_compare_compare.png"),
        ]
        assert statuses(restore(tmp_path / "x", compare=True)) == ["skipped"] * 3
        assert (tmp_path / "x_restored" / "a_compare.png").read_bytes() == (
            tmp_path / "x" / "a_compare.png"
        ).read_bytes()

    def test_a_dry_run_says_what_would_be_done_and_writes_nothing(self, restore, tmp_path):
        write(tmp_path / "in", "a.png", "b.png")
        restore(tmp_path / "in" / "a.png", output=tmp_path / "out")
        planned = restore(tmp_path / "in", output=tmp_path / "out", dry_run=True)
        assert statuses(planned) == ["skipped", "planned"]
        assert names(tmp_path / "out") == ["a.png"]
        planned = restore(tmp_path / "in", output=tmp_path / "new", dry_run=True, video=VideoOptions())
        assert statuses(planned) == ["planned"] * 2
        assert not (tmp_path / "new").exists()


class TestOutputsInsideAndAroundSources:
    @pytest.mark.parametrize("output", ["t/out", "{root}/t/out", "link", "t/../t/out", "{root}/link2/out"])
    def test_nothing_of_ours_is_restored_twice(self, restore, tmp_path, monkeypatch, output):
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "t", "a.png", "deep/b.png")
        (tmp_path / "t" / "out").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "t" / "out")
        (tmp_path / "link2").symlink_to(tmp_path / "t")
        output = output.format(root=tmp_path)
        assert statuses(restore("t", output=output)) == ["restored"] * 2
        for source in ("t", tmp_path / "t", "link2", "t/."):
            assert statuses(restore(source, output=output, compare=True)) in (["restored"] * 2, ["skipped"] * 2)
        assert names(tmp_path / "t" / "out") == ["a.png", "a_compare.png", "deep"]
        assert names(tmp_path / "t" / "out" / "deep") == ["b.png", "b_compare.png"]

    def test_nothing_of_theirs_is_passed_over(self, restore, tmp_path):
        write(tmp_path / "work" / "in", "a.png", "deep/b.png")
        outcomes = restore(tmp_path / "work" / "in", output=tmp_path / "work")
        assert statuses(outcomes) == ["restored"] * 2
        assert names(tmp_path / "work") == ["a.png", "deep", "in"]
        assert statuses(restore(tmp_path / "work" / "in", output=tmp_path / "work")) == ["skipped"] * 2

    @pytest.mark.parametrize("pattern", ["small/*", "small/*.png", "small"])
    def test_a_pattern_does_not_eat_what_it_made(self, restore, tmp_path, monkeypatch, pattern):
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "small", "a.png", "b.png")
        beside = pattern != "small"
        for _ in range(3):
            outcomes = restore(pattern, compare=True)
        assert statuses(outcomes) == ["skipped"] * 2
        made = [f"{letter}{ending}.png" for letter in "ab" for ending in ("", "_restored", "_restored_compare")]
        assert names(tmp_path / "small") == (sorted(made) if beside else ["a.png", "b.png"])
        # as a shell expands it
        assert len(restore(*sorted((tmp_path / "small").glob("*.png")))) == 2


def test_a_folder_that_cannot_be_written_to_is_known_before_the_work(tmp_path):
    write_image(tmp_path / "a.png", torch.rand(3, 8, 8))
    (tmp_path / "file").touch()
    work = Work(
        do=lambda job, companion: pytest.fail("the work must not begin"),
        making=lambda job: OutputSettings("restore", "abc", {}),
        wants_companion=lambda job: False,
        ending=lambda target: "_compare.png",
    )
    jobs = plan_jobs([tmp_path / "a.png"], tmp_path / "file" / "new.png")
    for dry_run in (False, True):
        (outcome,) = run_jobs(jobs, work, dry_run=dry_run)
        assert outcome.status == "failed"
        assert f"{tmp_path / 'file'} is a file, and a folder is needed" in outcome.reason
