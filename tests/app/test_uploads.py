import os
import time
from types import SimpleNamespace

import pytest
from PIL import Image

from passband.app.files.checks import UploadError, check_file
from passband.app.files.uploads import EXAMPLES, Storage, Upload, clean_name, uploaded_file
from passband.app.settings import AppSettings, Limits
from passband.app.work.restoration import RestoreRequest, restored_target


@pytest.fixture
def storage():
    kept = Storage(Limits(upload_bytes=100_000))
    yield kept
    kept.close()
    assert not kept.root.exists()


def test_only_regular_files_in_the_folder_of_uploads_are_uploads(tmp_path):
    uploads = tmp_path / "uploads"
    (uploads / "a").mkdir(parents=True)
    good, secret = uploads / "a" / "photo.png", tmp_path / "secret"
    good.write_bytes(b"1")
    secret.write_bytes(b"2")
    (uploads / "link.png").symlink_to(secret)
    (uploads / "folder").symlink_to(tmp_path)
    os.mkfifo(uploads / "pipe.png")
    assert uploaded_file(str(good), uploads) == good
    for path in (
        *(secret, uploads / "link.png", uploads / "folder" / "secret", uploads / "a", uploads / "pipe.png"),
        *(f"{uploads}/a/../../secret", f"{uploads}/a/./../a/photo.png", "a/photo.png", "", "/etc/passwd", "\0"),
        *(f"file://{good}", "http://localhost/photo.png", "//etc/passwd", f"{uploads}/none.png", "x" * 9000),
    ):
        with pytest.raises(UploadError, match="not uploaded to this page"):
            uploaded_file(str(path), uploads)


def test_a_link_to_the_folder_of_uploads_is_no_way_out(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "x.png").write_bytes(b"1")
    (tmp_path / "uploads").symlink_to(real)
    with pytest.raises(UploadError, match=r"^x\.png was not uploaded to this page, .* Upload it again in its place"):
        uploaded_file(tmp_path / "uploads" / "x.png", tmp_path / "uploads")


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        (".hidden.png", "hidden.png"),
        ("...", "file"),
        ("a\nb.png", "a\\nb.png"),
        ("Ünïcode 照片.png", "Ünïcode 照片.png"),
    ],
)
def test_names_of_uploads_become_names_in_one_folder(name, clean):
    assert clean_name(name) == clean


def test_long_names_are_shortened():
    assert len(os.fsencode(clean_name("é" * 300 + ".png"))) <= 255
    assert clean_name("é" * 300 + ".png").endswith(".png")


def test_an_upload_is_taken_over_with_its_content(storage):
    upload = storage.uploads / "x" / "photo.png"
    upload.parent.mkdir()
    upload.write_bytes(b"content")
    session = storage.session("me")
    first, second = storage.take(session, upload), storage.take(session, upload)
    assert first != second
    assert first.read_bytes() == second.read_bytes() == b"content"
    assert first.is_relative_to(session.folder)
    assert storage.take(storage.session("me"), EXAMPLES[0]).read_bytes() == EXAMPLES[0].read_bytes()


def test_an_upload_keeps_the_name_that_it_has_on_the_computer_of_the_person(storage):
    path = storage.uploads / "Best of.png"
    path.write_bytes(b"content")
    session = storage.session("me")
    assert storage.take(session, Upload(str(path), 'Best "of"!.png')).name == 'Best "of"!.png'
    assert storage.take(session, Upload(str(path), "../../etc/\nx.png")).name == "\\nx.png"
    assert storage.take(session, Upload(str(path), ["x"])).name == storage.take(session, path).name == "Best of.png"


def test_files_that_are_empty_or_too_large_are_refused(storage):
    path = storage.uploads / "photo.png"
    path.write_bytes(b"")
    with pytest.raises(UploadError, match=r"photo.png is empty"):
        storage.take(storage.session("me"), path)
    path.write_bytes(bytes(100_001))
    with pytest.raises(UploadError, match="at most 0 MB"):
        storage.take(storage.session("me"), path)


def test_files_are_served_by_secret_addresses_only(storage):
    path = storage.session("me").new_folder("out") / "my photo.png"
    path.write_bytes(b"1")
    address = storage.address(path)
    prefix, token, name = address.rsplit("/", 2)
    assert (prefix, name, len(token)) == ("passband/file", "my_photo.png", 22)
    assert storage.address(path) == address
    assert storage.served(token) == path
    assert storage.served("x") is None
    path.unlink()
    assert storage.served(token) is None


