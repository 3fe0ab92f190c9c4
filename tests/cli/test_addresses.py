"""`passband classify` and `segment` with addresses, in fsspec's memory: the manifest knows what is done."""

import json
import sqlite3
from contextlib import closing

import pytest

from passband.inference import Classifier
from passband.io import storage
from passband.io.storage import Store
from tests.classifiers import save_classifier, write_textures
from tests.detectors import save_detector, write_shapes
from tests.pictures import names
from tests.segmenters import save_segmenter


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A place in fsspec's memory, and a function that copies a folder of this machine to it."""
    monkeypatch.setattr(storage, "PAUSE", 0.001)
    address = f"memory://{tmp_path.name}"

    def put(folder):
        for path in sorted(folder.rglob("*.jpg")):
            store = Store(f"{address}/in/{path.relative_to(folder).as_posix()}")
            store.upload(path, store.path)
        return f"{address}/in"

    return address, put


def content(address):
    store = Store(address)
    return store.read(store.path)


def test_images_are_classified_once_and_their_answers_come_from_the_manifest(run, shop, tmp_path, monkeypatch):
    textures = write_textures(tmp_path / "textures", count=2)
    (textures / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    source, weights = shop[1](textures), save_classifier(tmp_path / "weights")
    here = run("classify", textures, "--weights", weights, "--device", "cpu", "--json")[1]
    options = ("--weights", weights, "--device", "cpu", "--json", "--manifest", tmp_path / "m.sqlite")
    status, out, err = run("classify", source, f"{source}/coarse/*.jpg", *options)
    assert (status, err.splitlines()[-1]) == (1, "6 classified, 1 failed")
    alone, first = ([json.loads(line) for line in text.splitlines()] for text in (here, out))
    best = [
        {tuple(row["file"].split("/")[-2:]): row["guesses"][0]["class"] for row in rows if row["guesses"]}
        for rows in (alone, first)
    ]
    assert len(best[0]) == 6
    assert best[1] == best[0]
    asked, call = [], Classifier.__call__

    def ask(self, path, top):
        asked.append(path.name)
        return call(self, path, top)

    monkeypatch.setattr(Classifier, "__call__", ask)
    _, out, _ = run("classify", source, *options)
    assert [json.loads(line) for line in out.splitlines()] == first
    assert asked == ["bad.jpg"]
    run("classify", source, *options, "--top", 2)
    assert len(asked) == 8
    with closing(sqlite3.connect(tmp_path / "m.sqlite")) as rows:
        states = rows.execute("SELECT state, count(*) FROM answers GROUP BY state ORDER BY state").fetchall()
    assert states == [("done", 6), ("failed", 1)]


def test_masks_at_addresses_are_those_of_files(run, shop, tmp_path):
    textures, weights = write_textures(tmp_path / "textures", count=1), save_segmenter(tmp_path / "weights")
    source, out = shop[1](textures), f"{shop[0]}/masks"
    options = ("--weights", weights, "--device", "cpu", "--overlay")
    assert run("segment", textures, *options, "-o", tmp_path / "alone")[0] == 0
    remote = ("-o", out, "--manifest", tmp_path / "m.sqlite")
    assert "add --manifest FILE.sqlite" in run("segment", source, *options, "-o", out)[2]
    status, _, err = run("segment", source, *options, *remote)
    assert (status, err.splitlines()[-1]) == (0, "3 segmented, 0 failed")
    paths = sorted((tmp_path / "alone").rglob("*.png"))
    assert len(paths) == 6
    for path in paths:
        name = path.relative_to(tmp_path / "alone").as_posix().replace("_overlay", ".png_overlay")
        assert content(f"{out}/{name}") == path.read_bytes()
    assert "0 segmented, 3 skipped" in run("segment", source, *options, *remote)[2]


def test_instances_at_addresses_are_those_of_files_and_are_found_once(run, shop, tmp_path):
    shapes, weights = write_shapes(tmp_path / "shapes", count=2) / "train2017", save_detector(tmp_path / "weights")
    source, out = shop[1](shapes), f"{shop[0]}/found"
    options = ("--weights", weights, "--device", "cpu", "--score", 0, "--overlay")
    assert run("segment", shapes, *options, "-o", tmp_path / "alone")[0] == 0
    remote = (*options, "-o", out, "--manifest", tmp_path / "m.sqlite")
    assert run("segment", source, *remote)[0] == 0
    alone, there = json.loads((tmp_path / "alone" / "instances.json").read_text()), content(f"{out}/instances.json")
    stored = json.loads(there)
    assert stored["annotations"] == alone["annotations"]
    pictures = names(shapes)
    assert [one["file_name"].rsplit("/", 1)[-1] for one in stored["images"]] == pictures
    drawn = Store(f"{out}/overlays")
    assert sorted(drawn.files_in(drawn.path)) == [f"{name}.png" for name in pictures]
    status, _, err = run("segment", source, *remote)
    assert (status, f"{len(pictures)} segmented, 0 failed" in err) == (0, True)
    assert content(f"{out}/instances.json") == there
    (tmp_path / "mine").write_bytes(b"mine")
    for name in (f"{out}/instances.json", f"{out}/overlays/{pictures[0]}.png"):
        store = Store(name)
        store.upload(tmp_path / "mine", store.path)
        status, _, err = run("segment", source, *remote)
        assert (status, "the manifest does not know it" in err) == (1, True)
        assert store.read(store.path) == b"mine"
        assert run("segment", source, *remote, "--overwrite")[0] == 0
        assert store.read(store.path) != b"mine"


def test_a_drawing_that_failed_is_not_taken_for_one_of_ours_later(run, shop, tmp_path, monkeypatch):
    shapes, weights = write_shapes(tmp_path / "shapes", count=2) / "train2017", save_detector(tmp_path / "weights")
    good = names(shapes)[0]
    (shapes / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    source, out = shop[1](shapes), f"{shop[0]}/found"
    options = ("--weights", weights, "--device", "cpu", "--overlay", "-o", out, "--manifest", tmp_path / "m.sqlite")

    def rows():
        with closing(sqlite3.connect(tmp_path / "m.sqlite")) as manifest:
            found = manifest.execute("SELECT output, state, begun FROM files WHERE state != 'done'").fetchall()
        return {output.rsplit("/", 1)[-1]: (state, begun) for output, state, begun in found}

    assert run("segment", source, *options)[0] == 1
    assert rows() == {"bad.jpg.png": ("failed", 0)}
    (tmp_path / "mine").write_bytes(b"mine")
    drawing = Store(f"{out}/overlays/bad.jpg.png")
    drawing.upload(tmp_path / "mine", drawing.path)
    store = Store(f"{source}/bad.jpg")
    store.upload(shapes / good, store.path)
    status, _, err = run("segment", source, *options)
    assert (status, "the manifest does not know it" in err) == (1, True)
    assert drawing.read(drawing.path) == b"mine"

    upload = Store.upload

    def half_done(self, path, target):
        upload(self, path, target)
        raise OSError("the connection was lost")

    monkeypatch.setattr(Store, "upload", half_done)
    assert run("segment", f"{source}/bad.jpg", *options, "--overwrite")[0] == 1
    assert rows()["bad.jpg.png"] == ("failed", 1)
    monkeypatch.setattr(Store, "upload", upload)
    assert run("segment", source, *options)[0] == 0
    assert rows() == {}
