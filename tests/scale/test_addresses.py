"""Files in buckets: a real server with the interface of S3, which the test starts, and fsspec's own memory."""

import errno
import sqlite3
from contextlib import closing

import pytest
import torch

from passband.cli.shared.executors import needs_manifest
from passband.inference import Restorer
from passband.inference.files.restoring import RESTORED, RestoreWork, VideoOptions
from passband.io import storage
from passband.io.failures import WriteError
from passband.io.image import DEFAULT_MAX_PIXELS, read_image, write_image
from passband.io.records import OutputSettings
from passband.io.storage import Store, Stored
from passband.scale import Manifest, ScaleError, run_addresses


@pytest.fixture
def pictures(bucket, tmp_path):
    for number, key in enumerate(("in/a.png", "in/deep/b.png", "in/deep/c.png")):
        write_image(tmp_path / "picture.png", torch.full((3, 9, 9), 0.2 * number + 0.1))
        bucket.put_object(Bucket=bucket.name, Key=key, Body=(tmp_path / "picture.png").read_bytes())
    bucket.put_object(Bucket=bucket.name, Key="in/notes.txt", Body=b"no picture")
    return f"s3://{bucket.name}/in"


@pytest.fixture(scope="module")
def restorer(tiny_weights):
    return Restorer(tiny_weights, "cpu")


@pytest.fixture
def restore(restorer, tmp_path):
    """Restores addresses, with one manifest for all runs of a test."""

    def restore(source, output, by=restorer, **options):
        making = {"compare": options.pop("compare", False), "compare_pixels": None, "overwrite": False, "quality": 95}
        work = RestoreWork(by, max_pixels=DEFAULT_MAX_PIXELS, video=VideoOptions(), **making).work()
        sources = source if isinstance(source, list) else [source]
        with closing(Manifest(tmp_path / "m.sqlite")) as manifest:
            results = list(run_addresses(sources, output, manifest, work, RESTORED, **options))
        return {str(one.job.target).rsplit("/", 1)[-1]: one for one in results}

    return restore


def statuses(results):
    return {name: one.status for name, one in results.items()}


def keys(bucket, prefix):
    return [one["Key"] for one in bucket.list_objects_v2(Bucket=bucket.name, Prefix=prefix).get("Contents", [])]