def test_old_uploads_results_and_sessions_are_removed(storage, monkeypatch):
    session = storage.session("me")
    for folder in (storage.uploads, session.folder):
        (folder / "x.png").write_bytes(b"1")
    address = storage.address(session.folder / "x.png")
    storage.sweep()
    assert (storage.uploads / "x.png").exists()
    later = storage.uploads.stat().st_mtime + 3700
    monkeypatch.setattr("passband.app.files.uploads.time.time", lambda: later)
    storage.sweep()
    assert not (storage.uploads / "x.png").exists()
    assert not session.folder.exists()
    assert storage.served(address.split("/")[2]) is None
    assert storage.session("me").folder != session.folder


def test_pictures_of_the_page_stay_and_results_go_with_their_files_and_folders(storage, monkeypatch):
    icon, upload = (storage.uploads / name / "x.png" for name in ("icon", "upload"))
    for path in (icon, upload):
        path.parent.mkdir()
        path.write_bytes(b"1")
        if path == icon:
            storage.keep_own()
    session = storage.session("me")
    result = session.new_folder("out") / "x.png"
    result.write_bytes(b"1")
    session.results["x.png"] = SimpleNamespace(paths=[result])
    storage.sweep()
    assert list(session.results) == ["x.png"]
    later = time.time() + 3700
    monkeypatch.setattr("passband.app.files.uploads.time.time", lambda: later)
    assert storage.session("me") is session  # a person who is still there
    storage.sweep()
    assert icon.exists()
    assert not upload.parent.exists()
    assert not result.parent.exists()
    assert session.results == {}


def test_an_upload_and_the_file_that_was_taken_from_it_are_removed_together(tmp_path):
    storage = Storage(Limits(keep_seconds=0.1))
    upload = storage.uploads / "x.png"
    upload.write_bytes(b"1")
    taken = storage.take(storage.session("me"), upload)
    time.sleep(0.2)
    storage.session("me")
    storage.sweep()
    assert not upload.exists()
    assert not taken.exists()
    storage.close()


def test_only_the_token_of_a_visit_gives_its_results(storage):
    before, after = storage.session("before"), storage.session("after")
    old, new = (SimpleNamespace(paths=[storage.root]) for _ in range(2))
    before.results = {"a.png": old, "b.png": old}
    after.results = {"b.png": new}
    for wrong in ("", "before", before.folder.name[:-1], "../uploads"):
        storage.resume(after, wrong)
        assert after.results == {"b.png": new}
    storage.resume(after, before.folder.name)
    assert after.results == {"a.png": old, "b.png": new}
    assert before.results == {"a.png": old, "b.png": old}


def test_only_files_that_a_list_has_beyond_the_list_before_are_added(storage):
    session = storage.session("me")
    assert session.added(["a", "b"]) == ["a", "b"]
    assert session.added(["a", "b", "a", "c"]) == ["a", "c"]
    assert session.added([]) == []
    assert session.added(["b"]) == ["b"]


def test_large_images_are_refused_by_their_header_alone(tmp_path):
    path = tmp_path / "huge.png"
    Image.new("1", (3000, 2000)).save(path)
    path.write_bytes(path.read_bytes()[:64])  # nothing is left to decode
    with pytest.raises(UploadError, match=r"huge.png has 3000 x 2000 pixels, which is 6 megapixels. .* 5 megapixels"):
        check_file(path, 5_000_000, 0)
    assert check_file(path, 6_000_000, 0) is False


def test_results_have_the_name_of_the_network_if_asked(tmp_path):
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(photo)
    assert restored_target(photo, tmp_path, None).name == "photo_restored.jpg"
    assert restored_target(photo, tmp_path, "general").name == "photo_general.jpg"
    assert restored_target(photo, tmp_path, "../x").name == "photo_x.jpg"
    assert RestoreRequest(photo, tmp_path).name == "photo.jpg"


def test_settings_that_make_no_sense_are_refused(tmp_path):
    for settings, message in (
        ({"port": 70000}, "between 0 and 65535"),
        ({"workers": 0}, "1 worker or more"),
        ({"runs": tmp_path / "none"}, "is not a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            AppSettings(**settings)
