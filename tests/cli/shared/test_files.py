"""What commands that work on many files print, and how they end: any names, any errors, Ctrl-C, and summaries."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from passband.cli.restore import _print_outcome
from passband.cli.shared.files import FileRun, duration
from passband.inference import Restorer
from passband.inference.files.jobs import JobResult
from passband.inference.files.naming import Job
from passband.inference.files.restoring import LeftAlone
from passband.io.image import write_image
from passband.models.restoration.bands import walk as bands
from tests.classifiers import save_classifier
from tests.detectors import save_detector, write_shapes
from tests.pictures import names
from tests.segmenters import save_segmenter

pytestmark = pytest.mark.usefixtures("without_charts")

NAMES = [os.fsdecode(b"caf\xe9.jpg"), "\N{GRINNING FACE}.jpg", "new\nline.jpg", "é" * 123 + ".jpg", "[1] 100%.jpg"]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A folder with pictures of names that are hard to print."""
    folder = tmp_path_factory.mktemp("odd") / "in"
    shapes = write_shapes(tmp_path_factory.mktemp("shapes"), count=1)
    picture = next((shapes / "train2017").glob("*.jpg"))
    folder.mkdir()
    for name in NAMES:
        shutil.copy(picture, folder / name)
    return folder


@pytest.fixture
def photos(tmp_path):
    """A folder with three small pictures."""
    for name in "abc":
        write_image(tmp_path / "in" / f"{name}.png", torch.rand(3, 8, 8))
    return tmp_path / "in"


def assert_all_are_named(out, err, folder):
    """Assert that all files were restored and named by characters that ASCII has."""
    printed, counts = out.decode("ascii"), err.decode("ascii")
    assert len(printed.splitlines()) == len(NAMES)
    assert r"caf\xe9.jpg" in printed
    assert r"new\nline.jpg" in printed
    assert f"{len(NAMES)} restored, 0 failed" in counts
    assert set(NAMES) <= set(names(folder))


def test_names_are_printed_and_restored_where_the_terminal_has_ascii_alone(
    run, odd, identity_weights, tmp_path, monkeypatch
):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    status, _, _ = run("restore", odd, "-o", tmp_path / "out", "--compare", "--weights", identity_weights)
    for stream in streams:
        stream.flush()
    out, err = (stream.buffer.getvalue() for stream in streams)
    assert status == 0, err
    assert_all_are_named(out, err, tmp_path / "out")


def test_names_are_printed_and_restored_in_the_c_locale(odd, identity_weights, tmp_path):
    command = [sys.executable, "-m", "passband", "restore", str(odd), "-o", str(tmp_path / "out"), "--compare"]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*command, "--weights", str(identity_weights)], capture_output=True, env=environment, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert_all_are_named(done.stdout, done.stderr, tmp_path / "out")


def test_any_name_is_classified_and_segmented(run, odd, tmp_path):
    status, out, err = run("classify", odd, "--weights", save_classifier(tmp_path / "classifier"))
    assert status == 0
    assert len(out.splitlines()) == len(NAMES)
    assert err.splitlines()[-1] == f"{len(NAMES)} classified, 0 failed"
    status, out, _ = run("segment", odd, "--weights", save_segmenter(tmp_path / "s"), "-o", tmp_path / "m", "--overlay")
    assert status == 0
    assert len(out.splitlines()) == len(NAMES)
    assert len(names(tmp_path / "m")) == 2 * len(NAMES)


