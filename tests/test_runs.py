import errno
import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from passband.io.failures import WriteError
from passband.runs import Progress, RunError, RunLog, draw_curves, read_run, read_tables, trained_on
from passband.runs.tables import add_row, drop_rows_after
from tests.tiny_runs import recipe


@pytest.fixture
def run_folder(tmp_path):
    """A run's record as it lies in its folder, without weights."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"status": "running", "recipe": recipe().model_dump(), "step": 2}))
    (folder / "log.csv").write_text("step,loss,learning_rate\n1,2.0,0.1\n2,1.0,0.05\n")
    (folder / "validation.csv").write_text("step,psnr\n2,30.5\n")
    return folder


def test_curves_of_a_run_are_written_as_png_and_svg_under_its_name(run_folder, tmp_path):
    assert draw_curves(str(run_folder)) == run_folder / "curves.png"
    with Image.open(run_folder / "curves.png") as picture:
        assert picture.width > 1000
    svg = (run_folder / "curves.svg").read_text()
    for text in ("Training of tiny", "loss", "learning rate", "psnr"):
        assert f"<!-- {text} -->" in svg
    assert draw_curves(run_folder, tmp_path / "slides" / "a.png") == tmp_path / "slides" / "a.png"
    assert {path.name for path in (tmp_path / "slides").iterdir()} == {"a.png", "a.svg"}


def test_rows_that_a_crash_or_a_hand_left_half_written_are_left_out(run_folder, monkeypatch):
    seen = []
    monkeypatch.setattr("passband.runs.curves.training_curves", lambda *given: seen.append(given))
    monkeypatch.setattr("passband.runs.curves.save_charts", lambda *_: None)
    with (run_folder / "log.csv").open("ab") as file:
        file.write(b"\nthree,1,1\n3,abc,0.1\n4,0.5\n5,0.5,0.1,7\n6,0.25,0.0125\n7,0.2\xff")
    (run_folder / "validation.csv").write_text("")
    draw_curves(run_folder)
    trained = {"loss": ([1, 2, 6], [2, 1, 0.25]), "learning_rate": ([1, 2, 6], [0.1, 0.05, 0.0125])}
    assert seen == [(trained, {}, "Training of tiny")]


def test_a_folder_without_run_or_steps_and_another_kind_of_file_are_refused(run_folder, tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        draw_curves(tmp_path)
    with pytest.raises(ValueError, match=r"must end in \.png; got .*a\.jpg"):
        draw_curves(run_folder, tmp_path / "a.jpg")
    for name in ("log.csv", "validation.csv"):
        (run_folder / name).unlink()
    with pytest.raises(RunError, match="the run in .*mine has no steps yet, so there are no curves"):
        draw_curves(run_folder)


def test_rows_that_a_crash_left_incomplete_or_that_come_after_the_checkpoint_are_dropped(tmp_path):
    lines = ["step,loss", "1,2.0", "2,1.5", "1,0.1", "3", "x,1.0", "4,0.5,7", "5,0.25", "6,0.2"]
    (tmp_path / "log.csv").write_bytes("\n".join(lines).encode() + b"\n7,\xff\0")
    drop_rows_after(tmp_path / "log.csv", 5)
    assert (tmp_path / "log.csv").read_text().split() == ["step,loss", "1,2.0", "2,1.5", "5,0.25"]


@pytest.mark.parametrize("left", ["", "st", "step,lo", "step,loss\n", "step,loss\n7,0.5\n"])
def test_a_table_in_which_no_row_counts_gets_a_new_header(tmp_path, left):
    (tmp_path / "log.csv").write_text(left)
    drop_rows_after(tmp_path / "log.csv", 5)
    for step in (6, 7):
        add_row(tmp_path / "log.csv", step, {"loss": 0.5})
    assert read_tables(tmp_path) == ({"loss": ([6, 7], [0.5, 0.5])}, {})


def test_a_run_that_a_signal_stopped_ends_the_process_with_the_status_of_shells():
    Progress(is_stopped=True).exit_if_signaled()
    with pytest.raises(SystemExit) as ended:
        Progress(signal=15).exit_if_signaled()
    assert ended.value.code == 143


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path):
    first = RunLog(tmp_path, True)
    with pytest.raises(RunError, match=f"^another process is training the run in {tmp_path}: wait until"):
        RunLog(tmp_path, True)
    RunLog(tmp_path, False)  # another process of the same training, which writes nothing
    first.close()
    RunLog(tmp_path, True).close()


def test_a_run_whose_record_cannot_be_opened_is_free_again(tmp_path):
    (tmp_path / "log.csv").mkdir()
    with pytest.raises(OSError, match="log.csv"), RunLog(tmp_path, True) as log:
        log.begin(0)
    (tmp_path / "log.csv").rmdir()
    RunLog(tmp_path, True).close()


@pytest.fixture
def full_disk(monkeypatch):
    """Return a function that makes all writes to files of a name fail as on a full disk, after some bytes."""

    class Full:
        def __init__(self, file, room):
            self.file, self.room = file, room

        def write(self, content):
            written = self.file.write(content[: self.room])
            self.file.flush()
            if written < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return written

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

    opened = Path.open

    def fill(name, room=0):
        def open_file(path, mode="r", *args, **options):
            file = opened(path, mode, *args, **options)
            return Full(file, room) if name in path.name and mode[0] in "wa" else file

        monkeypatch.setattr(Path, "open", open_file)

    return fill


def test_a_row_that_does_not_fit_on_the_disk_is_an_error_that_names_the_table_and_is_dropped_later(tmp_path, full_disk):
    table = tmp_path / "log.csv"
    add_row(table, 1, {"loss": 0.5})
    full_disk("log.csv", room=5)
    with pytest.raises(WriteError, match=rf"^cannot write {table}: no space left in {tmp_path}; free some space"):
        add_row(table, 2, {"loss": 0.25})
    assert table.read_text().splitlines() == ["step,loss", "1,0.5", "2,0.2"]
    drop_rows_after(table, 1)
    assert read_tables(tmp_path) == ({"loss": ([1], [0.5])}, {})


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
@pytest.mark.parametrize("room", [0, 100])
def test_a_disk_without_room_for_events_ends_them_with_one_warning_and_not_the_run(tmp_path, full_disk, room, caplog):
    full_disk("tfevents", room)
    with RunLog(tmp_path, True) as log:
        log.begin(0)
        for step in (1, 2, 3):
            log.step(step, {"loss": 0.5, "learning_rate": 0.1})
        log.validation(3, {"psnr": 30.0}, torch.zeros(3, 8, 8))
    assert read_tables(tmp_path)[0]["loss"] == ([1, 2, 3], [0.5] * 3)
    (warning,) = caplog.messages
    assert f"no longer written: cannot write {tmp_path / 'tensorboard'}: no space left in" in warning


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
def test_events_hold_the_numbers_and_images_of_the_tables_and_drop_later_steps_of_an_earlier_session(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begin, steps in ((0, (1, 2, 3)), (1, (2, 3, 4))):
        with RunLog(tmp_path, True) as log:
            log.begin(begin)
            for step in steps:
                log.step(step, {"loss": begin + 1 / step})
            log.validation(steps[-1], {"psnr": 30.0}, torch.full((3, 8, 6), 0.5))
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [(one.step, one.value) for one in found.Scalars("train/loss")] == [
        (1, 1.0),
        *((step, pytest.approx(1 + 1 / step)) for step in (2, 3, 4)),
    ]
    assert [(one.step, one.value) for one in found.Scalars("validation/psnr")] == [(4, 30.0)]
    (picture,) = found.Images("validation")
    assert (picture.step, picture.width, picture.height) == (4, 6, 8)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"data": "/photographs", "recipe": {"of_an_older_version": 1}}', Path("/photographs")),
        ("{", None),
        ("{}", None),
    ],
    ids=["of an older version", "cut short", "without data"],
)
def test_any_file_of_a_run_tells_what_it_was_trained_on_or_nothing(tmp_path, content, expected):
    (tmp_path / "weights" / "best").mkdir(parents=True)
    (tmp_path / "run.json").write_text(content)
    assert trained_on(tmp_path / "weights" / "best") == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[" * 100_000, "(recursion|Stack overflow)"),
        ("[1]", "it must hold an object, and it holds a list"),
        ("{}", "does not hold the recipe of the run"),
    ],
)
def test_a_run_without_a_record_of_a_run_is_an_error_with_its_name(tmp_path, content, says):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=rf"run\.json is damaged.*{says}"):
        read_run(tmp_path)
