"""Fills the room of the page."""

import os
from types import SimpleNamespace

import pytest

from passband.app.files.checks import UploadError
from passband.app.files.room import PARTS
from passband.app.files.uploads import Storage
from passband.app.settings import AppSettings, Limits
from passband.app.work.requests import Predictors, Request

KB = 1000


class Nothing(Request):
    """Work that is never done."""

    def do(self, predictors: Predictors):
        """Do nothing."""


@pytest.fixture
def work():
    return []


@pytest.fixture
def storage(work, monkeypatch):
    """Return the storage of a page with room for 100 KB, where no file is too new to be removed."""
    monkeypatch.setattr("passband.app.files.room.FRESH", -60.0)
    monkeypatch.setattr("passband.app.files.room.LOOK", 0.0)
    kept = Storage(Limits(upload_bytes=20 * KB, total_bytes=100 * KB), lambda: work)
    yield kept
    kept.close()


def write(path, size, *older):
    """Write a file that is newer than others by the clock of the file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    latest = max((one.stat().st_ctime_ns for one in older), default=0)
    path.write_bytes(bytes(size))
    while path.stat().st_ctime_ns <= latest:
        path.write_bytes(bytes(size))
    return path


def upload(storage, name, size, *older):
    return write(storage.uploads / name / name, size, *older)


def finished(storage, session, source, size, *older):
    """Add the result of a file to a session, and return the restored file."""
    target = write(session.new_folder("out") / source.name, size, source, *older)
    session.results[source.name] = SimpleNamespace(paths=[source, source, target])
    return target


def test_the_oldest_finished_result_goes_first_with_its_upload(storage):
    me, you = storage.session("me"), storage.session("you")
    first = finished(storage, me, storage.take(me, upload(storage, "a.png", 10 * KB)), 15 * KB)
    second = finished(storage, you, storage.take(you, upload(storage, "b.png", 10 * KB, first)), 15 * KB, first)
    address = storage.address(first)
    assert storage.make_room(50 * KB)  # it is there
    assert first.exists()
    assert storage.make_room(55 * KB)
    assert second.exists()
    assert list(me.results) == []
    assert list(you.results) == ["b.png"]
    assert storage.served(address.split("/")[2]) is None
    assert [path.name for path in storage.root.rglob("*.png") if path.is_file()] == ["b.png"] * 3


def test_a_file_that_two_results_share_stays_until_both_are_gone(storage):
    me = storage.session("me")
    photo = upload(storage, "a.png", 10 * KB)
    source, again = storage.take(me, photo), storage.take(me, photo)
    first = finished(storage, me, source, 20 * KB)
    me.results["again"] = SimpleNamespace(paths=[again, write(me.new_folder("out") / "a.png", 20 * KB, first)])
    assert storage.make_room(60 * KB)
    assert (first.exists(), again.exists()) == (False, True)
    assert list(me.results) == ["again"]
    assert storage.make_room(95 * KB)
    assert not again.exists()


def test_results_that_two_visits_share_are_counted_once(storage):
    me, again = storage.session("me"), storage.session("again")
    finished(storage, me, storage.take(me, upload(storage, "a.png", 10 * KB)), 20 * KB)
    storage.resume(again, me.folder.name)
    assert list(again.results) == ["a.png"]
    assert len(storage._use().results) == 1
    assert storage.make_room(90 * KB)
    assert me.results == again.results == {}


def test_work_keeps_its_files_and_the_room_for_its_results(storage, work):
    me = storage.session("me")
    source, folder = storage.take(me, upload(storage, "a.png", 10 * KB)), me.new_folder("out")
    partial = write(folder / ".x.partial.png", 5 * KB)
    work.append(SimpleNamespace(source=source, paths=(source, folder)))
    result = finished(storage, me, storage.take(me, upload(storage, "b.png", 10 * KB)), 10 * KB, partial)
    assert not storage.make_room(60 * KB)  # 15 KB are there, and 30 KB will come
    assert result.exists()  # nothing is removed in vain
    assert storage.make_room(55 * KB)
    assert not result.exists()
    assert source.exists()
    assert partial.exists()


def test_a_person_is_told_that_there_is_no_room(storage, work):
    me = storage.session("me")
    for name in ("a.png", "b.png"):
        source = storage.take(me, upload(storage, name, 10 * KB))
        work.append(SimpleNamespace(source=source, paths=(source,)))
    with pytest.raises(
        UploadError, match=r"^There is no room for c\.png on this computer at the moment\. Try again in"
    ):
        storage.take(me, upload(storage, "c.png", 10 * KB))
    work.clear()
    assert storage.take(me, upload(storage, "c.png", 10 * KB)).exists()


def test_new_files_stay(storage, monkeypatch):
    monkeypatch.setattr("passband.app.files.room.FRESH", 60.0)
    photo = upload(storage, "a.png", 60 * KB)
    assert not storage.make_room(50 * KB)
    assert photo.exists()


def test_old_files_of_work_stay_also_after_an_hour(storage, work, monkeypatch):
    me = storage.session("me")
    source = storage.take(me, upload(storage, "a.png", KB))
    other = storage.take(me, upload(storage, "b.png", KB))
    work.append(SimpleNamespace(source=source, paths=(source,)))
    later = other.stat().st_ctime + 3700
    monkeypatch.setattr("passband.app.files.uploads.time.time", lambda: later)
    storage.sweep()
    assert (source.exists(), other.exists()) == (True, False)
    work.clear()
    storage.sweep()
    assert not me.folder.exists()


def test_files_that_became_larger_than_expected_make_old_ones_go_at_the_next_sweep(storage):
    old = upload(storage, "a.png", 60 * KB)
    new = upload(storage, "b.png", 60 * KB, old)
    storage.sweep()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_request_names_all_files_of_its_work(tmp_path):
    from passband.app.work.tasks import ChangeRequest

    request = ChangeRequest(tmp_path / "a", tmp_path / "b", tmp_path / "c", None)
    assert request.paths == (tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert Nothing(tmp_path / "a").paths == (tmp_path / "a",)


def test_a_page_without_room_for_its_largest_upload_is_refused():
    with pytest.raises(
        ValueError, match=rf"need {PARTS * 0.1:g} GB, and the page may use 0.3 GB: use a larger --max-g"
    ):
        AppSettings(limits=Limits(total_bytes=300_000_000))


def test_links_are_counted_once(storage):
    photo = upload(storage, "a.png", 15 * KB)
    for number in range(5):
        os.link(photo, storage.uploads / f"{number}.png")
    assert storage.make_room(85 * KB)
    assert photo.exists()
