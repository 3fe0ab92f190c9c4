"""Shards in a bucket: a real server with the interface of S3, which the test starts."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "scale"))
from small_runs import small_recipe, write_data

from passband.data.coco import find_coco
from passband.data.datasets.restoration import PhotographTrainingSet
from passband.data.images import find_images
from passband.io.shards import ShardError, ShardPath, data_folder, location
from passband.io.shards.opening import _open_remote
from passband.io.shards.remote import LIMIT_VARIABLE, cache_limit
from passband.runs import read_run
from passband.training import train
from tests.coco_files import disc, write_coco
from tests.shards import contents, packed


def upload(folder, client, prefix="set"):
    """Copy a folder into a bucket, and return its address."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            client.upload_file(str(path), client.name, f"{prefix}/{path.relative_to(folder).as_posix()}")
    return f"s3://{client.name}/{prefix}"


def write_images(folder, count=12):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(rng.integers(0, 255, (16, 20, 3), np.uint8)).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of this test alone; addresses are opened anew."""
    monkeypatch.setenv("PASSBAND_CACHE", str(tmp_path / "cache"))
    _open_remote.cache_clear()
    yield tmp_path / "cache" / "shards"
    _open_remote.cache_clear()


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "folder")


@pytest.fixture
def address(folder, bucket, tmp_path):
    packed(folder, tmp_path / "shards", count=3)
    return upload(tmp_path / "shards", bucket)


def copies(cache):
    return sorted(path.name for path in cache.glob("*.tar"))


def test_a_bucket_of_shards_is_read_as_the_folder(address, folder, cache):
    for named in (address, f"{address}/", Path(address)):
        shards = data_folder(named)
        assert isinstance(shards, ShardPath)
        assert str(shards) == address
        assert location(named) == location(shards) == address
    assert contents(shards) == contents(folder)
    assert str(find_images(shards)[0]) == f"{address}/00.png"
    assert len(copies(cache)) == 4
    assert data_folder(f"{address}/03.png").read_bytes() == (folder / "03.png").read_bytes()
    other = pickle.loads(pickle.dumps(shards))
    assert contents(other) == contents(folder)


def test_a_server_that_refuses_twice_is_asked_again(address, folder, server, bucket):
    keys = [one["Key"] for one in bucket.list_objects_v2(Bucket=bucket.name)["Contents"]]
    server[1].failures |= {("GET", f"/{bucket.name}/{key}"): 2 for key in keys}
    assert contents(data_folder(address)) == contents(folder)
    assert all(server[1].asked["GET", f"/{bucket.name}/{key}"] >= 3 for key in keys)


def test_a_server_that_never_answers_is_named(address, server, bucket):
    server[1].failures |= {("GET", f"/{bucket.name}/set/index.json"): 99}
    with pytest.raises(OSError, match=rf"{address}/index\.json failed 3 times"):
        data_folder(address)


def test_a_data_set_larger_than_the_cache_is_read_member_by_member_unless_an_epoch_needs_it(
    address, folder, cache, monkeypatch
):
    monkeypatch.setenv(LIMIT_VARIABLE, "25 kB")
    shards = data_folder(address)
    assert (shards / "05.png").read_bytes() == (folder / "05.png").read_bytes()
    assert copies(cache) == []
    shards.tree.reader.prepare([1], [2])
    first = [path for path in find_images(shards) if path.container == 1]
    assert {path.name: path.read_bytes() for path in first} == {p.name: (folder / p.name).read_bytes() for p in first}
    second = [path for path in find_images(shards) if path.container == 2]
    assert all(path.read_bytes() == (folder / path.name).read_bytes() for path in second)
    assert sum(path.stat().st_size for path in cache.glob("*.tar")) <= 25_000
    assert contents(shards) == contents(folder)


def test_the_copies_used_last_are_kept_and_reading_goes_on_from_removed_ones(address, folder, cache, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "35 kB")
    shards = data_folder(address)
    images = find_images(shards)
    for shard in range(4):
        shards.tree.reader.prepare([shard], [])
        for path in images:
            if path.container == shard:
                assert path.read_bytes() == (folder / path.name).read_bytes()
    assert 1 <= len(copies(cache)) < 4
    for path in cache.glob("*.tar"):
        path.unlink()
    assert contents(shards) == contents(folder)


@pytest.mark.parametrize(("text", "limit"), [("5GB", 5_000_000_000), ("1000", 1000)])
def test_the_size_of_the_cache_is_a_setting(text, limit, monkeypatch, tmp_path):
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    assert cache_limit(tmp_path) == limit
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    with pytest.raises(ValueError, match="PASSBAND_SHARD_CACHE is a size such as '2GB'"):
        cache_limit(tmp_path)
    monkeypatch.delenv(LIMIT_VARIABLE)
    assert 0 < cache_limit(tmp_path) <= 20_000_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-10], "is incomplete: it has"),
        (lambda content: content[:600] + b"?" + content[601:], "has changed since it was packed: its checksum"),
    ],
)
def test_a_shard_that_differs_from_the_index_is_refused_and_not_kept(change, message, address, bucket, cache, tmp_path):
    name = "folder-000001.tar"
    content = change((tmp_path / "shards" / name).read_bytes())
    bucket.put_object(Bucket=bucket.name, Key=f"set/{name}", Body=content)
    shards = data_folder(address)
    images = [path for path in find_images(shards) if path.container == 1]
    with pytest.raises(ShardError, match=rf"set/{name} {message}"):
        images[0].read_bytes()
    assert copies(cache) == []


def test_a_member_that_changed_is_refused_also_without_a_copy(address, bucket, monkeypatch, tmp_path):
    monkeypatch.setenv(LIMIT_VARIABLE, "1 kB")
    name = "folder-000001.tar"
    content = bytearray((tmp_path / "shards" / name).read_bytes())
    content[600] ^= 1
    bucket.put_object(Bucket=bucket.name, Key=f"set/{name}", Body=bytes(content))
    images = [path for path in find_images(data_folder(address)) if path.container == 1]
    with pytest.raises(ShardError, match="the checksum of its member .* differs from the index"):
        [path.read_bytes() for path in images]


def test_tars_without_an_index_are_read_once_and_again_after_a_change(address, folder, bucket, server):
    bucket.delete_object(Bucket=bucket.name, Key="set/index.json")
    assert contents(data_folder(address)) == contents(folder)
    key = ("GET", f"/{bucket.name}/set/folder-000000.tar")
    asked = server[1].asked[key]
    _open_remote.cache_clear()
    assert contents(data_folder(address)) == contents(folder)
    assert server[1].asked[key] == asked


def test_addresses_without_shards_and_missing_shards_are_named(address, bucket):
    with pytest.raises(FileNotFoundError, match=rf"s3://{bucket.name}/nothing holds no shards.*passband shards"):
        data_folder(f"s3://{bucket.name}/nothing")
    bucket.delete_object(Bucket=bucket.name, Key="set/folder-000002.tar")
    with pytest.raises(FileNotFoundError, match=rf"{address}/folder-000002\.tar is missing, but the index lists it"):
        data_folder(address)


def test_workers_of_a_loader_read_from_a_bucket(address, folder):
    def samples(place, workers):
        data = PhotographTrainingSet(data_folder(place), {"rain": 1.0}, 16, 3, batch=4)
        data.order = PhotographTrainingSet(data_folder(address), {"rain": 1.0}, 16, 3, batch=4).order
        found = list(DataLoader(data, None, sampler=range(12), num_workers=workers))
        assert [sample["problem"] for sample in found] == [""] * 12
        return [sample["degraded"] for sample in found]

    find_images(data_folder(address))[0].read_bytes()  # the connection of this process must not be used by workers
    one, two = samples(folder, 0), samples(address, 2)
    assert all(torch.equal(first, second) for first, second in zip(one, two, strict=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
def test_a_run_trains_from_a_bucket_and_is_resumed_from_its_record(bucket, tmp_path):
    data = write_data(tmp_path / "data", "segmentation", 6)
    packed(data, tmp_path / "shards", count=3)
    address = upload(tmp_path / "shards", bucket)
    for place, name in ((data, "folder"), (address, "bucket")):
        train(small_recipe("segmentation", 2), tmp_path / name, data=place, device="cpu")
    assert (tmp_path / "bucket" / "log.csv").read_text() == (tmp_path / "folder" / "log.csv").read_text()
    stored = read_run(tmp_path / "bucket")
    assert stored["data"] == address
    more = small_recipe("segmentation", 3)
    progress = train(more, tmp_path / "bucket", data=Path(stored["data"]), device="cpu", resume=True)
    assert progress.step == 3


def test_annotations_and_their_images_are_read_from_a_bucket(bucket, tmp_path):
    write_coco(tmp_path / "coco", {1: (30, 40), 2: (20, 30)}, [disc(1, 1, 12, 12, 5), disc(2, 2, 9, 9, 4)])
    packed(tmp_path / "coco", tmp_path / "shards", count=1)
    address = upload(tmp_path / "shards", bucket)
    for named in (address, f"{address}/annotations/instances_train2017.json"):
        found = find_coco(named if isinstance(named, Path) else Path(named), masks=False)
        files = sorted((tmp_path / "coco" / "train2017").iterdir())
        assert [image.path.read_bytes() for image in found.images] == [file.read_bytes() for file in files]
