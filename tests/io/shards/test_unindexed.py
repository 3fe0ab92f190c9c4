"""Tar files without an index, as the writer of the package webdataset and other tools make them."""

import io
import json
import tarfile

import numpy as np
import pytest
import webdataset
from PIL import Image

from passband.data.coco import find_coco
from passband.data.datasets.classification import find_classes
from passband.data.images import find_images
from passband.data.masks import find_mask_pairs
from passband.data.pairs import find_pairs
from passband.io.image import read_image
from passband.io.shards import ShardError, ShardPath, data_folder, is_shards
from passband.io.shards.keys import split_name
from tests.coco_files import disc, write_coco


def image(number=0):
    return np.full((6, 8, 3), 10 * number, np.uint8)


def encoded(number=0, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(image(number)).save(file, kind)
    return file.getvalue()


def write(path, samples):
    """Write samples with webdataset's own writer."""
    with webdataset.TarWriter(str(path)) as sink:
        for sample in samples:
            sink.write(sample)


def test_images_of_webdatasets_writer_are_read(tmp_path):
    for shard in range(2):
        write(
            tmp_path / f"{shard:05d}.tar",
            [
                {"__key__": f"{shard}{number:04d}", "jpg": encoded(number, "JPEG"), "txt": "caption", "json": {"n": 1}}
                for number in range(3)
            ],
        )
    (tmp_path / "00000_stats.json").write_text("{}")
    (tmp_path / "00000.parquet").write_bytes(b"")
    paths = find_images(tmp_path)
    assert [path.name for path in paths] == [
        "00000.jpg",
        "00001.jpg",
        "00002.jpg",
        "10000.jpg",
        "10001.jpg",
        "10002.jpg",
    ]
    assert all(isinstance(path, ShardPath) for path in paths)
    assert paths[4].read_bytes() == encoded(1, "JPEG")
    assert read_image(paths[5]).mean().item() * 255 == pytest.approx(20)


@pytest.mark.parametrize("label", [3, "dog"])
def test_classes_are_the_numbers_or_names_of_cls_members(label, tmp_path):
    samples = [{"__key__": f"{number}", "png": encoded(number), "cls": label if number else 0} for number in range(4)]
    write(tmp_path / "a.tar", samples)
    found = find_classes(tmp_path)
    assert found.classes == ("0", str(label))
    assert found.labels == (0, 1, 1, 1)


@pytest.mark.parametrize("names", [("degraded.png", "clean.png"), ("input.png", "target.png"), ("lq.png", "gt.jpg")])
def test_pairs_are_the_members_of_a_sample_by_their_roles(names, tmp_path):
    write(
        tmp_path / "a.tar",
        [{"__key__": f"s/{number}", names[0]: encoded(1), names[1]: encoded(2)} for number in range(3)],
    )
    pairs = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["s/0", "s/1", "s/2"]
    assert all(pair.degraded.read_bytes() == encoded(1) for pair in pairs)
    assert all(pair.clean.read_bytes() == encoded(2) for pair in pairs)


@pytest.mark.parametrize("names", [("jpg", "mask.png"), ("jpg", "seg.png"), ("jpg", "png"), ("png", "label.png")])
def test_masks_are_known_by_their_roles_or_as_the_lossless_one_of_two(names, tmp_path):
    write(tmp_path / "a.tar", [{"__key__": f"{one}", names[0]: encoded(1), names[1]: encoded(2)} for one in range(3)])
    pairs = find_mask_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["0", "1", "2"]
    assert all((pair.image.read_bytes(), pair.mask.read_bytes()) == (encoded(1), encoded(2)) for pair in pairs)


def test_annotations_in_cocos_format_beside_the_tar_files_are_used(tmp_path):
    source = write_coco(tmp_path / "coco", {1: (30, 40), 2: (20, 30)}, [disc(1, 1, 12, 12, 5), disc(2, 2, 9, 9, 4)])
    (tmp_path / "tars" / "annotations").mkdir(parents=True)
    source.rename(tmp_path / "tars" / "annotations" / source.name)
    files = sorted((tmp_path / "coco" / "train2017").iterdir())
    write(tmp_path / "tars" / "a.tar", [{"__key__": file.stem, "png": file.read_bytes()} for file in files])
    for named in (tmp_path / "tars", tmp_path / "tars" / "annotations" / source.name):
        found = find_coco(named)
        assert [image.path.read_bytes() for image in found.images] == [file.read_bytes() for file in files]


def test_a_member_without_its_pair_is_named(tmp_path):
    samples = [{"__key__": f"{number}", "input.png": encoded(), "target.png": encoded()} for number in range(3)]
    del samples[1]["target.png"]
    write(tmp_path / "a.tar", samples)
    with pytest.raises(ValueError, match=r"1 image in .* has no partner.*input/1\.png"):
        find_pairs(tmp_path)
    samples = [{"__key__": f"{number}", "jpg": encoded(), "mask.png": encoded()} for number in range(3)]
    del samples[2]["mask.png"]
    write(tmp_path / "a.tar", samples)
    with pytest.raises(ValueError, match=r"1 image without a mask in masks: .*images/2\.jpg"):
        find_mask_pairs(tmp_path)


def test_keys_that_two_tar_files_share_are_told_apart_and_duplicates_in_one_are_refused(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.tar", [{"__key__": "0", "png": encoded(1 if name == "a" else 2)}])
    assert [path.read_bytes() for path in find_images(tmp_path)] == [encoded(1), encoded(2)]
    assert [str(path.relative_to(path.parents[1])) for path in find_images(tmp_path)] == ["a/0.png", "b/0.png"]
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for _ in range(2):
            info = tarfile.TarInfo("0.png")
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    (tmp_path / "b.tar").unlink()
    with pytest.raises(ShardError, match=r"two members with the path 0\.png, in a\.tar and a\.tar"):
        find_images(tmp_path)


def test_names_are_split_as_webdataset_splits_them():
    for name in ("a.jpg", "a.b.jpg", "d.e/a.b.JPG", "d/e/a", ".hidden.jpg", "a b/ü.cls.txt"):
        key, end = webdataset.tariterators.base_plus_ext(name)
        assert split_name(name) == ((key, end.lower()) if key else ("", name))


def test_the_headers_are_read_once_and_again_only_after_a_change(tmp_path, monkeypatch):
    write(tmp_path / "a.tar", [{"__key__": "0", "png": encoded()}])
    assert len(find_images(tmp_path)) == 1
    with monkeypatch.context() as patch:
        patch.setattr("passband.io.shards.unindexed.read_members", lambda *_: pytest.fail("read again"))
        from passband.io.shards.opening import _open_local

        _open_local.cache_clear()
        assert len(find_images(tmp_path)) == 1
    write(tmp_path / "a.tar", [{"__key__": f"{number}", "png": encoded()} for number in range(2)])
    assert len(find_images(tmp_path)) == 2


def test_folders_that_only_contain_a_tar_file_stay_folders(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(image()).save(tmp_path / "images" / "0.png")
    write(tmp_path / "download.tar", [{"__key__": "0", "png": encoded()}])
    assert not is_shards(tmp_path)
    assert data_folder(tmp_path) is tmp_path
    assert find_images(tmp_path) == [tmp_path / "images" / "0.png"]
    (tmp_path / "index.json").write_text(json.dumps({"format": "another"}))
    assert not is_shards(tmp_path)
