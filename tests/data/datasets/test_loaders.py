import multiprocessing
import pickle
import runpy

import pytest
import torch
from torch.utils._pytree import tree_leaves

from passband.data.datasets.loaders import batch_loader, on_device
from passband.tasks import TASKS
from tests.documents import ROOT

SMALL = runpy.run_path(str(ROOT / "benchmarks" / "scale" / "small_runs.py"))
BATCHES = [[0, 1], [2, 3], [4, 5], [6, 7]]


def training_set(task, folder):
    """A small training set of a task, and the function that makes its batches."""
    made = TASKS[task](SMALL["small_recipe"](task, 1))
    data = SMALL["write_data"](folder, task, 6)
    return made.training_data(data, made.network_config(data, None)), made.collate


def assert_equal(one, other):
    one, other = tree_leaves(one), tree_leaves(other)
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert torch.equal(left, right) if isinstance(left, torch.Tensor) else left == right


@pytest.mark.parametrize("task", SMALL["RECIPES"])
def test_a_data_set_that_was_pickled_gives_the_same_samples(task, tmp_path):
    dataset, _ = training_set(task, tmp_path)
    copy = pickle.loads(pickle.dumps(dataset))
    for number in (0, 3, 7):
        assert_equal(copy[number], dataset[number])


def test_workers_of_a_fork_server_give_the_batches_of_this_process(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["passband.tasks"])
    for task in SMALL["RECIPES"]:
        dataset, collate = training_set(task, tmp_path)
        here = list(batch_loader(dataset, BATCHES, collate))
        loader = batch_loader(dataset, BATCHES, collate, workers=2)
        loader.multiprocessing_context = context
        for one, other in zip(here, loader, strict=True):
            assert_equal(one, other)
            assert all(leaf.is_shared() for leaf in tree_leaves(other) if getattr(leaf, "nbytes", 0))


def test_only_batches_for_a_gpu_are_pinned():
    assert batch_loader([1, 2], [[0], [1]], list, device=torch.device("cuda")).pin_memory
    assert not batch_loader([1, 2], [[0], [1]], list, device=torch.device("cpu")).pin_memory
    assert not batch_loader([1, 2], [[0], [1]], list).pin_memory


def test_batches_are_moved_whatever_holds_their_tensors():
    batch = {"image": torch.zeros(2), "names": ["a", "b"], "masks": [torch.ones(1)]}
    (moved,) = on_device([batch], torch.device("meta"))
    assert moved["image"].is_meta
    assert moved["masks"][0].is_meta
    assert moved["names"] == ["a", "b"]