class TestBucket:
    def test_a_tree_is_restored_and_skipped_next_time_and_failed_files_are_tried_again(
        self, restore, restorer, bucket, pictures, tmp_path
    ):
        bucket.put_object(Bucket=bucket.name, Key="in/bad.png", Body=b"no image")
        out = f"s3://{bucket.name}/out"
        results = restore(pictures, out)
        assert statuses(results) == dict.fromkeys(("a.png", "b.png", "c.png"), "restored") | {"bad.png": "failed"}
        assert f"{pictures}/bad.png" in results["bad.png"].reason
        assert "/tmp" not in results["bad.png"].reason
        assert keys(bucket, "out") == ["out/a.png", "out/deep/b.png", "out/deep/c.png"]
        restorer.restore_file(tmp_path / "picture.png", tmp_path / "alone.png")
        stored = bucket.get_object(Bucket=bucket.name, Key="out/deep/c.png")["Body"].read()
        assert stored == (tmp_path / "alone.png").read_bytes()
        bucket.put_object(Bucket=bucket.name, Key="in/bad.png", Body=stored)
        again = restore(pictures, out)
        assert statuses(again) == dict.fromkeys(("a.png", "b.png", "c.png"), "skipped") | {"bad.png": "restored"}
        with closing(sqlite3.connect(tmp_path / "m.sqlite")) as rows:
            assert rows.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall() == [("done", 4)]

    def test_changed_sources_and_settings_are_done_again_and_foreign_files_are_kept(
        self, restore, identity_weights, bucket, pictures, tmp_path
    ):
        out = f"s3://{bucket.name}/out"
        bucket.put_object(Bucket=bucket.name, Key="out/deep/b.png", Body=b"mine")
        assert restore(pictures, out)["b.png"].status == "failed"
        assert bucket.get_object(Bucket=bucket.name, Key="out/deep/b.png")["Body"].read() == b"mine"
        bucket.put_object(Bucket=bucket.name, Key="in/a.png", Body=(tmp_path / "picture.png").read_bytes())
        results = restore(pictures, out)
        assert (results["a.png"].again, results["c.png"].status) == ("the source has changed", "skipped")
        bucket.put_object(Bucket=bucket.name, Key="out/a.png", Body=b"mine")
        assert "the manifest does not know it" in restore(pictures, out)["a.png"].reason
        others = restore(pictures, out, by=Restorer(identity_weights, "cpu"))
        assert (others["c.png"].again, others["b.png"].status) == ("other weights or options", "failed")
        assert set(statuses(restore(pictures, out, overwrite=True)).values()) == {"restored"}

    def test_a_store_that_refuses_twice_is_asked_again(self, restore, server, bucket, pictures):
        path = f"/{bucket.name}/in/a.png"
        server[1].failures |= {("GET", path): 2, ("PUT", f"/{bucket.name}/out/a.png"): 2}
        assert restore(f"{pictures}/a.png", f"s3://{bucket.name}/out")["a.png"].status == "restored"
        assert server[1].asked["GET", path] >= 3

    def test_a_store_that_never_answers_fails_the_file_by_name(self, restore, server, bucket, pictures, monkeypatch):
        monkeypatch.setattr(storage, "ATTEMPTS", 2)
        server[1].failures["GET", f"/{bucket.name}/in/a.png"] = 1000
        results = restore(pictures, f"s3://{bucket.name}/out")
        assert statuses(results) == {"a.png": "failed", "b.png": "restored", "c.png": "restored"}
        assert "in/a.png failed 2 times" in results["a.png"].reason

    def test_a_bucket_becomes_a_folder_of_this_machine(self, restore, pictures, tmp_path):
        assert set(statuses(restore(pictures, str(tmp_path / "out"))).values()) == {"restored"}
        assert read_image(tmp_path / "out" / "deep" / "c.png").shape == (3, 9, 9)
        assert not list((tmp_path / "out").glob(".*"))

    def test_the_command_takes_addresses(self, bucket, pictures, tiny_weights, tmp_path, monkeypatch, capsys):
        from passband.cli import main

        options = ["-o", f"s3://{bucket.name}/out", "--weights", str(tiny_weights), "--device", "cpu"]
        for more, code, text in (
            ([], 1, "add --manifest FILE.sqlite"),
            (["--manifest", str(tmp_path / "m.sqlite")], 0, "3 restored, 0 failed"),
            (["--manifest", str(tmp_path / "m.sqlite")], 0, "0 restored, 3 skipped"),
        ):
            monkeypatch.setattr("sys.argv", ["passband", "restore", pictures, *options, *more])
            with pytest.raises(SystemExit) as done:
                main()
            captured = capsys.readouterr()
            assert (done.value.code or 0, text in captured.err) == (code, True)


