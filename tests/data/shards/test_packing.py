"""Folders that are packed into shards: every file is there, byte for byte, whole or absent."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from passband.data.coco import find_coco
from passband.data.datasets.classification import find_classes
from passband.data.images import find_images
from passband.data.masks import find_mask_pairs
from passband.data.pairs import find_pairs
from passband.data.shards import ContentError, PackError, pack_folder
from passband.data.shards.plan import unique_keys
from passband.io.shards import ShardError, data_folder
from passband.io.shards.opening import _open_local
from tests.coco_files import disc, write_coco
from tests.masks import write_pairs
from tests.pictures import names
from tests.shards import contents, packed, webdataset_samples

ODD = ["a.b.png", "a_b.png", "deep/er/ü ö.PNG", "deep/er/ü ö.jpg", "2026.11.27 x.png", "x" * 120 + ".png", "#1~.bmp"]


def make_images(folder, files=ODD):
    for number, name in enumerate(files):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((5, 7, 3), number, np.uint8)).save(path)
    return folder


def make_pairs(folder):
    make_images(folder / "hazy", [f"{number}_{one}.png" for number in range(4) for one in (1, 2)])
    make_images(folder / "gt", [f"{number}.png" for number in range(4)])
    return folder


def make_views(folder):
    for part in ("inputL", "inputR", "target"):
        make_images(folder / part, [f"{number}.png" for number in range(3)])
    return folder


def make_classes(folder):
    return make_images(folder, [f"{kind}/{number}.jpg" for kind in ("box", "disc", "zebra") for number in range(3)])


def make_coco(folder):
    annotations = [disc(number, number, 12, 12, 5) for number in range(1, 6)]
    write_coco(folder, dict.fromkeys(range(1, 6), (30, 40)), annotations, suffix=".jpg")
    return folder


def paths_of(images):
    return [image.path for image in images.images]


FOLDERS = {
    "images": (make_images, find_images),
    "pairs": (make_pairs, lambda folder: [(one.name, one.degraded, one.clean) for one in find_pairs(folder)]),
    "masks": (
        lambda folder: write_pairs(folder, 5, (9, 12)),
        lambda folder: [(one.name, one.image, one.mask) for one in find_mask_pairs(folder)],
    ),
    "classes": (make_classes, lambda folder: list(zip(*vars(find_classes(folder)).values(), strict=False))),
    "coco": (make_coco, lambda folder: [*paths_of(find_coco(folder, masks=False)), find_coco(folder).source]),
}


def told(found, folder):
    """Return what was found, with the paths within the folder and the contents of the files."""

    def one(value):
        if isinstance(value, Path):
            return value.relative_to(folder).as_posix(), value.read_bytes()
        return tuple(map(one, value)) if isinstance(value, list | tuple) else value

    return one(found)


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_data_set_is_found_in_shards_as_in_its_folder(kind, tmp_path):
    make, find = FOLDERS[kind]
    folder = make(tmp_path / "folder")
    shards = packed(folder, tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("folder-*.tar"))) > 1
    assert told(find(shards), shards) == told(find(folder), folder)
    assert contents(shards) == contents(folder)
    assert json.loads((tmp_path / "shards" / "index.json").read_text())["content"] == kind
    assert told(find(tmp_path / "shards"), shards) == told(find(folder), folder)  # by the path of the folder


def test_left_and_right_views_are_packed_together(tmp_path):
    folder = make_views(tmp_path / "folder")
    shards = packed(folder, tmp_path / "shards", count=1)
    assert [one.name for one in find_pairs(shards, views=2)] == [one.name for one in find_pairs(folder, views=2)]
    for shard in (tmp_path / "shards").glob("*.tar"):
        with tarfile.open(shard) as tar:
            assert len(tar.getnames()) == 3


def test_a_folder_of_several_sources_is_packed_as_images_and_each_source_is_found(tmp_path):
    make_pairs(tmp_path / "folder" / "pairs")
    make_images(tmp_path / "folder" / "photographs")
    shards = packed(tmp_path / "folder", tmp_path / "shards", content="images")
    for part, find in (("pairs", FOLDERS["pairs"][1]), ("photographs", find_images)):
        found = told(find(tmp_path / "folder" / part), tmp_path / "folder")
        assert told(find(shards / part), shards) == found
        assert told(find(tmp_path / "shards" / part), shards) == found


@pytest.mark.parametrize("kind", FOLDERS)
def test_webdataset_reads_the_shards_and_tells_the_samples_apart(kind, tmp_path):
    folder = FOLDERS[kind][0](tmp_path / "folder")
    packed(folder, tmp_path / "shards")
    samples = webdataset_samples(tmp_path / "shards")
    assert len({sample["__key__"] for sample in samples}) == len(samples)
    files = contents(folder)
    found = [value for sample in samples for end, value in sample.items() if not end.startswith("__")]
    beside = {"coco": 1}.get(kind, 0)
    made = len(samples) if kind in ("classes", "coco") else 0
    assert len(found) == len(files) - beside + made
    expected = [content for name, content in files.items() if kind != "coco" or not name.endswith("json")]
    assert sorted(value for value in found if value in set(expected)) == sorted(expected)
    ends = {"masks": {"jpg", "mask.png"}, "pairs": {"degraded.png", "degraded-2.png", "clean.png"}}
    ends |= {"classes": {"jpg", "cls"}, "coco": {"jpg", "json"}}
    for sample in samples if kind in ends else ():
        assert {end for end in sample if not end.startswith("__")} == ends[kind]


def test_the_labels_are_those_of_the_folder_and_stand_in_the_index(tmp_path):
    folder = make_classes(tmp_path / "folder")
    packed(folder, tmp_path / "shards")
    index = json.loads((tmp_path / "shards" / "index.json").read_text())
    samples = webdataset_samples(tmp_path / "shards")
    assert index["classes"] == ["box", "disc", "zebra"]
    for sample in map(webdataset.autodecode.Decoder([webdataset.autodecode.basichandlers]), samples):
        assert sample["__key__"].split("/")[0] == index["classes"][sample["cls"]]
    for shard in index["shards"]:
        for path, label in zip(shard["paths"], shard["labels"], strict=True):
            assert label is None if path is None else path.startswith(f"{index['classes'][label]}/")


@pytest.mark.parametrize("kind", ["images", "pairs", "masks", "classes"])
def test_without_their_index_the_samples_are_still_found(kind, tmp_path):
    make, find = FOLDERS[kind]
    folder = make(tmp_path / "folder")
    packed(folder, tmp_path / "shards")
    (tmp_path / "shards" / "index.json").unlink()
    if kind == "images":
        assert sorted(path.read_bytes() for path in find(tmp_path / "shards")) == sorted(contents(folder).values())
    elif kind == "classes":
        assert find_classes(tmp_path / "shards").labels == find_classes(folder).labels
    elif kind == "masks":
        assert [one[0] for one in find(tmp_path / "shards")] == [one[0] for one in find(folder)]
    else:  # the second degraded image of a clean one gets another name
        pairs = [(degraded.read_bytes(), clean.read_bytes()) for _, degraded, clean in find(tmp_path / "shards")]
        assert sorted(pairs) == sorted((one.read_bytes(), clean.read_bytes()) for _, one, clean in find(folder))


def test_the_same_seed_makes_the_same_bytes_and_another_one_another_order(tmp_path):
    folder = make_images(tmp_path / "folder")
    for name, seed in (("one", 4), ("same", 4), ("other", 5), ("names", None)):
        pack_folder(folder, tmp_path / name, count=2, seed=seed)
    one, same, other, by_name = (contents(tmp_path / name) for name in ("one", "same", "other", "names"))
    assert one == same
    assert set(one) == set(other)
    assert one != other
    order = [path for shard in json.loads(by_name["index.json"])["shards"] for path in shard["paths"]]
    assert order == sorted(order)


def test_shards_have_at_most_the_given_size_unless_one_sample_is_larger(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, side in enumerate((20, 20, 20, 90, 20, 20)):
        Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)).save(folder / f"{number}.bmp")
    pack_folder(folder, tmp_path / "shards", size="5kB", seed=None)
    index = json.loads((tmp_path / "shards" / "index.json").read_text())
    assert [shard["paths"] for shard in index["shards"]] == [
        ["0.bmp", "1.bmp"],
        ["2.bmp"],
        ["3.bmp"],
        ["4.bmp", "5.bmp"],
    ]


def test_a_second_run_skips_what_is_done_and_a_changed_file_changes_only_its_shard(tmp_path):
    folder = make_images(tmp_path / "folder")
    first = pack_folder(folder, tmp_path / "shards", count=2)
    assert (first.samples, first.files, len(first.written), first.skipped) == (7, 7, 4, [])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "shards").iterdir()}
    second = pack_folder(folder, tmp_path / "shards", count=2)
    assert (second.samples, second.files, second.written, len(second.skipped)) == (7, 7, [], 4)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "shards").iterdir()} == before
    Image.fromarray(np.full((50, 7, 3), 9, np.uint8)).save(folder / ODD[0])
    third = pack_folder(folder, tmp_path / "shards", count=2)
    assert (len(third.written), len(third.skipped)) == (1, 3)
    assert contents(data_folder(tmp_path / "shards")) == contents(folder)


def test_shards_that_are_not_needed_any_more_are_removed_and_those_of_others_kept(tmp_path):
    folder = make_images(tmp_path / "folder")
    pack_folder(folder, tmp_path / "shards", count=1)
    result = pack_folder(folder, tmp_path / "shards", count=3)
    assert len(result.removed) == 4
    assert names(tmp_path / "shards") == [*(f"folder-{number:06d}.tar" for number in range(3)), "index.json"]
    foreign = tmp_path / "foreign" / "folder-000001.tar"
    foreign.parent.mkdir()
    foreign.write_bytes(b"mine")
    with pytest.raises(PackError, match=r"folder-000001\.tar exists, but passband has no record"):
        pack_folder(folder, foreign.parent, count=3)
    assert names(foreign.parent) == ["folder-000001.tar"]
    pack_folder(folder, foreign.parent, count=3, overwrite=True)
    assert contents(data_folder(foreign.parent)) == contents(folder)


def test_a_packing_that_is_killed_is_not_read_and_is_continued(tmp_path, monkeypatch):
    folder = make_images(tmp_path / "folder")
    real = Path.read_bytes

    def killed(path):
        if path == folder / ODD[2]:
            raise KeyboardInterrupt
        return real(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "read_bytes", killed)
        pack_folder(folder, tmp_path / "shards", count=2, seed=1)
    done = len(list((tmp_path / "shards").glob("*.tar")))
    assert 0 < done < 4
    with pytest.raises(ShardError, match="packing was interrupted: run the same"):
        data_folder(tmp_path / "shards")
    with (tmp_path / "shards" / ".shards.jsonl").open("a") as file:
        file.write('{"file": "folder-00')  # as a crash while a line is written
    result = pack_folder(folder, tmp_path / "shards", count=2, seed=1)
    assert len(result.skipped) == done
    assert contents(data_folder(tmp_path / "shards")) == contents(folder)
    assert not (tmp_path / "shards" / ".shards.jsonl").exists()


def test_an_unreadable_file_and_one_that_changes_leave_their_samples_out_until_the_next_run(tmp_path, monkeypatch):
    folder = write_pairs(tmp_path / "folder", 5, (9, 12))
    real = Path.read_bytes

    def read(path):
        if path == folder / "masks" / "1.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)[:-1] if path == folder / "images" / "3.jpg" else real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read)
        result = pack_folder(folder, tmp_path / "shards", count=2)
    assert result.samples == 3
    assert any("Permission denied" in reason and "1.png" in reason for reason in result.failed)
    assert any("has changed while the folder was packed" in reason for reason in result.failed)
    assert [pair.name for pair in find_mask_pairs(tmp_path / "shards")] == ["0", "2", "4"]
    again = pack_folder(folder, tmp_path / "shards", count=2)
    assert again.samples == 5
    assert not again.failed
    assert contents(data_folder(tmp_path / "shards")) == contents(folder)


def test_a_full_disk_leaves_whole_shards_and_says_so(tmp_path, monkeypatch):
    folder = make_images(tmp_path / "folder")
    from passband.io.shards.tar import TarWriter

    real, count = TarWriter.end, []

    def end(tar):
        count.append(1)
        if len(count) == 3:
            raise OSError(28, "No space left on device")
        real(tar)

    monkeypatch.setattr(TarWriter, "end", end)
    with pytest.raises(OSError, match="no space left"):
        pack_folder(folder, tmp_path / "shards", count=2)
    assert len(names(tmp_path / "shards")) == 2
    assert len(pack_folder(folder, tmp_path / "shards", count=2).skipped) == 2


def test_files_of_no_sample_are_counted_by_suffix(tmp_path):
    folder = make_images(tmp_path / "folder")
    (folder / "notes.txt").write_text("x")
    (folder / "deep" / "more.TXT").write_text("x")
    (folder / "README").write_text("x")
    assert pack_folder(folder, tmp_path / "shards").passed_over == {".txt": 2, "without a suffix": 1}


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (make_images, {"content": "image"}, "content is auto or one of coco.*Did you mean 'images'"),
        (make_images, {"count": 0}, "a shard needs at least 1 sample; got 0"),
        (make_images, {"size": "huge"}, "the size of a shard is a size such as '2GB'"),
        (make_images, {"name": "a/b"}, "beginning of a file name; got 'a/b'"),
    ],
)
def test_options_that_do_not_fit_are_named(make, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        pack_folder(make(tmp_path / "folder"), tmp_path / "shards", **options)


def test_folders_that_cannot_be_packed_are_named(tmp_path):
    folder = make_images(tmp_path / "folder")
    with pytest.raises(PackError, match="lies in .*folder, which is packed"):
        pack_folder(folder, folder / "shards")
    packed(folder, tmp_path / "shards")
    with pytest.raises(PackError, match="holds shards already"):
        pack_folder(tmp_path / "shards", tmp_path / "more")
    with pytest.raises(PackError, match="s3://bucket/x is an address: pack a folder of this machine"):
        pack_folder(folder, "s3://bucket/x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no images"):
        pack_folder(tmp_path / "empty", tmp_path / "more")
    with pytest.raises(ContentError, match="auto or one of"):
        pack_folder(folder, tmp_path / "more", content="tables")
    shared = tmp_path / "hide"
    make_images(shared / "train", ["0.png"])
    make_images(shared / "GT", ["0.png"])
    with pytest.raises(PackError, match="needs files outside of it"):
        pack_folder(shared / "train", tmp_path / "more", content="pairs")


def test_a_folder_with_a_fault_in_its_layout_is_refused_rather_than_packed_as_images(tmp_path):
    folder = write_pairs(tmp_path / "folder", 3, (9, 12))
    (folder / "masks" / "1.png").unlink()
    with pytest.raises(ValueError, match="1 image without a mask"):
        pack_folder(folder, tmp_path / "shards")


def test_keys_have_no_dots_in_their_last_part_and_are_unique_in_any_case():
    assert unique_keys(["a.b", "a_b", "A_B", "d.e/x", "c"]) == ["a_b", "a_b~2", "A_B~3", "d.e/x", "c"]


class TestDamage:
    @pytest.fixture
    def shards(self, tmp_path):
        packed(make_images(tmp_path / "folder"), tmp_path / "shards")
        _open_local.cache_clear()
        return tmp_path / "shards"

    def test_a_truncated_shard_is_refused_when_the_folder_is_opened(self, shards):
        os.truncate(shards / "folder-000001.tar", 1500)
        with pytest.raises(ShardError, match=r"folder-000001\.tar is incomplete: it has 1500 bytes, its index says"):
            find_images(shards)

    def test_a_missing_shard_is_named(self, shards):
        (shards / "folder-000001.tar").unlink()
        with pytest.raises(FileNotFoundError, match=r"folder-000001\.tar is missing, but the index"):
            find_images(shards)

    def test_a_changed_member_is_refused_when_it_is_read(self, shards):
        index = json.loads((shards / "index.json").read_text())["shards"][0]
        with (shards / index["file"]).open("r+b") as file:
            file.seek(index["offsets"][0] + 3)
            file.write(b"?")
        changed = data_folder(shards) / index["paths"][0]
        with pytest.raises(ShardError, match=rf"{index['file']} has changed since it was packed: the checksum"):
            changed.read_bytes()
        assert len(find_images(shards)) == 7

    @pytest.mark.parametrize("damage", [lambda text: text[:-50], lambda text: text.replace('"offsets"', '"places"', 1)])
    def test_a_damaged_index_is_named_with_the_way_out(self, damage, shards):
        path = shards / "index.json"
        path.write_text(damage(path.read_text()))
        with pytest.raises(ShardError, match=r"index\.json is .*Copy it again, or delete it"):
            find_images(shards)
        path.unlink()
        assert len(find_images(shards)) == 7

    def test_an_index_of_a_newer_version_is_refused(self, shards):
        path = shards / "index.json"
        path.write_text(path.read_text().replace('"version":1', '"version":2', 1))
        with pytest.raises(ShardError, match="has version 2 of the index; this passband reads version 1"):
            find_images(shards)

    def test_two_members_with_one_path_are_refused(self, shards):
        index = json.loads((shards / "index.json").read_text())
        index["shards"][1]["paths"][0] = index["shards"][0]["paths"][0]
        (shards / "index.json").write_text(json.dumps(index, separators=(",", ":")))
        with pytest.raises(ShardError, match="holds two members with the path"):
            find_images(shards)

    def test_a_path_out_of_the_folder_is_refused(self, shards):
        index = json.loads((shards / "index.json").read_text())
        index["shards"][1]["paths"][0] = "../../etc/passwd"
        (shards / "index.json").write_text(json.dumps(index, separators=(",", ":")))
        with pytest.raises(ShardError, match="leads out of the folder"):
            find_images(shards)

    def test_files_in_shards_cannot_be_written(self, shards):
        with pytest.raises(OSError, match="lies in a shard, which cannot be changed"):
            find_images(shards)[0].open("wb")
        with pytest.raises(FileNotFoundError, match="No such file in these shards"):
            (data_folder(shards) / "none.png").read_bytes()

    def test_text_files_are_read_as_text(self, tmp_path):
        shards = packed(make_coco(tmp_path / "coco"), tmp_path / "packed")
        (path,) = (shards / "annotations").glob("*.json")
        with path.open(encoding="utf-8") as file:
            assert json.load(file) == json.loads(path.read_text()) == json.load(io.BytesIO(path.read_bytes()))