def test_any_name_is_in_the_instances_which_are_never_lost(run, odd, tmp_path, monkeypatch):
    weights = save_detector(tmp_path / "weights")
    status, out, _ = run("segment", odd, "--weights", weights, "-o", tmp_path / "found", "--overlay")
    assert status == 0
    assert len(out.splitlines()) == len(NAMES)
    content = json.loads((tmp_path / "found" / "instances.json").read_text())
    assert {os.path.basename(image["file_name"]) for image in content["images"]} == set(NAMES)  # noqa: PTH119
    assert len(names(tmp_path / "found" / "overlays")) == len(NAMES)

    def find(self, path, score):
        if path.name == sorted(NAMES)[1]:
            raise AttributeError("no such attribute")
        if path.name == sorted(NAMES)[3]:
            raise KeyboardInterrupt
        return found(self, path, score)

    from passband.inference import InstanceFinder

    found = InstanceFinder.__call__
    monkeypatch.setattr(InstanceFinder, "__call__", find)
    status, _, err = run("segment", odd, "--weights", weights, "-o", tmp_path / "some")
    assert status == 130
    assert "AttributeError: no such attribute" in err
    assert "Interrupted: 3 of 5 files are done (2 segmented, 1 failed). Their instances are in " in err
    assert len(json.loads((tmp_path / "some" / "instances.json").read_text())["images"]) == 2


def test_any_name_is_scored_and_reported(run, identity_weights, tmp_path):
    for folder in ("degraded", "clean"):
        write_image(tmp_path / "pairs" / folder / "plain.png", torch.rand(3, 16, 16))
        shutil.copy(
            tmp_path / "pairs" / folder / "plain.png", tmp_path / "pairs" / folder / os.fsdecode(b"caf\xe9\n.png")
        )
    (tmp_path / "pairs" / "degraded" / "bad.png").write_bytes(b"")
    (tmp_path / "pairs" / "clean" / "bad.png").write_bytes(b"")
    report = tmp_path / "report"
    status, out, err = run("evaluate", identity_weights, "--data", tmp_path / "pairs", "-o", report, "--save")
    assert status == 1
    assert "bad.png is empty" in err
    assert out.splitlines()[0].startswith(r"caf\xe9\n ")
    assert r"caf\xe9\n" in (report / "report.md").read_text("utf-8")
    assert r"caf\xe9\n" in (report / "evaluation.csv").read_text("utf-8")
    assert len(list((report / "restored").iterdir())) == 2


def test_other_kinds_are_counted_by_every_command(run, photos, identity_weights, tmp_path):
    for name in ("a.heics", "b.heics", "c.gif"):
        (photos / name).write_bytes(b"something else")
    (photos / "linked").symlink_to(tmp_path)
    passed = "3 files of other kinds passed over: .heics 2, .gif 1; 1 linked folder passed over"
    weights = {
        "restore": identity_weights,
        "segment": save_segmenter(tmp_path / "segmenter"),
        "classify": save_classifier(tmp_path / "classifier"),
    }
    for command, folder in weights.items():
        status, _, err = run(command, photos, "--weights", folder)
        assert status == 0
        assert err.splitlines()[-1] == passed


def test_the_summary_says_why_files_were_restored_again(run, photos, identity_weights, tiny_weights):
    assert run("restore", photos, "--weights", identity_weights)[2].splitlines()[-1] == "3 restored, 0 failed"
    write_image(photos / "a.png", torch.rand(3, 9, 9))
    _, _, err = run("restore", photos, "--weights", identity_weights)
    assert err.splitlines()[-1] == (
        "1 restored (1 again: the source has changed), 2 skipped (done earlier; use --overwrite to do them again), "
        "0 failed"
    )
    _, _, err = run("restore", photos, "--weights", tiny_weights)
    assert err.splitlines()[-1] == "3 restored (3 again: other weights), 0 failed"
    (photos.with_name("in_restored") / "b.png").write_bytes(b"mine")
    status, _, err = run("restore", photos, "--weights", tiny_weights)
    assert status == 1
    assert "b.png exists, but passband has no record of writing this file" in err
    assert err.splitlines()[-1] == "0 restored, 2 skipped (done earlier; use --overwrite to do them again), 1 failed"