class TestMemory:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        """A folder in fsspec's memory with two pictures."""
        monkeypatch.setattr(storage, "PAUSE", 0.001)
        store = Store(f"memory://{tmp_path.name}/in")
        write_image(tmp_path / "a.png", torch.rand(3, 9, 9))
        for name in ("a.png", "b.png"):
            store.upload(tmp_path / "a.png", f"{store.path}/{name}")
        return f"memory://{tmp_path.name}"

    def test_a_run_that_is_killed_while_it_writes_is_continued(self, restore, folder, monkeypatch):
        upload = Store.upload

        def killed(store, source, path):
            upload(store, source, path)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Store, "upload", killed)
            restore(f"{folder}/in", f"{folder}/out")
        assert set(statuses(restore(f"{folder}/in", f"{folder}/out")).values()) == {"restored"}
        assert set(statuses(restore(f"{folder}/in", f"{folder}/out")).values()) == {"skipped"}

    def test_a_full_store_fails_each_file_and_leaves_nothing(self, restore, folder, monkeypatch):
        def full(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("fsspec.implementations.memory.MemoryFileSystem.put_file", full)
            results = restore(f"{folder}/in", f"{folder}/out")
        assert statuses(results) == {"a.png": "failed", "b.png": "failed"}
        assert "No space left" in results["a.png"].reason
        assert Store(f"{folder}/out").files_in(Store(f"{folder}/out").path) == {}
        assert set(statuses(restore(f"{folder}/in", f"{folder}/out")).values()) == {"restored"}

    def test_a_file_that_changes_while_it_is_read_is_read_again(self, restore, folder, tmp_path, monkeypatch):
        write_image(tmp_path / "new.png", torch.zeros(3, 5, 5))
        download, changes = Store.download, iter([True])

        def changing(store, path, target):
            download(store, path, target)
            if next(changes, False):
                store.upload(tmp_path / "new.png", path)

        monkeypatch.setattr(Store, "download", changing)
        restore(f"{folder}/in/a.png", str(tmp_path / "out" / "a.png"))
        assert read_image(tmp_path / "out" / "a.png").shape == (3, 5, 5)

    def test_results_of_an_earlier_run_are_no_sources(self, restore, folder):
        assert set(statuses(restore(folder, f"{folder}/in/out")).values()) == {"restored"}
        assert set(statuses(restore(folder, f"{folder}/in/out")).values()) == {"skipped"}

    def test_names_that_would_be_the_same_are_refused(self, restore, folder, tmp_path):
        results = restore([f"{folder}/in/a.png", f"{folder}/in/*.png"], f"{folder}/once")
        assert statuses(results) == {"a.png": "restored", "b.png": "restored"}
        Store(folder).upload(tmp_path / "a.png", Store(f"{folder}/out/a.png").path)
        with pytest.raises(ValueError, match="two sources have the same output"):
            restore([f"{folder}/in/a.png", f"{folder}/out/a.png"], f"{folder}/new")
        with pytest.raises(ValueError, match="would be replaced by its restored image"):
            restore(f"{folder}/in", f"{folder}/in")
        with pytest.raises(FileNotFoundError, match="none"):
            restore(f"{folder}/none", f"{folder}/out")


def test_a_manifest_that_cannot_be_used_is_closed(tmp_path, monkeypatch):
    class Seen(sqlite3.Connection):
        is_closed = False

        def close(self):
            super().close()
            self.is_closed = True

    connect, opened = sqlite3.connect, []

    def connected(*arguments, **options):
        opened.append(connect(*arguments, **options, factory=Seen))
        return opened[-1]

    monkeypatch.setattr("passband.scale.manifest.sqlite3.connect", connected)
    (tmp_path / "m.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(ValueError, match="is no manifest"):
        Manifest(tmp_path / "m.sqlite")
    assert [one.is_closed for one in opened] == [True]


def test_a_manifest_without_room_on_the_disk_is_an_error_that_names_it_and_keeps_its_rows(tmp_path):
    path, making = tmp_path / "m.sqlite", OutputSettings("classify", "weights", {})
    stored = Stored("s3://bucket/a.jpg", 5, "1")
    with closing(Manifest(path)) as rows:
        rows.keep_answer(stored, making, ["cat"])
        rows._database.execute("PRAGMA max_page_count = 1")  # SQLite then says that the disk is full
        with pytest.raises(WriteError, match=rf"the manifest {path} cannot be written: .*full; free some space in"):
            rows.keep_answer(Stored("s3://bucket/b.jpg", 5, "1"), making, ["dog" * 10_000])
    with closing(Manifest(path)) as rows:
        assert rows.answer(stored, making) == ["cat"]


def test_an_unknown_kind_of_store_is_named():
    with pytest.raises(ScaleError, match=r"s4://bucket/photos needs to begin with a kind of store.*such as s3://"):
        Store("s4://bucket/photos")


def test_a_missing_package_and_a_foreign_manifest_are_named(tmp_path):
    with pytest.raises(ScaleError, match=r"pip install 'passband\[storage\]'"):
        Store("gcs://bucket/photos")
    (tmp_path / "m.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(ValueError, match="is no manifest of passband"):
        Manifest(tmp_path / "m.sqlite")
    with pytest.raises(OSError, match=r"cannot write to the folder .*m\.sqlite is a file, and a folder is needed"):
        Manifest(tmp_path / "m.sqlite" / "other.sqlite")
    with pytest.raises(OSError, match="the manifest .* cannot be written"):
        Manifest(tmp_path)
    with pytest.raises(ValueError, match="a manifest needs an output"):
        needs_manifest(["photos"], None, "m.sqlite")
    assert not needs_manifest(["photos"], None, None)
