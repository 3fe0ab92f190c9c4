"""The order of samples in shards: each once per epoch, own shards for each process and worker, few shards at a time."""

import pickle

import numpy as np
import pytest

from passband.data.datasets.order import NumberedBatches, RandomOrder, shuffled
from passband.data.datasets.shard_order import WINDOW, ShardOrder, order_of, streams
from tests.pictures import make
from tests.shards import packed


def shards_of(count, least=5, most=14):
    sizes = np.random.default_rng(count).integers(least, most, count)
    return np.repeat(np.arange(count), sizes).tolist()


@pytest.mark.parametrize("batch", [1, 3, 8, 12])
@pytest.mark.parametrize("count", [1, 4, 5, 23, 70])
def test_every_epoch_uses_each_item_once_in_its_own_order(count, batch):
    shards = shards_of(count)
    order = ShardOrder(shards, 7, batch)
    epochs = [[order(epoch * len(shards) + place) for place in range(len(shards))] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(len(shards))) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[1] != [ShardOrder(shards, 8, batch)(len(shards) + place) for place in range(len(shards))]


def test_numbers_in_any_turn_and_in_another_process_give_the_same_items():
    shards = shards_of(40)
    order = ShardOrder(shards, 7, 8)
    expected = [order(number) for number in range(2 * len(shards))]
    other = pickle.loads(pickle.dumps(order))
    numbers = np.random.default_rng(0).permutation(len(expected)).tolist()
    assert {number: other(number) for number in numbers} == dict(enumerate(expected))


@pytest.mark.parametrize("count", range(1, WINDOW + 1))
def test_few_shards_have_the_order_of_a_folder(count):
    shards = shards_of(count)
    order = ShardOrder(shards, 3, 8)
    numbers = range(3 * len(shards))
    assert [order(number) for number in numbers] == [shuffled(number, len(shards), 3) for number in numbers]


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize(("processes", "workers"), [(1, 1), (1, 4), (2, 2), (4, 1), (4, 4)])
def test_each_process_and_each_worker_reads_its_own_shards(processes, workers, start):
    shards, batch = np.array(shards_of(128)), 8
    steps = len(shards) // batch
    order = ShardOrder(shards.tolist(), 1, batch)
    reads = {}
    for process in range(processes):
        batches = NumberedBatches(start, steps, batch, process, processes)
        for place, numbers in enumerate(batches):  # a loader gives its batches to the workers in turn
            reads.setdefault((process, place % workers), []).extend(int(shards[order(number)]) for number in numbers)
    owners = {}
    for owner, read in reads.items():
        for shard in set(read):
            owners.setdefault(shard, set()).add(owner)
    shared = [shard for shard, found in owners.items() if len(found) > 1]
    parts, in_turn = order.parts, order.steps
    assert (parts, in_turn) == (8, 4)
    assert len(shared) <= parts * in_turn - 1  # a shard in which a stream ends and another one begins
    assert max(map(len, owners.values())) <= 2


def test_a_stream_reads_few_shards_at_a_time_and_none_again():
    shards, batch = np.array(shards_of(96)), 8
    calls = []
    order = ShardOrder(shards.tolist(), 1, batch, lambda now, later: calls.append((list(now), list(later))))
    for number in range(len(shards)):
        order(number)
    assert all(len(now) <= WINDOW and len(later) <= WINDOW for now, later in calls)
    begun = [shard for now, _ in calls for shard in now]
    assert len(begun) <= 96 + order.parts * order.steps
    announced = [tuple(later) for _, later in calls if later]
    assert {*announced} <= {tuple(now) for now, _ in calls}


def test_the_samples_of_a_window_are_mixed():
    shards = np.repeat(np.arange(16), 50)
    order = ShardOrder(shards.tolist(), 1, 4)
    places = [order(number) for number in range(50)]
    assert len({int(shards[place]) for place in places}) > WINDOW // 2
    assert np.abs(np.diff(places)).min() > 0
    assert sorted(places) != places


@pytest.mark.parametrize(
    ("count", "batch", "expected"),
    [(1, 8, (1, 1)), (10, 8, (2, 1)), (16, 8, (2, 2)), (1000, 8, (8, 4)), (1000, 6, (2, 4)), (1000, 7, (1, 4))],
)
def test_there_are_streams_for_as_many_processes_and_workers_as_there_are_shards(count, batch, expected):
    assert streams(count, batch) == expected


def test_only_files_that_all_lie_in_one_folder_of_shards_have_the_order_of_shards(tmp_path):
    plain = make(tmp_path / "folder", *(f"{number}.png" for number in range(12)))
    one = sorted(packed(tmp_path / "folder", tmp_path / "one", count=1).iterdir())
    other = sorted(packed(tmp_path / "folder", tmp_path / "other", count=1).iterdir())
    assert isinstance(order_of(one, 0, 4), ShardOrder)
    for files in (plain, [*one[:6], *plain[6:]], [*one[:6], *other[6:]], []):
        assert order_of(files, 5, 4) == RandomOrder(len(files), 5)