def test_a_source_that_is_not_there_is_named_and_the_others_are_done(run, photos, identity_weights, tmp_path):
    gone = photos / "gone.png"
    status, out, err = run("restore", photos / "a.png", gone, "-o", tmp_path / "out", "--weights", identity_weights)
    assert status == 1
    assert out.splitlines() == [str(tmp_path / "out" / "a.png")]
    assert f"failed: no file, folder or match for {gone}" in err
    assert err.splitlines()[-1] == "1 restored, 1 failed"
    weights = save_classifier(tmp_path / "classifier")
    status, out, err = run("classify", photos / "a.png", gone, "--weights", weights)
    assert status == 1
    assert len(out.splitlines()) == 1
    assert err.splitlines()[-1] == "1 classified, 1 failed"


def test_the_folder_that_one_is_in_is_restored_and_segmented(run, photos, identity_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    for _ in range(2):
        assert run("restore", ".", "--weights", identity_weights)[0] == 0
        assert run("segment", ".", "--weights", save_segmenter(tmp_path / "segmenter"))[0] == 0
    assert names(tmp_path / "in_restored") == names(tmp_path / "in_masks") == ["a.png", "b.png", "c.png"]


class TestHowMuchIsSaid:
    def test_a_dry_run_writes_nothing_and_says_what_becomes_what(self, run, photos, identity_weights, tmp_path):
        output = tmp_path / "out"
        run("restore", photos / "b.png", "-o", output, "--weights", identity_weights)
        status, out, err = run("restore", photos, "-o", output, "--weights", identity_weights, "--dry-run")
        assert status == 0
        assert out.splitlines() == [f"{photos / name} -> {output / name}" for name in ("a.png", "c.png")]
        assert err.splitlines()[-1].startswith("2 would be restored, 1 skipped (done earlier; ")
        assert names(output) == ["b.png"]

    def test_quiet_says_nothing_but_what_failed(self, run, photos, identity_weights):
        (photos / "b.png").write_bytes(b"")
        (photos / "d.gif").write_bytes(b"GIF89a")
        status, out, err = run("restore", photos, "--weights", identity_weights, "--quiet")
        assert (status, out) == (1, "")
        assert err.startswith("failed: ")
        assert len(err.splitlines()) == 1
        status, _, err = run("restore", photos, "--weights", identity_weights, "--quiet", "--verbose")
        assert status == 1
        assert "exclude each other" in err

    def test_verbose_says_more_of_each_file(self, run, photos, identity_weights):
        (photos / "d.gif").write_bytes(b"GIF89a")
        options = ("--weights", identity_weights, "--verbose", "--device", "cpu")
        _, _, err = run("restore", photos, *options)
        assert " on cpu with torch in " in err.splitlines()[0]
        assert f"passed over: {photos / 'd.gif'} (.gif)" in err
        assert f"{photos / 'a.png'}: 0." in err or f"{photos / 'a.png'}: " in err
        _, _, err = run("restore", photos, *options)
        assert f"{photos / 'a.png'}: restored earlier, " in err


class TestCtrlC:
    def test_it_says_what_is_done_and_how_to_go_on(self, run, photos, identity_weights, monkeypatch):
        restore_file = Restorer.restore_file

        def interrupted(self, source, *given, **options):
            if source.name == "b.png":
                raise KeyboardInterrupt
            return restore_file(self, source, *given, **options)

        monkeypatch.setattr(Restorer, "restore_file", interrupted)
        status, _, err = run("restore", photos, "--weights", identity_weights)
        assert status == 130
        assert err.splitlines()[-1] == (
            "Interrupted: 1 of 3 files are done (1 restored, 0 failed). Run the same command again to continue. "
            "Finished files are skipped. A video continues after its last finished segment."
        )
        monkeypatch.undo()
        _, _, err = run("restore", photos, "--weights", identity_weights)
        assert "2 restored, 1 skipped" in err


class TestNotes:
    NOTES = tuple(f"almost nothing changed (by 0.0{page} of 255 levels)" for page in range(3))

    def test_the_same_note_is_printed_once_a_file_for_three_files_and_then_counted(self, capsys):
        run = FileRun("restoring", "restored", ["a"] * 5)
        for number in range(5):
            run.note(number, ["its CMYK colors became RGB"] if number == 4 else self.NOTES)
        run.end()
        assert capsys.readouterr().err.splitlines() == [
            *(f"{number}: {self.NOTES[0]}" for number in range(3)),
            "4: its CMYK colors became RGB",
            f"1 more file has this note: {self.NOTES[0]}",
            "0 restored, 0 failed",
        ]

    def test_verbose_prints_the_notes_of_all_files_and_quiet_none(self, capsys):
        for options, lines in (({"verbose": True}, 6), ({"quiet": True}, 0)):
            run = FileRun("restoring", "restored", ["a"] * 5, **options)
            for number in range(5):
                run.note(number, self.NOTES)
            run.end()
            assert len(capsys.readouterr().err.splitlines()) == lines

    def test_auto_prints_the_diagnosis_of_every_file_although_they_are_alike(self, capsys):
        run = FileRun("restoring", "restored", ["a"] * 5)
        for number in range(5):
            job = Job(Path(f"{number}.png"), Path("x.png"))
            alone = LeftAlone() if number < 2 else None
            outcome = JobResult(job, "restored", notes=("clean (0.97): left alone",), result=alone)
            _print_outcome(outcome, run, is_inspected=True)
        assert len(capsys.readouterr().err.splitlines()) == 5
        run.end()
        left_alone = "2 left alone (--weights general restores them anyway)"
        assert capsys.readouterr().err == f"3 restored, {left_alone}, 0 failed\n"


class TestProgress:
    def test_a_line_is_printed_every_ten_seconds_where_no_bar_is_seen(self, capsys, monkeypatch):
        now = [0.0]
        monkeypatch.setattr("passband.cli.shared.files.time.monotonic", lambda: now[0])
        run = FileRun("restoring", "restored", ["a.jpg", "b\n.jpg", "c.jpg"])
        with run.shown("Go on."):
            for second in range(1, 41):
                now[0] = float(second)
                run.part(second / 100, 1, f"{second} %", 100 - second)
                if second == 25:
                    run.finished("a_restored.jpg")
        assert capsys.readouterr().err.splitlines() == [
            "restoring 1 of 3: a.jpg, 10 %, 90 s left",
            "restoring 1 of 3: a.jpg, 20 %, 80 s left",
            r"restoring 2 of 3: b\n.jpg, 30 %, 70 s left",
            r"restoring 2 of 3: b\n.jpg, 40 %, 60 s left",
        ]
        now[0] = 60.0
        run.finished("b_restored.jpg")
        assert capsys.readouterr().err == "restoring 3 of 3: c.jpg, about 30 s left\n"

    def test_a_large_picture_tells_how_far_it_is(self, run, tmp_path, identity_weights, monkeypatch):
        monkeypatch.setattr("passband.cli.shared.files.PACE", 0.0)
        monkeypatch.setattr("passband.inference.restoration.memory.LARGE_MAP", 0)
        monkeypatch.setattr(bands, "BAND_VALUES", 0)
        write_image(tmp_path / "a.png", torch.rand(3, 32, 16))
        status, _, err = run("restore", tmp_path / "a.png", "--weights", identity_weights, "--device", "cpu")
        lines = [line for line in err.splitlines() if line.startswith("restoring 1 of 1: a.png, ")]
        assert status == 0
        assert len(lines) > 20
        shares = [int(line.split(", ")[1].removesuffix(" %")) for line in lines]
        assert shares == sorted(shares)
        assert shares[-1] == 100
        assert lines[-1].endswith(", 0 s left")

    def test_times_are_said_in_words(self):
        assert [duration(seconds) for seconds in (0.4, 99, 100, 5999, 6000, 90_000)] == [
            *("0 s", "99 s", "2 min", "100 min", "1.7 h", "25.0 h"),
        ]


def test_shells_complete_commands_and_options():
    environment = {**os.environ, "_PASSBAND_COMPLETE": "complete_bash"}
    command = [sys.executable, "-c", "import sys; sys.argv = ['passband']; from passband.cli import main; main()"]
    for words, expected in (("passband re", {"restore", "recipe"}), ("passband restore --over", {"--overwrite"})):
        environment |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert set(done.stdout.split()) == expected
